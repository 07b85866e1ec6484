//! Checks that count, print and go on.

use super::warm::warm;
use crate::{calls, console, println, system};
use core::fmt::{Debug, Display};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The exit status that the harness reports as skipped.
const SKIPPED: u64 = 77;

static IS_TEST: AtomicBool = AtomicBool::new(false);
static CHECKS: AtomicU64 = AtomicU64::new(0);
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// Marks the program as a test and makes its pages present.
pub(crate) fn begin() {
    IS_TEST.store(true, Ordering::Relaxed);
    warm();
}

/// Counts a check and prints `FAIL name: got .., want ..` if it failed; returns whether it held.
/// [`check!`](crate::check!) ends here.
pub fn report(name: impl Display, holds: bool, got: &dyn Debug, want: &dyn Debug) -> bool {
    CHECKS.fetch_add(1, Ordering::Relaxed);
    if !holds {
        FAILURES.fetch_add(1, Ordering::Relaxed);
        println!("FAIL {name}: got {got:?}, want {want:?}");
    }
    holds
}

/// Returns the exit status that the checks so far mean, and prints their sum.
pub(crate) fn verdict() -> u64 {
    let (checks, failures) = (CHECKS.load(Ordering::Relaxed), FAILURES.load(Ordering::Relaxed));
    if failures > 0 {
        println!("{failures} of {checks} checks failed");
        return crate::entry::FAILED;
    }
    if checks > 0 && IS_TEST.load(Ordering::Relaxed) {
        println!("ok: {checks} checks");
    }
    0
}

/// Ends the program as skipped, unless a check has failed already.
pub fn skip(reason: &str) -> ! {
    println!("SKIP: {reason}");
    let status = if FAILURES.load(Ordering::Relaxed) > 0 { verdict() } else { SKIPPED };
    console::flush();
    calls::exit(status)
}

/// Ends the program as skipped where a condition for the test is missing.
pub fn require(condition: bool, reason: &str) {
    if !condition {
        skip(reason);
    }
}

/// Ends the program as skipped on a machine without memory tagging.
pub fn require_tags() {
    require(system::tags_supported(), "no memory tagging on this machine");
}

/// Ends the program as skipped on a machine with one CPU.
pub fn require_cpus() {
    require(system::cpus() > 1, "one CPU");
}

/// Checks that two values are equal, `check!(name, got, want)`, or that something holds,
/// `check!(name, condition)`. The name is anything with `Display`; a failure prints
/// `FAIL name: got .., want ..`, is counted, and the program goes on. The macro's value says
/// whether the check held.
#[macro_export]
macro_rules! check {
    ($name:expr, $got:expr, $want:expr $(,)?) => {
        match (&$got, &$want) {
            (got, want) => $crate::testing::report($name, *got == *want, got, want),
        }
    };
    ($name:expr, $condition:expr $(,)?) => {{
        let holds: bool = $condition;
        $crate::testing::report($name, holds, &holds, &format_args!("{}", stringify!($condition)))
    }};
}
