//! Tables kept for later: one for each private block, so that a split never fails.
//!
//! Owns: a list of frames, linked through their first words, which no walk reaches. Any of them
//! serves any block. Refuses to know: which blocks there are. They are charged and counted as the
//! translation tables that they may become.

use crate::machine::Machine;
use crate::page_table::{Descriptor, Table};

/// The tables of one address space that no descriptor points to.
#[derive(Debug, Default)]
pub(crate) struct Reserve {
    first: Option<Table>,
    count: u64,
}

impl Reserve {
    /// Returns how many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Keeps a table.
    pub(crate) fn push<M: Machine>(&mut self, machine: &M, table: Table) {
        let next = self.first.map_or(0, |next| next.frame().to_physical());
        // The address of a frame alone is an invalid descriptor.
        machine.write(table.slot(0), Descriptor::from_word(next));
        self.first = Some(table);
        self.count += 1;
    }

    /// Takes a table out. There is one for each private block.
    pub(crate) fn pop<M: Machine>(&mut self, machine: &M) -> Option<Table> {
        let table = self.first.take()?;
        let next = machine.read(table.slot(0));
        self.first = (next != Descriptor::EMPTY).then(|| Table::new(next.frame()));
        self.count -= 1;
        Some(table)
    }
}
