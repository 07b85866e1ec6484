//! Time: the clock, deadlines and sleep.
//!
//! Owns: nothing; the kernel's clock counts nanoseconds since boot. A span of time that a call waits is
//! given as a [`Duration`]; a loop that waits in turns keeps a [`Deadline`] and gives what is left.

use crate::calls;
use core::sync::atomic::AtomicU32;
use core::time::Duration;
use vellum_abi::{FOR_EVER, WaitFlags};

/// A moment that comes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// Returns the moment when a span of time will have passed.
    #[must_use]
    pub fn after(span: Duration) -> Deadline {
        Deadline(calls::clock().saturating_add(nanoseconds(span)))
    }

    /// Returns how long it is until the moment; zero when it has come.
    #[must_use]
    pub fn left(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(calls::clock()))
    }

    /// Returns whether the moment has come.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

/// Waits until a span of time has passed, whoever interrupts the thread meanwhile.
pub fn sleep(span: Duration) {
    // Nobody else knows the word.
    let word = AtomicU32::new(0);
    let deadline = Deadline::after(span);
    loop {
        let left = deadline.left();
        if left.is_zero() {
            return;
        }
        // Its time is over, or somebody interrupted it: the clock decides.
        let _ = calls::address_wait_for(&word, 0, WaitFlags::NONE, left);
    }
}

/// Returns a span as the kernel takes it: what is longer than 584 years is for ever.
pub(crate) fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(FOR_EVER)
}
