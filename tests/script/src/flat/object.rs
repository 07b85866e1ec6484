//! What memory objects hold.

use super::contents::Contents;
use alloc::collections::{BTreeMap, BTreeSet};
use vellum_abi::{ObjectKind, Protection};

/// One object, by what it holds.
#[derive(Clone, Debug)]
pub enum Kind {
    Reference(Contents, (ObjectKind, u8)),
    Memory { pages: u64, committed: BTreeMap<u64, Contents>, nodes: BTreeSet<u64> },
    Fixed { pages: u64 },
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
}

impl Object {
    /// Returns how many pages there are, or `None` without end.
    pub fn pages(&self) -> Option<u64> {
        match &self.kind {
            Kind::Reference(..) => None,
            Kind::Memory { pages, .. } | Kind::Fixed { pages } => Some(*pages),
        }
    }

    pub fn is_reference(&self) -> bool {
        matches!(self.kind, Kind::Reference(..))
    }

    pub fn is_memory(&self) -> bool {
        matches!(self.kind, Kind::Memory { .. })
    }

    /// Returns what the maker's handle allows.
    #[must_use]
    pub fn rights(&self) -> Protection {
        match self.kind {
            Kind::Reference(..) => Protection::READ,
            Kind::Memory { .. } | Kind::Fixed { .. } => {
                Protection::READ | Protection::WRITE | Protection::EXECUTE
            }
        }
    }

    pub fn has_tags(&self) -> bool {
        !matches!(self.kind, Kind::Fixed { .. })
    }

    /// Returns what a page shows, if it has a frame.
    pub fn page(&self, index: u64) -> Option<Contents> {
        match &self.kind {
            Kind::Reference(contents, _) => Some(contents.clone()),
            Kind::Memory { committed, .. } => committed.get(&index).cloned(),
            Kind::Fixed { .. } => Some(Contents::uniform(index as u8, 0)),
        }
    }

    /// Lends a page of a memory object that has a frame.
    pub fn page_mut(&mut self, index: u64) -> Option<&mut Contents> {
        match &mut self.kind {
            Kind::Memory { committed, .. } => committed.get_mut(&index),
            Kind::Reference(..) | Kind::Fixed { .. } => None,
        }
    }

    /// Gives a page a frame. Returns whether it had none.
    pub fn commit(&mut self, index: u64) -> bool {
        match &mut self.kind {
            Kind::Memory { pages, committed, nodes } => {
                if *pages > 512 {
                    nodes.insert(index >> 9);
                }
                let fresh = !committed.contains_key(&index);
                committed.entry(index).or_insert_with(|| Contents::uniform(0, 0));
                fresh
            }
            Kind::Reference(..) | Kind::Fixed { .. } => false,
        }
    }

    /// Returns how many bytes a private page of it is copied from: all or nothing.
    pub fn is_copied(&self) -> bool {
        !matches!(self.kind, Kind::Reference(_, (ObjectKind::Pattern | ObjectKind::Tagged, _)))
    }

    /// Returns the frames of its pages, and those with the store's nodes.
    pub fn frames(&self) -> (u64, u64) {
        match &self.kind {
            Kind::Reference(..) => (1, 1),
            Kind::Memory { committed, nodes, .. } => {
                let pages = committed.len() as u64;
                (pages, pages + 1 + nodes.len() as u64)
            }
            Kind::Fixed { pages } => (*pages, 0),
        }
    }

    /// Returns kind and detail as `query` tells them.
    pub fn described(&self) -> (u64, u64) {
        let (kind, detail) = match &self.kind {
            Kind::Reference(_, (kind, detail)) => (*kind, u64::from(*detail)),
            Kind::Memory { .. } => (ObjectKind::Memory, 0),
            Kind::Fixed { .. } => (ObjectKind::Fixed, 0),
        };
        (kind as u64, detail)
    }
}
