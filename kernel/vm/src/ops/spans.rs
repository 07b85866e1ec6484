//! What long operations do where the tables of a process end above its leaves: at holes, at tables
//! that an object shares, and at blocks.
//!
//! Owns: taking away what spans more than a page. It never allocates: what an object shows is
//! dropped whole, and pages outside the range that it showed fault again; a private block that is
//! to stay in part is split with a table of the reserve. The caller holds the lock exclusively.
//! Every function returns the first page that it has not dealt with.

use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::block::{self, BLOCK_PAGES};
use crate::block_fault::BLOCK_LEVEL;
use crate::counters::Counter;
use crate::flush::flush_space;
use crate::machine::Machine;
use crate::page_table::{
    self, Descriptor, LEAF_LEVEL, SLOTS, Slot, Table, Walk, span_end, span_start,
};

/// Removes everything. `walk` is the one to the first page.
pub(super) fn clear<M: Machine>(space: &AddressSpace<M>, part: &PageRange, walk: Walk) -> Page {
    match walk {
        Walk::Block { slot, block } if block.is_private_block() => {
            free_or_split(space, part, slot, block)
        }
        walk => drop_shown(space, part, walk),
    }
}

/// Removes what is the process's own: there is nothing of it below a shared table.
pub(super) fn clear_private<M: Machine>(space: &AddressSpace<M>, part: &PageRange) -> Page {
    match page_table::find(&space.machine, space.root, part.start()) {
        Walk::Missing { slot, level } => behind_hole(space, part, slot, level),
        Walk::Shared { level, .. } => behind(part, level),
        Walk::Block { slot, block } if block.is_private_block() => {
            free_or_split(space, part, slot, block)
        }
        Walk::Block { .. } => behind(part, LEAF_LEVEL),
        Walk::Leaf(_) | Walk::Busy(_) => part.start(),
    }
}

/// Makes pages ready for another protection: what does not belong to the process goes and comes
/// back, by faults, as the mapping then wants it. Private blocks are split, and their pages
/// changed one by one.
pub(super) fn protect<M: Machine>(space: &AddressSpace<M>, part: &PageRange) -> Page {
    match page_table::find(&space.machine, space.root, part.start()) {
        Walk::Block { slot, block } if block.is_private_block() => {
            split_block(space, part.start(), slot, block);
            part.start()
        }
        walk => drop_shown(space, part, walk),
    }
}

/// Makes pages ready to move: what spans more than a page goes and comes back by faults, and private
/// blocks are split.
pub(super) fn loosen<M: Machine>(space: &AddressSpace<M>, part: &PageRange) -> Page {
    match page_table::find(&space.machine, space.root, part.start()) {
        Walk::Leaf(_) => behind(part, LEAF_LEVEL),
        _ => protect(space, part),
    }
}

/// Passes what a clone gets by its own faults, as its object shows it. Private blocks are split, and
/// their pages shared one by one.
pub(super) fn pass_for_clone<M: Machine>(space: &AddressSpace<M>, part: &PageRange) -> Page {
    match page_table::find(&space.machine, space.root, part.start()) {
        Walk::Missing { slot, level } => behind_hole(space, part, slot, level),
        Walk::Shared { level, .. } => behind(part, level),
        Walk::Block { slot, block } if block.is_private_block() => {
            split_block(space, part.start(), slot, block);
            part.start()
        }
        Walk::Block { .. } => behind(part, LEAF_LEVEL),
        Walk::Leaf(_) | Walk::Busy(_) => part.start(),
    }
}

/// Passes what has no leaves of single pages.
pub(super) fn pass<M: Machine>(space: &AddressSpace<M>, part: &PageRange) -> Page {
    match page_table::find(&space.machine, space.root, part.start()) {
        Walk::Missing { slot, level } => behind_hole(space, part, slot, level),
        Walk::Shared { level, .. } => behind(part, level),
        Walk::Block { .. } => behind(part, LEAF_LEVEL),
        Walk::Leaf(_) | Walk::Busy(_) => part.start(),
    }
}

fn drop_shown<M: Machine>(space: &AddressSpace<M>, part: &PageRange, walk: Walk) -> Page {
    match walk {
        Walk::Missing { slot, level } => behind_hole(space, part, slot, level),
        Walk::Block { slot, .. } => drop_pointers(space, part, slot, BLOCK_LEVEL),
        Walk::Shared { slot, level, .. } => drop_pointers(space, part, slot, level - 1),
        // Nobody is at work but the caller, and there are leaves no more than before.
        Walk::Leaf(_) | Walk::Busy(_) => part.start(),
    }
}

/// Returns the first page behind what a table of `level` would span.
fn behind(part: &PageRange, level: u32) -> Page {
    span_end(part.start(), level - 1).min(part.end())
}

/// Returns where to go on behind tables that are missing from the start of `part` on: `slot` should
/// point to one of `level`. Looks at one table's slots at most.
#[inline]
pub(super) fn behind_hole<M: Machine>(
    space: &AddressSpace<M>,
    part: &PageRange,
    slot: Slot,
    level: u32,
) -> Page {
    let mut page = span_end(part.start(), level - 1);
    let mut slot = slot;
    while page < part.end()
        && let Some(next) = slot.next()
        && !space.machine.read(next).is_valid()
    {
        slot = next;
        page = span_end(page, level - 1);
    }
    page.min(part.end())
}

/// Empties slots of one table, at `level`, that lead to shared tables or show an object's block, from `slot` on up to one
/// that holds something of the process's own.
fn drop_pointers<M: Machine>(
    space: &AddressSpace<M>,
    part: &PageRange,
    slot: Slot,
    level: u32,
) -> Page {
    let machine = &space.machine;
    let (mut slot, mut page) = (Some(slot), part.start());
    while let Some(here) = slot.filter(|_| page < part.end()) {
        let descriptor = machine.read(here);
        if descriptor.is_own_table() || descriptor.is_private_block() {
            break;
        }
        if descriptor.is_valid() {
            machine.write(here, Descriptor::EMPTY);
        }
        page = span_end(page, level);
        slot = here.next();
    }
    flush_space(space);
    page.min(part.end())
}

/// Gives a private block back that lies in the part; splits another.
fn free_or_split<M: Machine>(
    space: &AddressSpace<M>,
    part: &PageRange,
    slot: Slot,
    block: Descriptor,
) -> Page {
    let page = part.start();
    let end = span_end(page, BLOCK_LEVEL);
    if page != span_start(page, BLOCK_LEVEL) || end > part.end() {
        split_block(space, page, slot, block);
        return page;
    }
    space.machine.write(slot, Descriptor::EMPTY);
    // ASIDE1IS and not VAE1IS: one of any page of the block would do by the architecture, but QEMU
    // keeps a copy for each page and logical tag, and drops all copies only of the tag that the
    // instruction's address has, which is none.
    flush_space(space);
    block::free(&space.machine, &space.account, block.frame());
    if let Some(table) = space.reserve.lock().pop(&space.machine) {
        page_table::free_table(&space.machine, &space.account, table);
    }
    space.counters.subtract(Counter::PrivateFrames, BLOCK_PAGES);
    space.counters.subtract(Counter::TableFrames, 1);
    space.counters.subtract(Counter::Blocks, 1);
    end
}

/// Replaces a private block by a table of the reserve, full of leaves of the same frames. Every leaf
/// takes over the count that its frame has.
pub(super) fn split_block<M: Machine>(
    space: &AddressSpace<M>,
    page: Page,
    slot: Slot,
    block: Descriptor,
) {
    let machine = &space.machine;
    let Some(table) = space.reserve.lock().pop(machine) else {
        debug_assert!(false, "a private block without a table in the reserve");
        return;
    };
    fill_from_block(machine, table, block, span_start(page, BLOCK_LEVEL));
    break_block(space, page, slot);
    machine.write(slot, Descriptor::table(table));
    // Orders the table before whatever the process does next.
    machine.dsb_ishst();
    machine.isb();
    space.counters.subtract(Counter::Blocks, 1);
    space.counters.add(Counter::Split, 1);
}

fn fill_from_block<M: Machine>(machine: &M, table: Table, block: Descriptor, first: Page) {
    for index in 0..SLOTS {
        machine.write(table.slot(index), block.page_of_block(first.add(index as u64)));
    }
}

/// Empties the slot of a block and waits until no TLB has it, but where that is QEMU's (see
/// [`free_or_split`]): what comes leads every other page to the same frame, so that a copy which is left there harms nobody.
fn break_block<M: Machine>(space: &AddressSpace<M>, page: Page, slot: Slot) {
    let machine = &space.machine;
    machine.write(slot, Descriptor::EMPTY);
    // Orders the empty slot, and the leaves of the table that may come, before the TLBI.
    machine.dsb_ishst();
    machine.tlbi_page(space.asid(), page);
    space.counters.add(Counter::Tlbi, 1);
    // Nobody uses the block when this completes.
    machine.dsb_ish();
}
