//! `query`: tells what is mapped.
//!
//! Owns: the names of what is found. Refuses to name what is not: pages that a long operation has in
//! hand may be anywhere between two states, so whoever asks about them waits for its end, as a fault
//! does; a leaf between break and make is looked at again.

use crate::addr::{Page, PageRange, UserPointer};
use crate::address_space::AddressSpace;
use crate::decide::Leaf;
use crate::error::{Refusal, VmError};
use crate::machine::Machine;
use crate::mapping::MappingKind;
use crate::page_table::{self, Ownership, Sharing};
use vellum_abi::{MapFlags, MappingInfo, PAGE_SIZE, PageState, Protection};

impl<M: Machine> AddressSpace<M> {
    /// Returns the mapping that covers a page, or the first above it, and that page's state.
    ///
    /// # Errors
    /// `NotMapped`; `Refusal::Changing` while a long operation changes anything from the page up to
    /// the mapping's end.
    pub fn query(&self, page: Page) -> Result<MappingInfo, Refusal> {
        let state = self.shared();
        let found = state.mappings.at_or_above(page);
        let end = found.map_or(PageRange::whole().end(), |mapping| mapping.range.end());
        if PageRange::between(page, end).is_some_and(|range| state.changes(&range)) {
            return Err(Refusal::Changing);
        }
        let mapping = found.ok_or(VmError::NotMapped)?;
        let (kind, detail) = mapping.object.kind();
        let shared = mapping.sharing == Sharing::Shared;
        let guard = mapping.kind == MappingKind::Guard;
        let flags = if shared { MapFlags::SHARED } else { MapFlags::NONE }
            | if mapping.sealed { MapFlags::SEALED } else { MapFlags::NONE }
            | if guard { MapFlags::GUARD } else { MapFlags::NONE };
        let writes = mapping.protection.contains(Protection::WRITE);
        let implied = if writes { Protection::READ } else { Protection::NONE };
        Ok(MappingInfo {
            start: mapping.range.start().address(),
            length: mapping.range.pages() * PAGE_SIZE,
            protection: (mapping.protection | implied).bits(),
            flags: flags.bits(),
            policy: mapping.policy as u64,
            offset: mapping.offset * PAGE_SIZE,
            kind: kind as u64,
            detail,
            page: self.page_state(page.max(mapping.range.start())) as u64,
        })
    }

    /// Returns what a shared mapping shows at an address: the object, as a number to compare, and the byte
    /// in it. `None` where no shared mapping is.
    #[must_use]
    pub fn shared_place(&self, pointer: UserPointer) -> Option<(usize, u64)> {
        let page = pointer.page()?;
        let state = self.shared();
        let mapping = state.mappings.find(page).filter(|found| found.sharing == Sharing::Shared)?;
        let before = pointer.untagged() - mapping.range.start().address();
        let object = core::ptr::from_ref(&*mapping.object).addr();
        Some((object, mapping.offset * PAGE_SIZE + before))
    }

    /// Writes the state of each page of a wholly mapped range, as a [`PageState`] number. `states`
    /// has a byte for each page.
    ///
    /// # Errors
    /// `NotMapped`; `Refusal::Changing` while a long operation changes a page of the range.
    pub fn query_pages(&self, range: &PageRange, states: &mut [u8]) -> Result<(), Refusal> {
        let state = self.shared();
        if state.changes(range) {
            return Err(Refusal::Changing);
        }
        if !state.mappings.covers(range) {
            return Err(VmError::NotMapped.into());
        }
        for (number, byte) in (0..range.pages()).zip(states) {
            *byte = self.page_state(range.start().add(number)) as u8;
        }
        Ok(())
    }

    /// Returns the state of a page that no long operation has in hand. The lock is held.
    fn page_state(&self, page: Page) -> PageState {
        loop {
            let leaf = page_table::translation(&self.machine, self.root, page);
            return match Leaf::of(&self.machine, leaf) {
                // A fault of another CPU, which shares the lock, is about to make the leaf.
                Leaf::Busy => continue,
                Leaf::Empty => PageState::Untouched,
                Leaf::Valid { ownership: Ownership::Private, .. } => PageState::Private,
                Leaf::Valid { ownership: Ownership::ReadShared, .. } => PageState::ReadShared,
                Leaf::Valid { ownership: Ownership::Object, .. } => PageState::Object,
            };
        }
    }
}
