//! How the tool ends: exit statuses and the one line that goes with a failure.

use std::fmt;
use std::process::ExitCode;

/// The exit statuses above those of programs (0 to 99).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// A test failed, or the first program found a leak.
    TestFailed = 101,
    /// A fault killed the program.
    ProgramKilled = 102,
    /// The kernel panicked.
    KernelPanic = 103,
    /// The watchdog ended a QEMU that ran too long.
    Watchdog = 104,
    /// A tool is missing, too old, or failed.
    MissingTool = 105,
    /// The command line, the archive or the program cannot be used.
    Usage = 106,
    /// Somebody interrupted the tool (128 + SIGINT, as shells count).
    Interrupted = 130,
}

/// The highest status that a program can end with.
pub const HIGHEST_PROGRAM_STATUS: u8 = 99;

/// An end with a status and one line for a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the shell sees.
    pub status: Status,
    /// What the human reads, without the leading `vellum: `.
    pub text: String,
}

impl Failure {
    /// Returns a failure of this status.
    pub fn new(status: Status, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into() }
    }

    /// Returns the failure of a command line, archive or program that cannot be used.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure::new(Status::Usage, text)
    }

    /// Returns the failure of a tool that is missing or did not do its work.
    pub fn tool(text: impl Into<String>) -> Failure {
        Failure::new(Status::MissingTool, text)
    }

    /// Returns what the process exits with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "vellum: {}", self.text)
    }
}

impl std::error::Error for Failure {}

/// Names the file in an input or output error.
pub trait Naming<T> {
    /// Turns an error into a failure that starts with `what`.
    ///
    /// # Errors
    /// Whenever there is one in `self`.
    fn naming(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> Naming<T> for Result<T, E> {
    fn naming(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::tool(format!("{what}: {error}")))
    }
}
