//! Translation lookaside buffers that keep everything until told otherwise.
//!
//! One a virtual CPU, with leaves by page and table descriptors of every level by the span they
//! lead to, both by identifier. An invalidation dooms entries; they go on being used until the
//! barrier that completes it.

use std::collections::{BTreeMap, BTreeSet};
use vellum_vm::addr::{FrameAddress, Page};
use vellum_vm::page_table::Descriptor;

/// What an entry is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// Identifier and page number.
    Leaf(u16, u64),
    /// Identifier, level of the descriptor, and page number shifted to the descriptor's span.
    Table(u16, u32, u64),
}

impl Key {
    /// Returns what a descriptor at `level` on the way to a page is found by.
    pub(crate) fn new(asid: u16, level: u32, page: u64) -> Key {
        if level == 3 { Key::Leaf(asid, page) } else { Key::Table(asid, level, span(page, level)) }
    }

    /// Returns the first page that the descriptor translates or leads to, and its level.
    pub(crate) fn place(self) -> (Page, u32) {
        match self {
            Key::Leaf(_, page) => (Page::from_number(page), 3),
            Key::Table(_, level, span) => (Page::from_number(span << (9 * (3 - level))), level),
        }
    }

    pub(crate) fn asid(self) -> u16 {
        match self {
            Key::Leaf(asid, _) | Key::Table(asid, _, _) => asid,
        }
    }
}

/// Bytes that a block descriptor of level 2 maps.
const BLOCK_BYTES: u64 = 2 << 20;

/// Returns whether a descriptor, cached under a key, maps a block of level 2.
pub(crate) fn is_block(key: Key, word: u64) -> bool {
    matches!(key, Key::Table(_, 2, _)) && word & 0b11 == 0b01
}

fn span(page: u64, level: u32) -> u64 {
    page >> (9 * (3 - level))
}

/// A cached descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) word: u64,
    /// The physical address it was read from.
    pub(crate) slot: u64,
    /// What the table descriptors on the way, this one among them, forbid below it.
    pub(crate) limits: u64,
    /// The root that the walk began at.
    pub(crate) root: u64,
    /// The CPUs whose barrier removes the entry, one bit each.
    pub(crate) doomed: u32,
}

impl Entry {
    /// Returns what an entry of a block says of one of its pages.
    pub(crate) fn page(&self, page: Page) -> Entry {
        Entry { word: Descriptor::from_word(self.word).page_of_block(page).to_word(), ..*self }
    }

    /// Returns the frame or table that the descriptor names.
    pub(crate) fn target(&self) -> u64 {
        FrameAddress::containing(self.word).to_physical()
    }
}

/// The buffers of all CPUs.
#[derive(Debug, Default)]
pub(crate) struct Tlb {
    entries: BTreeMap<(usize, Key), Entry>,
    /// Entries by the frame that they name.
    targets: BTreeSet<(u64, usize, Key)>,
    /// Entries by the slot that they were read from.
    slots: BTreeSet<(u64, usize, Key)>,
    /// Entries that a barrier of this CPU removes.
    doomed: BTreeMap<usize, Vec<(usize, Key)>>,
}

const LOWEST: (usize, Key) = (0, Key::Leaf(0, 0));

impl Tlb {
    pub(crate) fn entry(&self, cpu: usize, key: Key) -> Option<&Entry> {
        self.entries.get(&(cpu, key))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, Key, &Entry)> {
        self.entries.iter().map(|((cpu, key), entry)| (*cpu, *key, entry))
    }

    pub(crate) fn insert(&mut self, cpu: usize, key: Key, entry: Entry) {
        self.targets.insert((entry.target(), cpu, key));
        self.slots.insert((entry.slot, cpu, key));
        self.entries.insert((cpu, key), entry);
        for by in (0..32).filter(|by| entry.doomed >> by & 1 != 0) {
            self.doomed.entry(by).or_default().push((cpu, key));
        }
    }

    fn remove(&mut self, cpu: usize, key: Key) {
        if let Some(entry) = self.entries.remove(&(cpu, key)) {
            self.targets.remove(&(entry.target(), cpu, key));
            self.slots.remove(&(entry.slot, cpu, key));
        }
    }

    /// Returns the keys of entries that name a frame, alone or as part of a block.
    pub(crate) fn naming(&self, frame: u64) -> impl Iterator<Item = Key> {
        let at = |frame: u64| {
            let bounds = (frame, LOWEST.0, LOWEST.1)..(frame + 1, LOWEST.0, LOWEST.1);
            self.targets.range(bounds)
        };
        let blocks = at(frame & !(BLOCK_BYTES - 1)).filter(|(_, cpu, key)| {
            self.entry(*cpu, *key).is_some_and(|entry| is_block(*key, entry.word))
        });
        at(frame).chain(blocks).map(|(_, _, key)| *key)
    }

    /// Returns whether a key is of a page, or of a block that some CPU holds.
    pub(crate) fn is_last_level(&self, key: Key) -> bool {
        let mut entries = (0..32).filter_map(|cpu| self.entry(cpu, key));
        matches!(key, Key::Leaf(..)) || entries.any(|entry| is_block(key, entry.word))
    }

    /// Returns the entries that were read from an address below `end` and not below `start`.
    pub(crate) fn read_from(&self, start: u64, end: u64) -> impl Iterator<Item = &Entry> {
        let bounds = (start, LOWEST.0, LOWEST.1)..(end, LOWEST.0, LOWEST.1);
        self.slots.range(bounds).filter_map(|(_, cpu, key)| self.entry(*cpu, *key))
    }

    /// Dooms an entry on every CPU until a barrier of `by`, unless `keeps_fn` says that a walk
    /// could bring it back at once.
    pub(crate) fn doom(
        &mut self,
        by: usize,
        cpus: usize,
        key: Key,
        keeps_fn: impl Fn(u64) -> bool,
    ) {
        for cpu in 0..cpus {
            if let Some(entry) = self.entries.get_mut(&(cpu, key))
                && !keeps_fn(entry.slot)
            {
                entry.doomed |= 1 << by;
                self.doomed.entry(by).or_default().push((cpu, key));
            }
        }
    }

    /// Returns the keys that belong to an identifier, or all.
    pub(crate) fn keys_of(&self, asid: Option<u16>) -> BTreeSet<Key> {
        let keys = self.entries.keys().map(|(_, key)| *key);
        keys.filter(|key| asid.is_none_or(|asid| key.asid() == asid)).collect()
    }

    /// Completes the invalidations that a CPU issued.
    pub(crate) fn complete(&mut self, by: usize) {
        for (cpu, key) in self.doomed.remove(&by).unwrap_or_default() {
            // An entry may have gone by another CPU's barrier and come back fresh.
            if self.entry(cpu, key).is_some_and(|entry| entry.doomed >> by & 1 != 0) {
                self.remove(cpu, key);
            }
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.entries.values().all(|entry| entry.doomed == 0)
    }
}
