//! What the sweeps of a move do in one step.
//!
//! Owns: the parts of a change that only `remap` has. Refuses to know: the order of the sweeps
//! (`relocation`).

use super::change::Change;
use super::populate::Touch;
use super::relocation::Relocation;
use super::{carry, removal};
use crate::addr::PageRange;
use crate::address_space::{AddressSpace, State};
use crate::error::VmError;
use crate::machine::Machine;
use crate::mappings::OwnedNode;

/// Source tables, or gaps between them, that one step takes the destination's tables for.
const COUNTED: u32 = 16;

impl<M: Machine> Change<M> {
    /// Takes the tables that some source tables need, without a lock.
    pub(super) fn reserve(&mut self, space: &AddressSpace<M>) -> Result<(), VmError> {
        let Some(relocation) = &mut self.relocation else { return Ok(()) };
        let route = relocation.journey().route();
        for _ in 0..COUNTED {
            let Some(rest) = PageRange::between(self.cursor, self.range.end()) else { break };
            let state = space.shared();
            let need = relocation.reserve.count(space, &rest, route);
            drop(state);
            self.cursor = need.next;
            for _ in 0..need.tables {
                relocation.reserve.add(space)?;
            }
        }
        Ok(())
    }

    /// Ends a change that could not reserve what it needs.
    #[cold]
    pub(super) fn fail(&mut self, space: &AddressSpace<M>, error: VmError) {
        if let Some(relocation) = self.relocation.take() {
            Relocation::abandon(relocation, space);
        }
        self.failure = Some(error);
        space.exclusive(State::rest);
    }

    /// Moves pages of the source, whose mapping is `whole`.
    pub(super) fn carry(
        &mut self,
        space: &AddressSpace<M>,
        state: &mut State<M>,
        whole: &PageRange,
        part: &PageRange,
        removed: &mut Option<OwnedNode<M>>,
    ) {
        let Some(relocation) = &mut self.relocation else { return };
        let journey = *relocation.journey();
        self.cursor = carry::carry(space, &mut relocation.reserve, part, journey.route());
        if !journey.retains {
            let beside = state.mappings.beside(whole);
            removal::release_tables(space, whole, beside, part.start(), self.cursor);
            if self.cursor == whole.end() {
                *removed = state.mappings.remove(part.start());
            }
        }
    }

    /// Goes on with the pages that a move has added, if they are to be made present.
    pub(super) fn populate_added(&mut self, state: &mut State<M>, added: PageRange) -> bool {
        let Some(touch) = state.mappings.find(added.start()).and_then(Touch::growth) else {
            return false;
        };
        *self = Change::populate(state, added, touch);
        true
    }
}
