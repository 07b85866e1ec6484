//! `debug`: a program under gdb, stopped before the first instruction of the machine.

use crate::build::{self, Profile};
use crate::child::{Echo, Watched};
use crate::command_line::Options;
use crate::failure::{Failure, Naming};
use crate::image;
use crate::install;
use crate::launch::{Built, Launch, temporary_file};
use crate::programs::{self, Program};
use crate::qemu::Qemu;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// What gdb is told beside where QEMU listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script<'a> {
    /// Commands to run once connected.
    pub commands: &'a [String],
    /// Whether gdb ends after them.
    pub batch: bool,
}

/// Starts a stopped machine and gdb on it, with the symbols of the kernel and the program. QEMU
/// ends when gdb does.
///
/// # Errors
/// `MissingTool` without QEMU or gdb, `Usage` without the program.
pub(super) fn debug(
    options: &Options,
    program: &str,
    script: Script<'_>,
) -> Result<ExitCode, Failure> {
    let program = Program::find(program)?;
    let qemu = install::qemu(options.install)?;
    install::debugger(options.install)?;
    let companions = programs::with_companions(&program);
    let built = Built::new(options.profile.unwrap_or(Profile::Dev), companions)?;
    let launch = Launch {
        machine: options.machine(),
        program: &program.name(),
        arguments: &[],
        switches: &options.switches(),
        limit: Duration::MAX,
        echo: Echo::Shown,
    };
    let archive = temporary_file(&built.archive(&launch)?.finish()?)?;
    let port = free_port()?;
    // Held for its end: dropping it ends QEMU.
    let _stopped = start(&qemu, &launch, &built.kernel, archive.path(), port)?;
    let symbols = symbols(&built.kernel, &build::program_path(&program))?;
    let mut command = debugger(&built.kernel, symbols, port, script);
    let status = Watched::start(&mut command)?.wait_undisturbed()?;
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::tool(format!("{} ended badly: {status}", install::GDB)))
}

/// Finds a port that nobody uses. It could be taken again before QEMU does; then QEMU says so.
fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).naming("a port for gdb")?;
    Ok(listener.local_addr().naming("a port for gdb")?.port())
}

fn start(
    qemu: &Qemu,
    launch: &Launch<'_>,
    kernel: &Path,
    archive: &Path,
    port: u16,
) -> Result<Watched, Failure> {
    let mut command = qemu.command();
    command.args(launch.machine.arguments(kernel, Some(archive)));
    command.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
    // A group of its own: Ctrl-C is for gdb, which stops the guest by it.
    command.stdin(Stdio::null()).process_group(0);
    Watched::start(&mut command)
}

/// Returns the gdb commands that load symbols: of the kernel where it is loaded as well, as its
/// first instructions run there, and of the program.
fn symbols(kernel: &Path, program: &Path) -> Result<[String; 2], Failure> {
    let file = std::fs::read(kernel).naming(kernel.display())?;
    let offset = image::load_offset(&file).naming(kernel.display())?;
    Ok([
        format!("add-symbol-file \"{}\" -o {offset:#x}", kernel.display()),
        format!("add-symbol-file \"{}\"", program.display()),
    ])
}

fn debugger(kernel: &Path, symbols: [String; 2], port: u16, script: Script<'_>) -> Command {
    let mut command = Command::new(install::GDB);
    command.args(["-nx", "-quiet"]);
    if script.batch {
        command.arg("-batch").stdin(Stdio::null());
    }
    command.arg(kernel);
    let quiet = ["set confirm off".to_owned()];
    let connect = [format!("target remote 127.0.0.1:{port}")];
    for line in quiet.iter().chain(&symbols).chain(&connect).chain(script.commands) {
        command.args(["-ex", line]);
    }
    command
}
