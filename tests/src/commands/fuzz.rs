//! `fuzz`: the fuzzer of system calls, for as long as is wanted.
//!
//! The tests run it for a minute on one, two and four CPUs (`tests/qemu/fuzz.rs`); this is the same program
//! on the machine that the options choose.

use crate::build::Profile;
use crate::child::Echo;
use crate::command_line::Options;
use crate::failure::Failure;
use crate::install;
use crate::launch::{Built, Launch};
use crate::programs::Program;
use crate::qemu::{Verdict, judge};
use std::process::ExitCode;

/// The program.
pub const PROGRAM: &str = "fuzz";
/// Calls a second that even a slow host makes, and what a boot takes besides.
const SLOWEST: u64 = 300;
const BOOT: u64 = 300;

/// Returns the arguments by which the program makes so many calls, from a seed on.
#[must_use]
pub fn arguments(calls: u64, seed: u64) -> Vec<String> {
    vec![format!("calls={calls}"), format!("seed={seed}"), "table".to_owned()]
}

/// Makes `calls` calls.
///
/// # Errors
/// Every end but status 0 to 99 of the program.
pub(super) fn fuzz(options: &Options, calls: u64) -> Result<ExitCode, Failure> {
    let qemu = install::qemu(options.install)?;
    let profile = options.profile.unwrap_or(Profile::Dev);
    let built = Built::new(profile, vec![Program::Own(PROGRAM.to_owned())])?;
    let limit = options.limit(calls / SLOWEST + BOOT);
    let launch = Launch {
        machine: options.machine(),
        program: PROGRAM,
        arguments: &arguments(calls, options.seed),
        switches: &options.switches(),
        limit,
        echo: Echo::Shown,
    };
    match judge(&built.boot(&qemu, &launch)?, limit) {
        Verdict::Program(status) => Ok(ExitCode::from(status)),
        Verdict::Failed(failure) => Err(failure),
    }
}
