//! The tables and the block that a reference object shows whole spans by.
//!
//! They are made when a fault first wants them, at the expense of who made the object, and go with
//! it: by then no mapping points to them any more.

use crate::block::{self, Filling, OwnedBlock};
use crate::error::VmError;
use crate::frame::SharedFrame;
use crate::machine::Machine;
use crate::object::{Contents, MemoryObject};
use crate::page_table::Table;
use vellum_abi::Protection;

impl<M: Machine> MemoryObject<M> {
    /// Returns the table of `level` that shows the object in the memory of a protection's
    /// attribute, if it was made.
    #[inline]
    pub fn shared_table(&self, protection: Protection, level: u32) -> Option<Table> {
        match &self.contents {
            Contents::Reference { tables, .. } => tables.table(protection, level),
            _ => None,
        }
    }

    /// Makes the table that [`Self::shared_table`] finds, at the expense of who made the object.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub fn make_shared_table(&self, protection: Protection, level: u32) -> Result<(), VmError> {
        let Contents::Reference { frame, tables, .. } = &self.contents else {
            return Ok(());
        };
        let shown = SharedFrame::of_object(*frame);
        tables.make(&self.machine, &self.account, shown, protection, level)
    }

    /// Returns the first frame of the block that shows the object, if it was made.
    pub fn shared_block(&self) -> Option<SharedFrame> {
        match &self.contents {
            Contents::Reference { block, .. } => block.first(),
            _ => None,
        }
    }

    /// Takes memory for the block that [`Self::shared_block`] finds, at the expense of who made the
    /// object.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub(crate) fn begin_block(&self) -> Result<Filling<M>, VmError> {
        Filling::new(&self.machine, &self.account)
    }

    /// Keeps a block that was filled with the object's page, tags included, unless there is one.
    pub(crate) fn keep_block(&self, made: OwnedBlock) {
        let first = match &self.contents {
            Contents::Reference { block, .. } => block.keep(made),
            _ => Some(made.into_slot()),
        };
        if let Some(first) = first {
            block::free(&self.machine, &self.account, first);
        }
    }
}
