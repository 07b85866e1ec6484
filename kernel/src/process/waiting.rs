//! What a thread waits for, as it begins and ends at every message.
//!
//! Owns: that the usual waits cost little to note and to forget. Refuses to know: where threads wait.
//!
//! What is noted says where to look for a thread, not that it is there: whoever wants to end its wait looks under
//! the lock of the place. So a server's note stays while it serves the call that it has received, as it mostly
//! comes back to the same endpoint; it goes when the thread waits for something else, when it takes another way
//! through the scheduler, or when it closes a handle and nobody can call there any more.
//!
//! The note is changed under its lock, by whoever runs the thread or took it out of where it waited. A word
//! beside it tells the same to these without the lock; others do not look at it.

use super::{Thread, Wait};
use crate::ipc::Endpoint;
use crate::memory::pools::PoolArc;
use core::mem;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Mutex;

/// [`Waiting::word`]: nothing is noted.
const NOTHING: usize = 0;
/// Something is, but no endpoint that the thread receives at.
const OTHER: usize = 1;

/// What a thread waits for, or waited for last.
pub struct Waiting {
    note: Mutex<Option<Wait>>,
    /// [`NOTHING`], [`OTHER`], or the address of the endpoint that the thread receives at.
    word: AtomicUsize,
}

impl Waiting {
    /// Returns the note of a thread that never waited.
    pub const fn nothing() -> Waiting {
        Waiting { note: Mutex::new(None), word: AtomicUsize::new(NOTHING) }
    }

    /// Returns what is noted.
    pub fn get(&self) -> Option<Wait> {
        self.note.lock().clone()
    }

    /// Returns whether something is noted that `is_meant_fn` picks.
    pub fn is(&self, is_meant_fn: impl FnOnce(&Wait) -> bool) -> bool {
        self.note.lock().as_ref().is_some_and(is_meant_fn)
    }

    /// Notes what the thread waits for from now on.
    #[inline]
    pub fn begin(&self, wait: Wait) {
        self.replace(wait, OTHER);
    }

    /// Notes that the thread receives at an endpoint.
    #[inline(always)]
    pub fn begin_to_receive(&self, endpoint: &PoolArc<Endpoint>) {
        let address = core::ptr::from_ref::<Endpoint>(endpoint).addr();
        if self.word.load(Ordering::Relaxed) != address {
            self.receive_elsewhere(endpoint, address);
        }
    }

    #[cold]
    #[inline(never)]
    fn receive_elsewhere(&self, endpoint: &PoolArc<Endpoint>, address: usize) {
        self.replace(Wait::Receives(endpoint.clone()), address);
    }

    #[inline]
    fn replace(&self, wait: Wait, word: usize) {
        let mut note = self.note.lock();
        if self.word.load(Ordering::Relaxed) != NOTHING {
            clear(&mut note);
        }
        // Nothing is there to be dropped.
        mem::forget(note.replace(wait));
        self.word.store(word, Ordering::Relaxed);
    }

    /// Forgets what is noted: the thread waits for nothing any more.
    #[inline(always)]
    pub fn end(&self) {
        if self.word.load(Ordering::Relaxed) == NOTHING {
            return;
        }
        let mut note = self.note.lock();
        self.word.store(NOTHING, Ordering::Relaxed);
        if !matches!(*note, Some(Wait::Served(_))) {
            return clear(&mut note);
        }
        // What a caller has waited for, with the least to ask.
        if let Some(Wait::Served(server)) = note.take() {
            drop(note);
            drop(server);
        }
    }

    /// Takes what is noted.
    #[inline]
    pub fn take(&self) -> Option<Wait> {
        if self.word.load(Ordering::Relaxed) == NOTHING { None } else { self.remove() }
    }

    #[inline]
    fn remove(&self) -> Option<Wait> {
        let mut note = self.note.lock();
        self.word.store(NOTHING, Ordering::Relaxed);
        note.take()
    }
}

impl Thread {
    /// Forgets where the running thread received, if nobody can call there any more, so that it does not keep
    /// that.
    pub fn forget_closed(&self) {
        if self.waiting.is(|wait| matches!(wait, Wait::Receives(at) if at.is_closed())) {
            self.waiting.end();
        }
    }
}

#[cold]
#[inline(never)]
fn clear(note: &mut Option<Wait>) {
    *note = None;
}
