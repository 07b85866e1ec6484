//! Calls about who is told of a process's faults.

use super::{Received, call};
use vellum_abi::{Action, Call, Error, FaultReport, Handle, HandlerFlags, MESSAGE_WORDS};

/// Sets where faults of a process are reported, under the badge of the handle; `None` for nowhere.
///
/// # Errors
/// `InvalidState` if the process ends, or if it has started and its calls would change sides; `MissingRight`, and those of the handles.
pub fn process_set_handler(
    process: Handle,
    endpoint: Option<Handle>,
    flags: HandlerFlags,
) -> Result<(), Error> {
    let endpoint = endpoint.map_or(0, Handle::to_word);
    // SAFETY: no memory changes.
    unsafe { call(Call::ProcessSetHandler, [process.to_word(), endpoint, flags.bits()]) }
        .map(|_| ())
}

impl Received {
    /// Returns what the kernel reports, or `None` for a message that a program sent.
    #[must_use]
    #[inline]
    pub fn report(&self) -> Option<FaultReport> {
        self.handle.filter(|handle| *handle == Handle::CALLER)?;
        FaultReport::from_words(&self.words)
    }
}

/// Returns the words of an answer to a report.
#[must_use]
pub const fn answer(action: Action) -> [u64; MESSAGE_WORDS] {
    [action as u64, 0, 0, 0]
}

/// Returns the words of an answer that puts a value into x0.
#[must_use]
pub const fn return_value(value: u64) -> [u64; MESSAGE_WORDS] {
    [Action::Return as u64, value, 0, 0]
}
