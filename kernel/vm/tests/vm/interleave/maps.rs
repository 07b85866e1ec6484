//! The mappings that a play asks for.
//!
//! Owns: which objects, policies and switches go together, so that most requests are granted, and which ranges
//! mappings are moved from and to.

use super::play::{Host, Play, Shown};
use crate::support::{RW, RWT};
use vellum_abi::{MapFlags, MapOptions, PAGE_SIZE, Policy, Protection, RemapFlags, Switches};
use vellum_vm::error::Refusal;
use vellum_vm::ops::{Change, MapRequest, RemapRequest};

/// What of a mapping goes together.
struct Manner {
    policy: Policy,
    switches: Switches,
    flags: MapFlags,
    offset: u64,
}

const BLOCKS: Switches = Switches::HUGE.union(Switches::HUGE_WRITES);
/// Switches of a mapping that shows a reference page by more than a page at a time.
const WIDE: [Switches; 5] = [
    Switches::SHARED_TABLES,
    Switches::HUGE,
    BLOCKS,
    BLOCKS.union(Switches::SHARED_TABLES),
    BLOCKS.union(Switches::BATCH),
];
/// Switches of any other.
const NARROW: [Switches; 2] = [Switches::NONE, Switches::BATCH];
const REFERENCE_POLICIES: [Policy; 4] =
    [Policy::ReferencePage, Policy::InMapping, Policy::PatternOnAnyFault, Policy::Eager];
const REMAP_FLAGS: [RemapFlags; 6] = [
    RemapFlags::NONE,
    RemapFlags::MAYMOVE,
    RemapFlags::MAYMOVE.union(RemapFlags::FIXED),
    RemapFlags::MAYMOVE.union(RemapFlags::FIXED),
    RemapFlags::MAYMOVE.union(RemapFlags::RETAIN),
    RemapFlags::MAYMOVE.union(RemapFlags::FIXED).union(RemapFlags::RETAIN),
];

impl Play {
    /// Maps something somewhere.
    pub(super) fn begin_map(&mut self) -> Result<Option<Change<Host>>, Refusal> {
        let (range, shown) = (self.draw.range(), self.draw.pick(&self.shown));
        let Manner { policy, switches, mut flags, offset } = self.manner(&shown);
        if policy != Policy::Eager && self.draw.one_in(2) {
            flags = flags | MapFlags::REPLACE;
        }
        let goes_around = switches == Switches::NONE && self.draw.one_in(3);
        let around = if goes_around { self.draw.below(10) as u8 } else { 0 };
        let protection = self.draw.pick(&[RW, RW, RWT, Protection::READ]);
        let (Shown::Reference(object) | Shown::Memory(object) | Shown::Wrapping(object)) = shown;
        let request = MapRequest {
            object,
            address: range.start().address(),
            length: range.pages() * PAGE_SIZE,
            offset,
            options: MapOptions {
                protection,
                flags,
                policy,
                switches,
                around,
                ..MapOptions::default()
            },
            maximum: Protection::ALL,
        };
        self.rig.space.map(&request).map(|(_, change)| change)
    }

    fn manner(&mut self, shown: &Shown) -> Manner {
        let (draw, flags) = (&mut self.draw, MapFlags::FIXED);
        match shown {
            Shown::Reference(_) if !draw.one_in(3) => {
                let (policy, switches) = (Policy::ReferencePage, draw.pick(&WIDE));
                Manner { policy, switches, flags, offset: 0 }
            }
            Shown::Reference(_) => {
                let (policy, switches) = (draw.pick(&REFERENCE_POLICIES), draw.pick(&NARROW));
                Manner { policy, switches, flags, offset: 0 }
            }
            Shown::Memory(_) => {
                let offset = draw.page() * PAGE_SIZE;
                let shared = if draw.one_in(2) { MapFlags::SHARED } else { MapFlags::NONE };
                let (policy, switches) = (Policy::Object, draw.pick(&NARROW));
                Manner { policy, switches, flags: flags | shared, offset }
            }
            Shown::Wrapping(_) => {
                Manner { policy: Policy::Wrap, switches: draw.pick(&NARROW), flags, offset: 0 }
            }
        }
    }

    /// Moves, grows or shrinks a part of a mapping, or the whole.
    pub(super) fn begin_remap(&mut self) -> Result<Option<Change<Host>>, Refusal> {
        let range = self.draw.range();
        // The mapping there, or the next.
        let info = self.rig.space.query(range.start())?;
        let start = range.start().address().max(info.start);
        let old = if self.draw.one_in(3) { info.start } else { start };
        let room = info.start + info.length - old;
        let all = self.draw.one_in(3);
        let old_length = if all { room } else { room.min(range.pages() * PAGE_SIZE) };
        let same = self.draw.one_in(2);
        let new_length = if same { old_length } else { self.draw.pages() * PAGE_SIZE };
        let (flags, new) = (self.draw.pick(&REMAP_FLAGS), self.draw.address_like(old));
        let request = RemapRequest { old, old_length, new_length, flags, new };
        self.rig.space.remap(&request).map(|(_, change)| change)
    }
}
