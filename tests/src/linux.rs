//! The Linux program that a test runs under a handler: built like any other program for Linux, by the
//! compiler's own linker and the C library that comes with its target.

use crate::build;
use crate::child;
use crate::failure::{Failure, Naming};
use crate::tree;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The program's name, in the archive too.
pub const PROGRAM: &str = "linux-program";
/// The test that it travels with.
pub const TEST: &str = "test_linux_program";
const TARGET: &str = "aarch64-unknown-linux-musl";
/// An address of its own, and nothing to be linked when it starts.
const FLAGS: &str = "-C relocation-model=static -C link-self-contained=yes";

/// Builds the program, once for each run of the tool, and returns its ELF file; `None` where the target's
/// library is not installed and cannot be.
///
/// # Errors
/// `MissingTool` if there is no compiler or the program does not build.
pub fn program() -> Result<Option<&'static Path>, Failure> {
    static BUILT: OnceLock<Result<Option<PathBuf>, Failure>> = OnceLock::new();
    BUILT.get_or_init(build_program).as_ref().map(Option::as_deref).map_err(Clone::clone)
}

fn build_program() -> Result<Option<PathBuf>, Failure> {
    if !build::library_is_installed(TARGET)? {
        let mut command = Command::new("rustup");
        command.current_dir(tree::root()).args(["target", "add", TARGET]);
        // Without rustup, or without a network, the test is skipped.
        let added = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !added.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
    }
    let directory = tree::target().join("linux");
    let mut command = build::cargo();
    command.args(["build", "--quiet", "--release", "--target", TARGET, "--manifest-path"]);
    command.arg(tree::root().join("tests/linux-program/Cargo.toml"));
    command.arg("--target-dir").arg(&directory);
    let variable = TARGET.replace('-', "_").to_uppercase();
    command.env(format!("CARGO_TARGET_{variable}_LINKER"), "rust-lld");
    command.env(format!("CARGO_TARGET_{variable}_RUSTFLAGS"), FLAGS);
    if !child::succeeds(&mut command)? {
        return Err(Failure::tool("the Linux program does not build; cargo says why above"));
    }
    Ok(Some(directory.join(TARGET).join("release").join(PROGRAM)))
}

/// Returns the bytes of the program's file, if it could be built.
///
/// # Errors
/// As for [`program`].
pub fn file() -> Result<Option<Vec<u8>>, Failure> {
    let Some(path) = program()? else { return Ok(None) };
    std::fs::read(path).map(Some).naming(path.display())
}
