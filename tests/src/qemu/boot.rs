//! One boot: starts QEMU, collects what it says and waits for its end.

use super::{Machine, Qemu};
use crate::child::{Echo, End, Watched, collect};
use crate::failure::{Failure, Naming};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// What came out of a boot.
#[derive(Clone, Debug)]
pub struct Boot {
    /// How QEMU ended.
    pub end: End,
    /// What the guest wrote to the serial line.
    pub output: String,
    /// What QEMU wrote to standard error.
    pub errors: String,
}

/// Boots a machine and waits for its end, at most `limit`.
///
/// # Errors
/// `MissingTool` if QEMU cannot be started.
pub fn boot(
    qemu: &Qemu,
    machine: &Machine,
    kernel: &Path,
    archive: Option<&Path>,
    limit: Duration,
    echo: Echo,
) -> Result<Boot, Failure> {
    let mut command = qemu.command();
    command.args(machine.arguments(kernel, archive));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Watched::start(&mut command)?;
    let output = child.child().stdout.take();
    let errors = child.child().stderr.take();
    let output = thread::spawn(move || collect(output, echo));
    let errors = thread::spawn(move || collect(errors, Echo::Hidden));
    let end = child.wait(Some(limit))?;
    Ok(Boot { end, output: text(output)?, errors: text(errors)? })
}

fn text(thread: thread::JoinHandle<Vec<u8>>) -> Result<String, Failure> {
    let bytes = thread.join().map_err(|_| "a reader panicked").naming("reading from QEMU")?;
    Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
}
