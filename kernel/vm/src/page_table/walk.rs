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
    /// Another CPU is replacing a table.
    Busy(Slot),
    /// The way leads through a table that an object shares among its mappings.
    Shared {
        /// The slot that points to it.
        slot: Slot,
        /// The level of the shared table.
        level: u32,
        /// What the slot holds.
        pointer: Descriptor,
    },
    /// A block of level 2 translates the page.
    Block {
        /// The slot that maps it.
        slot: Slot,
        /// What the slot holds.
        block: Descriptor,
    },
}

impl Walk {
    /// Returns the slot where the walk left the process's own tables.
    #[must_use]
    #[inline]
    pub fn slot(self) -> Slot {
        match self {
            Walk::Leaf(slot) | Walk::Busy(slot) => slot,
            Walk::Missing { slot, .. } | Walk::Shared { slot, .. } | Walk::Block { slot, .. } => {
                slot
            }
        }
    }
}

/// Finds the slot of a page's leaf.
#[inline]
pub fn find<M: Machine>(machine: &M, root: Table, page: Page) -> Walk {
    descend(machine, root, page, LEAF_LEVEL)
}

/// Finds the slot of a page in its table at level `last`, which is then the walk's leaf.
#[inline]
pub fn descend<M: Machine>(machine: &M, root: Table, page: Page, last: u32) -> Walk {
    let mut table = root;
    for level in ROOT_LEVEL..last {
        let slot = table.slot(page.table_index(level));
        let descriptor = machine.read(slot);
        if !descriptor.is_own_table() {
            return leave(slot, level, descriptor);
        }
        table = Table::new(descriptor.frame());
    }
    Walk::Leaf(table.slot(page.table_index(last)))
}

/// Says why a walk does not go on behind a slot of a table at `level`.
#[cold]
fn leave(slot: Slot, level: u32, descriptor: Descriptor) -> Walk {
    if descriptor == Descriptor::EMPTY {
        Walk::Missing { slot, level: level + 1 }
    } else if descriptor == Descriptor::BUSY {
        Walk::Busy(slot)
    } else if descriptor.is_shared_table() {
        Walk::Shared { slot, level: level + 1, pointer: descriptor }
    } else if descriptor.is_block() {
        Walk::Block { slot, block: descriptor }
    } else {
        Walk::Missing { slot, level: level + 1 }
    }
}

/// Returns the leaf that translates a page where a walk to it ended: EMPTY if none does, BUSY while
/// another CPU is replacing what did.
#[inline]
pub fn leaf<M: Machine>(machine: &M, walk: Walk, page: Page) -> Descriptor {
    match walk {
        Walk::Leaf(slot) => machine.read(slot),
        Walk::Missing { .. } => Descriptor::EMPTY,
        Walk::Busy(_) => Descriptor::BUSY,
        Walk::Shared { level, pointer, .. } => shared_leaf(machine, level, pointer, page),
        Walk::Block { block, .. } => block.page_of_block(page),
    }
}

/// Returns the leaf of a page below a shared table, which is complete and never changes.
#[cold]
fn shared_leaf<M: Machine>(machine: &M, level: u32, pointer: Descriptor, page: Page) -> Descriptor {
    (level..=LEAF_LEVEL).fold(pointer, |descriptor, level| {
        machine.read(Table::new(descriptor.frame()).slot(page.table_index(level)))
    })
}

/// Returns the leaf that translates a page now.
#[inline]
pub fn translation<M: Machine>(machine: &M, root: Table, page: Page) -> Descriptor {
    leaf(machine, find(machine, root, page), page)
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
