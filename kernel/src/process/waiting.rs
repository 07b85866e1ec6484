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
/// Something is, but no server and no endpoint that the thread receives at.
const OTHER: usize = 1;
/// The server is noted that has the thread's call.
const SERVED: usize = 2;

/// What a thread waits for, or waited for last.
pub struct Waiting {
    /// Any wait but [`Wait::Served`].
    note: Mutex<Option<Wait>>,
    /// The server that has the thread's call: the most frequent wait, in a place of its own, where it takes the
    /// least to note it and to forget it.
    server: Mutex<Option<PoolArc<Thread>>>,
    /// [`NOTHING`], [`OTHER`], [`SERVED`], or the address of the endpoint that the thread receives at.
    word: AtomicUsize,
}

impl Waiting {
    /// Returns the note of a thread that never waited.
    pub const fn nothing() -> Waiting {
        let word = AtomicUsize::new(NOTHING);
        Waiting { note: Mutex::new(None), server: Mutex::new(None), word }
    }

    /// Returns what is noted. What the thread has noted and looks behind whether its wait is to end is seen
    /// here, or the thread sees what was asked of it before this.
    pub fn get(&self) -> Option<Wait> {
        let server = self.server.lock().clone();
        server.map(Wait::Served).or_else(|| self.note.lock().clone())
    }

    /// Returns whether something is noted, other than a server, that `is_meant_fn` picks.
    pub fn is(&self, is_meant_fn: impl FnOnce(&Wait) -> bool) -> bool {
        self.note.lock().as_ref().is_some_and(is_meant_fn)
    }

    /// Notes what the thread waits for from now on.
    #[inline]
    pub fn begin(&self, wait: Wait) {
        self.replace(wait, OTHER);
    }

    /// Notes that a server has the thread's call.
    #[inline(always)]
    pub fn begin_to_be_served(&self, server: PoolArc<Thread>) {
        self.end();
        let before = self.server.lock().replace(server);
        // Nothing is there to be dropped.
        mem::forget(before);
        self.word.store(SERVED, Ordering::Relaxed);
    }

    /// Notes that the thread receives at an endpoint. Returns whether that is news.
    #[inline(always)]
    pub fn begin_to_receive(&self, endpoint: &PoolArc<Endpoint>) -> bool {
        let address = core::ptr::from_ref::<Endpoint>(endpoint).addr();
        let is_news = self.word.load(Ordering::Relaxed) != address;
        if is_news {
            self.receive_elsewhere(endpoint, address);
        }
        is_news
    }

    #[cold]
    #[inline(never)]
    fn receive_elsewhere(&self, endpoint: &PoolArc<Endpoint>, address: usize) {
        self.replace(Wait::Receives(endpoint.clone()), address);
    }

    #[inline]
    fn replace(&self, wait: Wait, word: usize) {
        self.end();
        // Nothing is there to be dropped.
        mem::forget(self.note.lock().replace(wait));
        self.word.store(word, Ordering::Relaxed);
    }

    /// Forgets what is noted: the thread waits for nothing any more.
    #[inline(always)]
    pub fn end(&self) {
        match self.word.load(Ordering::Relaxed) {
            NOTHING => {}
            SERVED => {
                self.word.store(NOTHING, Ordering::Relaxed);
                let server = self.server.lock().take();
                drop(server);
            }
            _ => self.clear(),
        }
    }

    #[cold]
    #[inline(never)]
    fn clear(&self) {
        self.word.store(NOTHING, Ordering::Relaxed);
        *self.note.lock() = None;
    }

    /// Takes what is noted.
    #[inline]
    pub fn take(&self) -> Option<Wait> {
        let word = self.word.load(Ordering::Relaxed);
        if word == NOTHING { None } else { self.remove(word) }
    }

    #[cold]
    #[inline(never)]
    fn remove(&self, word: usize) -> Option<Wait> {
        self.word.store(NOTHING, Ordering::Relaxed);
        match word {
            SERVED => self.server.lock().take().map(Wait::Served),
            _ => self.note.lock().take(),
        }
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
