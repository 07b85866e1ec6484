//! One mapping: a contiguous range of pages, the object behind it and what it allows.

use crate::account::Account;
use crate::addr::{Page, PageRange};
use crate::counters::Counters;
use crate::decide::allows;
use crate::error::VmError;
use crate::machine::Machine;
use crate::object::MemoryObject;
use crate::page_table::{Sharing, span_end, span_start};
use crate::sequence::Sequence;
use crate::tag_pages::TagUse;
use core::ptr;
use vellum_abi::{FaultAccess, Policy, Protection, Switches};

/// Who made a mapping, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// With two bytes, and two of Sharing, a mapping has no padding, which would be copied where it is made.
#[repr(u16)]
pub enum MappingKind {
    /// A program, to use it.
    Plain,
    /// A program, to keep the range free of anything else: no page is ever accessible.
    Guard,
    /// The kernel, for the first program.
    Kernel,
}

/// A mapping. Holding one holds its object.
#[derive(Debug)]
pub struct Mapping<M: Machine> {
    /// Where.
    pub range: PageRange,
    /// What. Objects whose pages are all alike are mapped from offset zero.
    pub object: M::Shared<MemoryObject<M>>,
    /// The page of the object that the first page shows.
    pub offset: u64,
    /// What is allowed now.
    pub protection: Protection,
    /// What `protect` may allow: the rights of the handle that the mapping was made by.
    pub maximum: Protection,
    /// Whose stores are.
    pub sharing: Sharing,
    /// Whether the mapping is fixed for the life of the process.
    pub sealed: bool,
    /// Who made it, and what for.
    pub kind: MappingKind,
    /// How clean pages get their contents.
    pub policy: Policy,
    /// What is switched on beyond the policy.
    pub switches: Switches,
    /// log2 of the pages that one read fault maps.
    pub around: u8,
    /// Keeps the kernel's reference page of a tag, if the mapping was made by a tag hint.
    pub hint: Option<TagUse<M>>,
    /// How first writes run through it, for batches.
    pub sequence: Sequence,
}

/// What must be equal of mappings that become one, beside what they show.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "documented at the fields of Mapping")]
pub struct Terms {
    pub protection: Protection,
    pub maximum: Protection,
    pub sharing: Sharing,
    pub sealed: bool,
    pub kind: MappingKind,
    pub policy: Policy,
    pub switches: Switches,
    pub around: u8,
}

impl Terms {
    /// Returns everything in one word, as it is compared more often than anything.
    #[must_use]
    #[inline]
    pub const fn word(self) -> u64 {
        self.protection.bits()
            | self.maximum.bits() << 16
            | (self.policy as u64) << 32
            | self.switches.bits()
            | (self.around as u64) << 48
            | (self.sharing as u64) << 56
            | (self.sealed as u64) << 57
            | (self.kind as u64) << 58
    }
}

// Switches have bits 40 to 47, see `MapOptions`.
const _: () = assert!(Protection::ALL.bits() < 1 << 16);
const _: () = assert!(Switches::ALL.bits() & !(0xff << 40) == 0);

impl<M: Machine> Clone for Mapping<M> {
    fn clone(&self) -> Mapping<M> {
        Mapping {
            object: self.object.clone(),
            hint: self.hint.clone(),
            sequence: self.sequence.clone(),
            ..*self
        }
    }
}

impl<M: Machine> Mapping<M> {
    /// Returns the index in the object of a page of the mapping.
    #[must_use]
    #[inline]
    pub fn object_page(&self, page: Page) -> u64 {
        self.offset + (page.number() - self.range.start().number())
    }

    /// Returns the mapping as the clone of an address space has it: alike, but with a reference
    /// page of its own if the policy is `InMapping`, which `account` pays for and whose bytes are
    /// counted in `counters`. Mappings that were one before a split share their page until then,
    /// and have one each in the clone. It fills a frame, so no lock is held.
    ///
    /// # Errors
    /// `OutOfFrames`, `OutOfKernelMemory`, `LimitReached`.
    pub fn duplicate_for_clone(
        &self,
        machine: &M,
        account: &M::Shared<Account>,
        counters: &Counters,
    ) -> Result<Mapping<M>, VmError> {
        let mut copy = self.clone();
        if self.policy == Policy::InMapping {
            copy.object = machine.share(self.object.duplicate(account, counters)?)?;
        }
        Ok(copy)
    }

    /// Returns whether nothing is switched on: a fault serves its page alone.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.switches == Switches::NONE && self.around == 0
    }

    /// Returns whether reads of clean pages may go through the object's own translation tables: only
    /// those of a private mapping of a reference object, which nothing below may execute.
    #[must_use]
    pub fn shares_tables(&self) -> bool {
        let either = Switches::SHARED_TABLES | Switches::HUGE;
        self.switches.intersection(either) != Switches::NONE && self.shows_one_frame()
    }

    /// Returns whether reads of clean pages may map the object's block. Where there is no memory for
    /// one, its tables do.
    #[must_use]
    pub fn shows_blocks(&self) -> bool {
        self.switches.contains(Switches::HUGE) && self.shows_one_frame()
    }

    /// Returns whether a first write may make a whole block private.
    #[must_use]
    pub fn writes_blocks(&self) -> bool {
        self.switches.contains(Switches::HUGE_WRITES)
            && self.shows_one_frame()
            && allows(self.protection, FaultAccess::Write)
    }

    fn shows_one_frame(&self) -> bool {
        self.sharing == Sharing::Private
            && self.policy == Policy::ReferencePage
            && self.object.has_reference_frame()
            && !self.protection.contains(Protection::EXECUTE)
            && allows(self.protection, FaultAccess::Read)
    }

    /// Returns whether the mapping covers all that one slot of a table at `level` on the way to a
    /// page spans.
    #[must_use]
    pub fn covers_span(&self, page: Page, level: u32) -> bool {
        self.range.start() <= span_start(page, level) && span_end(page, level) <= self.range.end()
    }

    /// Returns the part of the mapping from `page` on, which lies inside it.
    #[must_use]
    pub fn tail(&self, page: Page) -> Mapping<M> {
        let mut tail = self.clone();
        tail.begin_at(page);
        tail
    }

    /// Returns what shows at `range` the same as this mapping from `page` on.
    #[must_use]
    pub fn moved(&self, page: Page, range: PageRange) -> Mapping<M> {
        Mapping { range, ..self.tail(page) }
    }

    /// Puts the mapping to another range, which is as long.
    pub fn go_to(&mut self, range: PageRange) {
        self.range = range;
        self.sequence.reset();
    }

    /// Returns whether the pages may be moved away while the mapping stays.
    #[must_use]
    pub fn may_retain(&self) -> bool {
        self.kind == MappingKind::Plain && !self.object.is_device()
    }

    /// Lets the mapping end at `end`, which is above its end.
    pub fn extend(&mut self, end: Page) {
        if let Some(range) = PageRange::between(self.range.start(), end) {
            self.range = range;
        }
    }

    /// Begins the mapping at `page`, which lies inside it.
    pub fn begin_at(&mut self, page: Page) {
        if let Some(range) = PageRange::between(page, self.range.end()) {
            self.offset = if self.object.is_positional() { self.object_page(page) } else { 0 };
            self.range = range;
        }
        self.sequence.scatter();
    }

    /// Ends the mapping before `page`, which lies inside it but is not its first.
    pub fn truncate(&mut self, page: Page) {
        if let Some(range) = PageRange::between(self.range.start(), page) {
            self.range = range;
        }
        self.sequence.scatter();
    }

    /// Returns on what terms the pages are mapped, see [`Terms::word`].
    #[must_use]
    #[inline]
    pub fn terms(&self) -> u64 {
        let Mapping {
            protection, maximum, sharing, sealed, kind, policy, switches, around, ..
        } = *self;
        Terms { protection, maximum, sharing, sealed, kind, policy, switches, around }.word()
    }

    /// Returns whether pages from `start` on that show `object` from its page `offset` on could be
    /// the continuation of this mapping.
    #[must_use]
    #[inline]
    pub fn continues_at(
        &self,
        start: Page,
        object: &MemoryObject<M>,
        offset: u64,
        terms: u64,
    ) -> bool {
        self.range.end() == start
            && ptr::eq(&raw const *self.object, object)
            && (!object.is_positional() || self.offset + self.range.pages() == offset)
            && self.terms() == terms
            && self.sequence.is_idle()
    }

    /// Returns whether `next` could be the continuation of this mapping.
    #[must_use]
    pub fn continues_in(&self, next: &Mapping<M>) -> bool {
        self.continues_at(next.range.start(), &next.object, next.offset, next.terms())
            && next.sequence.is_idle()
    }

    /// Extends the mapping up to `end`, over what continues it.
    pub fn absorb(&mut self, end: Page) {
        self.extend(end);
        self.sequence.reset();
    }
}
