//! The tables that a reference object shares among its mappings.
//!
//! Owns: for each memory attribute one table of 512 leaves that all show the reference page, and
//! one table of 512 pointers to it, made when a fault first wants them and freed with the object.
//! Refuses to know: who points to them. Others rely on this: a table that [`SharedTables::table`]
//! returns is complete, never changes, and its leaves allow nothing but loads.

use super::{Descriptor, LEAF_LEVEL, SLOTS, Table, allocate_table, free_table};
use crate::account::Account;
use crate::addr::FrameAddress;
use crate::error::VmError;
use crate::frame::SharedFrame;
use crate::machine::Machine;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::Protection;

/// The highest level that is shared: its tables span 1 GiB.
pub(crate) const HIGHEST: u32 = 2;
/// Table words of one attribute.
const LEVELS: usize = (LEAF_LEVEL - HIGHEST + 1) as usize;

/// The shared tables of one object: physical addresses, zero for those that were never wanted.
#[derive(Debug, Default)]
pub(crate) struct SharedTables([[AtomicU64; LEVELS]; 2]);

impl SharedTables {
    fn word(&self, protection: Protection, level: u32) -> &AtomicU64 {
        let attribute = usize::from(protection.contains(Protection::TAGGED));
        &self.0[attribute][(level - HIGHEST) as usize]
    }

    /// Returns the table of `level` for the memory attribute of a protection.
    pub(crate) fn table(&self, protection: Protection, level: u32) -> Option<Table> {
        // Acquire: the words of the table are seen by whoever copies it or points to it.
        let word = self.word(protection, level).load(Ordering::Acquire);
        (word != 0).then(|| Table::new(FrameAddress::containing(word)))
    }

    /// Makes the table of `level`, and those below it, unless it is there.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub(crate) fn make<M: Machine>(
        &self,
        machine: &M,
        account: &Account,
        shown: SharedFrame,
        protection: Protection,
        level: u32,
    ) -> Result<(), VmError> {
        let attribute = protection.intersection(Protection::TAGGED);
        let mut entry = Descriptor::read_shared(shown, Protection::READ | attribute);
        for level in (level..=LEAF_LEVEL).rev() {
            let table = match self.table(protection, level) {
                Some(table) => table,
                None => self.make_one(machine, account, entry, protection, level)?,
            };
            entry = Descriptor::shared_table(table);
        }
        Ok(())
    }

    /// Makes a table of 512 times the same entry. Of two makers at once the later frees its own.
    fn make_one<M: Machine>(
        &self,
        machine: &M,
        account: &Account,
        entry: Descriptor,
        protection: Protection,
        level: u32,
    ) -> Result<Table, VmError> {
        let table = allocate_table(machine, account)?;
        (0..SLOTS).for_each(|index| machine.write(table.slot(index), entry));
        // Orders the entries before the pointers to the table that others will store.
        machine.dsb_ishst();
        let word = self.word(protection, level);
        let address = table.frame().to_physical();
        match word.compare_exchange(0, address, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(table),
            Err(other) => {
                free_table(machine, account, table);
                Ok(Table::new(FrameAddress::containing(other)))
            }
        }
    }

    /// Returns how many frames the tables take.
    pub(crate) fn frames(&self) -> u64 {
        self.0.iter().flatten().filter(|word| word.load(Ordering::Relaxed) != 0).count() as u64
    }

    /// Gives the tables back, those that point before those that they point to. No mapping of the
    /// object is left, so no walk can reach them.
    pub(crate) fn free<M: Machine>(&mut self, machine: &M, account: &Account) {
        for word in self.0.iter_mut().flatten() {
            let address = core::mem::take(word.get_mut());
            if address != 0 {
                let table = Table::new(FrameAddress::containing(address));
                free_table(machine, account, table);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, Table};
    use crate::addr::FrameAddress;

    #[test]
    fn a_pointer_to_a_shared_table_forbids_stores_and_fetches_below_it() {
        let frame = FrameAddress::containing(0x1234_5000);
        let word = Descriptor::shared_table(Table::new(frame)).to_word();
        // APTable[1], UXNTable, PXNTable, and the bit that tells it from a table of one's own.
        let limits = 1 << 62 | 1 << 60 | 1 << 59 | 1 << 55;
        assert_eq!(word, limits | 0x1234_5000 | 0b11);
    }
}
