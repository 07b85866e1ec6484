//! What becomes of the tables below a mapping that goes.
//!
//! Owns: which tables no mapping needs any more. A table goes when the cursor leaves its span, and
//! with no step later: none is left behind a mapping that is gone. The caller holds the lock
//! exclusively.

use super::{leaves, spans};
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::counters::Counter;
use crate::machine::Machine;
use crate::mappings::Beside;
use crate::page_table::{
    self, Descriptor, LEAF_LEVEL, ROOT_LEVEL, Table, Walk, span_end, span_start,
};

/// Empties the leaves of `part`, which is what is left of the mapping `whole`, up to the end of one
/// table, and frees the tables that nobody needs any more. Returns the first page that was not
/// dealt with.
#[inline]
pub(super) fn remove<M: Machine>(
    space: &AddressSpace<M>,
    whole: &PageRange,
    part: &PageRange,
    beside: Beside,
) -> Page {
    match page_table::find(&space.machine, space.root, part.start()) {
        Walk::Missing { slot, level } => {
            let cursor = spans::behind_hole(space, part, slot, level);
            // There is no table of this level, nor below.
            release_from(space, level - 1, whole, beside, part.start(), cursor);
            cursor
        }
        walk => remove_found(space, whole, part, beside, walk),
    }
}

/// Likewise, where there is something.
#[inline(never)]
fn remove_found<M: Machine>(
    space: &AddressSpace<M>,
    whole: &PageRange,
    part: &PageRange,
    beside: Beside,
    walk: Walk,
) -> Page {
    let cursor = leaves::clear(space, part, walk);
    release_tables(space, whole, beside, part.start(), cursor);
    cursor
}

/// Frees the tables between `visited` and `cursor` that no mapping needs any more.
///
/// `whole` is the mapping that is being removed, emptied up to `cursor`. A table goes when its
/// span lies between the mapping's neighbours and the cursor has left the mapping's part of it.
pub(super) fn release_tables<M: Machine>(
    space: &AddressSpace<M>,
    whole: &PageRange,
    beside: Beside,
    visited: Page,
    cursor: Page,
) {
    release_from(space, LEAF_LEVEL, whole, beside, visited, cursor);
}

/// Likewise, for tables of the level `lowest` and those above it.
#[inline]
fn release_from<M: Machine>(
    space: &AddressSpace<M>,
    lowest: u32,
    whole: &PageRange,
    beside: Beside,
    visited: Page,
    cursor: Page,
) {
    if lowest > ROOT_LEVEL && !is_needed(lowest, whole, beside, visited, cursor) {
        release_found(space, lowest, whole, beside, visited, cursor);
    }
}

/// Likewise, where the first table goes.
#[cold]
fn release_found<M: Machine>(
    space: &AddressSpace<M>,
    lowest: u32,
    whole: &PageRange,
    beside: Beside,
    visited: Page,
    cursor: Page,
) {
    for level in (ROOT_LEVEL + 1..=lowest).rev() {
        if is_needed(level, whole, beside, visited, cursor) {
            // A table above spans more, so it is needed too.
            return;
        }
        unlink_table(space, visited, level);
    }
}

/// Returns whether a table of `level` on the way to a page stays.
#[inline]
fn is_needed(
    level: u32,
    whole: &PageRange,
    Beside { low, high }: Beside,
    visited: Page,
    cursor: Page,
) -> bool {
    let (start, end) = (span_start(visited, level - 1), span_end(visited, level - 1));
    let needed = start < low || end > high;
    needed || cursor < end.min(whole.end())
}

/// Takes the empty table of `level` on the way to a page out of the tree and frees it.
fn unlink_table<M: Machine>(space: &AddressSpace<M>, page: Page, level: u32) {
    let machine = &space.machine;
    let mut table = space.root;
    for above in ROOT_LEVEL..level {
        let slot = table.slot(page.table_index(above));
        let descriptor = machine.read(slot);
        if !descriptor.is_own_table() {
            return;
        }
        table = Table::new(descriptor.frame());
        if above + 1 == level {
            machine.write(slot, Descriptor::EMPTY);
        }
    }
    // Orders the empty slot before the TLBI, which must name table descriptors too (VAE1IS, not
    // VALE1IS): walk caches would lead into the freed frame.
    machine.dsb_ishst();
    machine.tlbi_page(space.asid(), page);
    machine.dsb_ish();
    space.counters.add(Counter::Tlbi, 1);
    space.counters.subtract(Counter::TableFrames, 1);
    page_table::free_table(machine, &space.account, table);
}
