//! `unmap`: takes a range out of an address space.

use super::change::Change;
use super::split::{Splits, cut_off};
use crate::addr::PageRange;
use crate::address_space::{AddressSpace, State};
use crate::error::{Refusal, VmError};
use crate::machine::Machine;
use crate::mappings::{Beside, OwnedNode};

impl<M: Machine> AddressSpace<M> {
    /// Removes every mapping, or part of one, in a range: what is a step's work at once. Returns
    /// the rest. Holes are allowed; a range without any mapping is a mistake.
    ///
    /// # Errors
    /// `NotMapped`, `Sealed`, `OutOfKernelMemory`, `LimitReached`.
    pub fn unmap(&self, range: PageRange) -> Result<Option<Change<M>>, Refusal> {
        // A removed mapping may be its object's last: it is dropped behind the lock.
        let mut removed = None;
        let begun = self.begin_change(|state| match state.mappings.at(range.start()) {
            Some((mapping, beside)) if range.is_within(&mapping.range) => {
                if mapping.sealed {
                    return Err(VmError::Sealed.into());
                }
                let whole = mapping.range;
                Ok(self.unmap_within(state, range, whole, beside, &mut removed)?)
            }
            _ => Ok(Some(self.unmap_several(state, range)?)),
        });
        if let Some(node) = removed {
            self.recycle(node);
        }
        begun
    }

    /// Removes a range that lies within the mapping of `whole`.
    #[inline]
    fn unmap_within(
        &self,
        state: &mut State<M>,
        range: PageRange,
        whole: PageRange,
        mut beside: Beside,
        removed: &mut Option<OwnedNode<M>>,
    ) -> Result<Option<Change<M>>, VmError> {
        let is_cut_off = cut_off(state, &whole, &range, beside.high);
        if !is_cut_off && range != whole {
            Splits::prepare(self, state, &range)?.apply(state);
        }
        // What is left of the mapping.
        if whole.start() < range.start() {
            beside.low = range.start();
        }
        if range.end() < whole.end() {
            beside.high = range.end();
        }
        Ok(Change::remove(self, state, range, beside, is_cut_off, removed))
    }

    /// Begins to remove a range that one mapping does not cover.
    fn unmap_several(&self, state: &mut State<M>, range: PageRange) -> Result<Change<M>, VmError> {
        if state.mappings.is_free(&range) {
            return Err(VmError::NotMapped);
        }
        if state.mappings.facts(&range).any_sealed() {
            return Err(VmError::Sealed);
        }
        Splits::prepare(self, state, &range)?.apply(state);
        Ok(Change::unmap(state, range, None))
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
