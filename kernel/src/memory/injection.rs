//! Allocations that fail on purpose, in checked builds.
//!
//! Owns: when the next one fails. Refuses to know: of what. In release builds nothing of it is
//! there.

use core::sync::atomic::{AtomicU64, Ordering};

/// Allocations until one fails, itself counted; zero for never.
static COUNTDOWN: AtomicU64 = AtomicU64::new(0);
/// How many failed since the countdown was last set.
static INJECTED: AtomicU64 = AtomicU64::new(0);

/// Lets the allocation fail that comes as number `allocations` from now; zero for none. Returns
/// how many failed because of the last such call.
pub fn fail_in(allocations: u64) -> u64 {
    COUNTDOWN.store(allocations, Ordering::Relaxed);
    INJECTED.swap(0, Ordering::Relaxed)
}

/// Returns whether the allocation that is asked for now shall fail.
#[inline]
pub(super) fn fails_now() -> bool {
    cfg!(debug_assertions) && count_down()
}

fn count_down() -> bool {
    let count = |left: u64| left.checked_sub(1);
    let before = COUNTDOWN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    let fails = before == Ok(1);
    INJECTED.fetch_add(u64::from(fails), Ordering::Relaxed);
    fails
}
