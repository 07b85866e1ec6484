//! What objects read as: the kinds of reference content, and what lies behind the last page.
//!
//! Owns: the names. Refuses to know: who keeps the bytes.

use crate::fill::Fill;
use crate::page_store::PageStore;
use crate::tag::Tag;
use vellum_abi::ObjectKind;

/// What every page of a reference object reads as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Anything, tags included: private pages are copies.
    Bytes,
    /// One byte throughout, under tag zero.
    Pattern(u8),
    /// Zeros under one tag.
    Tagged(Tag),
}

/// What lies behind the last page of a memory object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Nothing.
    Ends,
    /// The first page again (`MFD_MMAP_WRAP` in the thread).
    Wraps,
}

impl Content {
    /// Returns how private pages are made, but for bytes, which have to come from somewhere.
    #[inline]
    pub(crate) fn fill(self) -> Option<Fill> {
        match self {
            Content::Bytes => None,
            Content::Pattern(byte) => Some(Fill::Pattern(byte)),
            Content::Tagged(tag) => Some(Fill::Zero(tag)),
        }
    }

    pub(crate) fn kind(self) -> (ObjectKind, u64) {
        match self {
            Content::Bytes => (ObjectKind::Bytes, 0),
            Content::Pattern(byte) => (ObjectKind::Pattern, u64::from(byte)),
            Content::Tagged(tag) => (ObjectKind::Tagged, u64::from(tag.value())),
        }
    }
}

impl Extent {
    /// Returns where a page of the object is in its store.
    #[inline]
    pub(crate) fn place(self, index: u64, store: &PageStore) -> u64 {
        match self {
            Extent::Ends => index,
            Extent::Wraps => index % store.pages(),
        }
    }
}
