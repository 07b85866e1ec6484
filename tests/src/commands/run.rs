//! The demonstration and `run`.

use crate::build::Profile;
use crate::child::Echo;
use crate::command_line::Options;
use crate::failure::Failure;
use crate::install;
use crate::launch::{Built, Launch};
use crate::programs::{self, Program};
use crate::qemu::{Verdict, judge};
use std::process::ExitCode;

/// Seconds until the watchdog ends a program.
const LIMIT: u64 = 300;

/// Builds, boots and runs the demonstration.
///
/// # Errors
/// Every end but status 0 to 99 of the program.
pub(super) fn demonstration(options: &Options) -> Result<ExitCode, Failure> {
    let program = Program::Own(programs::DEMONSTRATION.to_owned());
    launch(options, vec![program], &[])
}

/// Runs a program, the first of the words, with arguments, the others.
///
/// # Errors
/// Every end but status 0 to 99 of the program.
pub(super) fn run(options: &Options, words: &[String]) -> Result<ExitCode, Failure> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| Failure::usage("no program is named"))?;
    let program = Program::find(program)?;
    launch(options, programs::with_companions(&program), arguments)
}

/// Runs the first of `programs`.
fn launch(
    options: &Options,
    programs: Vec<Program>,
    arguments: &[String],
) -> Result<ExitCode, Failure> {
    let qemu = install::qemu(options.install)?;
    let name = programs.first().map(Program::name).unwrap_or_default();
    let built = Built::new(options.profile.unwrap_or(Profile::Release), programs)?;
    let limit = options.limit(LIMIT);
    let launch = Launch {
        machine: options.machine(),
        program: &name,
        arguments,
        switches: &options.switches(),
        limit,
        echo: Echo::Shown,
    };
    let boot = built.boot(&qemu, &launch)?;
    match judge(&boot, limit) {
        Verdict::Program(status) => Ok(ExitCode::from(status)),
        Verdict::Failed(failure) => Err(failure),
    }
}
