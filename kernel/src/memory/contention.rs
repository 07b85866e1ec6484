//! The locks of the VM subsystem on this machine, which count how often somebody had to wait for one.
//!
//! Owns: the count. Refuses to know: what a lock is for. Who gets a lock at once does what it would do
//! without a count; only who does not comes by it. Locks below the subsystem (frames, heap) are others,
//! so the refill of a CPU's frame cache is not counted.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use lock_api::{GuardNoSend, RawMutex, RawRwLock};
use spin::mutex::SpinMutex;
use vellum_sched::fair::{FairLock, Waiting};

/// How often somebody had to wait.
static WAITS: AtomicU64 = AtomicU64::new(0);

/// Returns how often a CPU had to wait for one of these locks since boot.
pub fn waits() -> u64 {
    WAITS.load(Ordering::Relaxed)
}

/// How a CPU waits here.
pub enum Spinning {}

impl Waiting for Spinning {
    #[inline]
    fn wait() {
        spin_loop();
    }
}

/// Counts somebody who has to wait, and lets him.
#[cold]
#[inline(never)]
fn wait(wait_fn: impl FnOnce()) {
    WAITS.fetch_add(1, Ordering::Relaxed);
    wait_fn();
}

/// A lock of short critical sections.
pub struct Mutex(SpinMutex<()>);

/// A lock that is shared or exclusive, which neither can starve.
pub struct RwLock(FairLock<Spinning>);

// SAFETY: Every operation is the inner lock's, which excludes as the trait demands.
unsafe impl RawMutex for Mutex {
    const INIT: Mutex = Mutex(<SpinMutex<()> as RawMutex>::INIT);
    type GuardMarker = <SpinMutex<()> as RawMutex>::GuardMarker;

    #[inline]
    fn lock(&self) {
        if !RawMutex::try_lock(&self.0) {
            wait(|| {
                while !RawMutex::try_lock(&self.0) {
                    spin_loop();
                }
            });
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

// SAFETY: As for the mutex: who has taken the inner lock is alone, who shares it is among sharers.
unsafe impl RawRwLock for RwLock {
    const INIT: RwLock = RwLock(FairLock::new());
    type GuardMarker = GuardNoSend;

    #[inline]
    fn lock_shared(&self) {
        if !self.0.try_share() {
            wait(|| self.0.share_in_turn());
        }
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        self.0.try_share()
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        self.0.end_sharing();
    }

    #[inline]
    fn lock_exclusive(&self) {
        if !self.0.try_take() {
            wait(|| self.0.take_in_turn());
        }
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        self.0.try_take()
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        self.0.let_go();
    }
}
