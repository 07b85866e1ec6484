//! Spin locks whose waiting is a matter of the [`Family`].
//!
//! They are never fair, so that an explorer finds what unfair locks allow.

use crate::family::Family;
use core::marker::PhantomData;
use lock_api::{GuardNoSend, RawMutex, RawRwLock};
use std::sync::atomic::{AtomicU32, Ordering};

/// The state of a lock that somebody has for himself; smaller values count sharers.
const EXCLUSIVE: u32 = u32::MAX;

/// A mutual exclusion lock.
#[derive(Debug)]
pub struct SpinMutex<F>(SpinRwLock<F>);

/// A lock that is shared or exclusive.
#[derive(Debug)]
pub struct SpinRwLock<F>(AtomicU32, PhantomData<F>);

impl<F: Family> SpinRwLock<F> {
    fn try_change(&self, change_fn: impl Fn(u32) -> Option<u32>) -> bool {
        F::step();
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change_fn).is_ok();
        if taken {
            F::locked();
        }
        taken
    }

    fn release(&self, change_fn: impl Fn(u32) -> Option<u32>) {
        let released = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change_fn);
        assert!(released.is_ok(), "a lock is released by who holds it");
        F::unlocked();
        F::step();
    }
}

// SAFETY: `try_change` moves the state from zero to EXCLUSIVE by one atomic exchange, and from a
// smaller value to the next only while it is not EXCLUSIVE, so an exclusive holder is alone.
unsafe impl<F: Family> RawRwLock for SpinRwLock<F> {
    const INIT: SpinRwLock<F> = SpinRwLock(AtomicU32::new(0), PhantomData);
    type GuardMarker = GuardNoSend;

    fn lock_shared(&self) {
        while !self.try_lock_shared() {
            F::wait();
        }
    }

    fn try_lock_shared(&self) -> bool {
        // In one thread a second sharer is the first one again: it would wait for ever behind a
        // writer that came between.
        let recursive = F::held() != 0;
        self.try_change(|state| {
            (state < EXCLUSIVE - 1 && !(recursive && state != 0)).then(|| state + 1)
        })
    }

    unsafe fn unlock_shared(&self) {
        self.release(|state| (state != 0 && state != EXCLUSIVE).then(|| state - 1));
    }

    fn lock_exclusive(&self) {
        while !self.try_lock_exclusive() {
            F::wait();
        }
    }

    fn try_lock_exclusive(&self) -> bool {
        self.try_change(|state| (state == 0).then_some(EXCLUSIVE))
    }

    unsafe fn unlock_exclusive(&self) {
        self.release(|state| (state == EXCLUSIVE).then_some(0));
    }
}

// SAFETY: an exclusive holder of the lock inside is alone.
unsafe impl<F: Family> RawMutex for SpinMutex<F> {
    const INIT: SpinMutex<F> = SpinMutex(<SpinRwLock<F> as RawRwLock>::INIT);
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        self.0.lock_exclusive();
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock_exclusive()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller holds this lock, which is held as the one inside is, exclusively.
        unsafe { self.0.unlock_exclusive() }
    }
}
