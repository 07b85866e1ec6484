//! Asking the process server, `processes`.
//!
//! Owns: the words of its messages. A process that it has started is known by a number until it has ended and
//! was forgotten; numbers are not used again.
//!
//! | asked | words | handle | answer |
//! |---|---|---|---|
//! | `RUN` | length | object: name and arguments, a zero byte between two | number |
//! | `WATCH` | ; number, bits | notification | |
//! | `REPORT` | ; number, part | | three words of the exit report; `StillRuns` |
//! | `NEXT` | ; number | | the number of the next process from there on, whether it runs |
//! | `NAME` | length; number | object | how many bytes name and arguments are |
//! | `HANDLE` | ; number | | a handle to look at it |
//! | `KILL` | ; number | | |
//! | `FORGET` | ; number | | |
//! | `STOP` | | | |

use super::Trouble;
use super::shared::{Shared, TO_READ, TO_WRITE};
use crate::{Endpoint, Notification, Process};
use alloc::string::String;
use alloc::vec::Vec;
use vellum_abi::{ExitReport, MESSAGE_WORDS, Rights};

/// Runs a program of the archive.
pub const RUN: u64 = 1;
/// Raises bits when a process has ended, or at once.
pub const WATCH: u64 = 2;
/// Says how a process ended.
pub const REPORT: u64 = 3;
/// Lists processes.
pub const NEXT: u64 = 4;
/// Says how a process was called.
pub const NAME: u64 = 5;
/// Gives a handle.
pub const HANDLE: u64 = 6;
/// Ends a process.
pub const KILL: u64 = 7;
/// Forgets a process that has ended.
pub const FORGET: u64 = 8;
/// Ends every process and the service.
pub const STOP: u64 = 9;

/// Words of a report in an answer.
pub const PART: usize = MESSAGE_WORDS - 1;

/// What may be done by the handle of `HANDLE`.
pub const TO_LOOK: Rights = Rights::INSPECT;

/// A process, in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub number: u64,
    /// Whether it has not ended.
    pub runs: bool,
    /// Its name and arguments.
    pub name: String,
}

/// The process server, asked by messages.
#[derive(Debug)]
pub struct Processes {
    endpoint: Endpoint,
    text: Shared,
}

impl Processes {
    /// Uses a handle to call the service by.
    ///
    /// # Errors
    /// Those of [`Shared::new`].
    pub fn new(endpoint: Endpoint) -> Result<Processes, Trouble> {
        Ok(Processes { endpoint, text: Shared::new(1)? })
    }

    /// Starts a program, the first of the words, with the others as arguments. Returns its number.
    ///
    /// # Errors
    /// `NoProgram`, `NotAProgram`, `BadArguments`, `TooMany`, and those of the kernel.
    pub fn run(&self, words: &[&str]) -> Result<u64, Trouble> {
        let text = words.join("\0");
        if text.is_empty() || self.text.put(text.as_bytes()) < text.len() {
            return Err(Trouble::BadArguments);
        }
        let words = [RUN | (text.len() as u64) << 8, 0, 0, 0];
        Ok(self.endpoint.give(self.text.handle(), TO_READ, words)?.words[1])
    }

    /// Raises bits when a process has ended, or at once if it has.
    ///
    /// # Errors
    /// `NoProcess`, and those of the kernel.
    pub fn watch(
        &self,
        number: u64,
        notification: &Notification,
        bits: u64,
    ) -> Result<(), Trouble> {
        self.endpoint
            .give(notification.handle(), Rights::WRITE, [WATCH, number, bits, 0])
            .map(|_| ())
    }

    /// Returns how a process ended.
    ///
    /// # Errors
    /// `NoProcess`, `StillRuns`, and those of the kernel.
    pub fn report(&self, number: u64) -> Result<ExitReport, Trouble> {
        let mut words = [0; ExitReport::WORDS];
        for (part, words) in words.chunks_mut(PART).enumerate() {
            let answer = self.endpoint.ask([REPORT, number, part as u64, 0])?;
            words.copy_from_slice(&answer.words[1..=words.len()]);
        }
        Ok(ExitReport::from_words(words))
    }

    /// Waits for the end of a process and forgets it.
    ///
    /// # Errors
    /// `NoProcess`, and those of the kernel.
    pub fn wait(&self, number: u64) -> Result<ExitReport, Trouble> {
        let ended = Notification::new()?;
        self.watch(number, &ended, 1)?;
        ended.wait()?;
        let report = self.report(number)?;
        self.forget(number)?;
        Ok(report)
    }

    /// Returns all processes, in the order in which they were started.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn list(&self) -> Result<Vec<Listed>, Trouble> {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let answer = match self.endpoint.ask([NEXT, from, 0, 0]) {
                Err(Trouble::NoProcess) => return Ok(all),
                answer => answer?,
            };
            let [_, number, runs, _] = answer.words;
            // It may be forgotten meanwhile.
            if let Ok(name) = self.name(number) {
                all.push(Listed { number, runs: runs != 0, name });
            }
            from = number + 1;
        }
    }

    /// Returns the name and the arguments of a process.
    ///
    /// # Errors
    /// `NoProcess`, and those of the kernel.
    pub fn name(&self, number: u64) -> Result<String, Trouble> {
        let room = self.text.length();
        let words = [NAME | (room as u64) << 8, number, 0, 0];
        let count = self.endpoint.give(self.text.handle(), TO_WRITE, words)?.words[1] as usize;
        let bytes = self.text.bytes(count);
        Ok(String::from_utf8_lossy(&bytes).replace('\0', " "))
    }

    /// Returns a handle to look at a process.
    ///
    /// # Errors
    /// `NoProcess`, and those of the kernel.
    pub fn handle(&self, number: u64) -> Result<Process, Trouble> {
        let answer = self.endpoint.ask([HANDLE, number, 0, 0])?;
        answer.handle.map(Process::from_handle).ok_or(Trouble::Unknown)
    }

    /// Ends a process.
    ///
    /// # Errors
    /// `NoProcess`, `HasEnded`, and those of the kernel.
    pub fn kill(&self, number: u64) -> Result<(), Trouble> {
        self.endpoint.ask([KILL, number, 0, 0]).map(|_| ())
    }

    /// Forgets a process that has ended.
    ///
    /// # Errors
    /// `NoProcess`, `StillRuns`, and those of the kernel.
    pub fn forget(&self, number: u64) -> Result<(), Trouble> {
        self.endpoint.ask([FORGET, number, 0, 0]).map(|_| ())
    }
}
