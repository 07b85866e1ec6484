//! The locks of the VM subsystem on this machine, which count how often somebody had to wait for one.
//!
//! Owns: the count. Refuses to know: what a lock is for. Who gets a lock at once does what it would do
//! without a count; only who does not comes by it. Locks below the subsystem (frames, heap) are others,
//! so the refill of a CPU's frame cache is not counted.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use lock_api::{RawMutex, RawRwLock};
use spin::mutex::SpinMutex;

/// How often somebody had to wait.
static WAITS: AtomicU64 = AtomicU64::new(0);

/// Returns how often a CPU had to wait for one of these locks since boot.
pub fn waits() -> u64 {
    WAITS.load(Ordering::Relaxed)
}

/// Waits until an attempt succeeds, the first having failed.
#[cold]
#[inline(never)]
fn wait(try_fn: impl Fn() -> bool) {
    WAITS.fetch_add(1, Ordering::Relaxed);
    while !try_fn() {
        spin_loop();
    }
}

/// A lock of short critical sections.
pub struct Mutex(SpinMutex<()>);

/// A lock that is shared or exclusive.
pub struct RwLock(spin::RwLock<()>);

// SAFETY: Every operation is the inner lock's, which excludes as the trait demands.
unsafe impl RawMutex for Mutex {
    const INIT: Mutex = Mutex(<SpinMutex<()> as RawMutex>::INIT);
    type GuardMarker = <SpinMutex<()> as RawMutex>::GuardMarker;

    #[inline]
    fn lock(&self) {
        if !RawMutex::try_lock(&self.0) {
            wait(|| RawMutex::try_lock(&self.0));
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        RawMutex::try_lock(&self.0)
    }

    #[inline]
    unsafe fn unlock(&self) {
        // SAFETY: The caller holds this lock, which is held as the inner one is.
        unsafe { RawMutex::unlock(&self.0) };
    }
}

// SAFETY: As for the mutex.
unsafe impl RawRwLock for RwLock {
    const INIT: RwLock = RwLock(<spin::RwLock<()> as RawRwLock>::INIT);
    type GuardMarker = <spin::RwLock<()> as RawRwLock>::GuardMarker;

    #[inline]
    fn lock_shared(&self) {
        if !self.0.try_lock_shared() {
            wait(|| self.0.try_lock_shared());
        }
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        self.0.try_lock_shared()
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        // SAFETY: The caller shares this lock, which is shared as the inner one is.
        unsafe { self.0.unlock_shared() };
    }

    #[inline]
    fn lock_exclusive(&self) {
        if !self.0.try_lock_exclusive() {
            wait(|| self.0.try_lock_exclusive());
        }
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.0.try_lock_exclusive()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        // SAFETY: The caller has this lock for itself, as it has the inner one.
        unsafe { self.0.unlock_exclusive() };
    }
}
