//! Asking the console's service, `uart`.
//!
//! Owns: the words of its messages. Who has the keyboard is whoever handed over a notification last
//! ([`Console::watch`]): it is raised when something was typed, and [`Console::read`] takes what there is.
//! Bytes that nobody takes wait in the service, and a full service loses the newest.
//!
//! | asked | words | handle | answer |
//! |---|---|---|---|
//! | `WRITE` | length; 24 bytes | | |
//! | `WRITE_OBJECT` | length | memory object | |
//! | `FLUSH` | | | when everything is sent |
//! | `READ` | | | length; 24 bytes |
//! | `WATCH` | ; bits | notification | |
//! | `STOP` | | | |

use super::shared::{Shared, TO_READ};
use super::{Trouble, serve::Answer};
use crate::{Endpoint, Notification};
use vellum_abi::{MESSAGE_WORDS, Rights};

/// Sends a few bytes.
pub const WRITE: u64 = 1;
/// Sends what is in an object.
pub const WRITE_OBJECT: u64 = 2;
/// Waits until everything is sent.
pub const FLUSH: u64 = 3;
/// Takes what was received.
pub const READ: u64 = 4;
/// Gives the keyboard to whoever waits for a notification.
pub const WATCH: u64 = 5;
/// Ends the service.
pub const STOP: u64 = 6;

/// Bytes that fit into the words behind the first.
pub const IN_WORDS: usize = (MESSAGE_WORDS - 1) * 8;

/// Returns bytes as words.
#[must_use]
pub fn to_words(bytes: &[u8]) -> [u64; MESSAGE_WORDS - 1] {
    let mut all = [0; IN_WORDS];
    let count = bytes.len().min(IN_WORDS);
    all[..count].copy_from_slice(&bytes[..count]);
    core::array::from_fn(|word| {
        u64::from_le_bytes(core::array::from_fn(|byte| all[word * 8 + byte]))
    })
}

/// Returns words as bytes.
#[must_use]
pub fn to_bytes(words: &[u64]) -> [u8; IN_WORDS] {
    core::array::from_fn(|index| {
        words.get(index / 8).map_or(0, |word| word.to_le_bytes()[index % 8])
    })
}

/// Returns the answer to `READ`.
#[must_use]
pub fn read_answer(bytes: &[u8]) -> Answer {
    // The last byte of the last word is the count, so what is read at a time is one byte less.
    let mut all = [0; IN_WORDS];
    let count = bytes.len().min(AT_A_TIME);
    all[..count].copy_from_slice(&bytes[..count]);
    all[AT_A_TIME] = count as u8;
    Answer::of(to_words(&all))
}

/// Bytes that are read at a time.
pub const AT_A_TIME: usize = IN_WORDS - 1;

/// The console, asked by messages.
#[derive(Debug)]
pub struct Console {
    endpoint: Endpoint,
    buffer: Shared,
}

impl Console {
    /// Uses a handle to call the service by.
    ///
    /// # Errors
    /// Those of [`Shared::new`].
    pub fn new(endpoint: Endpoint) -> Result<Console, Trouble> {
        Ok(Console { endpoint, buffer: Shared::new(1)? })
    }

    /// Sends bytes; returns when the service has them all.
    ///
    /// # Errors
    /// What the service or the kernel says.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Trouble> {
        if bytes.len() <= IN_WORDS {
            let [x, y, z] = to_words(bytes);
            return self.endpoint.ask([WRITE | (bytes.len() as u64) << 8, x, y, z]).map(|_| ());
        }
        for part in bytes.chunks(self.buffer.length()) {
            let words = [WRITE_OBJECT | (self.buffer.put(part) as u64) << 8, 0, 0, 0];
            self.endpoint.give(self.buffer.handle(), TO_READ, words)?;
        }
        Ok(())
    }

    /// Returns when everything is sent.
    ///
    /// # Errors
    /// What the service or the kernel says.
    pub fn flush(&self) -> Result<(), Trouble> {
        self.endpoint.ask([FLUSH, 0, 0, 0]).map(|_| ())
    }

    /// Takes what was received, perhaps nothing. Returns bytes and how many they are.
    ///
    /// # Errors
    /// What the service or the kernel says.
    pub fn read(&self) -> Result<([u8; IN_WORDS], usize), Trouble> {
        let answer = self.endpoint.ask([READ, 0, 0, 0])?;
        let bytes = to_bytes(&answer.words[1..]);
        Ok((bytes, usize::from(bytes[AT_A_TIME]).min(AT_A_TIME)))
    }

    /// Takes the keyboard: raises these bits when something was received, and at once if there is something.
    ///
    /// # Errors
    /// What the service or the kernel says.
    pub fn watch(&self, notification: &Notification, bits: u64) -> Result<(), Trouble> {
        self.endpoint.give(notification.handle(), Rights::WRITE, [WATCH, bits, 0, 0]).map(|_| ())
    }
}
