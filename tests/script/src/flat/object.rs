//! What memory objects hold.

use super::contents::Contents;
use alloc::collections::{BTreeMap, BTreeSet};
use vellum_abi::{ObjectKind, Protection};

/// One object, by what it holds.
#[derive(Clone, Debug)]
pub enum Kind {
    Reference(Contents, (ObjectKind, u8)),
    /// What each page is made of, and the bytes of kernel memory that keep it.
    Frameless(Contents, (ObjectKind, u8), u64),
    Memory(Memory),
    Fixed {
        pages: u64,
    },
}

/// Pages that stores may change.
#[derive(Clone, Debug)]
pub struct Memory {
    pub pages: u64,
    pub committed: BTreeMap<u64, Contents>,
    pub nodes: BTreeSet<u64>,
    /// Whether they repeat without end.
    pub wraps: bool,
}

/// One object that is alive.
#[derive(Clone, Debug)]
pub struct Object {
    pub kind: Kind,
    /// Whether a handle is open.
    pub handle: bool,
    /// Whose account pays: an address space, or [`super::OUTSIDE`].
    pub payer: usize,
    /// The address space that holds the handle and alone can map the object, if one does.
    pub home: Option<usize>,
    /// The tag that it is the kernel's reference page of, if it is one.
    pub hint: Option<u8>,
}

impl Memory {
    /// Returns pages that end and that nobody touched.
    pub fn new(pages: u64) -> Memory {
        Memory { pages, committed: BTreeMap::new(), nodes: BTreeSet::new(), wraps: false }
    }

    /// Returns which page stands behind an index.
    fn place(&self, index: u64) -> u64 {
        if self.wraps { index % self.pages } else { index }
    }
}

impl Object {
    /// Returns how many pages there are, or `None` without end.
    pub fn pages(&self) -> Option<u64> {
        if self.wraps() { None } else { self.size() }
    }

    /// Returns how many pages there are that differ.
    pub fn size(&self) -> Option<u64> {
        match &self.kind {
            Kind::Reference(..) | Kind::Frameless(..) => None,
            Kind::Memory(memory) => Some(memory.pages),
            Kind::Fixed { pages } => Some(*pages),
        }
    }

    pub fn wraps(&self) -> bool {
        matches!(self.kind, Kind::Memory(Memory { wraps: true, .. }))
    }

    pub fn has_frames(&self) -> bool {
        !matches!(self.kind, Kind::Frameless(..))
    }

    /// Returns whether all pages are alike, so that an offset means nothing.
    pub fn is_alike(&self) -> bool {
        matches!(self.kind, Kind::Reference(..) | Kind::Frameless(..))
    }

    /// Returns whether there is a frame that every page shows.
    pub fn is_reference(&self) -> bool {
        matches!(self.kind, Kind::Reference(..))
    }

    pub fn is_memory(&self) -> bool {
        matches!(self.kind, Kind::Memory(_))
    }

    /// Returns what the maker's handle allows.
    #[must_use]
    pub fn rights(&self) -> Protection {
        match self.kind {
            Kind::Reference(..) | Kind::Frameless(..) => Protection::READ,
            Kind::Memory(_) | Kind::Fixed { .. } => {
                Protection::READ | Protection::WRITE | Protection::EXECUTE
            }
        }
    }

    pub fn has_tags(&self) -> bool {
        !matches!(self.kind, Kind::Fixed { .. })
    }

    /// Returns what a page shows, or is made of, if there is anything yet.
    pub fn page(&self, index: u64) -> Option<Contents> {
        match &self.kind {
            Kind::Reference(contents, _) | Kind::Frameless(contents, ..) => Some(contents.clone()),
            Kind::Memory(memory) => memory.committed.get(&memory.place(index)).cloned(),
            Kind::Fixed { .. } => Some(Contents::uniform(index as u8, 0)),
        }
    }

    /// Lends a page of a memory object that has a frame.
    pub fn page_mut(&mut self, index: u64) -> Option<&mut Contents> {
        match &mut self.kind {
            Kind::Memory(memory) => memory.committed.get_mut(&memory.place(index)),
            Kind::Reference(..) | Kind::Frameless(..) | Kind::Fixed { .. } => None,
        }
    }

    /// Gives a page a frame. Returns whether it had none.
    pub fn commit(&mut self, index: u64) -> bool {
        match &mut self.kind {
            Kind::Memory(memory) => {
                let index = memory.place(index);
                if memory.pages > 512 {
                    memory.nodes.insert(index >> 9);
                }
                let fresh = !memory.committed.contains_key(&index);
                memory.committed.entry(index).or_insert_with(|| Contents::uniform(0, 0));
                fresh
            }
            Kind::Reference(..) | Kind::Frameless(..) | Kind::Fixed { .. } => false,
        }
    }

    /// Returns how many bytes a private page of it is copied from: all or nothing.
    pub fn is_copied(&self) -> bool {
        let filled =
            matches!(self.kind, Kind::Reference(_, (ObjectKind::Pattern | ObjectKind::Tagged, _)));
        !filled && self.has_frames()
    }

    /// Returns the frames of its pages, and those with the store's nodes.
    pub fn frames(&self) -> (u64, u64) {
        match &self.kind {
            Kind::Reference(..) => (1, 1),
            Kind::Frameless(..) => (0, 0),
            Kind::Memory(Memory { committed, nodes, .. }) => {
                let pages = committed.len() as u64;
                (pages, pages + 1 + nodes.len() as u64)
            }
            Kind::Fixed { pages } => (*pages, 0),
        }
    }

    /// Returns kind and detail as `query` tells them.
    pub fn described(&self) -> (u64, u64) {
        let (kind, detail) = match &self.kind {
            Kind::Reference(_, (kind, detail)) | Kind::Frameless(_, (kind, detail), _) => {
                (*kind, u64::from(*detail))
            }
            Kind::Memory(Memory { wraps: true, .. }) => (ObjectKind::Wrap, 0),
            Kind::Memory(_) => (ObjectKind::Memory, 0),
            Kind::Fixed { .. } => (ObjectKind::Fixed, 0),
        };
        (kind as u64, detail)
    }
}
