//! `remap`: makes a mapping, or part of one, larger or smaller, and moves it.
//!
//! Owns: what is allowed, and whether and where pages move; `docs/remap.md` says it as a table.
//! Refuses to know: how they move (`relocation`, `carry`).

use super::at_once::move_at_once;
use super::change::Change;
use super::populate::Touch;
use super::relocation::{Journey, Relocation};
use super::route::TABLE_PAGES;
use super::split::{Splits, merge_at};
use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::error::{Refusal, VmError};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::mappings::ROOM;
use crate::page_table::Sharing;
use vellum_abi::{PAGE_SIZE, RemapFlags};

/// What `remap` asks for, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct RemapRequest {
    /// Where the pages are.
    pub old: u64,
    /// How many bytes they are: part of one mapping.
    pub old_length: u64,
    /// How many bytes they are to be.
    pub new_length: u64,
    /// Whether and how they may move.
    pub flags: RemapFlags,
    /// Where they go, with FIXED.
    pub new: u64,
}

/// A request whose numbers are ranges.
struct Plan {
    old: PageRange,
    pages: u64,
    flags: RemapFlags,
    target: Option<PageRange>,
}

/// The address that `remap` answers, and the change to run first.
type Begun<M> = (u64, Option<Change<M>>);

impl RemapRequest {
    /// Checks what can be checked without the address space.
    fn plan(&self) -> Result<Plan, VmError> {
        let moves = self.flags.contains(RemapFlags::MAYMOVE);
        let fixed = self.flags.contains(RemapFlags::FIXED);
        if !moves && (fixed || self.flags.contains(RemapFlags::RETAIN)) {
            return Err(VmError::InvalidFlags);
        }
        let old = PageRange::new(self.old, self.old_length)?;
        if !self.new_length.is_multiple_of(PAGE_SIZE) {
            return Err(VmError::Misaligned);
        }
        let pages = self.new_length / PAGE_SIZE;
        if pages == 0 {
            return Err(VmError::InvalidSize);
        }
        if pages > PageRange::whole().pages() {
            return Err(VmError::OutOfRange);
        }
        let target = if fixed { Some(PageRange::new(self.new, self.new_length)?) } else { None };
        if target.is_some_and(|target| target.overlaps(&old)) {
            return Err(VmError::Overlap);
        }
        Ok(Plan { old, pages, flags: self.flags, target })
    }
}

impl Plan {
    fn retains(&self) -> bool {
        self.flags.contains(RemapFlags::RETAIN)
    }

    fn grows(&self) -> bool {
        self.pages > self.old.pages()
    }

    /// Finds the mapping that the old range is part of, and refuses what its kind does not allow.
    fn source<'a, M: Machine>(&self, state: &'a State<M>) -> Result<&'a Mapping<M>, VmError> {
        let mapping = state.mappings.find(self.old.start()).ok_or(VmError::NotMapped)?;
        if mapping.range.end() < self.old.end() {
            let covered = state.mappings.covers(&self.old);
            return Err(if covered { VmError::SeveralMappings } else { VmError::NotMapped });
        }
        if mapping.sealed {
            return Err(VmError::Sealed);
        }
        if self.retains() && !mapping.may_retain() {
            return Err(VmError::NotPermitted);
        }
        if mapping.object.is_device() && self.grows() {
            return Err(VmError::InvalidSize);
        }
        if mapping.object.is_device() && self.target.is_some() {
            return Err(VmError::NotPermitted);
        }
        let first = mapping.object_page(self.old.start());
        // Every page has an offset in bytes, as `map` sees to.
        let size = mapping.object.pages().unwrap_or(u64::MAX / PAGE_SIZE);
        if self.grows() && first + self.pages > size {
            return Err(VmError::BeyondEnd);
        }
        Ok(mapping)
    }

    /// Returns the range of the new length at the old address, if that is all it takes: it is not
    /// to move, and what would be added is free.
    fn in_place<M: Machine>(&self, state: &State<M>) -> Option<PageRange> {
        if self.target.is_some() || self.retains() {
            return None;
        }
        let start = self.old.start();
        let room = PageRange::whole().end().number() - start.number();
        let range = (self.pages <= room).then(|| start.add(self.pages));
        let range = PageRange::between(start, range?)?;
        let added = PageRange::between(self.old.end(), range.end());
        added.is_none_or(|added| state.mappings.is_free(&added)).then_some(range)
    }

    /// Chooses the destination. Where tables could move whole, it lies as the source does in
    /// their spans.
    fn place<M: Machine>(&self, state: &State<M>) -> Result<PageRange, VmError> {
        if let Some(target) = self.target {
            let sealed = state.mappings.facts(&target).any_sealed();
            return if sealed { Err(VmError::Sealed) } else { Ok(target) };
        }
        if !self.flags.contains(RemapFlags::MAYMOVE) {
            return Err(VmError::OutOfAddresses);
        }
        let gap = |pages| state.mappings.find_gap(ROOM, pages);
        let lowest = gap(self.pages).ok_or(VmError::OutOfAddresses)?;
        if self.pages < TABLE_PAGES || self.shift(lowest.start()) == 0 {
            return Ok(lowest);
        }
        let wide = gap(self.pages + TABLE_PAGES - 1).and_then(|wide| {
            let start = wide.start().add(self.shift(wide.start()));
            PageRange::between(start, start.add(self.pages))
        });
        Ok(wide.unwrap_or(lowest))
    }

    /// Returns how far a page is below the next one that lies as the source does in its table.
    fn shift(&self, page: Page) -> u64 {
        self.old.start().number().wrapping_sub(page.number()) % TABLE_PAGES
    }

    /// Says what moves. Pages of a shared mapping that stays are the object's in both places.
    fn journey(&self, sharing: Sharing, new: PageRange) -> Journey {
        let stays = self.retains() && sharing == Sharing::Shared;
        let end = self.old.start().add(self.pages.min(self.old.pages()));
        let carried = PageRange::between(self.old.start(), end).filter(|_| !stays);
        Journey { old: self.old, carried, new, retains: self.retains() }
    }
}

impl<M: Machine> AddressSpace<M> {
    /// Begins to make a mapping, or part of one, larger or smaller and to move it. Returns the
    /// address, and the change to run first, which may yet fail for want of tables.
    ///
    /// # Errors
    /// `InvalidFlags`, `Misaligned`, `InvalidSize`, `OutOfRange`, `Overlap` of the two ranges,
    /// `NotMapped`, `SeveralMappings`, `Sealed`, `NotPermitted`, `BeyondEnd`, `OutOfAddresses`,
    /// `OutOfKernelMemory`, `LimitReached`.
    pub fn remap(&self, request: &RemapRequest) -> Result<Begun<M>, Refusal> {
        let plan = request.plan()?;
        self.begin_change(|state| {
            let mapping = plan.source(state)?;
            if let Some(range) = plan.in_place(state) {
                return Ok(self.resize(state, &plan.old, range)?);
            }
            let new = plan.place(state)?;
            let whole = mapping.range == plan.old && new.pages() == plan.old.pages();
            if whole && !plan.retains() && move_at_once(self, state, plan.old, new) {
                return Ok((new.start().address(), None));
            }
            let mapping = plan.source(state)?;
            let journey = plan.journey(mapping.sharing, new);
            let relocation = Relocation::prepare(self, state, mapping, journey)?;
            Ok((new.start().address(), Change::relocate(self, state, relocation)))
        })
    }

    /// Lets a part of a mapping end elsewhere.
    fn resize(
        &self,
        state: &mut State<M>,
        old: &PageRange,
        range: PageRange,
    ) -> Result<Begun<M>, VmError> {
        let address = range.start().address();
        if let Some(tail) = PageRange::between(range.end(), old.end()) {
            Splits::prepare(self, state, &tail)?.apply(state);
            return Ok((address, Some(Change::unmap(state, tail, None))));
        }
        let Some(added) = PageRange::between(old.end(), range.end()) else {
            return Ok((address, None));
        };
        let mut touch = None;
        if let Some(mut node) = state.mappings.remove(range.start()) {
            node.mapping_mut().extend(range.end());
            touch = Touch::growth(node.mapping());
            state.mappings.insert(node);
            merge_at(self, state, range.end());
        }
        Ok((address, touch.map(|touch| Change::populate(state, added, touch))))
    }
}
