//! The tool behind `qemu-run.sh`; everything is in the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use vellum_tests::command_line::CommandLine;
use vellum_tests::failure::Failure;
use vellum_tests::{child, commands};

fn main() -> ExitCode {
    match work() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

fn work() -> Result<ExitCode, Failure> {
    let Some(line) = CommandLine::read()? else { return Ok(ExitCode::SUCCESS) };
    child::catch_interruptions()?;
    commands::execute(&line)
}
