//! What passes from one thread to another: words in registers, and at most one handle.
//!
//! Owns: which registers. Refuses to know: who waits for whom. Both threads' registers are saved, or
//! the one's are and the other runs this.
//!
//! | register | of a call, a reply | as it arrives |
//! |---|---|---|
//! | x0 | | status |
//! | x1 | a handle of the sender's, with rights above it; 0 for none | the receiver's handle, or 0 |
//! | x2 to x5 | words | the same words |
//! | x6 | | of a call: the badge of the handle that was called by |

use crate::arch::context::Context;
use crate::process::handle::Object;
use crate::process::{Process, Thread};
use vellum_abi::{Action, Error, Handle, MESSAGE_WORDS, Rights};

/// The first register of the words.
const WORDS: usize = 2;
/// Where the rights are in the word of a handle that is sent.
const RIGHTS_SHIFT: u32 = 32;

/// A message on its way: nothing of it lives longer than the way takes.
#[derive(Clone, Copy)]
pub struct Message {
    handle: u64,
    words: [u64; MESSAGE_WORDS],
}

impl Message {
    /// Reads the message that a thread sends.
    #[inline]
    pub fn of(context: &Context) -> Message {
        let words = core::array::from_fn(|index| context.x(WORDS + index));
        Message { handle: context.x(1), words }
    }

    /// Hands the message over to a thread whose registers are saved.
    ///
    /// # Errors
    /// Why the handle could not be: `BadHandle`, `MissingRight`, `InvalidFlags` for unknown rights;
    /// `OutOfHandles`, `OutOfKernelMemory`, `LimitReached` of the receiver. Then nothing was handed over.
    #[inline]
    pub fn deliver(&self, from: &Thread, to: &Thread, badge: u64) -> Result<(), Error> {
        let handle = if self.handle == 0 { 0 } else { self.give_handle(from, to)? };
        deliver_words(to, handle, &self.words, badge);
        Ok(())
    }

    /// Returns whether a handle goes along.
    #[inline]
    pub fn has_handle(&self) -> bool {
        self.handle != 0
    }

    /// Hands a message without a handle over to a thread whose registers are saved.
    #[inline]
    pub(super) fn put(&self, to: &Thread, badge: u64) {
        deliver_words(to, 0, &self.words, badge);
    }

    /// Reads the message as the answer to a report: an action, and its operand.
    ///
    /// # Errors
    /// `InvalidAction`, also where a handle goes along.
    pub fn action(&self) -> Result<(Action, u64), Error> {
        let [action, operand, ..] = self.words;
        let action = Action::from_number(action).filter(|_| self.handle == 0);
        Ok((action.ok_or(Error::InvalidAction)?, operand))
    }

    /// Checks what can be known of the message before it is received.
    ///
    /// # Errors
    /// Why the handle cannot be handed over: as for [`Self::deliver`].
    #[inline]
    pub fn check(&self, from: &Process) -> Result<(), Error> {
        if self.handle == 0 { Ok(()) } else { self.object(from).map(|_| ()) }
    }

    /// Returns what the handle names, and with which rights it goes.
    #[cold]
    fn object(&self, from: &Process) -> Result<(Object, Rights), Error> {
        let handle = Handle::from_word(u64::from(self.handle as u32)).ok_or(Error::BadHandle)?;
        let rights = Rights::from_bits(self.handle >> RIGHTS_SHIFT).ok_or(Error::InvalidFlags)?;
        let (object, held) = from.object(handle, Rights::TRANSFER)?;
        if held.contains(rights) { Ok((object, rights)) } else { Err(Error::MissingRight) }
    }

    /// Puts a copy of the sender's handle into the receiver's table.
    #[cold]
    fn give_handle(&self, from: &Thread, to: &Thread) -> Result<u64, Error> {
        let (object, rights) = self.object(&from.process)?;
        Ok(to.process.give(object, rights)?.to_word())
    }
}

/// Puts what arrives into a thread's registers, which are saved.
#[inline(always)]
pub(super) fn deliver_words(to: &Thread, handle: u64, words: &[u64; MESSAGE_WORDS], badge: u64) {
    let mut context = to.context.lock();
    context.set_x(0, 0);
    context.set_x(1, handle);
    for (index, word) in words.iter().enumerate() {
        context.set_x(WORDS + index, *word);
    }
    context.set_x(6, badge);
}

/// Tells a thread whose registers are saved what became of its call.
pub fn answer(thread: &Thread, error: Error) {
    let mut context = thread.context.lock();
    context.set_x(0, error as u64);
    context.set_x(1, 0);
}
