//! `protect`: changes what mapped pages allow.

use super::change::Change;
use super::map::check_protection;
use super::split::Splits;
use crate::addr::PageRange;
use crate::address_space::{AddressSpace, State};
use crate::error::{Refusal, VmError};
use crate::machine::Machine;
use vellum_abi::Protection;

impl<M: Machine> AddressSpace<M> {
    /// Begins to give every page of a wholly mapped range another protection.
    ///
    /// Private pages that become Tagged memory get tag zero throughout, as their frames were filled
    /// without tags; pages that show an object show the object's tags.
    ///
    /// # Errors
    /// In this order, each looked for in the whole range: `WriteAndExecute`, `TagsUnsupported` by the
    /// machine, `NotMapped`, `Sealed`, `SharedWritable`, `TagsUnsupported` by an object,
    /// `MissingRight`; `OutOfKernelMemory`, `LimitReached`.
    pub fn protect(&self, range: PageRange, protection: Protection) -> Result<Change<M>, Refusal> {
        check_protection(&self.machine, protection)?;
        self.begin_change(|state| {
            check_mappings(state, &range, protection)?;
            Splits::prepare(self, state, &range)?.apply(state);
            Ok(Change::protect(state, range, protection))
        })
    }
}

fn check_mappings<M: Machine>(
    state: &State<M>,
    range: &PageRange,
    protection: Protection,
) -> Result<(), VmError> {
    if !state.mappings.covers(range) {
        return Err(VmError::NotMapped);
    }
    let facts = state.mappings.facts(range);
    if facts.any_sealed() {
        return Err(VmError::Sealed);
    }
    if protection.contains(Protection::WRITE) && facts.any_shared_read_only() {
        return Err(VmError::SharedWritable);
    }
    if protection.contains(Protection::TAGGED) && facts.any_undefined_tags() {
        return Err(VmError::TagsUnsupported);
    }
    if facts.all_allow(protection) { Ok(()) } else { Err(VmError::MissingRight) }
}
