//! The runtime's lock: it lets other threads run while it waits.
//!
//! Spinning alone would burn a whole time slice wherever the holder is not running.

use crate::calls;
use core::sync::atomic::{AtomicBool, Ordering};
use lock_api::{GuardNoSend, RawMutex};

/// A flag with `lock_api`'s interface; use it as [`Mutex`].
#[derive(Debug)]
pub struct YieldLock(AtomicBool);

/// A value behind a [`YieldLock`].
pub type Mutex<T> = lock_api::Mutex<YieldLock, T>;

// SAFETY: `try_lock` succeeds for one caller between two calls of `unlock`: only one exchange can
// find the flag clear. Acquire and Release order the holders' accesses.
unsafe impl RawMutex for YieldLock {
    const INIT: YieldLock = YieldLock(AtomicBool::new(false));
    type GuardMarker = GuardNoSend;

    fn lock(&self) {
        while !self.try_lock() {
            calls::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}
