//! `clone`: a second address space with the same mappings and contents.
//!
//! Owns: the copying of mappings and leaves. Private frames get one more owner and become read-only
//! on both sides, so that whoever stores first takes a copy; leaves of objects' frames are copied
//! as they are. Refuses to know: processes. The invariant that others rely on: when a clone is done
//! no TLB holds a leaf that could still be stored through, and when it fails, the parent is as it
//! was but for permissions that its next stores get back.

use super::Progress;
use super::leaves::{self, Copied};
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::error::{Refusal, VmError};
use crate::flush::flush_space;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::page_table::{Descriptor, Ownership};
use vellum_abi::Policy;

/// A clone under way. It must be run until it is done or has failed.
#[must_use = "the parent stays marked until the clone is done"]
pub struct Cloning {
    cursor: Page,
}

impl<M: Machine> AddressSpace<M> {
    /// Begins to clone: nothing else changes the address space until that is done.
    ///
    /// # Errors
    /// `Refusal::Changing`; `Closed`.
    pub fn clone_space(&self) -> Result<Cloning, Refusal> {
        self.begin_change(|state| {
            state.changing = Some(PageRange::whole());
            Ok(Cloning { cursor: PageRange::whole().start() })
        })
    }
}

impl Cloning {
    /// Copies until everything is copied or something waits. `child` was empty at the start, and
    /// nobody else reaches it.
    ///
    /// # Errors
    /// `OutOfFrames`, `OutOfKernelMemory`, `LimitReached`: the parent is at rest again, and the
    /// child has a part of it, to be taken down.
    pub fn run<M: Machine>(
        &mut self,
        parent: &AddressSpace<M>,
        child: &AddressSpace<M>,
    ) -> Result<Progress, VmError> {
        loop {
            let step = self.step(parent, child);
            if !matches!(step, Ok(false)) {
                finish(parent, child);
                return step.map(|_| Progress::Done);
            }
            if parent.machine.should_pause() {
                return Ok(Progress::Paused);
            }
        }
    }

    /// Copies one mapping's leaves of at most one table. Returns whether all is copied.
    fn step<M: Machine>(
        &mut self,
        parent: &AddressSpace<M>,
        child: &AddressSpace<M>,
    ) -> Result<bool, VmError> {
        self.copy_own(parent, child)?;
        let copied = parent.exclusive(|state| {
            let Some(mapping) = state.mappings.at_or_above(self.cursor) else {
                return Ok(None);
            };
            let start = self.cursor.max(mapping.range.start());
            copy_mapping(child, mapping, start)?;
            // A reference page of the mapping's own is not the one that the clone has.
            let own = mapping.policy == Policy::InMapping;
            let is_copied = |leaf: Descriptor| !own || leaf.ownership() == Ownership::Private;
            let part = PageRange::between(start, mapping.range.end());
            part.map(|part| leaves::copy(parent, child, &part, is_copied)).transpose()
        })?;
        match copied {
            None => return Ok(true),
            Some(Copied::UpTo(page)) => self.cursor = page,
            // Tables are filled without the lock.
            Some(Copied::LacksTables(page)) => {
                child.leaf_slot(page)?;
                self.cursor = page;
            }
        }
        Ok(false)
    }
}

impl Cloning {
    /// Gives the child the mapping at the cursor if that has a reference page of its own, with a copy
    /// of the page: a fill, and so done without the lock. The parent is marked, so that nothing
    /// comes between.
    fn copy_own<M: Machine>(
        &self,
        parent: &AddressSpace<M>,
        child: &AddressSpace<M>,
    ) -> Result<(), VmError> {
        let state = parent.shared();
        let mapping = state.mappings.at_or_above(self.cursor);
        let Some(mapping) = mapping.filter(|mapping| mapping.policy == Policy::InMapping).cloned()
        else {
            return Ok(());
        };
        drop(state);
        let start = self.cursor.max(mapping.range.start());
        if child.shared().mappings.find(start).is_some() {
            return Ok(());
        }
        let copy = mapping.duplicate_for_clone(&child.machine, &child.account, &child.counters)?;
        let node = child.node(|| copy)?;
        child.exclusive(|state| state.mappings.insert(node));
        Ok(())
    }
}

/// Gives the child the mapping that the parent has at a page, unless it has it already.
fn copy_mapping<M: Machine>(
    child: &AddressSpace<M>,
    mapping: &Mapping<M>,
    page: Page,
) -> Result<(), VmError> {
    if child.shared().mappings.find(page).is_some() {
        return Ok(());
    }
    let node = child.node(|| mapping.clone())?;
    child.exclusive(|state| state.mappings.insert(node));
    Ok(())
}

/// Removes what TLBs still know of the parent's writable leaves, and gives it free.
fn finish<M: Machine>(parent: &AddressSpace<M>, child: &AddressSpace<M>) {
    // One invalidation for all leaves: the child has not run, so nobody can have seen a store to
    // a frame that both have. Its barriers also order the child's leaves before its first walk.
    flush_space(parent);
    parent.exclusive(|state| state.changing = None);
    debug_assert!(child.is_at_rest(), "nobody changes an address space that is being made");
}
