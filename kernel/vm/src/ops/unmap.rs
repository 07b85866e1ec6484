//! `unmap`: takes a range out of an address space.

use super::change::Change;
use super::split::{Splits, cut_off};
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
        self.begin_change(|state| {
            let first = state.mappings.at_or_above(range.start());
            let first = first.filter(|first| first.range.start() < range.end());
            let first = first.ok_or(VmError::NotMapped)?;
            let sealed = if range.is_within(&first.range) {
                first.sealed
            } else {
                state.mappings.facts(&range).any_sealed()
            };
            if sealed {
                return Err(VmError::Sealed.into());
            }
            if cut_off(state, &range) {
                return Ok(Change::remove(state, range));
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
        self.begin_change(|state| {
            state.closed = true;
            Ok(Change::unmap(state, PageRange::whole(), None))
        })
    }
}
