//! A whole mapping that moves at once.
//!
//! Owns: which moves are so small that they need no change, no mark and no memory: a mapping of a few
//! whole tables that finds every table above them at its destination. Refuses to know: what `remap`
//! allows, which was checked. A move that does not fit is left alone, for `relocation` to make.

use super::removal::release_tables;
use super::route::TABLE_PAGES;
use super::split::merge_at;
use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::counters::Counter;
use crate::machine::Machine;
use crate::page_table::{Descriptor, LEAF_LEVEL, SLOTS, Slot, Walk, descend};

/// The level whose slots point to tables of leaves.
const ABOVE_LEAVES: u32 = LEAF_LEVEL - 1;
/// Tables that move under one hold of the lock.
const MOST: usize = 8;

/// Moves the mapping of all of `old` to `new`, which is as long, if that takes no more than a few
/// descriptors. Returns whether it did; otherwise nothing has changed.
pub(super) fn move_at_once<M: Machine>(
    space: &AddressSpace<M>,
    state: &mut State<M>,
    old: PageRange,
    new: PageRange,
) -> bool {
    let Some(tables) = Tables::find(space, old, new) else { return false };
    let Some(place) = Place::find(state, old, new) else { return false };
    tables.carry(space);
    place.take(space, state, old, new);
    if tables.from.table() != tables.to.table() {
        let last = Page::from_number(old.end().number() - 1);
        release_tables(space, &old, state.mappings.beside(&old), last, old.end());
    }
    true
}

/// The slots that point to the tables of a source, and those that will.
struct Tables {
    from: Slot,
    to: Slot,
    count: usize,
    descriptors: [Descriptor; MOST],
}

impl Tables {
    /// Finds the slots, if each range has all of its own in one table and no table is in the way.
    #[inline]
    fn find<M: Machine>(space: &AddressSpace<M>, old: PageRange, new: PageRange) -> Option<Tables> {
        let edges = old.start().number() | new.start().number() | old.pages();
        if !edges.is_multiple_of(TABLE_PAGES) || old.pages() > MOST as u64 * TABLE_PAGES {
            return None;
        }
        let count = (old.pages() / TABLE_PAGES) as usize;
        let machine = &space.machine;
        let slot = |page| match descend(machine, space.root, page, ABOVE_LEAVES) {
            Walk::Leaf(slot) if slot.index() + count <= SLOTS => Some(slot),
            _ => None,
        };
        let (from, to) = (slot(old.start())?, slot(new.start())?);
        let mut descriptors = [Descriptor::EMPTY; MOST];
        for (index, descriptor) in descriptors.iter_mut().enumerate().take(count) {
            *descriptor = machine.read(from.table().slot(from.index() + index));
            if machine.read(to.table().slot(to.index() + index)).is_valid() {
                return None;
            }
        }
        Some(Tables { from, to, count, descriptors })
    }

    /// Moves the descriptors.
    #[inline]
    fn carry<M: Machine>(&self, space: &AddressSpace<M>) {
        let machine = &space.machine;
        let valid = self.descriptors.iter().take(self.count).enumerate();
        let valid = valid.filter(|(_, descriptor)| descriptor.is_valid());
        let mut moved = 0;
        for (index, _) in valid.clone() {
            machine.write(self.from.table().slot(self.from.index() + index), Descriptor::EMPTY);
            moved += 1;
        }
        if moved == 0 {
            return;
        }
        // Orders the empty slots before the TLBI, which removes what was cached of every leaf and
        // of the tables at once: VAE1IS would be needed once for each leaf.
        machine.dsb_ishst();
        machine.tlbi_asid(space.asid());
        // No CPU stores through the old addresses when this completes.
        machine.dsb_ish();
        for (index, descriptor) in valid {
            machine.write(self.to.table().slot(self.to.index() + index), *descriptor);
        }
        // Orders the tables before whatever the process does next.
        machine.dsb_ishst();
        machine.isb();
        space.counters.add(Counter::Tlbi, 1);
        space.counters.add(Counter::TablesMoved, moved);
    }
}

/// Where a mapping goes among the others.
enum Place {
    /// Between the same neighbours as before; none of them is met there.
    Alone,
    /// Between the same neighbours, and it meets one.
    Touching,
    /// Past some of them.
    Past,
}

impl Place {
    /// Finds out, or returns `None` if something is mapped there.
    #[inline]
    fn find<M: Machine>(state: &State<M>, old: PageRange, new: PageRange) -> Option<Place> {
        let (stays, touches) = if new.start() >= old.end() {
            let next = state.mappings.at_or_above(old.end()).map(|next| next.range.start());
            (next.is_none_or(|next| next >= new.end()), next == Some(new.end()))
        } else {
            let last = state.mappings.below(old.start()).map(|last| last.range.end());
            (last.is_none_or(|last| last <= new.start()), last == Some(new.start()))
        };
        match (stays, touches) {
            (true, false) => Some(Place::Alone),
            (true, true) => Some(Place::Touching),
            (false, _) => state.mappings.is_free(&new).then_some(Place::Past),
        }
    }

    /// Gives the mapping of all of `old` its new range.
    #[inline]
    fn take<M: Machine>(
        self,
        space: &AddressSpace<M>,
        state: &mut State<M>,
        old: PageRange,
        new: PageRange,
    ) {
        match self {
            Place::Alone => return state.mappings.alter(old.start(), |mapping| mapping.go_to(new)),
            Place::Touching => state.mappings.alter(old.start(), |mapping| mapping.go_to(new)),
            Place::Past => {
                if let Some(mut node) = state.mappings.remove(old.start()) {
                    node.mapping_mut().go_to(new);
                    state.mappings.insert(node);
                }
            }
        }
        merge_at(space, state, new.end());
        merge_at(space, state, new.start());
    }
}
