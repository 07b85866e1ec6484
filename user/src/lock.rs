//! Locks and conditions of the threads of a process: without contention they enter no kernel.
//!
//! Owns: the words that threads wait at. Refuses to know: what is protected. A word of a lock is 0 while
//! it is free, 1 while somebody has it, 2 while others may wait for it besides (Drepper, "Futexes Are
//! Tricky", the second mutex).

use crate::calls;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use lock_api::{GuardNoSend, MutexGuard, RawMutex};
use vellum_abi::{Error, MAX_WAKE, WaitFlags};

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const AWAITED: u32 = 2;

/// A word with `lock_api`'s interface; use it as [`Mutex`].
#[derive(Debug)]
pub struct WordLock(AtomicU32);

/// A value behind a [`WordLock`].
pub type Mutex<T> = lock_api::Mutex<WordLock, T>;

// SAFETY: `try_lock` and `lock` succeed for one caller between two calls of `unlock`: only one exchange
// can find the word free. Acquire and Release order the holders' accesses.
unsafe impl RawMutex for WordLock {
    const INIT: WordLock = WordLock(AtomicU32::new(FREE));
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        if !self.try_lock() {
            // Whoever waited takes it as awaited: others may still wait.
            while self.0.swap(AWAITED, Ordering::Acquire) != FREE {
                calls::address_wait(&self.0, AWAITED, WaitFlags::NONE);
            }
        }
    }

    fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Ordering::Release) == AWAITED {
            calls::address_wake(&self.0, 1, WaitFlags::NONE);
        }
    }
}

/// Where threads wait for something to become true that a [`Mutex`] protects.
#[derive(Debug, Default)]
pub struct Condition {
    /// How often it was told; it wraps.
    told: AtomicU32,
}

impl Condition {
    /// Returns a condition that nobody waits for.
    #[must_use]
    pub const fn new() -> Condition {
        Condition { told: AtomicU32::new(0) }
    }

    /// Releases the lock, waits to be told, and takes it again. May also return for no reason: callers
    /// look at what they wait for in a loop.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, WordLock, T>) {
        let told = self.told.load(Ordering::Relaxed);
        // Who tells after this changes the word, and the wait ends at once.
        MutexGuard::unlocked(guard, || calls::address_wait(&self.told, told, WaitFlags::NONE));
    }

    /// As [`Self::wait`], for a time at most. Returns whether the time was not over: what is waited for may
    /// be true all the same.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, WordLock, T>, timeout: Duration) -> bool {
        let told = self.told.load(Ordering::Relaxed);
        let wait_fn = || calls::address_wait_for(&self.told, told, WaitFlags::NONE, timeout);
        MutexGuard::unlocked(guard, wait_fn) != Err(Error::TimedOut)
    }

    /// Wakes one who waits.
    pub fn tell_one(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
        calls::address_wake(&self.told, 1, WaitFlags::NONE);
    }

    /// Wakes all who wait.
    pub fn tell_all(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
        while calls::address_wake(&self.told, MAX_WAKE, WaitFlags::NONE) == MAX_WAKE {}
    }
}
