//! Addresses that cannot be mistaken for each other.
//!
//! A [`Page`] is a user page without a tag; a [`UserPointer`] is what a program passed, tag and
//! all, stripped in exactly one place; a [`FrameAddress`] is physical. Only the arithmetic that
//! makes sense exists.

use crate::tag::Tag;
use vellum_abi::{PAGE_SIZE, USER_END, USER_START};

/// log2 of the page size.
pub const PAGE_SHIFT: u32 = PAGE_SIZE.trailing_zeros();
/// Bits of a user address that a mapping can cover (48-bit addresses, lower half).
const USER_BITS: u32 = 48;

/// A page of the user half: an untagged page number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Page(u64);

impl Page {
    /// The end of what translation tables span: no page.
    pub const END: Page = Page(1 << (USER_BITS - PAGE_SHIFT));

    /// Returns the page that holds an untagged address of the lower half.
    ///
    /// Bits above the user half are cut off: callers that must refuse them use
    /// [`UserPointer::page`] or [`PageRange::new`].
    #[must_use]
    #[inline]
    pub const fn containing(address: u64) -> Page {
        Page((address & ((1 << USER_BITS) - 1)) >> PAGE_SHIFT)
    }

    /// Returns the page of this number.
    #[must_use]
    #[inline]
    pub const fn from_number(number: u64) -> Page {
        Page(number & ((1 << (USER_BITS - PAGE_SHIFT)) - 1))
    }

    /// Returns the page number.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the first address.
    #[must_use]
    #[inline]
    pub const fn address(self) -> u64 {
        self.0 << PAGE_SHIFT
    }

    /// Returns the page `count` pages above.
    #[must_use]
    #[inline]
    pub const fn add(self, count: u64) -> Page {
        Page(self.0 + count)
    }

    /// Returns the index into the translation table of a level (0 is the root, 3 holds leaves).
    #[must_use]
    #[inline]
    pub const fn table_index(self, level: u32) -> usize {
        ((self.0 >> (9 * (3 - level))) & 511) as usize
    }
}

/// A non-empty range of user pages that a mapping may cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    /// The first page.
    start: Page,
    /// The page behind the last one.
    end: Page,
}

/// Why an address and a length are no [`PageRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// The address or the length is not a multiple of the page size.
    Misaligned,
    /// The length is zero.
    Empty,
    /// The range overflows, carries a tag or leaves the user half.
    OutOfRange,
}

impl PageRange {
    /// Returns the range of `length` bytes from `address`.
    ///
    /// # Errors
    /// See [`RangeError`]; alignment is checked first.
    pub const fn new(address: u64, length: u64) -> Result<PageRange, RangeError> {
        if !address.is_multiple_of(PAGE_SIZE) || !length.is_multiple_of(PAGE_SIZE) {
            return Err(RangeError::Misaligned);
        }
        if length == 0 {
            return Err(RangeError::Empty);
        }
        let Some(end) = address.checked_add(length) else {
            return Err(RangeError::OutOfRange);
        };
        if address < USER_START || end > USER_END {
            return Err(RangeError::OutOfRange);
        }
        Ok(PageRange { start: Page(address >> PAGE_SHIFT), end: Page(end >> PAGE_SHIFT) })
    }

    /// Returns the range from `start` up to and without `end`, or `None` if it is empty.
    #[must_use]
    pub fn between(start: Page, end: Page) -> Option<PageRange> {
        (start < end).then_some(PageRange { start, end })
    }

    /// Returns everything that mappings may cover.
    #[must_use]
    pub const fn whole() -> PageRange {
        PageRange { start: Page(USER_START >> PAGE_SHIFT), end: Page(USER_END >> PAGE_SHIFT) }
    }

    /// Returns the first page.
    #[must_use]
    #[inline]
    pub const fn start(&self) -> Page {
        self.start
    }

    /// Returns the page behind the last one.
    #[must_use]
    #[inline]
    pub const fn end(&self) -> Page {
        self.end
    }

    /// Returns how many pages the range has.
    #[must_use]
    #[inline]
    pub const fn pages(&self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Returns whether `page` is in the range.
    #[must_use]
    #[inline]
    pub fn contains(&self, page: Page) -> bool {
        self.start <= page && page < self.end
    }

    /// Returns whether the other range has every page of this one.
    #[must_use]
    #[inline]
    pub fn is_within(&self, other: &PageRange) -> bool {
        other.start <= self.start && self.end <= other.end
    }

    /// Returns whether the ranges share a page.
    #[must_use]
    pub fn overlaps(&self, other: &PageRange) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Returns the pages that both ranges have.
    #[must_use]
    pub fn intersection(&self, other: &PageRange) -> Option<PageRange> {
        PageRange::between(self.start.max(other.start), self.end.min(other.end))
    }
}

/// An address as a program passed it: bits 63:56 are its own, bits 59:56 the logical tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserPointer(u64);

impl UserPointer {
    /// Takes an address from a register.
    #[must_use]
    #[inline]
    pub const fn new(address: u64) -> UserPointer {
        UserPointer(address)
    }

    /// Returns the address with its tag, as an access must use it so that the tag is checked.
    #[must_use]
    #[inline]
    pub const fn tagged(self) -> u64 {
        self.0
    }

    /// Returns the address without bits 63:56. Bit 55 decides the half, as under TBI.
    #[must_use]
    #[inline]
    pub const fn untagged(self) -> u64 {
        ((self.0 << 8) as i64 >> 8) as u64
    }

    /// Returns the logical tag.
    #[must_use]
    #[inline]
    pub const fn tag(self) -> Tag {
        Tag::from_pointer(self.0)
    }

    /// Returns whether `length` bytes from here lie in the user half.
    #[must_use]
    pub const fn is_user(self, length: u64) -> bool {
        match self.untagged().checked_add(length) {
            Some(end) => end <= 1 << USER_BITS,
            None => false,
        }
    }

    /// Returns the page, or `None` outside the user half.
    #[must_use]
    #[inline]
    pub const fn page(self) -> Option<Page> {
        let address = self.untagged();
        if address >> USER_BITS == 0 { Some(Page(address >> PAGE_SHIFT)) } else { None }
    }

    /// Returns the distance from the start of the page.
    #[must_use]
    #[inline]
    pub const fn page_offset(self) -> usize {
        (self.0 & (PAGE_SIZE - 1)) as usize
    }
}

/// The physical address of a frame: a multiple of the page size below 2^48.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameAddress(u64);

impl FrameAddress {
    /// Returns the frame that holds a physical address.
    #[must_use]
    #[inline]
    pub const fn containing(address: u64) -> FrameAddress {
        FrameAddress(address & 0x0000_ffff_ffff_f000)
    }

    /// Returns the physical address of the first byte.
    #[must_use]
    #[inline]
    pub const fn to_physical(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, PageRange, RangeError, UserPointer};
    use vellum_abi::{PAGE_SIZE, USER_END, USER_START};

    #[test]
    fn ranges_outside_the_user_half_are_refused() {
        let range = PageRange::new;
        assert_eq!(range(USER_START, 0), Err(RangeError::Empty));
        assert_eq!(range(USER_START + 1, PAGE_SIZE), Err(RangeError::Misaligned));
        assert_eq!(range(USER_START, PAGE_SIZE - 1), Err(RangeError::Misaligned));
        assert_eq!(range(0, PAGE_SIZE), Err(RangeError::OutOfRange));
        assert_eq!(range(USER_END, PAGE_SIZE), Err(RangeError::OutOfRange));
        assert_eq!(range(USER_END - PAGE_SIZE, 2 * PAGE_SIZE), Err(RangeError::OutOfRange));
        assert_eq!(range(1 << 63, 1 << 63), Err(RangeError::OutOfRange));
        assert_eq!(range(0u64.wrapping_sub(PAGE_SIZE), PAGE_SIZE), Err(RangeError::OutOfRange));
        assert_eq!(range(USER_START | 7 << 56, PAGE_SIZE), Err(RangeError::OutOfRange));
        assert!(range(USER_START, USER_END - USER_START).is_ok());
    }

    #[test]
    fn pointers_are_stripped_of_the_whole_top_byte() {
        let pointer = UserPointer::new(0xab00_1234_5678_9abc);
        assert_eq!(pointer.untagged(), 0x1234_5678_9abc);
        assert_eq!(pointer.tag().value(), 0xb);
        assert_eq!(pointer.page(), Some(Page::containing(0x1234_5678_9000)));
        assert_eq!(pointer.page_offset(), 0xabc);
        assert_eq!(UserPointer::new(0x00ff_ffff_ffff_f000).page(), None);
        assert_eq!(UserPointer::new(1 << 48).page(), None);
        assert!(!UserPointer::new(u64::MAX).is_user(1));
        assert!(!UserPointer::new((1 << 48) - 8).is_user(16));
        assert!(UserPointer::new((1 << 48) - 8).is_user(8));
        assert!(!UserPointer::new(8).is_user(u64::MAX));
    }

    #[test]
    fn table_indices_take_nine_bits_each() {
        let page = Page::containing(0x0000_8080_4020_1000);
        assert_eq!([0, 1, 2, 3].map(|level| page.table_index(level)), [257, 1, 1, 1]);
    }
}
