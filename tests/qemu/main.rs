//! The tests that need QEMU: one named test for each program and machine, and tests of the way in
//! and out: exit statuses, broken archives and programs, sizes of memory, the tool itself.
//!
//! Every test is one boot in a process of its own (those of the tool are several), so tests run
//! side by side. Nothing is built before the first test runs.

mod archives;
mod context;
mod ends;
mod fuzz;
mod instructions;
mod machines;
mod monitor;
mod outside;
mod programs;
mod refused;
mod tool;

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;

/// A test that is a plain function, with the name that it is reported by.
type Named = (&'static str, fn() -> Result<(), Failed>);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if let Err(failure) = vellum_tests::child::catch_interruptions() {
        eprintln!("{failure}");
        return failure.exit_code();
    }
    let named = [
        ends::TESTS,
        fuzz::TESTS,
        instructions::TESTS,
        machines::TESTS,
        monitor::TESTS,
        tool::TESTS,
        outside::TESTS,
    ]
    .concat();
    let mut trials: Vec<_> =
        named.into_iter().map(|(name, test)| Trial::test(name, test)).collect();
    trials.extend(archives::trials());
    trials.extend(refused::trials());
    trials.extend(tool::ignorable_trials());
    trials.extend(programs::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}
