//! Child processes: started, watched and always ended by their own handle.
//!
//! Invariant: nothing that was started here outlives the call that started it, be it because of a
//! deadline, an interrupted tool or an error on the way. Only a tool that is killed outright
//! (SIGKILL) cannot keep this.

use crate::failure::{Failure, Naming, Status};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a waiting tool sleeps between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// How a watched child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Itself(ExitStatus),
    /// It was killed at its deadline.
    TimedOut,
    /// It was killed because somebody interrupted the tool.
    Interrupted,
}

/// Whether a child's output is shown while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// It goes to standard output as well.
    Shown,
    /// It is only collected.
    Hidden,
}

fn interruption() -> &'static Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(Arc::default)
}

/// Makes signals that would end the tool end its children first.
///
/// # Errors
/// If the system refuses a handler.
pub fn catch_interruptions() -> Result<(), Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(interruption())).naming("signal handler")?;
    }
    Ok(())
}

/// Returns whether somebody has asked the tool to end.
#[must_use]
pub fn interrupted() -> bool {
    interruption().load(Ordering::Relaxed)
}

/// A child that dies with its value.
#[derive(Debug)]
pub struct Watched(Child);

impl Watched {
    /// Starts a command.
    ///
    /// # Errors
    /// `MissingTool` if it cannot be started.
    pub fn start(command: &mut Command) -> Result<Watched, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(Watched).naming(name)
    }

    /// Returns the child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Waits for the end, or brings it about at the deadline and on interruption.
    ///
    /// # Errors
    /// If the system cannot tell how the child is.
    pub fn wait(&mut self, limit: Option<Duration>) -> Result<End, Failure> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            if let Some(status) = self.0.try_wait().naming("waiting for a child")? {
                return Ok(End::Itself(status));
            }
            if interrupted() {
                self.kill();
                return Ok(End::Interrupted);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.kill();
                return Ok(End::TimedOut);
            }
            sleep(PAUSE);
        }
    }

    /// Waits for the end without heeding interruptions: for a debugger, to which they belong.
    ///
    /// # Errors
    /// If the system cannot tell how the child is.
    pub fn wait_undisturbed(&mut self) -> Result<ExitStatus, Failure> {
        self.0.wait().naming("waiting for a child")
    }

    fn kill(&mut self) {
        // Both fail only where the child is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.kill();
        }
    }
}

/// Runs a command to its end and returns whether it succeeded.
///
/// # Errors
/// `MissingTool` if it cannot be started, `Interrupted` if the tool was.
pub fn succeeds(command: &mut Command) -> Result<bool, Failure> {
    match Watched::start(command)?.wait(None)? {
        End::Itself(status) => Ok(status.success()),
        End::TimedOut | End::Interrupted => Err(Failure::new(Status::Interrupted, "interrupted")),
    }
}

/// Reads a pipe to its end. What comes before an error counts.
pub fn collect(pipe: Option<impl Read>, echo: Echo) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    let Some(mut pipe) = pipe else { return all };
    while let Ok(length @ 1..) = pipe.read(&mut part) {
        all.extend_from_slice(&part[..length]);
        if echo == Echo::Shown {
            // Nobody to show it to is no reason to end the child.
            let mut screen = std::io::stdout().lock();
            let _ = screen.write_all(&part[..length]).and_then(|()| screen.flush());
        }
    }
    all
}
