//! `unmap`: takes a range out of an address space.

use super::change::Change;
use super::split::Splits;
use crate::addr::PageRange;
use crate::address_space::AddressSpace;
use crate::error::{Refusal, VmError};
use crate::machine::Machine;

impl<M: Machine> AddressSpace<M> {
    /// Begins to remove every mapping, or part of one, in a range. Holes are allowed; a range
    /// without any mapping is a mistake.
    ///
    /// # Errors
    /// `NotMapped`, `Sealed`, `OutOfKernelMemory`, `LimitReached`.
    pub fn unmap(&self, range: PageRange) -> Result<Change<M>, Refusal> {
        self.exclusive(|state| {
            state.at_rest()?;
            if state.mappings.is_free(&range) {
                return Err(VmError::NotMapped.into());
            }
            if state.mappings.in_range(&range).any(|mapping| mapping.sealed) {
                return Err(VmError::Sealed.into());
            }
            Splits::prepare(self, state, &range)?.apply(state);
            Ok(Change::unmap(state, range, None))
        })
    }

    /// Begins to remove everything, sealed mappings too. For a process that ends.
    ///
    /// # Errors
    /// `Refusal::Changing`; `Closed` if it was begun before.
    pub fn teardown(&self) -> Result<Change<M>, Refusal> {
        self.exclusive(|state| {
            state.at_rest()?;
            state.closed = true;
            Ok(Change::unmap(state, PageRange::whole(), None))
        })
    }
}
