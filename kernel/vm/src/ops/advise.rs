//! `advise`: gives the private frames of a range back.

use super::change::Change;
use crate::addr::PageRange;
use crate::address_space::AddressSpace;
use crate::error::{Refusal, VmError};
use crate::machine::Machine;

impl<M: Machine> AddressSpace<M> {
    /// Begins to give every private frame of a wholly mapped range back: the pages read as their
    /// object again. Pages of a shared mapping stay, as they are not the process's own.
    ///
    /// # Errors
    /// `NotMapped`, `Sealed`.
    pub fn decommit(&self, range: PageRange) -> Result<Change<M>, Refusal> {
        self.begin_change(|state| {
            if !state.mappings.covers(&range) {
                return Err(VmError::NotMapped.into());
            }
            if state.mappings.facts(&range).any_sealed() {
                return Err(VmError::Sealed.into());
            }
            Ok(Change::decommit(state, range))
        })
    }
}
