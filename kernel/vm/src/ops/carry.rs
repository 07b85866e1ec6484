//! Moving leaves and whole tables from one range to another.
//!
//! Owns: the order in which a page leaves its old address and appears at its new one. Leaves are
//! moved as they are, whatever their frame and permissions: no frame's count and no byte changes.
//! Refuses to know: mappings; both ranges belong to equal ones and are marked *changing*, the lock
//! is held exclusively, and every table at the destination was taken beforehand.

use super::reserve::Reserve;
use super::route::{Route, TABLE_PAGES};
use super::spans;
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::counters::Counter;
use crate::flush::flush_pages;
use crate::machine::Machine;
use crate::page_table::{
    Descriptor, LEAF_LEVEL, Slot, Table, Walk, descend, find, free_table, span_end,
};

/// The level whose slots point to tables of leaves.
const ABOVE_LEAVES: u32 = LEAF_LEVEL - 1;
/// Leaves that are moved under one pair of barriers.
const BATCH: usize = 64;

/// Moves a bounded piece from the start of `part`: a whole table where the route allows it, else
/// leaves of one table. Returns the first page that it has not dealt with.
pub(super) fn carry<M: Machine>(
    space: &AddressSpace<M>,
    reserve: &mut Reserve,
    part: &PageRange,
    route: Route,
) -> Page {
    let slot = match find(&space.machine, space.root, part.start()) {
        Walk::Leaf(slot) => slot,
        // Nothing of the process's own: what spanned more than a page was taken away before.
        _ => return spans::loosen(space, part),
    };
    if route.moves_table(part) {
        carry_table(space, reserve, part.start(), route);
        return part.start().add(TABLE_PAGES);
    }
    let target = route.target(part.start());
    let room = |page: Page| span_end(page, ABOVE_LEAVES).number() - page.number();
    let count = room(part.start()).min(room(target)).min(part.pages()).min(BATCH as u64);
    carry_leaves(space, reserve, [part.start(), target], slot, count as usize);
    part.start().add(count)
}

/// Moves leaves from consecutive slots, `from` on, to consecutive slots.
fn carry_leaves<M: Machine>(
    space: &AddressSpace<M>,
    reserve: &mut Reserve,
    [start, target]: [Page; 2],
    from: Slot,
    count: usize,
) {
    let machine = &space.machine;
    let mut leaves = [Descriptor::EMPTY; BATCH];
    let leaves = &mut leaves[..count];
    let mut moved = 0;
    for (index, leaf) in leaves.iter_mut().enumerate() {
        let slot = from.table().slot(from.index() + index);
        *leaf = machine.read(slot);
        if leaf.is_valid() {
            machine.write(slot, Descriptor::EMPTY);
            moved += 1;
        }
    }
    if moved == 0 {
        // Nor is a table wanted there: this one may be new, brought by a neighbour since tables were
        // counted.
        return;
    }
    let to = reserve.slot(space, target, LEAF_LEVEL);
    let valid = leaves.iter().copied().enumerate().filter(|(_, leaf)| leaf.is_valid());
    // No CPU may store through the old address once the new one shows the page.
    if moved == count as u64 {
        // The usual case, without asking each leaf once more.
        flush_pages(space, (0..moved).map(|index| start.add(index)));
    } else {
        flush_pages(space, valid.clone().map(|(index, _)| start.add(index as u64)));
    }
    for (index, leaf) in valid {
        machine.write(to.table().slot(to.index() + index), leaf);
    }
    // Orders the leaves before whatever the process does next.
    machine.dsb_ishst();
    machine.isb();
    space.counters.add(Counter::LeavesMoved, moved);
}

/// Moves the table of leaves of a page by moving the descriptor that points to it. An empty table
/// in its new place goes.
fn carry_table<M: Machine>(
    space: &AddressSpace<M>,
    reserve: &mut Reserve,
    page: Page,
    route: Route,
) {
    let machine = &space.machine;
    let Walk::Leaf(from) = descend(machine, space.root, page, ABOVE_LEAVES) else { return };
    let to = reserve.slot(space, route.target(page), ABOVE_LEAVES);
    let (table, displaced) = (machine.read(from), machine.read(to));
    machine.write(from, Descriptor::EMPTY);
    machine.write(to, Descriptor::EMPTY);
    // Orders the empty slots before the TLBI, which removes what was cached of 512 leaves and of
    // the two table descriptors at once: VAE1IS would be needed once for each leaf.
    machine.dsb_ishst();
    machine.tlbi_asid(space.asid());
    // The old translations are used by nobody when this completes.
    machine.dsb_ish();
    machine.write(to, table);
    // Orders the table before whatever the process does next.
    machine.dsb_ishst();
    machine.isb();
    space.counters.add(Counter::Tlbi, 1);
    space.counters.add(Counter::TablesMoved, 1);
    if displaced.is_valid() {
        space.counters.subtract(Counter::TableFrames, 1);
        free_table(machine, &space.account, Table::new(displaced.frame()));
    }
}
