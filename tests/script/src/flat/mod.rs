//! The flat reference model: what every page should hold and what every operation should do, by
//! simple maps from page numbers and without tables, trees, frames or locks.
//!
//! It knows the documented behaviour only. Everything that can be counted exactly is: frames,
//! tables, mappings, bytes written, TLB maintenance, faults by kind.

mod ahead;
mod apply;
mod contents;
mod leaf;
mod mapping;
mod memory;
mod object;
mod remap;
mod space;

pub use apply::{End, Expected};
pub use contents::Contents;
pub use leaf::{Frame, Hardware, Own, State};
pub use mapping::{FlatMap, Manner};
pub use object::{Kind, Memory, Object};
pub use space::FlatSpace;

use crate::word::{CPUS, SLOTS, SPACES};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use vellum_abi::Stat;

/// What an object is known by in the tests.
pub type ObjectId = usize;

/// Who pays for objects that no address space of a script made.
pub const OUTSIDE: usize = SPACES;
/// Who pays for objects whose address space is no more: its account, which lives on.
pub const GONE: usize = SPACES + 1;
/// Who pays for the reference pages of tag hints.
pub const KERNEL: usize = SPACES + 2;
/// Anonymous memory.
pub const ZERO: ObjectId = 0;

/// Whether stores through a mapping change the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// They make a private copy.
    Private,
    /// They do.
    Shared,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Flat {
    /// The objects that are alive.
    pub objects: BTreeMap<ObjectId, Object>,
    /// The address spaces.
    pub spaces: Vec<FlatSpace>,
    /// What was counted outside of them.
    pub outside: Stat,
    /// The objects whose handles are in the slots.
    pub slots: [Option<ObjectId>; SLOTS],
    /// The address space that each CPU runs.
    pub running: [usize; CPUS],
    /// Whether there are allocation tags.
    tags: bool,
    /// Whether a long operation is under way: one fault then serves one page.
    pub is_changing: bool,
    next_object: ObjectId,
    next_frame: u64,
}

/// How many bytes of kernel memory things are charged for.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    pub object: u64,
    /// What a memory object costs beside.
    pub pages: u64,
    pub mapping: u64,
}

impl Flat {
    /// Returns empty address spaces and anonymous memory, on a machine with or without tags.
    #[must_use]
    pub fn new(tags: bool) -> Flat {
        let contents = Contents::uniform(0, 0);
        let content = contents.classify();
        let kind = Kind::Reference(contents, content);
        let zero = Object { kind, handle: true, payer: OUTSIDE, home: None, hint: None };
        let mut flat = Flat {
            objects: BTreeMap::new(),
            spaces: vec![FlatSpace::default(); SPACES],
            outside: Stat::default(),
            slots: [None; SLOTS],
            running: core::array::from_fn(|cpu| cpu % SPACES),
            tags,
            is_changing: false,
            next_object: ZERO,
            next_frame: 0,
        };
        flat.slots[0] = Some(flat.add(zero));
        flat.created(OUTSIDE);
        flat
    }

    fn add(&mut self, object: Object) -> ObjectId {
        let id = self.next_object;
        self.next_object += 1;
        self.objects.insert(id, object);
        id
    }

    /// Drops objects that neither a handle nor a mapping keeps.
    pub fn collect(&mut self) {
        let spaces = &self.spaces;
        self.objects
            .retain(|id, object| object.handle || spaces.iter().any(|space| space.shows(*id)));
    }

    /// Returns how many owners an object has.
    pub fn owners(&self, id: ObjectId) -> u64 {
        let mappings: u64 = self.spaces.iter().map(|space| space.mappings_of(self, id)).sum();
        mappings + u64::from(self.objects[&id].handle)
    }

    /// Returns how many frames are in use.
    pub fn frames(&self) -> u64 {
        let all: u64 = (0..=KERNEL).map(|payer| self.frames_of(payer)).sum();
        // Each page with a private frame pays for it, whoever else has it.
        let private = self.spaces.iter().map(|space| space.stat.private_frames).sum::<u64>();
        all - private + self.private_frames()
    }

    /// Returns how many frames an address space's account pays for.
    pub fn frames_of(&self, payer: usize) -> u64 {
        let objects = self.objects.values().filter(|object| object.payer == payer);
        self.spaces.get(payer).map_or(0, FlatSpace::frames)
            + objects.map(|object| object.frames().1).sum::<u64>()
    }

    /// Returns how many bytes of kernel memory an address space's account pays for.
    pub fn kernel_bytes_of(&self, payer: usize, costs: Costs) -> u64 {
        let objects = self.objects.values().filter(|object| object.payer == payer);
        let objects = objects.map(|object| {
            costs.object
                + match object.kind {
                    Kind::Memory(_) => costs.pages,
                    Kind::Frameless(_, _, kept) => kept,
                    _ => 0,
                }
        });
        let mappings = self.spaces.get(payer).map_or(0, |space| space.runs(self).len() as u64);
        objects.sum::<u64>() + mappings * costs.mapping
    }

    /// Returns how many frames are some page's own.
    fn private_frames(&self) -> u64 {
        let pages = self.spaces.iter().flat_map(|space| space.pages.values());
        let frames = pages.filter_map(|page| match &page.state {
            State::Private(own) => Some(own.frame),
            _ => None,
        });
        frames.collect::<BTreeSet<_>>().len() as u64
    }

    /// Returns how many reference objects are alive.
    pub fn refpages(&self) -> u64 {
        self.objects.values().filter(|object| object.is_reference()).count() as u64
    }
}
