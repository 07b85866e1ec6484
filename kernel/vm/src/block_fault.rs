//! Faults that make a block: the reference object's, to read, or one of the process's own, to write.
//!
//! Owns: a block on its way, which is too long to be made at once. It is kept with the thread that
//! faulted and goes back if the thread dies. Refuses to know: how it is driven. Nothing is changed
//! but in the last step, which takes the lock exclusively and looks again; if anything is no more
//! as it was, the block goes back and the access faults again.

use crate::addr::{Page, UserPointer};
use crate::address_space::{AddressSpace, State};
use crate::block::{BLOCK_PAGES, Filling};
use crate::counters::Counter;
use crate::decide::allows;
use crate::error::VmError;
use crate::fault::Outcome;
use crate::fill::{Fill, Written};
use crate::flush::flush_space;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::{MemoryObject, ObjectPage};
use crate::ops::Progress;
use crate::page_table::{self, Descriptor, LEAF_LEVEL, Slot, Table, Walk};
use crate::task::Attempt;
use core::ptr;
use vellum_abi::{FaultAccess, Protection};

/// The level of tables whose slots may map blocks.
pub(crate) const BLOCK_LEVEL: u32 = LEAF_LEVEL - 1;

/// What a block is made for.
enum Purpose<M: Machine> {
    /// The object keeps it and shows it to every reader.
    Show,
    /// The process writes it. With the table for its split.
    Write(SpareTable<M>),
}

/// A table that nothing points to; it goes back when it is dropped.
struct SpareTable<M: Machine> {
    machine: M,
    account: M::Shared<crate::account::Account>,
    table: Option<Table>,
}

impl<M: Machine> Drop for SpareTable<M> {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            page_table::free_table(&self.machine, &self.account, table);
        }
    }
}

/// A block on its way.
pub struct BlockFault<M: Machine> {
    page: Page,
    access: FaultAccess,
    filling: Filling<M>,
    fill: Fill,
    /// What the block is filled for, and, if it is to be written, what the mapping allows.
    protection: Protection,
    object: M::Shared<MemoryObject<M>>,
    purpose: Purpose<M>,
}

impl<M: Machine> Mapping<M> {
    /// Returns whether a fault where a walk ended calls for a block that is to be made.
    pub(crate) fn wants_block(&self, page: Page, walk: Walk, access: FaultAccess) -> bool {
        let possible = match (access, walk) {
            (FaultAccess::Write, Walk::Missing { level: LEAF_LEVEL, .. })
            | (FaultAccess::Write, Walk::Shared { level: LEAF_LEVEL, .. }) => self.writes_blocks(),
            (FaultAccess::Write, Walk::Block { block, .. }) => {
                self.writes_blocks() && !block.is_private_block()
            }
            (FaultAccess::Read, Walk::Missing { level: LEAF_LEVEL, .. }) => {
                self.shows_blocks() && self.object.shared_block().is_none()
            }
            _ => false,
        };
        possible && self.covers_span(page, BLOCK_LEVEL)
    }
}

impl<M: Machine> AddressSpace<M> {
    /// Maps the object's block, if there is one, in an empty slot of level 2.
    pub(crate) fn show_block(&self, mapping: &Mapping<M>, slot: Slot) -> Option<Attempt> {
        let block = Descriptor::shared_block(mapping.object.shared_block()?, mapping.protection);
        if self.machine.exchange(slot, Descriptor::EMPTY, block).is_err() {
            return Some(Attempt::Again);
        }
        // Orders the block before the access that is tried again.
        self.machine.dsb_ishst();
        self.counters.add(Counter::Block, 1);
        Some(Attempt::Done)
    }

    /// Takes everything that a fault needs which was answered with [`Outcome::Long`]. If that is not
    /// to be had, or not wanted any more, the fault is resolved by less.
    ///
    /// # Errors
    /// How the fault was resolved, never `Long`.
    pub fn begin_block(
        &self,
        pointer: UserPointer,
        access: FaultAccess,
    ) -> Result<BlockFault<M>, Outcome> {
        let page = pointer.page().ok_or(Outcome::Resume)?;
        let plan = self.plan_block(&self.shared(), page, access);
        let (object, protection, fill) = plan.ok_or(Outcome::Resume)?;
        self.take_block(page, access, object, protection, fill)
            .map_err(|_| self.handle_fault(page, access))
    }

    fn take_block(
        &self,
        page: Page,
        access: FaultAccess,
        object: M::Shared<MemoryObject<M>>,
        protection: Protection,
        fill: Fill,
    ) -> Result<BlockFault<M>, VmError> {
        let machine = &self.machine;
        let (filling, protection, purpose) = if access == FaultAccess::Write {
            let filling = Filling::new(machine, &self.account)?;
            let table = Some(page_table::allocate_table(machine, &self.account)?);
            let (machine, account) = (machine.clone(), self.account.clone());
            (filling, protection, Purpose::Write(SpareTable { machine, account, table }))
        } else {
            // Tags are written for whoever maps the object as Tagged memory, now or later.
            let tags = if machine.has_tags() { Protection::TAGGED } else { Protection::NONE };
            (object.begin_block()?, tags, Purpose::Show)
        };
        Ok(BlockFault { page, access, filling, fill, protection, object, purpose })
    }

    /// Returns object, protection and contents of the block that a fault calls for.
    fn plan_block(
        &self,
        state: &State<M>,
        page: Page,
        access: FaultAccess,
    ) -> Option<(M::Shared<MemoryObject<M>>, Protection, Fill)> {
        let mapping = state.mappings.find(page).filter(|_| !state.is_changing(page))?;
        if state.destination.is_some() {
            return None;
        }
        let walk = page_table::find(&self.machine, self.root, page);
        if !allows(mapping.protection, access) || !mapping.wants_block(page, walk, access) {
            return None;
        }
        let ObjectPage::Reference(_, fill) = mapping.object.page(0) else { return None };
        Some((mapping.object.clone(), mapping.protection, fill))
    }

    /// Puts a private block where there is nothing of the process's own.
    fn publish_block(&self, fault: &mut BlockFault<M>, table: Table) -> Option<Written> {
        self.exclusive(|state| {
            let (object, protection, _) = self.plan_block(state, fault.page, fault.access)?;
            let same = ptr::eq(&raw const *object, &raw const *fault.object);
            if !same || protection != fault.protection {
                return None;
            }
            let (block, written) = fault.filling.take()?;
            let slot = page_table::find(&self.machine, self.root, fault.page).slot();
            self.put_block(slot, Descriptor::private_block(block, protection));
            self.reserve.lock().push(&self.machine, table);
            self.counters.add(Counter::PrivateFrames, BLOCK_PAGES);
            self.counters.add(Counter::TableFrames, 1);
            self.counters.add(Counter::Blocks, 1);
            self.counters.add(Counter::Block, 1);
            Some(written)
        })
    }

    /// Writes a slot of level 2, with break-before-make if it holds something. The caller has the
    /// lock exclusively.
    pub(crate) fn put_block(&self, slot: Slot, new: Descriptor) {
        let machine = &self.machine;
        if machine.read(slot).is_valid() {
            machine.write(slot, Descriptor::EMPTY);
            flush_space(self);
        }
        machine.write(slot, new);
        // Orders the new descriptor before the access that is tried again.
        machine.dsb_ishst();
        machine.isb();
    }
}

impl<M: Machine> BlockFault<M> {
    /// Steps until the fault is resolved or something waits.
    pub fn run(&mut self, space: &AddressSpace<M>) -> Progress {
        while !self.step(space) {
            if space.machine.should_pause() {
                return Progress::Paused;
            }
        }
        Progress::Done
    }

    /// Fills a bounded piece, and publishes the block behind the last. Returns whether that is done;
    /// then the access can be tried again.
    pub fn step(&mut self, space: &AddressSpace<M>) -> bool {
        let fill = self.fill;
        if !self.filling.step(Some(fill), |_| fill, self.protection) {
            return false;
        }
        match &mut self.purpose {
            Purpose::Show => {
                if let Some((block, written)) = self.filling.take() {
                    self.object.keep_block(block);
                    written.count(&space.counters);
                }
                // Whatever becomes of it shows when the access is tried again.
                let _ = space.handle_fault(self.page, self.access);
            }
            Purpose::Write(spare) => {
                if let Some(table) = spare.table.take() {
                    match space.publish_block(self, table) {
                        Some(written) => written.count(&space.counters),
                        None => page_table::free_table(&space.machine, &space.account, table),
                    }
                }
            }
        }
        true
    }
}
