//! The flat reference model: what every page should hold and what every operation should do, by
//! simple maps from page numbers and without tables, trees, frames or locks.
//!
//! It knows the documented behaviour only. Everything that can be counted exactly is: frames,
//! tables, mappings, bytes written, TLB maintenance, faults by kind.

mod contents;
mod memory;
mod object;
mod space;

pub(crate) use contents::Contents;
pub(crate) use object::{Kind, Object};
pub(crate) use space::{FlatMap, FlatSpace, State};

use std::collections::BTreeMap;

/// What an object is known by in the tests.
pub(crate) type ObjectId = usize;

/// Everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat {
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    pub(crate) spaces: Vec<FlatSpace>,
}

/// How many bytes of kernel memory things are charged for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    pub(crate) object: u64,
    /// What a memory object costs beside.
    pub(crate) pages: u64,
    pub(crate) mapping: u64,
}

impl Flat {
    /// Drops objects that neither a handle nor a mapping keeps.
    pub(crate) fn collect(&mut self) {
        let spaces = &self.spaces;
        self.objects
            .retain(|id, object| object.handle || spaces.iter().any(|space| space.shows(*id)));
    }

    /// Returns how many owners an object has.
    pub(crate) fn owners(&self, id: ObjectId) -> u64 {
        let mappings: u64 = self.spaces.iter().map(|space| space.mappings_of(self, id)).sum();
        mappings + u64::from(self.objects[&id].handle)
    }

    /// Returns how many frames are in use.
    pub(crate) fn frames(&self) -> u64 {
        (0..self.spaces.len()).map(|payer| self.frames_of(payer)).sum()
    }

    /// Returns how many frames an address space's account pays for.
    pub(crate) fn frames_of(&self, payer: usize) -> u64 {
        let objects = self.objects.values().filter(|object| object.payer == payer);
        self.spaces[payer].frames() + objects.map(|object| object.frames().1).sum::<u64>()
    }

    /// Returns how many bytes of kernel memory an address space's account pays for.
    pub(crate) fn kernel_bytes_of(&self, payer: usize, costs: Costs) -> u64 {
        let objects = self.objects.values().filter(|object| object.payer == payer);
        let objects =
            objects.map(|object| costs.object + if object.is_memory() { costs.pages } else { 0 });
        objects.sum::<u64>() + self.spaces[payer].runs(self).len() as u64 * costs.mapping
    }

    /// Returns how many reference objects are alive.
    pub(crate) fn refpages(&self) -> u64 {
        self.objects.values().filter(|object| object.is_reference()).count() as u64
    }
}
