//! Moving private pages to other frames, as a kernel does that wants a range of RAM empty.
//!
//! A page keeps contents, tags and protection; its old frame goes back once no translation of it
//! is left. Frames that somebody else sees too stay where they are, and so does a page for which
//! there is no frame: moving is a favour, not a duty. The charge moves with the page.

use super::change::Change;
use super::leaves::{Batch, break_leaves};
use super::spans;
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::error::Refusal;
use crate::fill::Fill;
use crate::machine::Machine;
use crate::page_table::{Descriptor, Ownership};
use vellum_abi::Protection;

/// Pages that one step moves at most: each of them is a copy.
const STEP: usize = 16;

impl<M: Machine> AddressSpace<M> {
    /// Begins to move every private page to another frame.
    ///
    /// # Errors
    /// `Refusal::Changing`; `Closed`.
    pub fn move_frames(&self) -> Result<Change<M>, Refusal> {
        self.begin_change(|state| Ok(Change::move_frames(state)))
    }
}

/// Takes the leaves of some private pages away, from the start of `part` on. Returns where to go on.
/// The lock is held; until it is held again nobody else touches the pages, which are *changing*.
pub(super) fn take<M: Machine>(
    space: &AddressSpace<M>,
    part: &PageRange,
    taken: &mut Option<Batch>,
) -> Page {
    // Without access, a page may be about to get tags that its frame does not have yet.
    let own = |leaf: Descriptor| {
        leaf.ownership() == Ownership::Private
            && leaf.protection().contains(Protection::READ)
            && space.machine.frame_count(leaf.frame()) == 1
    };
    break_leaves(space, part, STEP, own, |batch| *taken = Some(batch.clone()))
        .unwrap_or_else(|| spans::pass(space, part))
}

/// Copies the pages of leaves that were taken away to other frames, without a lock. A page for
/// which there is no frame keeps its own.
pub(super) fn copy<M: Machine>(space: &AddressSpace<M>, taken: &Batch) -> Batch {
    let mut moved = taken.clone();
    moved.replace(|leaf| moved_leaf(space, leaf));
    moved
}

/// Makes the leaves of the pages where they are now, under the lock.
pub(super) fn put<M: Machine>(space: &AddressSpace<M>, moved: &Batch) {
    let machine = &space.machine;
    moved.entries().for_each(|(_, slot, leaf)| machine.write(slot, leaf));
    // Orders the new leaves before whatever the process does next.
    machine.dsb_ishst();
    machine.isb();
}

/// Gives the frames back that pages have left.
pub(super) fn free<M: Machine>(space: &AddressSpace<M>, taken: &Batch, moved: &Batch) {
    let machine = &space.machine;
    let left = taken.entries().zip(moved.entries()).filter(|(old, new)| old.2 != new.2);
    for ((_, _, leaf), _) in left {
        if let Some(frame) = machine.release_frame(leaf.frame()) {
            machine.free_frame(frame);
        }
    }
}

/// Returns the leaf of a page's copy, or the same if there is no frame for one. No translation of
/// the page is left, so that nobody writes to it meanwhile.
fn moved_leaf<M: Machine>(space: &AddressSpace<M>, leaf: Descriptor) -> Descriptor {
    let machine = &space.machine;
    let Some(frame) = machine.allocate_frame() else { return leaf };
    let protection = leaf.protection();
    let (frame, written) = Fill::Copy(leaf.frame()).apply(machine, frame, protection);
    written.count(&space.counters);
    if protection.contains(Protection::EXECUTE) {
        machine.sync_executable(frame.address());
    }
    // A batch must know which of its frames nobody has touched.
    if leaf.is_accessed() {
        Descriptor::private(frame, protection)
    } else {
        Descriptor::private_ahead(frame, protection)
    }
}
