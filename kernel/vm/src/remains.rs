//! What is left of a memory object that nobody can reach any more.
//!
//! Owns: the pages of a dropped object on their way back to the allocator, in bounded steps.
//! Dropping a value cannot pause, and an object may hold gigabytes; so the drop hands the pages to
//! the machine ([`Machine::bury`]), which steps them away when it can afford to. The place for that
//! is taken when the object is made: freeing never allocates.

use crate::account::Account;
use crate::error::VmError;
use crate::machine::Machine;
use crate::page_store::PageStore;

/// Pages that one step gives back at most.
const STEP: u32 = 64;

/// The pages of a memory object, alive in it or on their way back.
pub struct Remains<M: Machine> {
    pub(crate) machine: M,
    pub(crate) account: M::Shared<Account>,
    pub(crate) store: PageStore,
    next: Option<M::Owned<Remains<M>>>,
}

impl<M: Machine> Remains<M> {
    /// Takes pages into care.
    ///
    /// # Errors
    /// `LimitReached`; the pages are the caller's still.
    pub(crate) fn new(
        machine: M,
        account: M::Shared<Account>,
        store: PageStore,
    ) -> Result<Remains<M>, VmError> {
        account.charge_kernel(size_of::<Self>())?;
        Ok(Remains { machine, account, store, next: None })
    }

    /// Gives a bounded number of frames back. Returns whether they were the last.
    pub fn step(&mut self) -> bool {
        self.store.clear_some(&self.machine, &self.account, STEP)
    }

    /// Links another one behind this, for the machine's list. Nothing is behind it yet.
    pub fn link(&mut self, next: Option<M::Owned<Remains<M>>>) {
        self.next = next;
    }

    /// Takes what is linked behind this.
    pub fn unlink(&mut self) -> Option<M::Owned<Remains<M>>> {
        self.next.take()
    }
}

impl<M: Machine> Drop for Remains<M> {
    fn drop(&mut self) {
        self.account.credit_kernel(size_of::<Self>());
    }
}
