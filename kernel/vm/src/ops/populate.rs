//! Populating: makes pages present before they are touched.
//!
//! Owns: which access stands for the program's and what is done when frames run out. Refuses to
//! know: how a page is made present; that is the fault handler's, and what it counts it counts here
//! too. The range is marked *changing*, so that nobody takes a page away again meanwhile.

use super::change::Change;
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::counters::Counter;
use crate::decide::allows;
use crate::error::{Refusal, VmError};
use crate::hint::NoScene;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::task::{Attempt, Effort, Manner, Origin};
use vellum_abi::{ExitKind, FaultAccess, Policy, Protection};

/// Pages of one step: each may be a copy of a page with its tags.
const STEP: usize = 8;

/// What is done to each page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) access: FaultAccess,
    pub(super) goal: Goal,
}

/// What the pages are made present for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// `advise`: what is present when frames run out stays.
    Advice,
    /// `map` under the eager policy: when frames run out the mapping goes again.
    Mapping,
    /// `remap` of an eager mapping that grew: when frames run out the rest comes when it is touched,
    /// as the pages that were there have moved by then.
    Growth,
}

impl Touch {
    /// Returns how an eager mapping of this protection is populated; `None` if nothing may ever be
    /// accessed in it.
    pub(super) fn eager(protection: Protection, goal: Goal) -> Option<Touch> {
        [FaultAccess::Read, FaultAccess::Execute]
            .into_iter()
            .find(|access| allows(protection, *access))
            .map(|access| Touch { access, goal })
    }

    /// Returns how pages that are added to a mapping are populated, if its policy is eager.
    pub(super) fn growth<M: Machine>(mapping: &Mapping<M>) -> Option<Touch> {
        let eager = mapping.policy == Policy::Eager;
        if eager { Touch::eager(mapping.protection, Goal::Growth) } else { None }
    }

    /// Touches some pages from `page` on. Returns the first that was not.
    pub(super) fn some<M: Machine>(
        self,
        space: &AddressSpace<M>,
        page: Page,
        end: Page,
    ) -> Result<Page, VmError> {
        let mut page = page;
        for _ in 0..STEP {
            if page >= end {
                break;
            }
            space.make_present(page, self.access)?;
            page = page.add(1);
        }
        Ok(page)
    }
}

impl<M: Machine> AddressSpace<M> {
    /// Begins to do to each page of a wholly mapped range what a load or a store would do.
    ///
    /// If a frame, a table, the account's limit or a page that a pager has to supply is missing half
    /// way, the change ends there with a [`Change::failure`], and the pages before stay present.
    ///
    /// # Errors
    /// `NotMapped`; `MissingRight` if a mapping in the range does not allow the access.
    pub fn populate(&self, range: PageRange, access: FaultAccess) -> Result<Change<M>, Refusal> {
        self.begin_change(|state| {
            if !state.mappings.covers(&range) {
                return Err(VmError::NotMapped.into());
            }
            if !state.mappings.facts(&range).all_serve(access) {
                return Err(VmError::MissingRight.into());
            }
            Ok(Change::populate(state, range, Touch { access, goal: Goal::Advice }))
        })
    }

    fn make_present(&self, page: Page, access: FaultAccess) -> Result<(), VmError> {
        let mut effort = Effort::Tables;
        loop {
            match self.attempt(page, access, Manner { origin: Origin::Change, effort }, &NoScene) {
                Ok(Attempt::Present) => return Ok(()),
                Ok(Attempt::Done) => {
                    self.counters.add(Counter::Populated, 1);
                    return Ok(());
                }
                // Nobody else has the page in hand: the mark is this operation's.
                Ok(Attempt::Again | Attempt::Changing) => {}
                // A pager may need what this operation has in hand: it is not asked from here.
                Ok(Attempt::Absent) => return Err(VmError::PageAbsent),
                Ok(Attempt::Less | Attempt::Long) => effort = Effort::Page,
                Err(ExitKind::NotMapped) => return Err(VmError::NotMapped),
                Err(kind) => return Err(VmError::of_access(kind)),
            }
        }
    }
}
