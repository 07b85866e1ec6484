//! Faults that are served by more than a page at once: tables that a reference object shares.
//!
//! Owns: pointing to shared tables, filling the private tables at the edges of a mapping, and the
//! first write below a shared table. Refuses to know: what the tables show. Others rely on this: a
//! shared table never covers a page outside its mapping, and a write reserves every frame that it
//! may need before it changes anything.

use crate::addr::Page;
use crate::address_space::{AddressSpace, State};
use crate::block_fault::BLOCK_LEVEL;
use crate::counters::Counter;
use crate::decide::Action;
use crate::error::VmError;
use crate::fill::Fill;
use crate::flush::break_table;
use crate::frame::{self, OwnedFrame, UninitFrame};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::{MemoryObject, ObjectPage};
use crate::page_table::{
    self, Descriptor, LEAF_LEVEL, SLOTS, Slot, Table, Walk, span_end, span_start,
};
use crate::task::{Attempt, Effort};
use vellum_abi::{FaultAccess, Protection};

/// What a fault does about a span.
pub(crate) enum Step<M: Machine> {
    /// It is done, or must be tried again.
    Now(Attempt),
    /// Memory is needed, which is not taken under the lock.
    Later(Work<M>),
}

/// What is to be done without the lock.
pub(crate) enum Work<M: Machine> {
    /// The object's table of this level is made.
    Make(M::Shared<MemoryObject<M>>, Protection, u32),
    /// A page below a shared table becomes private.
    Split(Split<M>),
}

/// A first write below a shared table.
pub(crate) struct Split<M: Machine> {
    page: Page,
    slot: Slot,
    /// The level of the shared table that `pointer` leads to, or of the one that replaces the block
    /// which it maps.
    level: u32,
    pointer: Descriptor,
    /// The leaf of a clean page.
    shown: Descriptor,
    generation: u64,
    protection: Protection,
    fill: Fill,
    /// Holds the shared tables that are copied, and the source of the fill, while no lock does.
    #[expect(dead_code, reason = "held, never read")]
    source: M::Shared<MemoryObject<M>>,
}

/// Plans the first write to a page that a shared table or block shows.
fn split<M: Machine>(
    state: &State<M>,
    mapping: &Mapping<M>,
    page: Page,
    slot: Slot,
    (level, pointer): (u32, Descriptor),
) -> Option<Step<M>> {
    let ObjectPage::Reference(frame, fill) = mapping.object.page(0) else { return None };
    Some(Step::Later(Work::Split(Split {
        page,
        slot,
        level,
        pointer,
        shown: Descriptor::read_shared(frame, mapping.protection),
        generation: state.generation,
        protection: mapping.protection,
        fill,
        source: mapping.object.clone(),
    })))
}

/// Returns whether a long operation has pages in hand in the span of a slot, at `level` on the way to
/// `here`, that a fault on `page` would fill. Those of a range that `page` is in are not barred: it is
/// touched by the operation itself.
fn is_barred<M: Machine>(state: &State<M>, page: Page, here: Page, level: u32) -> bool {
    let barred = state.changing.filter(|range| !range.contains(page));
    let (start, end) = (span_start(here, level), span_end(here, level));
    barred.is_some_and(|range| start < range.end() && range.start() < end)
}

/// Frames that become tables: at most one of each shared level.
type Tables = [Option<UninitFrame>; 2];

impl<M: Machine> AddressSpace<M> {
    /// Returns what a fault calls for that its mapping's switches serve by more than a page, or
    /// `None` if it is an ordinary one.
    #[cold]
    pub(crate) fn span_step(
        &self,
        state: &State<M>,
        mapping: &Mapping<M>,
        page: Page,
        walk: Walk,
        (action, effort): (Action, Effort),
    ) -> Option<Step<M>> {
        let access = match action {
            Action::WriteFresh | Action::WriteCopy => FaultAccess::Write,
            Action::ReadShare => FaultAccess::Read,
            _ => return None,
        };
        // Whoever moves pages has taken away what spans more than one, and counted tables by that.
        if state.destination.is_some() && !matches!(action, Action::WriteCopy) {
            return None;
        }
        let blocks = effort == Effort::Blocks && state.destination.is_none();
        if blocks && mapping.wants_block(page, walk, access) {
            return Some(Step::Now(Attempt::Long));
        }
        match (action, walk) {
            (Action::WriteCopy, Walk::Shared { slot, level, pointer }) => {
                split(state, mapping, page, slot, (level, pointer))
            }
            (Action::WriteCopy, Walk::Block { slot, block }) => {
                split(state, mapping, page, slot, (LEAF_LEVEL, block))
            }
            (Action::ReadShare, Walk::Missing { slot, level: LEAF_LEVEL })
                if effort >= Effort::Tables
                    && mapping.shows_blocks()
                    && mapping.object.shared_block().is_some()
                    && mapping.covers_span(page, BLOCK_LEVEL) =>
            {
                self.show_block(mapping, slot).map(Step::Now)
            }
            // A block needs the tables above it.
            (Action::ReadShare, Walk::Missing { level, .. })
                if blocks
                    && level < LEAF_LEVEL
                    && mapping.shows_blocks()
                    && mapping.covers_span(page, BLOCK_LEVEL) =>
            {
                None
            }
            (Action::ReadShare, Walk::Missing { slot, level })
                if effort >= Effort::Tables
                    && mapping.shares_tables()
                    && level >= page_table::HIGHEST_SHARED
                    && mapping.covers_span(page, level - 1)
                    && !is_barred(state, page, page, level - 1) =>
            {
                Some(self.point((state, mapping), page, slot, level))
            }
            (Action::ReadShare, Walk::Leaf(slot))
                if effort >= Effort::Tables && mapping.shares_tables() =>
            {
                Some(Step::Now(self.fill_table((state, mapping), page, slot)))
            }
            _ => None,
        }
    }

    /// Does what was left for when the lock is free.
    #[cold]
    pub(crate) fn work_on_span(&self, work: Work<M>) -> Result<Attempt, VmError> {
        match work {
            Work::Make(object, protection, level) => {
                let made = object.make_shared_table(protection, level);
                // For want of memory, pages are served one by one.
                Ok(if made.is_ok() { Attempt::Again } else { Attempt::Less })
            }
            Work::Split(split) => self.split(&split),
        }
    }

    /// Points every empty slot of a table whose span lies in the mapping to the shared table.
    fn point(
        &self,
        (state, mapping): (&State<M>, &Mapping<M>),
        page: Page,
        slot: Slot,
        level: u32,
    ) -> Step<M> {
        let protection = mapping.protection;
        let Some(table) = mapping.object.shared_table(protection, level) else {
            return Step::Later(Work::Make(mapping.object.clone(), protection, level));
        };
        let pointer = Descriptor::shared_table(table);
        let pointed = self.fill_slots(slot, page, level - 1, (state, mapping), pointer);
        self.counters.add(Counter::SharedTable, u64::from(pointed));
        Step::Now(if pointed { Attempt::Done } else { Attempt::Again })
    }

    /// Fills every empty slot of a private table of leaves that lies in the mapping.
    fn fill_table(
        &self,
        (state, mapping): (&State<M>, &Mapping<M>),
        page: Page,
        slot: Slot,
    ) -> Attempt {
        let ObjectPage::Reference(frame, _) = mapping.object.page(0) else {
            return Attempt::Less;
        };
        let leaf = Descriptor::read_shared(frame, mapping.protection);
        if !self.fill_slots(slot, page, LEAF_LEVEL, (state, mapping), leaf) {
            return Attempt::Again;
        }
        self.counters.add(Counter::ReadMap, 1);
        Attempt::Done
    }

    /// Fills every empty slot, of the table at `level` that holds `slot`, whose span lies in the
    /// mapping. Returns whether the page's own slot was among them. What a long operation has in
    /// hand is left to it: a slot that it has emptied for a while is not clean.
    fn fill_slots(
        &self,
        slot: Slot,
        page: Page,
        level: u32,
        (state, mapping): (&State<M>, &Mapping<M>),
        descriptor: Descriptor,
    ) -> bool {
        let table = slot.table();
        let whole = span_start(page, level - 1);
        let end = span_end(page, level - 1).min(mapping.range.end());
        let mut here = whole.max(mapping.range.start());
        if span_start(here, level) != here {
            here = span_end(here, level);
        }
        let mut found = false;
        while here < end && span_end(here, level) <= end {
            let (index, next) = (here.table_index(level), span_end(here, level));
            let filled = !is_barred(state, page, here, level)
                && self.machine.exchange(table.slot(index), Descriptor::EMPTY, descriptor).is_ok();
            found |= filled && index == slot.index();
            here = next;
        }
        // Orders the descriptors before the access that is tried again.
        self.machine.dsb_ishst();
        found
    }

    /// Gives a page below a shared table a private frame, and the process tables of its own on the
    /// way to it: all memory first, then the complete tables, then break-before-make.
    fn split(&self, split: &Split<M>) -> Result<Attempt, VmError> {
        let tables = self.reserve_tables(split.level)?;
        let frame = match frame::allocate(&self.machine, &self.account) {
            Ok(frame) => frame,
            Err(error) => {
                self.return_tables(tables);
                return Err(error);
            }
        };
        let (frame, written) = split.fill.apply(&self.machine, frame, split.protection);
        let leaf = Descriptor::private(frame, split.protection);
        let (top, count) = self.build_tables(split, &tables, leaf);
        let state = self.shared();
        let broken = (state.generation == split.generation)
            .then(|| break_table(self, split.slot, split.page, split.pointer))
            .flatten();
        let Some(broken) = broken else {
            drop(state);
            let frame = OwnedFrame::from_slot(leaf.frame()).discard();
            frame::free(&self.machine, &self.account, frame);
            self.return_tables(tables);
            return Ok(Attempt::Again);
        };
        broken.make(&self.machine, top);
        written.count(&self.counters);
        self.counters.add(Counter::TableFrames, count);
        self.counters.add(Counter::PrivateFrames, 1);
        self.counters.add(Counter::WriteCopy, 1);
        self.counters.add(Counter::Split, 1);
        Ok(Attempt::Done)
    }

    /// Takes a frame for a table of each level from `level` down.
    fn reserve_tables(&self, level: u32) -> Result<Tables, VmError> {
        let mut tables = [None, None];
        for index in 0..(LEAF_LEVEL - level + 1) as usize {
            match frame::allocate(&self.machine, &self.account) {
                Ok(frame) => tables[index] = Some(frame),
                Err(error) => {
                    self.return_tables(tables);
                    return Err(error);
                }
            }
        }
        Ok(tables)
    }

    fn return_tables(&self, tables: Tables) {
        for frame in tables.into_iter().flatten() {
            frame::free(&self.machine, &self.account, frame);
        }
    }

    /// Makes copies of the shared tables on the way to the page, which lead to its private leaf and
    /// otherwise to what the shared ones led to. Returns what points to the uppermost, and how many
    /// there are.
    fn build_tables(
        &self,
        split: &Split<M>,
        tables: &Tables,
        leaf: Descriptor,
    ) -> (Descriptor, u64) {
        let mut slots = [None; 2];
        let mut pointer = split.pointer;
        for ((frame, slot), level) in tables.iter().flatten().zip(&mut slots).zip(split.level..) {
            let table = Table::new(frame.address());
            let index = split.page.table_index(level);
            *slot = Some(table.slot(index));
            if pointer.is_block() {
                (0..SLOTS).for_each(|index| self.machine.write(table.slot(index), split.shown));
            } else {
                let shared = Table::new(pointer.frame());
                self.machine.copy_table(shared, frame);
                pointer = self.machine.read(shared.slot(index));
            }
        }
        // From the leaf up, so that a table is complete before anything leads to it.
        slots.iter().flatten().rev().fold((leaf, 0), |(entry, count), slot| {
            self.machine.write(*slot, entry);
            (Descriptor::table(slot.table()), count + 1)
        })
    }
}
