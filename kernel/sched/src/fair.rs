//! A lock that is shared or exclusive, and that nobody waits for without end.
//!
//! Owns: who may have it, and in which order they get it that had to wait. Refuses to know: what it protects.
//!
//! Whoever finds the lock free takes it by one atomic operation. Who does not joins a queue, by a
//! ticket; the first of the queue raises `WAITING`, which turns away everybody who comes and is not in the
//! queue yet, waits for those to go who have the lock, and takes it. So whoever waits is
//! passed by nobody but those who wait longer and those who have the lock already, at most one of each
//! other CPU; neither can faults of several threads, which share the lock, keep a change of their
//! address space out, nor changes a fault.
//!
//! It follows that nobody may take it shared twice: between both somebody may wait, for the first.
//!
//! **Memory order.** Who lets go does so by a release, on the same word that whoever comes next takes by an
//! acquire; all changes of the word are atomic exchanges, so what is in between hands the release on. The tickets
//! order nothing but each other.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};

/// Somebody has the lock for himself.
const WRITER: u32 = 1;
/// The first of the queue waits.
const WAITING: u32 = 2;
/// One who shares the lock, or is about to see that he may not.
const READER: u32 = 4;

/// How a CPU waits.
pub trait Waiting {
    /// Comes before every access to the lock: an explorer may let another CPU go first.
    #[inline]
    fn step() {}

    /// Lets a moment pass.
    fn wait();
}

/// The lock. At most 2^16 CPUs wait.
#[derive(Debug)]
pub struct FairLock<W> {
    state: AtomicU32,
    /// The next ticket, and the one of the first in the queue.
    next: AtomicU32,
    first: AtomicU32,
    waiting: PhantomData<fn() -> W>,
}

impl<W: Waiting> Default for FairLock<W> {
    fn default() -> FairLock<W> {
        FairLock::new()
    }
}

impl<W: Waiting> FairLock<W> {
    /// Returns a lock that nobody has.
    #[must_use]
    pub const fn new() -> FairLock<W> {
        let [state, next, first] = [const { AtomicU32::new(0) }; 3];
        FairLock { state, next, first, waiting: PhantomData }
    }

    /// Returns whether somebody waits whom nobody who comes now may pass.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        W::step();
        self.state.load(Ordering::Relaxed) & WAITING != 0
    }

    /// Shares the lock, unless somebody has it for himself or waits.
    #[inline]
    #[must_use]
    pub fn try_share(&self) -> bool {
        W::step();
        if self.state.fetch_add(READER, Ordering::Acquire) & (WRITER | WAITING) == 0 {
            return true;
        }
        W::step();
        self.state.fetch_sub(READER, Ordering::Relaxed);
        false
    }

    /// Takes the lock, unless somebody has it or waits.
    #[inline]
    #[must_use]
    pub fn try_take(&self) -> bool {
        W::step();
        self.state.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Shares the lock in its turn.
    pub fn share_in_turn(&self) {
        self.queue(|| {
            while self.load() & WRITER != 0 {
                W::wait();
            }
            // Nobody else takes the lock while WAITING is there.
            W::step();
            self.state.fetch_add(READER - WAITING, Ordering::Acquire);
        });
    }

    /// Takes the lock in its turn.
    pub fn take_in_turn(&self) {
        self.queue(|| {
            loop {
                W::step();
                let alone = self.state.compare_exchange(
                    WAITING,
                    WRITER,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                );
                if alone.is_ok() {
                    return;
                }
                W::wait();
            }
        });
    }

    /// Lets go of a lock that is shared.
    #[inline]
    pub fn end_sharing(&self) {
        W::step();
        self.state.fetch_sub(READER, Ordering::Release);
    }

    /// Lets go of a lock that was taken.
    #[inline]
    pub fn let_go(&self) {
        W::step();
        self.state.fetch_and(!WRITER, Ordering::Release);
    }

    fn load(&self) -> u32 {
        W::step();
        self.state.load(Ordering::Relaxed)
    }

    /// Waits for the first place of the queue, raises WAITING, and leaves the queue when `take_fn` has taken the
    /// lock, and WAITING away.
    fn queue(&self, take_fn: impl FnOnce()) {
        W::step();
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        W::step();
        while self.first.load(Ordering::Acquire) != ticket {
            W::wait();
            W::step();
        }
        W::step();
        self.state.fetch_or(WAITING, Ordering::Relaxed);
        take_fn();
        W::step();
        // The next one raises WAITING after it is gone.
        self.first.store(ticket.wrapping_add(1), Ordering::Release);
    }
}
