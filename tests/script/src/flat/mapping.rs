//! What `map` does: what it refuses, where a mapping goes and which object it shows.

use super::memory::allows;
use super::space::Page;
use super::{Contents, Flat, FlatSpace, KERNEL, Kind, Object, ObjectId, Sharing, State};
use crate::word::Style;
use core::ops::Range;
use vellum_abi::{Error, FaultAccess, MapFlags, PAGE_SIZE, Policy, Protection, Switches};

/// What `map` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlatMap {
    pub object: ObjectId,
    pub address: u64,
    pub length: u64,
    pub offset: u64,
    pub protection: Protection,
    /// What the handle allows.
    pub rights: Protection,
    /// What the mapping may ever allow.
    pub maximum: Protection,
    pub flags: MapFlags,
    pub style: Style,
}

impl FlatMap {
    fn sharing(&self) -> Sharing {
        let shared = self.flags.contains(MapFlags::SHARED);
        if shared { Sharing::Shared } else { Sharing::Private }
    }
}

/// How the pages of a mapping come to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    pub policy: Policy,
    pub switches: Switches,
    pub around: u8,
}

impl Manner {
    /// Returns whether clean pages of a private mapping show a frame that others see too.
    pub fn shares_frames(self) -> bool {
        !matches!(self.policy, Policy::Eager | Policy::PatternOnAnyFault)
    }

    /// Returns whether private pages are copies even where a fill would do.
    pub fn always_copies(self) -> bool {
        matches!(self.policy, Policy::InMapping | Policy::Object | Policy::Wrap)
    }

    pub fn has(self, either: Switches) -> bool {
        self.switches.intersection(either) != Switches::NONE
    }
}

/// Switches that let reads go by spans.
const SPANS: Switches = Switches::SHARED_TABLES.union(Switches::HUGE);
/// The others.
pub(super) const PLAIN: Switches =
    Switches::BATCH.union(Switches::TAG_AWARE).union(Switches::ATOMIC_AWARE);
/// Where mappings without a wish begin.
const BASE: u64 = 0x10_0000_0000 / PAGE_SIZE;

impl Flat {
    /// Maps. Returns the first page.
    ///
    /// # Errors
    /// Those of the call, in its order.
    pub fn map(&mut self, space: usize, request: &FlatMap) -> Result<u64, Error> {
        let (pages, offset) = (request.length / PAGE_SIZE, request.offset / PAGE_SIZE);
        check(request, &self.objects[&request.object], self.tags)?;
        if request.style.tag.is_some_and(|tag| tag != 0) && !self.tags {
            return Err(Error::TagsUnsupported);
        }
        let first = self.spaces[space].place(request)?;
        if self.spaces[space].is_sealed(first..first + pages) {
            return Err(Error::Sealed);
        }
        let object = self.shown(space, request);
        let alike = self.objects[&object].is_alike();
        self.spaces[space].clear(first..first + pages);
        let Style { policy, switches, around, .. } = request.style;
        for number in 0..pages {
            let page = Page {
                object,
                index: if alike { 0 } else { offset + number },
                protection: request.protection,
                maximum: request.maximum,
                sharing: request.sharing(),
                sealed: request.flags.contains(MapFlags::SEALED),
                manner: Manner { policy, switches, around },
                seam: false,
                state: State::Clean,
            };
            self.spaces[space].pages.insert(first + number, page);
        }
        self.populate_eager(space, first..first + pages);
        Ok(first)
    }

    /// Populates pages that a mapping has gained, if its policy is to, as far as it allows an access.
    pub(super) fn populate_eager(&mut self, space: usize, range: Range<u64>) {
        let Some(page) = self.spaces[space].pages.get(&range.start) else { return };
        if page.manner.policy == Policy::Eager && !range.is_empty() {
            let (protection, mut possible) =
                (page.protection, [FaultAccess::Read, FaultAccess::Execute].into_iter());
            if let Some(access) = possible.find(|access| allows(protection, *access)) {
                self.make_present(space, range, access);
            }
        }
    }

    /// Finds or makes what a mapping shows.
    fn shown(&mut self, space: usize, request: &FlatMap) -> ObjectId {
        let mut shown = request.object;
        if let Some(tag) = request.style.tag.filter(|tag| *tag != 0) {
            // The tables and blocks of the kernel's page would be at everybody's expense.
            let own = request.style.switches.intersection(SPANS) != Switches::NONE;
            let (payer, hint) = if own { (space, None) } else { (KERNEL, Some(tag)) };
            let mut all = self.objects.iter();
            let there = all.find(|(_, object)| !own && object.hint == hint).map(|(id, _)| *id);
            shown = there.unwrap_or_else(|| {
                self.created(space);
                let contents = Contents::uniform(0, tag);
                let content = contents.classify();
                let kind = Kind::Reference(contents, content);
                self.add(Object { kind, handle: false, payer, home: None, hint })
            });
        }
        if request.style.policy == Policy::InMapping {
            shown = self.duplicate(space, shown);
        }
        shown
    }

    /// Makes another reference object of the same contents, for a mapping of its own.
    pub(super) fn duplicate(&mut self, space: usize, id: ObjectId) -> ObjectId {
        self.created(space);
        let kind = self.objects[&id].kind.clone();
        self.add(Object { kind, handle: false, payer: space, home: None, hint: None })
    }

    /// Gives each mapping of a clone that has a reference page of its own another one.
    pub(super) fn duplicate_own(&mut self, space: usize) {
        for run in self.spaces[space].runs(self) {
            let first = &self.spaces[space].pages[&run.start];
            if first.manner.policy == Policy::InMapping {
                let own = self.duplicate(space, first.object);
                let pages = self.spaces[space].pages.range_mut(run);
                pages.for_each(|(_, page)| page.object = own);
            }
        }
    }

    /// Populates a range.
    ///
    /// # Errors
    /// `NotMapped`, `MissingRight`.
    pub fn populate(
        &mut self,
        space: usize,
        range: Range<u64>,
        access: FaultAccess,
    ) -> Result<(), Error> {
        if !self.spaces[space].covers(range.clone()) {
            return Err(Error::NotMapped);
        }
        let mut pages = self.spaces[space].pages.range(range.clone());
        if pages.any(|(_, page)| !allows(page.protection, access)) {
            return Err(Error::MissingRight);
        }
        self.make_present(space, range, access);
        Ok(())
    }

    /// Touches each page, and counts those that were not present.
    fn make_present(&mut self, space: usize, range: Range<u64>, access: FaultAccess) {
        let before = core::mem::replace(&mut self.is_changing, true);
        for number in range {
            let touched = self.touch(space, number, access);
            let present = touched.expect("the protection was looked at");
            self.spaces[space].stat.pages_populated += u64::from(present.is_new);
        }
        self.is_changing = before;
    }

    /// Checks what `promote` checks. No window has room for a block.
    ///
    /// # Errors
    /// `NotMapped`, `WrongPolicy`, `NotPermitted`.
    pub fn promote(&self, space: usize, range: Range<u64>) -> Result<(), Error> {
        let flat = &self.spaces[space];
        if !flat.covers(range.clone()) {
            return Err(Error::NotMapped);
        }
        // One reason after the other, each of the whole range.
        if flat.pages.range(range.clone()).any(|(_, page)| !page.manner.has(Switches::HUGE)) {
            return Err(Error::WrongPolicy);
        }
        let refuses =
            |page: &Page| !page.protection.contains(Protection::WRITE) || !self.goes_by_spans(page);
        if flat.pages.range(range).any(|(_, page)| refuses(page)) {
            return Err(Error::NotPermitted);
        }
        Ok(())
    }

    /// Returns whether a read of a page would fill more of its table than its own slot.
    #[must_use]
    pub fn fills_tables(&self, space: usize, number: u64) -> bool {
        self.spaces[space].pages.get(&number).is_some_and(|page| self.goes_by_spans(page))
    }

    /// Returns whether reads of clean pages of a page's mapping may go by spans.
    pub(super) fn goes_by_spans(&self, page: &Page) -> bool {
        page.manner.has(SPANS)
            && page.sharing == Sharing::Private
            && self.objects[&page.object].is_reference()
            && !page.protection.contains(Protection::EXECUTE)
            && allows(page.protection, FaultAccess::Read)
    }
}

/// Returns whether an object can be mapped in a manner.
fn suits(request: &FlatMap, object: &Object) -> bool {
    let private = request.sharing() == Sharing::Private;
    let Style { policy, switches, .. } = request.style;
    let spans = switches.intersection(SPANS | Switches::HUGE_WRITES) != Switches::NONE;
    if spans && !(policy == Policy::ReferencePage && private && object.is_reference()) {
        return false;
    }
    match policy {
        Policy::ReferencePage | Policy::Object => object.has_frames(),
        Policy::Wrap => object.wraps(),
        // No script has a pager.
        Policy::UserPager => false,
        Policy::InMapping => private && object.is_reference(),
        Policy::PatternOnAnyFault => private,
        Policy::Eager => private && !request.flags.contains(MapFlags::REPLACE),
    }
}

/// Checks what can be checked without the address space.
fn check(request: &FlatMap, object: &Object, tags: bool) -> Result<(), Error> {
    check_protection(request.protection, tags)?;
    if !suits(request, object) {
        return Err(Error::WrongPolicy);
    }
    if [request.address, request.length, request.offset].iter().any(|n| n % PAGE_SIZE != 0) {
        return Err(Error::Misaligned);
    }
    let (pages, offset) = (request.length / PAGE_SIZE, request.offset / PAGE_SIZE);
    if pages == 0 {
        return Err(Error::InvalidSize);
    }
    if object.pages().is_some_and(|size| offset + pages > size) {
        return Err(Error::BeyondEnd);
    }
    if request.protection.contains(Protection::TAGGED) && !object.has_tags() {
        return Err(Error::TagsUnsupported);
    }
    let writes = request.protection.contains(Protection::WRITE);
    if request.sharing() == Sharing::Shared && writes && !object.is_memory() {
        return Err(Error::SharedWritable);
    }
    if request.maximum.contains(request.protection) { Ok(()) } else { Err(Error::MissingRight) }
}

pub(super) fn check_protection(protection: Protection, tags: bool) -> Result<(), Error> {
    let both = Protection::WRITE.union(Protection::EXECUTE);
    if protection.contains(both) {
        return Err(Error::WriteAndExecute);
    }
    if protection.contains(Protection::TAGGED) && !tags {
        return Err(Error::TagsUnsupported);
    }
    Ok(())
}

impl FlatSpace {
    /// Returns where a mapping goes that has no wish: at a multiple of a table's span if it is as
    /// large as one.
    fn room(&self, pages: u64) -> u64 {
        if pages < 512 {
            return self.lowest_gap(pages);
        }
        self.lowest_gap(pages + 511).next_multiple_of(512)
    }

    pub(super) fn lowest_gap(&self, pages: u64) -> u64 {
        let mut start = BASE;
        for number in self.pages.range(BASE..).map(|(number, _)| *number) {
            if number - start >= pages {
                break;
            }
            start = number + 1;
        }
        start
    }

    /// Chooses where a mapping goes.
    fn place(&self, request: &FlatMap) -> Result<u64, Error> {
        let (first, pages) = (request.address / PAGE_SIZE, request.length / PAGE_SIZE);
        let fixed = request.flags.contains(MapFlags::FIXED);
        if fixed || request.address != 0 {
            let end = request.address.checked_add(request.length).ok_or(Error::OutOfRange)?;
            if request.address < vellum_abi::USER_START || end > vellum_abi::USER_END {
                return Err(Error::OutOfRange);
            }
            let replaces = request.flags.contains(MapFlags::REPLACE);
            if replaces || self.is_free(first..first + pages) {
                return Ok(first);
            }
            if fixed {
                return Err(Error::Overlap);
            }
        }
        Ok(self.room(pages))
    }
}
