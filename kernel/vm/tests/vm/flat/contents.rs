//! The bytes and tags of one page, as what it began as and what was changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use vellum_abi::PAGE_SIZE;
use vellum_vm::object::Content;
use vellum_vm::tag::{GRANULES_PER_PAGE, Tag};

/// Everything in a page.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    base: Arc<(Vec<u8>, Vec<u8>)>,
    bytes: BTreeMap<usize, u8>,
    tags: BTreeMap<usize, u8>,
}

impl Contents {
    pub(crate) fn new(bytes: Vec<u8>, tags: Vec<u8>) -> Contents {
        Contents { base: Arc::new((bytes, tags)), bytes: BTreeMap::new(), tags: BTreeMap::new() }
    }

    /// Returns a page of one byte under one tag.
    pub(crate) fn uniform(byte: u8, tag: u8) -> Contents {
        Contents::new(vec![byte; PAGE_SIZE as usize], vec![tag; GRANULES_PER_PAGE])
    }

    pub(crate) fn byte(&self, offset: usize) -> u8 {
        self.bytes.get(&offset).copied().unwrap_or(self.base.0[offset])
    }

    /// Returns the tag of the granule that holds a byte.
    pub(crate) fn tag(&self, offset: usize) -> u8 {
        self.tags.get(&(offset / 16)).copied().unwrap_or(self.base.1[offset / 16])
    }

    pub(crate) fn set_byte(&mut self, offset: usize, byte: u8) {
        self.bytes.insert(offset, byte);
    }

    pub(crate) fn set_tag(&mut self, offset: usize, tag: u8) {
        self.tags.insert(offset / 16, tag);
    }

    pub(crate) fn clear_tags(&mut self) {
        self.tags = (0..GRANULES_PER_PAGE).map(|granule| (granule, 0)).collect();
    }

    /// Returns the reference page that `size` bytes from `offset` on repeat.
    pub(crate) fn repeated(&self, offset: usize, size: usize, with_tags: bool) -> Contents {
        let bytes = (0..PAGE_SIZE as usize).map(|at| self.byte(offset + at % size)).collect();
        let tag = |granule: usize| {
            if with_tags && size >= 16 { self.tag(offset + granule * 16 % size) } else { 0 }
        };
        Contents::new(bytes, (0..GRANULES_PER_PAGE).map(tag).collect())
    }

    /// Returns the kind of a reference page.
    pub(crate) fn classify(&self) -> Content {
        let (byte, tag) = (self.byte(0), self.tag(0));
        let bytes = (0..PAGE_SIZE as usize).all(|offset| self.byte(offset) == byte);
        let tags = (0..PAGE_SIZE as usize).step_by(16).all(|offset| self.tag(offset) == tag);
        match (bytes && tags, byte, tag) {
            (true, 0, tag) => Content::Tagged(Tag::new(u64::from(tag)).expect("a tag")),
            (true, byte, 0) => Content::Pattern(byte),
            _ => Content::Bytes,
        }
    }
}
