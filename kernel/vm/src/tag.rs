//! Allocation and logical tags as values. The instructions that move them are behind the machine.

/// Tag granules in a page, one tag each.
pub const GRANULES_PER_PAGE: usize = (vellum_abi::PAGE_SIZE / vellum_abi::TAG_GRANULE) as usize;

/// A four-bit tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag(u8);

impl Tag {
    /// The tag of memory that nobody tagged.
    pub const ZERO: Tag = Tag(0);

    /// Returns the tag of this value, or `None` above 15.
    #[must_use]
    pub const fn new(value: u64) -> Option<Tag> {
        if value < 16 { Some(Tag(value as u8)) } else { None }
    }

    /// Returns the logical tag of a pointer: bits 59:56.
    #[must_use]
    #[inline]
    pub const fn from_pointer(pointer: u64) -> Tag {
        Tag((pointer >> 56 & 0xf) as u8)
    }

    /// Returns the tag as a number below 16.
    #[must_use]
    #[inline]
    pub const fn value(self) -> u8 {
        self.0
    }
}
