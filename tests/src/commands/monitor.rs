//! `monitor`: a machine whose console is the terminal that the tool runs in.
//!
//! QEMU reads the terminal itself, key by key, and hands every one to the guest, Ctrl-C too; so the tool only
//! remembers how the terminal was, and puts that back however QEMU ends. Ctrl-] x ends QEMU whatever the guest does.

use crate::build::Profile;
use crate::child::{Echo, End, Watched};
use crate::command_line::Options;
use crate::failure::Failure;
use crate::install;
use crate::launch::{Built, Launch, temporary_file};
use crate::programs::{self, Program};
use crate::qemu::{Boot, Machine, Verdict, judge};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{IsTerminal, stdin};
use std::process::ExitCode;
use std::time::Duration;

/// The program that is the monitor.
const MONITOR: &str = "monitor";

/// The terminal's settings, which come back with the value's end.
struct Terminal(Option<Termios>);

impl Terminal {
    fn remember() -> Terminal {
        Terminal(tcgetattr(stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // A terminal that is gone needs no settings.
            let _ = tcsetattr(stdin(), OptionalActions::Now, settings);
        }
    }
}

/// Builds, boots, and opens the monitor.
///
/// # Errors
/// Every end but status 0 to 99 of the monitor.
pub(super) fn monitor(options: &Options) -> Result<ExitCode, Failure> {
    let program = Program::Own(MONITOR.to_owned());
    let qemu = install::qemu(options.install)?;
    let companions = programs::with_companions(&program);
    let built = Built::new(options.profile.unwrap_or(Profile::Release), companions)?;
    let launch = Launch {
        machine: Machine { interactive: true, ..options.machine() },
        program: MONITOR,
        arguments: &[],
        switches: &options.switches(),
        limit: Duration::MAX,
        echo: Echo::Shown,
    };
    let archive = temporary_file(&built.archive(&launch)?.finish()?)?;
    let mut command = qemu.command();
    command.args(launch.machine.arguments(&built.kernel, Some(archive.path())));
    if stdin().is_terminal() {
        eprintln!("vellum: Ctrl-] x ends QEMU");
    }
    let terminal = Terminal::remember();
    let status = Watched::start(&mut command)?.wait_undisturbed();
    drop(terminal);
    // What the guest wrote went by; that it wrote something is all that is asked.
    let boot = Boot { end: End::Itself(status?), output: MONITOR.into(), errors: String::new() };
    match judge(&boot, launch.limit) {
        Verdict::Program(status) => Ok(ExitCode::from(status)),
        Verdict::Failed(failure) => Err(failure),
    }
}
