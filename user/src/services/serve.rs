//! The loop of a service: a call, an answer, the next call.
//!
//! Owns: what becomes of a handle that came along: it is closed unless the service takes it. Invariant: no
//! caller, whatever it sends and whenever it dies, ends the loop.

use super::Trouble;
use crate::calls::{self, Received};
use crate::{Endpoint, MemoryObject};
use vellum_abi::{Error, Handle, MESSAGE_WORDS, Rights};

/// A call, as a service sees it.
#[derive(Debug)]
pub struct Question {
    /// The words.
    pub words: [u64; MESSAGE_WORDS],
    /// The badge of the handle that was called by.
    pub badge: u64,
    given: Option<MemoryObject>,
}

impl Question {
    /// Returns the number of what is asked.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.words[0] & 0xff
    }

    /// Returns how long what follows is.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.words[0] >> 8
    }

    /// Takes the handle that came along; it may name anything.
    ///
    /// # Errors
    /// `Unknown` if none did.
    pub fn take(&mut self) -> Result<Handle, Trouble> {
        self.given.take().map(MemoryObject::into_handle).ok_or(Trouble::Unknown)
    }
}

/// What a service answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The words behind the first.
    pub words: [u64; MESSAGE_WORDS - 1],
    /// A handle of the service's, which it keeps, with the rights that go along.
    pub handle: Option<(Handle, Rights)>,
    /// Whether the service stops.
    pub is_last: bool,
}

impl Answer {
    /// Nothing but yes.
    pub const YES: Answer = Answer { words: [0; 3], handle: None, is_last: false };

    /// Returns an answer of words.
    #[must_use]
    pub const fn of(words: [u64; MESSAGE_WORDS - 1]) -> Answer {
        Answer { words, ..Answer::YES }
    }
}

/// Answers calls until an answer is the last.
///
/// # Errors
/// Those of [`Endpoint::receive`].
pub fn serve(
    endpoint: &Endpoint,
    mut answer_fn: impl FnMut(&mut Question) -> Result<Answer, Trouble>,
) -> Result<(), Error> {
    let mut call = endpoint.receive()?;
    loop {
        let Received { handle, words, badge } = call;
        let given = handle.map(MemoryObject::from_handle);
        let mut question = Question { words, badge, given };
        let answer = answer_fn(&mut question);
        drop(question);
        let (status, answer) = match answer {
            Ok(answer) => (0, answer),
            Err(trouble) => (trouble.to_word(), Answer::YES),
        };
        let [x, y, z] = answer.words;
        let words = [status, x, y, z];
        if answer.is_last {
            // A caller that is gone needs no answer.
            let _ = calls::endpoint_reply(answer.handle, words);
            return Ok(());
        }
        let next = calls::endpoint_reply_receive(endpoint.handle(), answer.handle, words);
        // Whoever asked has ended, or has no room for the handle: then it is told by the next call.
        call = next.or_else(|_| endpoint.receive())?;
    }
}
