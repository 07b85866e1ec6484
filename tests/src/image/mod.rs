//! What QEMU is given beside the kernel: the boot archive and what goes into it.
//!
//! Owns: the archive writer, flattening the first program, cutting ELF files, symbol lines.

pub mod archive;
mod program;
mod symbols;

pub use archive::ArchiveWriter;
pub use program::{FlatProgram, FlatSegment, flatten, load_offset, loadable_bytes, trimmed};
pub use symbols::symbol_lines;

use crate::build;
use crate::failure::{Failure, Naming};
use crate::linux;
use crate::programs::{FIRST, Program};
use std::path::Path;

/// The archive's file of kernel symbols, for the panic's backtrace.
pub const SYMBOLS: &str = "kernel.symbols";

/// Returns an archive with the first program, the kernel's symbols and `programs`, all of which
/// are built. The test that runs a Linux program takes that along.
///
/// # Errors
/// `MissingTool` if a file cannot be read, `Usage` if the first program or the kernel is no ELF
/// file that can be loaded.
pub fn archive_for(kernel: &Path, programs: &[Program]) -> Result<ArchiveWriter, Failure> {
    let first = read(&build::program_path(&Program::Own(FIRST.to_owned())))?;
    let mut archive = ArchiveWriter::new(flatten(&first).map_err(|e| named(FIRST, &e))?);
    let symbols = symbol_lines(&read(kernel)?).map_err(|error| named("kernel", &error))?;
    archive.file(SYMBOLS, symbols.into_bytes());
    for program in programs {
        archive.file(&program.name(), trimmed(read(&build::program_path(program))?));
    }
    if programs.iter().any(|program| program.name() == linux::TEST)
        && let Some(file) = linux::file()?
    {
        archive.file(linux::PROGRAM, trimmed(file));
    }
    Ok(archive)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).naming(path.display())
}

fn named(what: &str, error: &str) -> Failure {
    Failure::usage(format!("{what}: {error}"))
}
