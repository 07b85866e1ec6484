//! Asking a service.
//!
//! Owns: the look at the first word of an answer. Refuses to know: what is asked.

use super::Trouble;
use crate::Endpoint;
use crate::calls::Received;
use vellum_abi::{Handle, MESSAGE_WORDS, Rights};

impl Endpoint {
    /// Asks a service, and returns its answer if that is no refusal.
    pub(super) fn ask(&self, words: [u64; MESSAGE_WORDS]) -> Result<Received, Trouble> {
        accept(self.call(words)?)
    }

    /// As [`Self::ask`], with a handle that goes along.
    pub(super) fn give(
        &self,
        handle: Handle,
        rights: Rights,
        words: [u64; MESSAGE_WORDS],
    ) -> Result<Received, Trouble> {
        accept(self.call_with(handle, rights, words)?)
    }
}

fn accept(answer: Received) -> Result<Received, Trouble> {
    Trouble::check(answer.words[0])?;
    Ok(answer)
}
