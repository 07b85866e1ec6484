//! Translation tables: the format of descriptors, the walk, and the removal of whole tables.
//!
//! Owns: which bits a descriptor has and where its slot is. Refuses to know: mappings and faults.
//! Four levels of 512 descriptors, 4 KiB granule, 48-bit addresses (Arm ARM, "VMSAv8-64
//! translation table format descriptors").

mod descriptor;
mod kinds;
mod shared;
mod walk;

pub use descriptor::Descriptor;
pub use kinds::{MemoryKind, Ownership, Sharing};
pub(crate) use shared::{HIGHEST as HIGHEST_SHARED, SharedTables};
pub use walk::{Walk, descend, find, install_table, leaf, span_end, span_start, translation};

use crate::account::Account;
use crate::addr::FrameAddress;
use crate::error::VmError;
use crate::frame::{UninitFrame, allocate, free};
use crate::machine::Machine;

/// The level of the root table; its entries cover 512 GiB each.
pub const ROOT_LEVEL: u32 = 0;
/// The level whose tables hold leaves of 4 KiB.
pub const LEAF_LEVEL: u32 = 3;
/// Slots in a table.
pub const SLOTS: usize = 512;

/// A frame whose words are descriptors: every one was written before the table was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table(FrameAddress);

impl Table {
    /// Declares a frame of 512 written descriptors to be a table.
    #[must_use]
    #[inline]
    pub fn new(frame: FrameAddress) -> Table {
        Table(frame)
    }

    /// Returns where the table is.
    #[must_use]
    #[inline]
    pub fn frame(self) -> FrameAddress {
        self.0
    }

    /// Returns a slot of the table; the index is taken modulo [`SLOTS`].
    #[must_use]
    #[inline]
    pub fn slot(self, index: usize) -> Slot {
        Slot(self.0.to_physical() | (index % SLOTS * size_of::<Descriptor>()) as u64)
    }
}

/// One word of a table, by its physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(u64);

impl Slot {
    /// Returns the table.
    #[must_use]
    #[inline]
    pub fn table(self) -> Table {
        Table(FrameAddress::containing(self.0))
    }

    /// Returns the index, below [`SLOTS`].
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize / size_of::<Descriptor>() % SLOTS
    }

    /// Returns the physical address of the word.
    #[must_use]
    #[inline]
    pub fn physical(self) -> u64 {
        self.0
    }

    /// Returns the slot behind this one in the same table.
    #[must_use]
    #[inline]
    pub fn next(self) -> Option<Slot> {
        let next = self.0 + size_of::<Descriptor>() as u64;
        (!next.is_multiple_of(vellum_abi::PAGE_SIZE)).then_some(Slot(next))
    }
}

/// Takes a frame of empty descriptors that `account` pays for.
///
/// # Errors
/// `OutOfFrames`, `LimitReached`.
pub fn allocate_table<M: Machine>(machine: &M, account: &Account) -> Result<Table, VmError> {
    let frame = allocate(machine, account)?;
    machine.zero_page(&frame);
    Ok(Table::new(frame.into_address()))
}

/// Gives a table back. Hardware can no longer reach it.
pub fn free_table<M: Machine>(machine: &M, account: &Account, table: Table) {
    free(machine, account, UninitFrame::from_allocator(table.frame()));
}
