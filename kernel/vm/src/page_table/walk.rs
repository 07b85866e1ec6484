//! The walk from the root to the slot of a leaf.
//!
//! Tables are installed by one compare-and-exchange under the shared lock of the address space
//! and freed under its exclusive lock alone, so a slot found under either stays one until the lock
//! is released.

use super::{Descriptor, LEAF_LEVEL, ROOT_LEVEL, Slot, Table};
use crate::addr::Page;
use crate::machine::Machine;

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// The slot of the page's leaf.
    Leaf(Slot),
    /// The table of `level` that should come next is missing; `slot` should point to it.
    Missing {
        /// Where its descriptor belongs.
        slot: Slot,
        /// The level of the missing table.
        level: u32,
    },
}

/// Finds the slot of a page's leaf.
#[inline]
pub fn find<M: Machine>(machine: &M, root: Table, page: Page) -> Walk {
    let mut table = root;
    for level in ROOT_LEVEL..LEAF_LEVEL {
        let slot = table.slot(page.table_index(level));
        let descriptor = machine.read(slot);
        if !descriptor.is_valid() {
            return Walk::Missing { slot, level: level + 1 };
        }
        table = Table::new(descriptor.frame());
    }
    Walk::Leaf(table.slot(page.table_index(LEAF_LEVEL)))
}

/// Installs an empty table where a walk found none. Returns whether it is this one that is there
/// now; the loser of a race frees its own.
pub fn install_table<M: Machine>(machine: &M, slot: Slot, table: Table) -> bool {
    let installed = machine.exchange(slot, Descriptor::EMPTY, Descriptor::table(table)).is_ok();
    if installed {
        // Orders the table descriptor before the leaf that is published below it.
        machine.dsb_ishst();
    }
    installed
}

/// Returns the first page of the span of one slot of a table at `level`.
#[must_use]
#[inline]
pub fn span_start(page: Page, level: u32) -> Page {
    let pages = 1 << (9 * (LEAF_LEVEL - level));
    Page::from_number(page.number() & !(pages - 1))
}

/// Returns the page behind the span of one slot of a table at `level`.
#[must_use]
#[inline]
pub fn span_end(page: Page, level: u32) -> Page {
    span_start(page, level).add(1 << (9 * (LEAF_LEVEL - level)))
}
