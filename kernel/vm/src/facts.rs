//! What stands against operations on mappings, summed up over many of them.
//!
//! Owns: one bit for each reason that any mapping of a range may have to refuse an operation, so
//! that the tree of mappings can keep the sum of a subtree in two bytes. Refuses to know: the order
//! in which an operation names its reasons. Every bit is an *any*: sums are unions.

use crate::decide::allows;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::page_table::Sharing;
use vellum_abi::{FaultAccess, Protection, Switches};

/// Some mapping is sealed.
const SEALED: u16 = 1 << 4;
/// Some mapping shares an object that cannot be written.
const SHARED_READ_ONLY: u16 = 1 << 5;
/// Some object's frames have tags that nobody defined.
const UNDEFINED_TAGS: u16 = 1 << 6;
/// Some mapping has not HUGE switched on.
const NOT_HUGE: u16 = 1 << 7;
/// Some mapping cannot have private blocks, or not now.
const NO_BLOCKS: u16 = 1 << 8;
/// Some mapping allows no loads now, no stores, no fetches.
const NO_LOADS: u16 = 1 << 9;
const NO_STORES: u16 = 1 << 10;
const NO_FETCHES: u16 = 1 << 11;
/// Protection bits that some mapping's `maximum` lacks, one for one.
const LACKING: u16 = 0xf;

/// What a protection denies, by its bits.
const DENIED: [u16; 1 << Protection::ALL.bits().count_ones()] = {
    let mut denied = [0; _];
    let mut bits = 0;
    while bits < denied.len() {
        if let Some(protection) = Protection::from_bits(bits as u64) {
            denied[bits] = denied_by(protection);
        }
        bits += 1;
    }
    denied
};

const fn denied_by(protection: Protection) -> u16 {
    let mut denied = 0;
    if !allows(protection, FaultAccess::Read) {
        denied |= NO_LOADS;
    }
    if !allows(protection, FaultAccess::Write) {
        denied |= NO_STORES | NO_BLOCKS;
    }
    if !allows(protection, FaultAccess::Execute) {
        denied |= NO_FETCHES;
    }
    denied
}

/// What is true of any of some mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts(u16);

impl Facts {
    /// Those of no mapping.
    pub const NONE: Facts = Facts(0);

    /// Returns those of one mapping.
    #[must_use]
    #[inline]
    pub fn of<M: Machine>(mapping: &Mapping<M>) -> Facts {
        let object = &mapping.object;
        let when = |holds, fact| if holds { fact } else { 0 };
        let shared = mapping.sharing == Sharing::Shared;
        let denied = DENIED[(mapping.protection.bits() & LACKING as u64) as usize];
        let huge = mapping.switches.contains(Switches::HUGE);
        Facts(
            !(mapping.maximum.bits() as u16) & LACKING
                | when(mapping.sealed, SEALED)
                | when(shared && !object.is_writable(), SHARED_READ_ONLY)
                | when(!object.has_defined_tags(), UNDEFINED_TAGS)
                | when(!huge, NOT_HUGE | NO_BLOCKS)
                | when(huge && !mapping.shows_blocks(), NO_BLOCKS)
                | denied,
        )
    }

    /// Returns those of both.
    #[must_use]
    #[inline]
    pub const fn and(self, other: Facts) -> Facts {
        Facts(self.0 | other.0)
    }

    /// Returns whether a mapping is sealed.
    #[must_use]
    #[inline]
    pub const fn any_sealed(self) -> bool {
        self.0 & SEALED != 0
    }

    /// Returns whether a mapping shares an object that cannot be written.
    #[must_use]
    pub const fn any_shared_read_only(self) -> bool {
        self.0 & SHARED_READ_ONLY != 0
    }

    /// Returns whether the tags of an object are not defined.
    #[must_use]
    pub const fn any_undefined_tags(self) -> bool {
        self.0 & UNDEFINED_TAGS != 0
    }

    /// Returns whether a mapping has not HUGE switched on.
    #[must_use]
    pub const fn any_not_huge(self) -> bool {
        self.0 & NOT_HUGE != 0
    }

    /// Returns whether a mapping cannot have private blocks as it is now.
    #[must_use]
    pub const fn any_without_blocks(self) -> bool {
        self.0 & NO_BLOCKS != 0
    }

    /// Returns whether every mapping allows an access now.
    #[must_use]
    pub const fn all_serve(self, access: FaultAccess) -> bool {
        let denied = match access {
            FaultAccess::Read => NO_LOADS,
            FaultAccess::Write => NO_STORES,
            FaultAccess::Execute => NO_FETCHES,
        };
        self.0 & denied == 0
    }

    /// Returns whether every mapping's `maximum` contains a protection.
    #[must_use]
    pub const fn all_allow(self, protection: Protection) -> bool {
        self.0 & LACKING & protection.bits() as u16 == 0
    }
}

const _: () = assert!(Protection::ALL.bits() == LACKING as u64);
