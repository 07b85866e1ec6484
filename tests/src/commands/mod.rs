//! The sub-commands, one a file.

mod bench;
mod check;
mod debug;
pub mod fuzz;
mod monitor;
mod mutants;
mod run;
mod test;

use crate::command_line::{Command, CommandLine};
use crate::failure::Failure;
use std::process::ExitCode;

/// Does what a command line asks for.
///
/// # Errors
/// Whatever does not end well, with its exit status.
pub fn execute(line: &CommandLine) -> Result<ExitCode, Failure> {
    let options = &line.options;
    match &line.command {
        None => run::demonstration(options),
        Some(Command::Run { words }) => run::run(options, words),
        Some(Command::Test { filter }) => test::test(options, filter.as_deref()),
        Some(Command::Bench { names, out }) => bench::bench(options, names, out.as_deref()),
        Some(Command::Debug { program, gdb_command, batch }) => {
            let script = debug::Script { commands: gdb_command, batch: *batch };
            debug::debug(options, program, script)
        }
        Some(Command::Fuzz { calls }) => fuzz::fuzz(options, *calls),
        Some(Command::Monitor) => monitor::monitor(options),
        Some(Command::Check) => check::check(),
    }
}
