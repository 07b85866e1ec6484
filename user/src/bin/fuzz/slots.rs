//! Handles that the threads of a worker leave to each other, by kind.
//!
//! Owns: which handles those are. Refuses to know: what they name; most are right, some were closed by now,
//! and some are of another kind, as messages bring anything.

use crate::arguments::Slot;
use crate::dice::Dice;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::Call;

/// Handles of each kind.
const EACH: usize = 6;

static HANDLES: [[AtomicU64; EACH]; Slot::COUNT] =
    [const { [const { AtomicU64::new(0) }; EACH] }; Slot::COUNT];
static NEWEST: [AtomicU64; Slot::COUNT] = [const { AtomicU64::new(0) }; Slot::COUNT];
/// Handles that were closed.
static CLOSED: [AtomicU64; EACH] = [const { AtomicU64::new(0) }; EACH];

/// Returns one of a kind; 0 if there is none.
pub(crate) fn any(dice: &mut Dice, slot: Slot) -> u64 {
    let first = dice.below(EACH as u64) as usize;
    let all = (0..EACH)
        .map(|index| HANDLES[slot as usize][(first + index) % EACH].load(Ordering::Relaxed));
    { all }.find(|handle| *handle != 0).unwrap_or(0)
}

/// Returns the one of a kind that was kept last.
pub(crate) fn newest(slot: Slot) -> u64 {
    NEWEST[slot as usize].load(Ordering::Relaxed)
}

/// Returns one that was closed.
pub(crate) fn closed(dice: &mut Dice) -> u64 {
    CLOSED[dice.below(EACH as u64) as usize].load(Ordering::Relaxed)
}

/// Returns one of any kind.
pub(crate) fn whatever(dice: &mut Dice) -> u64 {
    let first = dice.below((Slot::COUNT * EACH) as u64) as usize;
    let all = (0..Slot::COUNT * EACH).map(|index| (first + index) % (Slot::COUNT * EACH));
    let all = all.map(|index| HANDLES[index / EACH][index % EACH].load(Ordering::Relaxed));
    { all }.find(|handle| *handle != 0).unwrap_or(0)
}

/// Keeps a handle in the place of another, which is closed; a process by the name of it ends first.
pub(crate) fn keep(dice: &mut Dice, slot: Slot, handle: u64) {
    let index = dice.below(EACH as u64) as usize;
    NEWEST[slot as usize].store(handle, Ordering::Relaxed);
    drop_one(slot, HANDLES[slot as usize][index].swap(handle, Ordering::Relaxed), index);
}

/// Closes everything of a kind.
pub(crate) fn drop_all(slot: Slot) {
    for (index, handle) in HANDLES[slot as usize].iter().enumerate() {
        drop_one(slot, handle.swap(0, Ordering::Relaxed), index);
    }
}

/// Calls `visit_fn` with every handle of a kind.
pub(crate) fn each(slot: Slot, visit_fn: impl Fn(u64)) {
    let handles = HANDLES[slot as usize].iter().map(|handle| handle.load(Ordering::Relaxed));
    handles.filter(|handle| *handle != 0).for_each(visit_fn);
}

fn drop_one(slot: Slot, handle: u64, index: usize) {
    if handle == 0 {
        return;
    }
    if slot == Slot::Process {
        crate::driver::plain(Call::ProcessKill, &[handle]);
    }
    crate::driver::plain(Call::HandleClose, &[handle]);
    CLOSED[index].store(handle, Ordering::Relaxed);
}
