//! A program on its way into QEMU: built, packed with what it needs, booted.

use crate::build::{self, Profile};
use crate::child::Echo;
use crate::failure::{Failure, Naming};
use crate::image;
use crate::programs::{FIRST, Program};
use crate::qemu::{self, Boot, Machine, Qemu};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vellum_abi::options::{ARGUMENT, RUN};

/// The variable that hands `--timeout` on to the QEMU tests.
pub const TIMEOUT_VARIABLE: &str = "VELLUM_TEST_TIMEOUT";

/// A kernel, and programs that are built and can be put into archives.
#[derive(Clone, Debug)]
pub struct Built {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The programs for archives, beside the first one.
    pub programs: Vec<Program>,
}

/// What to run and how.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// The emulated machine.
    pub machine: Machine,
    /// The name of the program in the archive.
    pub program: &'a str,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Other options of the archive.
    pub switches: &'a [(&'static str, &'static str)],
    /// When the watchdog ends it.
    pub limit: Duration,
    /// Whether its output is shown.
    pub echo: Echo,
}

impl Built {
    /// Builds the kernel, the first program and `programs`.
    ///
    /// # Errors
    /// `MissingTool` if that fails.
    pub fn new(profile: Profile, programs: Vec<Program>) -> Result<Built, Failure> {
        let kernel = build::kernel(profile)?;
        let first = Program::Own(FIRST.to_owned());
        build::programs(std::iter::once(&first).chain(&programs))?;
        Ok(Built { kernel, programs })
    }

    /// Returns the archive for a launch, with every program.
    ///
    /// # Errors
    /// See [`image::archive_for`]; `Usage` for an argument that cannot be passed on.
    pub fn archive(&self, launch: &Launch<'_>) -> Result<image::ArchiveWriter, Failure> {
        let mut archive = image::archive_for(&self.kernel, &self.programs)?;
        archive.option(RUN, launch.program)?;
        for argument in launch.arguments {
            archive.option(ARGUMENT, argument)?;
        }
        for (key, value) in launch.switches {
            archive.option(key, value)?;
        }
        Ok(archive)
    }

    /// Boots a launch and waits for its end.
    ///
    /// # Errors
    /// See [`Self::archive`]; `MissingTool` if QEMU cannot be started.
    pub fn boot(&self, qemu: &Qemu, launch: &Launch<'_>) -> Result<Boot, Failure> {
        let bytes = self.archive(launch)?.finish()?;
        boot_bytes(qemu, &self.kernel, launch, &bytes)
    }
}

/// Boots a launch with these bytes in the place of the archive.
///
/// # Errors
/// `MissingTool` if they cannot be written to a file or QEMU cannot be started.
pub fn boot_bytes(
    qemu: &Qemu,
    kernel: &Path,
    launch: &Launch<'_>,
    bytes: &[u8],
) -> Result<Boot, Failure> {
    let file = temporary_file(bytes)?;
    qemu::boot(qemu, &launch.machine, kernel, Some(file.path()), launch.limit, launch.echo)
}

/// Writes bytes to a file that goes away with its handle.
///
/// # Errors
/// `MissingTool` if the system has no room for it.
pub fn temporary_file(bytes: &[u8]) -> Result<tempfile::NamedTempFile, Failure> {
    let mut file =
        tempfile::Builder::new().prefix("vellum-").tempfile().naming("temporary file")?;
    file.write_all(bytes).naming("temporary file")?;
    Ok(file)
}
