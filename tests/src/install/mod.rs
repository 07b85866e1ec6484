//! Finds the tools of the system and installs those that are missing, if that is allowed.
//!
//! Nothing is changed without `--install`: then the exact commands are printed. A plan is made by
//! pure functions of what the system says about itself and carried out, or printed, afterwards.

mod apt;
mod plan;

pub use apt::{backports, has_suite, stanza_for};
pub use plan::{Step, System, plan};

use crate::failure::{Failure, Naming};
use crate::qemu::Qemu;
use std::io::Write;
use std::process::{Command, Stdio};

/// The Debian package of QEMU.
const QEMU_PACKAGE: &str = "qemu-system-arm";
/// The debugger, a program and a Debian package.
pub const GDB: &str = "gdb-multiarch";

/// Returns QEMU, after installing it where it is missing and `install` says so.
///
/// # Errors
/// `MissingTool`, having said what to do.
pub fn qemu(install: bool) -> Result<Qemu, Failure> {
    match Qemu::find() {
        Err(failure) => {
            provide(QEMU_PACKAGE, "qemu", &failure, install)?;
            Qemu::find()
        }
        found => found,
    }
}

/// Makes sure that there is a debugger.
///
/// # Errors
/// `MissingTool`, having said what to do.
pub fn debugger(install: bool) -> Result<(), Failure> {
    if has_debugger() {
        return Ok(());
    }
    provide(GDB, "gdb", &Failure::tool(format!("{GDB} is missing")), install)
}

/// Returns whether there is a debugger.
#[must_use]
pub fn has_debugger() -> bool {
    let mut command = Command::new(GDB);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs a Debian package; elsewhere says what to look for.
fn provide(package: &str, brew: &str, why: &Failure, install: bool) -> Result<(), Failure> {
    let system = System::look();
    if !system.has_apt {
        let text = format!(
            "{}; install it (macOS: brew install {brew}; Linux: the package that holds it)",
            why.text
        );
        return Err(Failure::tool(text));
    }
    if !install {
        eprintln!("{why}; ./qemu-run.sh --install runs:");
        for step in plan(package, &system) {
            eprintln!("    {step}");
        }
        return Err(Failure::tool(format!("{}; run ./qemu-run.sh --install", why.text)));
    }
    eprintln!("{why}");
    // The lists come first: without them the system does not know what it could install.
    perform(&system.update())?;
    plan(package, &System::look()).iter().try_for_each(perform)
}

/// Carries one step out, having said so.
fn perform(step: &Step) -> Result<(), Failure> {
    eprintln!("vellum: running {step}");
    let [program, arguments @ ..] = step.words.as_slice() else { return Ok(()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    let mut child = command.spawn().naming(program)?;
    if let Some(mut input) = child.stdin.take() {
        // A command that reads nothing may be gone by now.
        let _ = input.write_all(step.input.as_bytes());
    }
    if child.wait().naming(program)?.success() {
        return Ok(());
    }
    Err(Failure::tool(format!("failed: {step}")))
}
