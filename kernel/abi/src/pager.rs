//! What the kernel asks the pager of an object, and how the pager supplies pages.
//!
//! A wish arrives like a call: `endpoint_receive` gives its words in x2 to x5, in x6 the badge of the
//! handle that was given to `pager_create`, and in x1 0.
//!
//! | word | bits | |
//! |---|---|---|
//! | 0 | | the offset of the page in the object, in bytes |
//! | 1 | 7:0 | a [`FaultAccess`] number: what was tried |
//! | 1 | 15:8 | a [`WishKind`] number |
//! | 2 | | the address that was used, with its tag; of the kernel's own accesses that of the page |
//! | 3 | | how many pages from this one on the mapping shows: what may be wanted next |
//!
//! The pager supplies the page with `pager_supply`, then answers with an [`Action`](crate::Action):
//! *Resume* or *Retry* let the access be tried again, *Kill* refuses the page. If the page is not there
//! when the access is tried again, the pager is asked again.

use crate::{Error, FaultAccess, MESSAGE_WORDS};

/// What a pager is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum WishKind {
    /// A page that is absent.
    Page = 0,
    /// A store to a page that was supplied with [`SupplyFlags::WATCH`], answered by [`Supply::Allow`].
    Store = 1,
}

/// One wish, as its words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageWish {
    /// The offset of the page in the object, in bytes.
    pub offset: u64,
    /// What was tried.
    pub access: FaultAccess,
    /// What is wanted.
    pub kind: WishKind,
    /// The address that was used, with its tag.
    pub address: u64,
    /// How many pages from this one on the mapping shows.
    pub pages: u64,
}

impl PageWish {
    /// Returns the words of the message.
    #[must_use]
    pub const fn to_words(&self) -> [u64; MESSAGE_WORDS] {
        [self.offset, self.access as u64 | (self.kind as u64) << 8, self.address, self.pages]
    }

    /// Returns what the words of a message say, or `None` if they are no wish.
    #[must_use]
    #[inline]
    pub const fn from_words(words: &[u64; MESSAGE_WORDS]) -> Option<PageWish> {
        let [offset, what, address, pages] = *words;
        let kind = match what >> 8 {
            0 => WishKind::Page,
            1 => WishKind::Store,
            _ => return None,
        };
        match FaultAccess::from_number(what & 0xff) {
            Some(access) => Some(PageWish { offset, access, kind, address, pages }),
            None => None,
        }
    }
}

bit_set! {
    /// What a paged object is like.
    PagerFlags {
        /// Shared mappings may store to it. Then every page has a frame of its own, also where a reference
        /// object was named.
        WRITABLE = 1 << 0;
    }
}

numbers! {
    /// How `pager_supply` supplies pages.
    Supply {
        /// With copies of the caller's pages, from `source` on.
        Copy = 0;
        /// With the caller's private pages, from `source` on, which move: they show their objects again.
        Move = 1;
        /// With the page of the reference object whose handle `source` is. An object shows pages of at
        /// most 16 reference objects.
        Reference = 2;
        /// Not at all, for good: whoever touches them learns so. `source` is 0.
        Poison = 3;
        /// Lets watched pages be stored to. `source` is 0.
        Allow = 4;
    }
}

bit_set! {
    /// What becomes of pages that are supplied.
    SupplyFlags {
        /// The first store through a shared mapping asks the pager.
        WATCH = 1 << 8;
    }
}

/// The word of `pager_supply` that says how: a [`Supply`] in bits 0..7, [`SupplyFlags`] above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupplyOptions {
    /// Where the pages come from.
    pub how: Supply,
    /// What becomes of them.
    pub flags: SupplyFlags,
}

impl SupplyOptions {
    /// Reads the word.
    ///
    /// # Errors
    /// `InvalidFlags` for unknown numbers and bits, and for WATCH where no page comes.
    pub const fn from_word(word: u64) -> Result<SupplyOptions, Error> {
        let (Some(how), Some(flags)) =
            (Supply::from_number(word & 0xff), SupplyFlags::from_bits(word & !0xff))
        else {
            return Err(Error::InvalidFlags);
        };
        if matches!(how, Supply::Poison | Supply::Allow) && flags.bits() != 0 {
            return Err(Error::InvalidFlags);
        }
        Ok(SupplyOptions { how, flags })
    }

    /// Returns the word.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        self.how as u64 | self.flags.bits()
    }
}

#[cfg(test)]
mod tests {
    use super::{PageWish, Supply, SupplyFlags, SupplyOptions, WishKind};
    use crate::{Error, FaultAccess};

    #[test]
    fn wishes_convert_back() {
        let wish = PageWish {
            offset: 0x5000,
            access: FaultAccess::Write,
            kind: WishKind::Store,
            address: 7 << 56 | 0x1234,
            pages: 3,
        };
        assert_eq!(PageWish::from_words(&wish.to_words()), Some(wish));
        assert_eq!(PageWish::from_words(&[0, 3, 0, 0]), None);
        assert_eq!(PageWish::from_words(&[0, 0x200, 0, 0]), None);
    }

    #[test]
    fn ways_to_supply_survive_the_word_and_unknown_ones_are_refused() {
        for how in Supply::ALL {
            let options = SupplyOptions { how: *how, flags: SupplyFlags::NONE };
            assert_eq!(SupplyOptions::from_word(options.to_word()), Ok(options));
        }
        let watched = SupplyOptions { how: Supply::Move, flags: SupplyFlags::WATCH };
        assert_eq!(SupplyOptions::from_word(watched.to_word()), Ok(watched));
        for word in [5, 1 << 9, 0x103, 0x104, u64::MAX] {
            assert_eq!(SupplyOptions::from_word(word), Err(Error::InvalidFlags), "{word:#x}");
        }
    }
}
