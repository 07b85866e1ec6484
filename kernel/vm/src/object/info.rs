//! What an object is, as `object_query` and `query` tell it.

use super::{Contents, Extent, MemoryObject, PageStore};
use crate::block::BLOCK_PAGES;
use crate::machine::Machine;
use vellum_abi::{ObjectInfo, ObjectKind, PAGE_SIZE};

impl<M: Machine> MemoryObject<M> {
    /// Returns kind and detail as `vellum_abi` numbers them.
    pub fn kind(&self) -> (ObjectKind, u64) {
        match &self.contents {
            Contents::Reference { content, .. } | Contents::Frameless { content, .. } => {
                content.kind()
            }
            Contents::Memory { extent: Extent::Ends, .. } => (ObjectKind::Memory, 0),
            Contents::Memory { extent: Extent::Wraps, .. } => (ObjectKind::Wrap, 0),
            Contents::Paged(_) => (ObjectKind::Paged, 0),
            Contents::Fixed { .. } => (ObjectKind::Fixed, 0),
            Contents::Device { .. } => (ObjectKind::Device, 0),
        }
    }

    /// Returns what the object is, for `object_query`. `references` is the count of its owners.
    pub fn info(&self, references: u64) -> ObjectInfo {
        let (kind, detail) = self.kind();
        let frames = match &self.contents {
            Contents::Reference { tables, block, .. } => {
                1 + tables.frames() + block.first().map_or(0, |_| BLOCK_PAGES)
            }
            Contents::Frameless { .. } => 0,
            Contents::Memory { .. } | Contents::Paged(_) => {
                self.store().map_or(0, PageStore::committed)
            }
            Contents::Fixed { pages, .. } => *pages,
            Contents::Device { .. } => 0,
        };
        let pages = self.pages().or(self.store().map(PageStore::pages));
        let length = pages.unwrap_or(0) * PAGE_SIZE;
        ObjectInfo { kind: kind as u64, detail, length, references, frames }
    }
}
