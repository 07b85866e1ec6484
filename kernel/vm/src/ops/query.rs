//! `query`: tells what is mapped.

use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::decide::Leaf;
use crate::error::VmError;
use crate::machine::Machine;
use crate::mapping::MappingKind;
use crate::page_table::{self, Ownership, Sharing};
use vellum_abi::{MapFlags, MappingInfo, PAGE_SIZE, PageState, Protection};

impl<M: Machine> AddressSpace<M> {
    /// Returns the mapping that covers a page, or the first above it, and that page's state.
    #[must_use]
    pub fn query(&self, page: Page) -> Option<MappingInfo> {
        let state = self.shared();
        let mapping = state.mappings.at_or_above(page)?;
        let (kind, detail) = mapping.object.kind();
        let shared = mapping.sharing == Sharing::Shared;
        let guard = mapping.kind == MappingKind::Guard;
        let flags = if shared { MapFlags::SHARED } else { MapFlags::NONE }
            | if mapping.sealed { MapFlags::SEALED } else { MapFlags::NONE }
            | if guard { MapFlags::GUARD } else { MapFlags::NONE };
        let writes = mapping.protection.contains(Protection::WRITE);
        let implied = if writes { Protection::READ } else { Protection::NONE };
        Some(MappingInfo {
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

    /// Writes the state of each page of a wholly mapped range, as a [`PageState`] number. `states`
    /// has a byte for each page.
    ///
    /// # Errors
    /// `NotMapped`.
    pub fn query_pages(&self, range: &PageRange, states: &mut [u8]) -> Result<(), VmError> {
        let state = self.shared();
        if !state.mappings.covers(range) {
            return Err(VmError::NotMapped);
        }
        for (number, byte) in (0..range.pages()).zip(states) {
            *byte = self.page_state(range.start().add(number)) as u8;
        }
        Ok(())
    }

    fn page_state(&self, page: Page) -> PageState {
        let leaf = page_table::translation(&self.machine, self.root, page);
        match Leaf::of(&self.machine, leaf) {
            Leaf::Empty | Leaf::Busy => PageState::Untouched,
            Leaf::Valid { ownership: Ownership::Private, .. } => PageState::Private,
            Leaf::Valid { ownership: Ownership::ReadShared, .. } => PageState::ReadShared,
            Leaf::Valid { ownership: Ownership::Object, .. } => PageState::Object,
        }
    }
}
