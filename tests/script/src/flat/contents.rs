//! The bytes and tags of one page, as what it began as and what was changed.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use vellum_abi::{ObjectKind, PAGE_SIZE};

/// Tag granules of a page.
const GRANULES_PER_PAGE: usize = PAGE_SIZE as usize / 16;

/// Everything in a page.
#[derive(Clone, Debug)]
pub struct Contents {
    base: Arc<(Vec<u8>, Vec<u8>)>,
    bytes: BTreeMap<usize, u8>,
    tags: BTreeMap<usize, u8>,
}

impl Contents {
    pub fn new(bytes: Vec<u8>, tags: Vec<u8>) -> Contents {
        Contents { base: Arc::new((bytes, tags)), bytes: BTreeMap::new(), tags: BTreeMap::new() }
    }

    /// Returns a page of one byte under one tag.
    pub fn uniform(byte: u8, tag: u8) -> Contents {
        Contents::new(vec![byte; PAGE_SIZE as usize], vec![tag; GRANULES_PER_PAGE])
    }

    pub fn byte(&self, offset: usize) -> u8 {
        self.bytes.get(&offset).copied().unwrap_or(self.base.0[offset])
    }

    /// Returns the tag of the granule that holds a byte.
    pub fn tag(&self, offset: usize) -> u8 {
        self.tags.get(&(offset / 16)).copied().unwrap_or(self.base.1[offset / 16])
    }

    pub fn set_byte(&mut self, offset: usize, byte: u8) {
        self.bytes.insert(offset, byte);
    }

    pub fn set_tag(&mut self, offset: usize, tag: u8) {
        self.tags.insert(offset / 16, tag);
    }

    pub fn clear_tags(&mut self) {
        self.tags = (0..GRANULES_PER_PAGE).map(|granule| (granule, 0)).collect();
    }

    /// Returns the reference page that `size` bytes from `offset` on repeat.
    pub fn repeated(&self, offset: usize, size: usize, with_tags: bool) -> Contents {
        let bytes = (0..PAGE_SIZE as usize).map(|at| self.byte(offset + at % size)).collect();
        let tag = |granule: usize| {
            if with_tags && size >= 16 { self.tag(offset + granule * 16 % size) } else { 0 }
        };
        Contents::new(bytes, (0..GRANULES_PER_PAGE).map(tag).collect())
    }

    /// Returns the kind of a reference page, and its byte or tag.
    #[must_use]
    pub fn classify(&self) -> (ObjectKind, u8) {
        let (byte, tag) = (self.byte(0), self.tag(0));
        let bytes = (0..PAGE_SIZE as usize).all(|offset| self.byte(offset) == byte);
        let tags = (0..PAGE_SIZE as usize).step_by(16).all(|offset| self.tag(offset) == tag);
        match (bytes && tags, byte, tag) {
            (true, 0, tag) => (ObjectKind::Tagged, tag),
            (true, byte, 0) => (ObjectKind::Pattern, byte),
            _ => (ObjectKind::Bytes, 0),
        }
    }
}
