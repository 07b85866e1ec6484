//! Memory objects that were dropped and whose pages are not yet given back.
//!
//! Owns: the list. Refuses to know: whose they were. Whoever may have dropped an object looks here
//! before it goes back to user code, and steps the pages away with interrupts let through.

use crate::memory::machine::Hardware;
use crate::memory::pools::PoolBox;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::mutex::SpinMutex;
use vellum_vm::machine::Machine;
use vellum_vm::remains::Remains;

static LIST: SpinMutex<Option<PoolBox<Remains<Hardware>>>> = SpinMutex::new(None);
/// How many objects were dropped whose pages are not all given back: those in the list, and those that a
/// CPU has in hand. One load for those who find nothing.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Adds the pages of an object.
pub fn bury(remains: PoolBox<Remains<Hardware>>) {
    LEFT.fetch_add(1, Ordering::Relaxed);
    put(remains);
}

/// Returns whether pages wait to be given back, or another CPU is about to.
#[inline]
pub fn any() -> bool {
    // Acquire: who finds none finds the pages free.
    LEFT.load(Ordering::Acquire) != 0
}

/// Gives pages back until there is nothing more to do here or an interrupt waits. Returns whether none
/// is left, with another CPU neither.
pub fn clear() -> bool {
    while let Some(mut remains) = take() {
        if remains.step() {
            drop(remains);
            LEFT.fetch_sub(1, Ordering::Release);
        } else {
            put(remains);
        }
        if Hardware.should_pause() {
            break;
        }
    }
    !any()
}

fn put(mut remains: PoolBox<Remains<Hardware>>) {
    let mut list = LIST.lock();
    remains.link(list.take());
    *list = Some(remains);
}

fn take() -> Option<PoolBox<Remains<Hardware>>> {
    let mut list = LIST.lock();
    let mut first = list.take()?;
    *list = first.unlink();
    Some(first)
}
