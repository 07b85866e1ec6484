//! Why a wait is to end early, and who got there first.
//!
//! Owns: the word of a thread that says so. Refuses to know: where the thread waits.
//!
//! Whoever wants a wait to end puts the reason here *first* and then looks where the thread waits. Whoever
//! takes the thread out of a place for it takes the reason along, under the lock of that place: only one
//! can. A thread may just be on its way from one place to another, so that whoever looks finds it in
//! neither; so who moves it looks here when it has arrived. The reason was put here before the places were
//! looked at, and each place has a lock: if it is not seen on arrival, the thread is seen in the place.
//!
//! An interrupter that finds nobody takes its reason back. If it is not there any more, somebody took it:
//! then the wait ends by it all the same.

use core::sync::atomic::{AtomicU8, Ordering};

const TIMED_OUT: u8 = 1;
const INTERRUPTED: u8 = 2;

/// Why a wait ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its time is over.
    TimedOut,
    /// Somebody asked for it.
    Interrupted,
}

/// What a thread's wait is to end for.
#[derive(Debug)]
pub struct Stop(AtomicU8);

impl Default for Stop {
    fn default() -> Stop {
        Stop::new()
    }
}

impl Stop {
    /// Returns that of a thread whose wait nobody wants to end.
    #[must_use]
    pub const fn new() -> Stop {
        Stop(AtomicU8::new(0))
    }

    /// Returns whether there may be a reason. Where it decides, [`Self::take`] does.
    // Relaxed throughout: the locks of the places order this against the looks at them.
    #[inline]
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Declares that the thread's time is over.
    pub fn time_is_over(&self) {
        self.0.fetch_or(TIMED_OUT, Ordering::Relaxed);
    }

    /// Declares that the thread goes on: its time does not matter any more.
    pub fn forget_time(&self) {
        self.0.fetch_and(!TIMED_OUT, Ordering::Relaxed);
    }

    /// Asks the thread to stop waiting. Returns whether nobody else is about to: then the caller looks for
    /// it, and calls [`Self::withdraw`] when it has.
    #[must_use]
    pub fn interrupt(&self) -> bool {
        self.0.fetch_or(INTERRUPTED, Ordering::Relaxed) & INTERRUPTED == 0
    }

    /// Takes back what [`Self::interrupt`] asked for. Returns whether nobody has taken it.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.0.fetch_and(!INTERRUPTED, Ordering::Relaxed) & INTERRUPTED != 0
    }

    /// Takes the reason, for the wait that is about to end by it.
    #[must_use]
    pub fn take(&self) -> Option<Reason> {
        match self.0.swap(0, Ordering::Relaxed) {
            0 => None,
            TIMED_OUT => Some(Reason::TimedOut),
            // Whoever asked is told that it was heard.
            _ => Some(Reason::Interrupted),
        }
    }
}
