//! What long operations do to leaves: at most those of one table a call.
//!
//! The caller holds the lock exclusively, so no leaf is busy and no walk is under way but the
//! hardware's. Every function returns the first page that it has not dealt with.

use super::spans;
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::counters::Counter;
use crate::error::VmError;
use crate::flush::flush_pages;
use crate::machine::Machine;
use crate::page_table::{self, Descriptor, Ownership, SLOTS, Slot, Walk};
use vellum_abi::Protection;

/// Leaves that are changed under one pair of barriers.
const BATCH: usize = 64;

/// Leaves that one step of a clone copies.
const CLONE_BATCH: usize = 128;

/// Leaves of one table that were made invalid, by their distance from the first.
#[derive(Clone)]
pub(super) struct Batch {
    first: Page,
    slot: Slot,
    leaves: [Descriptor; BATCH],
    /// Pages that were looked at from the first on.
    length: usize,
}

/// What [`next_leaf`] found.
enum Next {
    /// A leaf to break.
    Leaf(Page, Slot, Descriptor),
    /// None up to this page, where the part or the table ends.
    Behind(Page),
}

impl Batch {
    /// Puts another leaf in the place of each.
    pub(super) fn replace(&mut self, replace_fn: impl Fn(Descriptor) -> Descriptor) {
        let leaves = self.leaves[..self.length].iter_mut().filter(|leaf| leaf.is_valid());
        leaves.for_each(|leaf| *leaf = replace_fn(*leaf));
    }

    /// Returns the leaves that were broken.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Page, Slot, Descriptor)> {
        let leaves = self.leaves[..self.length].iter().zip(0..);
        leaves.filter(|(leaf, _)| leaf.is_valid()).map(|(leaf, distance)| {
            let slot = self.slot.table().slot(self.slot.index() + distance);
            (self.first.add(distance as u64), slot, *leaf)
        })
    }
}

/// Finds the first leaf of `part` that `select_fn` names, in the table that `part` begins in, at
/// `slot`.
fn next_leaf<M: Machine>(
    machine: &M,
    part: &PageRange,
    slot: Slot,
    select_fn: impl Fn(Descriptor) -> bool,
) -> Next {
    let left = SLOTS - slot.index();
    let count = left.min(part.pages() as usize);
    for distance in 0..count {
        let slot = slot.table().slot(slot.index() + distance);
        let leaf = machine.read(slot);
        if leaf.is_valid() && select_fn(leaf) {
            return Next::Leaf(part.start().add(distance as u64), slot, leaf);
        }
    }
    Next::Behind(part.start().add(count as u64))
}

/// Breaks the valid leaves from the start of `part` on that `select_fn` names, up to the end of
/// the part or of the table, or to `most` pages from the first of them on. They are handed to
/// `use_fn`. Returns where to go on, or `None` where the process has no table of leaves.
pub(super) fn break_leaves<M: Machine>(
    space: &AddressSpace<M>,
    part: &PageRange,
    most: usize,
    select_fn: impl Fn(Descriptor) -> bool,
    use_fn: impl FnOnce(&Batch),
) -> Option<Page> {
    match page_table::find(&space.machine, space.root, part.start()) {
        Walk::Leaf(slot) => Some(break_leaves_from(space, part, slot, most, select_fn, use_fn)),
        _ => None,
    }
}

/// Likewise, where the leaf of the first page is at `slot`.
fn break_leaves_from<M: Machine>(
    space: &AddressSpace<M>,
    part: &PageRange,
    slot: Slot,
    most: usize,
    select_fn: impl Fn(Descriptor) -> bool,
    use_fn: impl FnOnce(&Batch),
) -> Page {
    let machine = &space.machine;
    let (first, slot, leaf) = match next_leaf(machine, part, slot, &select_fn) {
        Next::Leaf(first, slot, leaf) => (first, slot, leaf),
        Next::Behind(page) => return page,
    };
    let left = (SLOTS - slot.index()).min(BATCH).min(most) as u64;
    let length = left.min(part.end().number() - first.number()) as usize;
    let mut batch = Batch { first, slot, leaves: [Descriptor::EMPTY; BATCH], length };
    machine.write(slot, Descriptor::EMPTY);
    batch.leaves[0] = leaf;
    for (distance, place) in batch.leaves[..length].iter_mut().enumerate().skip(1) {
        let slot = slot.table().slot(slot.index() + distance);
        let leaf = machine.read(slot);
        if leaf.is_valid() && select_fn(leaf) {
            machine.write(slot, Descriptor::EMPTY);
            *place = leaf;
        }
    }
    flush_pages(space, batch.entries().map(|(page, _, _)| page));
    use_fn(&batch);
    first.add(length as u64)
}

/// Empties leaves and gives private frames back. `walk` is the one to the first page.
pub(super) fn clear<M: Machine>(space: &AddressSpace<M>, part: &PageRange, walk: Walk) -> Page {
    match walk {
        Walk::Leaf(slot) => {
            break_leaves_from(space, part, slot, BATCH, |_| true, |batch| free(space, batch))
        }
        walk => spans::clear(space, part, walk),
    }
}

/// Empties private leaves alone; pages that show the object go on showing it.
pub(super) fn clear_private<M: Machine>(space: &AddressSpace<M>, part: &PageRange) -> Page {
    let is_private = |leaf: Descriptor| leaf.ownership() == Ownership::Private;
    break_leaves(space, part, BATCH, is_private, |batch| free(space, batch))
        .unwrap_or_else(|| spans::clear_private(space, part))
}

/// Gives the private frames of broken leaves back.
fn free<M: Machine>(space: &AddressSpace<M>, batch: &Batch) {
    let mut freed = 0;
    for (_, _, leaf) in batch.entries() {
        if leaf.ownership() == Ownership::Private {
            if let Some(frame) = space.machine.release_frame(leaf.frame()) {
                space.machine.free_frame(frame);
            }
            freed += 1;
        }
    }
    if freed != 0 {
        space.account.credit_frames(freed);
        space.counters.subtract(Counter::PrivateFrames, freed);
    }
}

/// Gives leaves another protection, with break-before-make: the memory attribute may change.
pub(super) fn protect<M: Machine>(
    space: &AddressSpace<M>,
    part: &PageRange,
    protection: Protection,
) -> Page {
    let changes = |leaf: Descriptor| protected(&space.machine, leaf, protection) != leaf;
    break_leaves(space, part, BATCH, changes, |batch| {
        let machine = &space.machine;
        for (_, slot, leaf) in batch.entries() {
            let new = protected(machine, leaf, protection);
            prepare_frame(space, leaf, new);
            machine.write(slot, new);
        }
        // Orders the new leaves before whatever the process does next.
        machine.dsb_ishst();
        machine.isb();
    })
    .unwrap_or_else(|| spans::protect(space, part))
}

/// How far [`copy`] came.
pub(super) enum Copied {
    /// To this page.
    UpTo(Page),
    /// To this page, on the way to whose leaf the clone has tables missing.
    LacksTables(Page),
}

/// Gives a clone the leaves from the start of `part` on that `select_fn` names, up to the end of the
/// part, of the table or of a few batches. Private frames get an owner more and stay readable alone on both sides.
///
/// # Errors
/// `LimitReached`; what was copied before stays.
pub(super) fn copy<M: Machine>(
    parent: &AddressSpace<M>,
    child: &AddressSpace<M>,
    part: &PageRange,
    select_fn: impl Fn(Descriptor) -> bool,
) -> Result<Copied, VmError> {
    let machine = &parent.machine;
    let Walk::Leaf(mut slot) = page_table::find(machine, parent.root, part.start()) else {
        return Ok(Copied::UpTo(spans::pass_for_clone(parent, part)));
    };
    let mut page = part.start();
    let mut target = None;
    for _ in 0..CLONE_BATCH {
        let leaf = machine.read(slot);
        if leaf.is_valid() && select_fn(leaf) {
            if target.is_none() {
                let Walk::Leaf(to) = page_table::find(machine, child.root, page) else {
                    return Ok(Copied::LacksTables(page));
                };
                target = Some(to);
            }
            if let Some(to) = target {
                copy_leaf(child, slot, leaf, to)?;
            }
        }
        page = page.add(1);
        // Both tables have the same place in their trees.
        target = target.and_then(Slot::next);
        match slot.next() {
            Some(next) if page < part.end() => slot = next,
            _ => break,
        }
    }
    Ok(Copied::UpTo(page))
}

/// Gives a clone one leaf; `slot` is the parent's.
fn copy_leaf<M: Machine>(
    child: &AddressSpace<M>,
    slot: Slot,
    leaf: Descriptor,
    to: Slot,
) -> Result<(), VmError> {
    let machine = &child.machine;
    if leaf.ownership() != Ownership::Private {
        machine.write(to, leaf);
        return Ok(());
    }
    child.account.charge_frame()?;
    machine.hold_frame(leaf.frame());
    machine.write(to, make_read_only(machine, slot, leaf));
    child.counters.add(Counter::PrivateFrames, 1);
    Ok(())
}

/// Takes the permission to store from a live leaf. Returns what it is now. Permissions alone change:
/// no break-before-make. TLBs are emptied when all is copied.
fn make_read_only<M: Machine>(machine: &M, slot: Slot, leaf: Descriptor) -> Descriptor {
    let mut leaf = leaf;
    // With the lock in hand only hardware changes a leaf, and only once: it sets the access flag.
    while leaf.read_only() != leaf {
        match machine.exchange(slot, leaf, leaf.read_only()) {
            Ok(()) => return leaf.read_only(),
            Err(other) => leaf = other,
        }
    }
    leaf
}

/// Returns what a leaf becomes under another protection. A frame that others have too stays
/// read-only; where the page becomes Tagged memory, nothing is allowed until a fault has given it
/// a frame with tags of its own.
fn protected<M: Machine>(machine: &M, leaf: Descriptor, protection: Protection) -> Descriptor {
    let new = leaf.with_protection(protection);
    if leaf.ownership() != Ownership::Private || machine.frame_count(leaf.frame()) == 1 {
        return new;
    }
    let tagged = |leaf: Descriptor| leaf.protection().contains(Protection::TAGGED);
    if tagged(new) && !tagged(leaf) { leaf.without_access() } else { new.read_only() }
}

/// Makes a frame fit for what its leaf becomes, while no translation of it exists.
fn prepare_frame<M: Machine>(space: &AddressSpace<M>, old: Descriptor, new: Descriptor) {
    let gains = |bit| new.protection().contains(bit) && !old.protection().contains(bit);
    if gains(Protection::TAGGED) && old.ownership() == Ownership::Private {
        // The frame was filled without tags: they are still its last owner's.
        space.machine.clear_tags(old.frame());
        space.counters.add(Counter::TagBytes, vellum_abi::TAG_BYTES_PER_PAGE);
    }
    if gains(Protection::EXECUTE) {
        space.machine.sync_executable(old.frame());
    }
}
