//! Paged objects and their pagers as values.

use super::{Endpoint, MemoryObject};
use crate::calls::{self, Received};
use crate::mapping::Mapping;
use core::ops::Range;
use vellum_abi::{Action, Error, PageWish, PagerFlags, Supply, SupplyFlags, SupplyOptions};

impl MemoryObject {
    /// Makes an object whose pages are asked for at an endpoint, under its badge.
    ///
    /// # Errors
    /// Those of [`calls::pager_create`].
    pub fn paged(
        endpoint: &Endpoint,
        length: u64,
        flags: PagerFlags,
    ) -> Result<MemoryObject, Error> {
        calls::pager_create(endpoint.handle(), length, flags).map(MemoryObject)
    }

    /// Supplies pages from `offset` on with those of a range of a mapping. Returns how many bytes, and
    /// why not all.
    ///
    /// # Panics
    /// If the range is not within the mapping.
    pub fn supply(
        &self,
        offset: u64,
        (mapping, range): (&Mapping, Range<usize>),
        how: Supply,
        flags: SupplyFlags,
    ) -> (u64, Result<(), Error>) {
        assert!(range.start <= range.end && range.end <= mapping.length(), "outside the mapping");
        let (source, length) = ((mapping.address() + range.start) as u64, range.len() as u64);
        let options = SupplyOptions { how, flags };
        // SAFETY: no Rust value lives in a mapping.
        unsafe { calls::pager_supply(self.0, offset, length, source, options) }
    }

    /// Supplies pages with those of a reference object.
    ///
    /// # Errors
    /// Those of the call, of which some pages may have been supplied before.
    pub fn supply_reference(
        &self,
        offset: u64,
        length: u64,
        source: &MemoryObject,
    ) -> Result<(), Error> {
        self.supply_from(offset, length, source.0.to_word(), Supply::Reference)
    }

    /// Says that there will never be these pages.
    ///
    /// # Errors
    /// As for [`Self::supply_reference`].
    pub fn poison(&self, offset: u64, length: u64) -> Result<(), Error> {
        self.supply_from(offset, length, 0, Supply::Poison)
    }

    /// Lets watched pages be stored to.
    ///
    /// # Errors
    /// As for [`Self::supply_reference`].
    pub fn allow(&self, offset: u64, length: u64) -> Result<(), Error> {
        self.supply_from(offset, length, 0, Supply::Allow)
    }

    fn supply_from(&self, offset: u64, length: u64, source: u64, how: Supply) -> Result<(), Error> {
        let options = SupplyOptions { how, flags: SupplyFlags::NONE };
        // SAFETY: nothing of this process moves.
        unsafe { calls::pager_supply(self.0, offset, length, source, options) }.1
    }
}

impl Received {
    /// Returns what a pager is asked; `None` for any other message.
    #[must_use]
    #[inline]
    pub fn wish(&self) -> Option<PageWish> {
        PageWish::from_words(&self.words).filter(|_| self.handle.is_none())
    }
}

impl Endpoint {
    /// Answers the wish that this thread received last: *Resume* where its page was supplied, *Kill*
    /// where it is refused. Then waits for another.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_reply_receive`].
    #[inline]
    pub fn answer_wish(&self, action: Action) -> Result<Received, Error> {
        self.reply_receive([action as u64, 0, 0, 0])
    }
}
