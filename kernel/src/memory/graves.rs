//! Memory objects that were dropped and whose pages are not yet given back.
//!
//! Owns: the list. Refuses to know: whose they were. Whoever may have dropped an object looks here
//! before it goes back to user code, and steps the pages away with interrupts let through.

use crate::memory::machine::Hardware;
use crate::memory::pools::PoolBox;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::mutex::SpinMutex;
use vellum_vm::machine::Machine;
use vellum_vm::remains::Remains;

static LIST: SpinMutex<Option<PoolBox<Remains<Hardware>>>> = SpinMutex::new(None);
/// Whether the list may hold something: one load for those who find nothing.
static ANY: AtomicBool = AtomicBool::new(false);

/// Adds the pages of an object.
pub fn bury(mut remains: PoolBox<Remains<Hardware>>) {
    let mut list = LIST.lock();
    remains.link(list.take());
    *list = Some(remains);
    ANY.store(true, Ordering::Relaxed);
}

/// Returns whether pages wait to be given back.
#[inline]
pub fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Gives pages back until none is left or an interrupt waits. Returns whether none is left.
pub fn clear() -> bool {
    while let Some(mut remains) = take() {
        if !remains.step() {
            bury(remains);
        }
        if Hardware.should_pause() {
            return !any();
        }
    }
    true
}

fn take() -> Option<PoolBox<Remains<Hardware>>> {
    let mut list = LIST.lock();
    let mut first = list.take()?;
    *list = first.unlink();
    ANY.store(list.is_some(), Ordering::Relaxed);
    Some(first)
}
