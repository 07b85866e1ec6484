//! What random sequences came across, so that a test can tell that it tested something.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;

thread_local! {
    static SEEN: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes that something happened.
pub(crate) fn note(what: impl Debug, how: impl Debug) {
    let name = format!("{what:?} {how:?}").replace('"', "");
    SEEN.with_borrow_mut(|seen| *seen.entry(name).or_default() += 1);
}

/// Returns how often things happened since the last time.
pub(crate) fn take() -> BTreeMap<String, u64> {
    SEEN.take()
}
