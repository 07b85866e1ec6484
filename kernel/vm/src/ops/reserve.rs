//! Tables taken before anything is changed, so that moving pages cannot fail.
//!
//! Owns: how many tables the way to a destination lacks, and the tables until they are used. They
//! hang on each other by their first slots, in no address space, so that giving them back unused
//! leaves no trace. Refuses to know: what they are for.

use super::route::Route;
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::counters::Counter;
use crate::error::VmError;
use crate::machine::Machine;
use crate::page_table::{
    Descriptor, LEAF_LEVEL, Slot, Table, Walk, allocate_table, descend, find, free_table,
    install_table, span_end,
};

/// Tables that wait for their use.
pub(super) struct Reserve {
    first: Option<Table>,
    /// The pages below which every missing table of a level was counted.
    counted: [Page; LEAF_LEVEL as usize + 1],
}

/// What moving the pages of one source table takes.
pub(super) struct Need {
    /// Tables that the way to the destination lacks.
    pub(super) tables: u32,
    /// The first source page behind the table.
    pub(super) next: Page,
}

impl Reserve {
    pub(super) fn new() -> Reserve {
        Reserve { first: None, counted: [Page::from_number(0); LEAF_LEVEL as usize + 1] }
    }

    /// Counts the tables that are missing where the pages of the source's first table go. Each
    /// table is counted once, in the order of addresses. The count stays an upper bound: while both
    /// ranges are marked nobody removes tables, and no page of the source gets a leaf. A table may
    /// still appear at the source, for a neighbour's page; it has no leaf that moves. The caller
    /// holds the lock.
    pub(super) fn count<M: Machine>(
        &mut self,
        space: &AddressSpace<M>,
        source: &PageRange,
        route: Route,
    ) -> Need {
        if let Walk::Missing { level, .. } = find(&space.machine, space.root, source.start()) {
            let next = span_end(source.start(), level - 1).min(source.end());
            return Need { tables: 0, next };
        }
        let next = span_end(source.start(), LEAF_LEVEL - 1).min(source.end());
        let last = Page::from_number(next.number() - 1);
        let lowest = LEAF_LEVEL - u32::from(route.moves_table(source));
        let ends = [route.target(source.start()), route.target(last)];
        let tables = ends.map(|page| self.missing(space, page, lowest)).iter().sum();
        Need { tables, next }
    }

    /// Counts the tables down to level `lowest` that are missing on the way to a page, but for
    /// those that were counted before.
    fn missing<M: Machine>(&mut self, space: &AddressSpace<M>, page: Page, lowest: u32) -> u32 {
        let Walk::Missing { level, .. } = descend(&space.machine, space.root, page, lowest) else {
            return 0;
        };
        let mut tables = 0;
        for level in level..=lowest {
            let counted = &mut self.counted[level as usize];
            if page >= *counted {
                *counted = span_end(page, level - 1);
                tables += 1;
            }
        }
        tables
    }

    /// Takes one more table. No lock is held: it is cleared.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub(super) fn add<M: Machine>(&mut self, space: &AddressSpace<M>) -> Result<(), VmError> {
        let table = allocate_table(&space.machine, &space.account)?;
        if let Some(first) = self.first {
            space.machine.write(table.slot(0), Descriptor::table(first));
        }
        self.first = Some(table);
        Ok(())
    }

    /// Takes a table off the list.
    fn take<M: Machine>(&mut self, machine: &M) -> Option<Table> {
        let table = self.first?;
        let link = machine.read(table.slot(0));
        self.first = link.is_valid().then(|| Table::new(link.frame()));
        machine.write(table.slot(0), Descriptor::EMPTY);
        // Orders the empty slot before the table's own descriptor, by which a walk could find it.
        machine.dsb_ishst();
        Some(table)
    }

    /// Returns the slot on the way to a page in the table of `level`, with the tables above it. The
    /// caller holds the lock exclusively.
    ///
    /// # Panics
    /// If fewer tables were taken than [`Self::count`] asked for.
    pub(super) fn slot<M: Machine>(
        &mut self,
        space: &AddressSpace<M>,
        page: Page,
        level: u32,
    ) -> Slot {
        loop {
            match descend(&space.machine, space.root, page, level) {
                Walk::Leaf(slot) => return slot,
                Walk::Missing { slot, .. } => {
                    let table = self.take(&space.machine).expect("every missing table was counted");
                    let installed = install_table(&space.machine, slot, table);
                    debug_assert!(installed, "the slot was empty under the exclusive lock");
                    space.counters.add(Counter::TableFrames, 1);
                }
                Walk::Busy(_) | Walk::Shared { .. } | Walk::Block { .. } => {
                    unreachable!("what spans more than a page was taken away before")
                }
            }
        }
    }

    /// Gives back what is left.
    pub(super) fn release<M: Machine>(&mut self, space: &AddressSpace<M>) {
        while let Some(table) = self.take(&space.machine) {
            free_table(&space.machine, &space.account, table);
        }
    }
}
