//! What stands behind the pages of a mapping, and making them present.

use super::{Mapping, PAGE};
use crate::calls;
use core::ops::Range;
use vellum_abi::{Advice, Error, Handle};

impl Mapping {
    /// Makes the pages of a range present, as loads (`PopulateRead`) or stores (`PopulateWrite`)
    /// would.
    ///
    /// # Errors
    /// Those of [`calls::advise`]; `OutOfRange` for a range outside the mapping, `InvalidAdvice` for
    /// advice of another kind.
    pub fn populate(&self, range: Range<usize>, advice: Advice) -> Result<(), Error> {
        if range.start > range.end || range.end > self.length {
            return Err(Error::OutOfRange);
        }
        if !matches!(advice, Advice::PopulateRead | Advice::PopulateWrite) {
            return Err(Error::InvalidAdvice);
        }
        let address = (self.start + range.start) as u64;
        // SAFETY: populating changes no contents.
        unsafe { calls::advise(Handle::SELF, address, range.len() as u64, advice) }
    }

    /// Writes the state of each page from `offset` on, as `vellum_abi::PageState` numbers, one byte a
    /// page for as many as `states` has room for.
    ///
    /// # Errors
    /// Those of [`calls::query_pages`].
    ///
    /// # Panics
    /// If `offset` is outside the mapping.
    pub fn page_states(&self, offset: usize, states: &mut [u8]) -> Result<(), Error> {
        let address = self.pointer(offset - offset % PAGE).addr() as u64;
        calls::query_pages(Handle::SELF, address, states).map(|_| ())
    }
}
