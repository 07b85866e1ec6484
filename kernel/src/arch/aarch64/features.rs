//! What this CPU can do. Detected once at boot; nothing above Armv8.0 is used without asking here.
//!
//! Owns: reading the identification registers. Refuses to know: who uses a feature, and whether an
//! option forbids it. Invariant: [`detect`] runs before anything asks [`get`].

use super::page_fill;
use crate::arch::sysreg::{DCZID_EL0, GMID_EL1, ID_AA64ISAR2_EL1, PMCEID0_EL0, PMCR_EL0};
use aarch64_cpu::registers::{
    ID_AA64DFR0_EL1, ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64PFR0_EL1, ID_AA64PFR1_EL1, Readable,
};
use spin::Once;
use vellum_abi::Features as Bits;

/// The common event "instruction architecturally executed".
pub const INST_RETIRED: u64 = 0x08;

/// The features that Vellum makes use of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Allocation tags are kept and checked (FEAT_MTE2). FEAT_MTE alone has instructions only.
    pub tags: bool,
    /// Loads checked synchronously beside stores checked asynchronously (FEAT_MTE3).
    pub asymmetric_tags: bool,
    /// Memory copy and set instructions (FEAT_MOPS).
    pub mops: bool,
    /// Privileged access never (FEAT_PAN).
    pub pan: bool,
    /// PAN covers execute-only pages too (FEAT_PAN3).
    pub enhanced_pan: bool,
    /// Hardware sets the access flag of a leaf (FEAT_HAFDBS).
    pub access_flags: bool,
    /// Bytes that DC ZVA and DC GZVA write; 0 where they are prohibited.
    pub zero_block_bytes: usize,
    /// Bytes whose tags LDGM and STGM move; 0 without tags.
    pub tag_block_bytes: usize,
    /// Bits of an address space identifier.
    pub asid_bits: u32,
    /// Bits of a physical address.
    pub physical_bits: u32,
    /// An event counter can count retired instructions.
    pub instruction_counter: bool,
    /// System register access to a GICv3 CPU interface.
    pub gic_registers: bool,
}

static FEATURES: Once<Features> = Once::new();

/// Reads the identification registers.
pub fn detect() -> &'static Features {
    FEATURES.call_once(read)
}

/// Returns whether this CPU can do what the first one can, and no more.
pub fn are_the_same() -> bool {
    read() == *get()
}

/// Returns what was detected.
///
/// # Panics
/// Before [`detect`].
pub fn get() -> &'static Features {
    FEATURES.get().expect("features are detected first of all")
}

impl Features {
    /// Returns the bits that `system_query` reports: what the CPU has, and what is in use of it.
    pub fn abi_bits(&self) -> u64 {
        let fills = page_fill::choice();
        [
            (self.tags, Bits::TAGS),
            (self.asymmetric_tags, Bits::ASYMMETRIC_TAGS),
            (self.mops, Bits::MOPS),
            (fills.mops, Bits::MOPS_IN_USE),
            (self.instruction_counter, Bits::INSTRUCTION_COUNTER),
            (fills.plain, Bits::PLAIN_FILLS),
        ]
        .iter()
        .fold(0, |bits, (has, bit)| if *has { bits | bit } else { bits })
    }
}

fn read() -> Features {
    let mte = ID_AA64PFR1_EL1.read(ID_AA64PFR1_EL1::MTE);
    let pan = ID_AA64MMFR1_EL1.read(ID_AA64MMFR1_EL1::PAN);
    let zeroing = DCZID_EL0.is_set(DCZID_EL0::DZP);
    Features {
        tags: mte >= 2,
        asymmetric_tags: mte >= 3,
        mops: ID_AA64ISAR2_EL1.read(ID_AA64ISAR2_EL1::MOPS) >= 1,
        pan: pan >= 1,
        enhanced_pan: pan >= 3,
        zero_block_bytes: if zeroing { 0 } else { 4 << DCZID_EL0.read(DCZID_EL0::BS) },
        tag_block_bytes: if mte >= 2 { 4 << GMID_EL1.read(GMID_EL1::BS) } else { 0 },
        access_flags: ID_AA64MMFR1_EL1.read(ID_AA64MMFR1_EL1::HAFDBS) >= 1,
        asid_bits: if ID_AA64MMFR0_EL1.read(ID_AA64MMFR0_EL1::ASIDBits) == 2 { 16 } else { 8 },
        physical_bits: physical_bits(),
        instruction_counter: has_instruction_counter(),
        gic_registers: ID_AA64PFR0_EL1.get() >> 24 & 0xf != 0,
    }
}

/// Returns the width of physical addresses; what is above 48 needs another table format.
fn physical_bits() -> u32 {
    match ID_AA64MMFR0_EL1.read(ID_AA64MMFR0_EL1::PARange) {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        _ => 48,
    }
}

/// Returns whether INST_RETIRED exists and there is a counter for it. The event number existing is
/// not enough: 0 and 15 in PMUVer both mean that there are no counters of this architecture.
fn has_instruction_counter() -> bool {
    let version = ID_AA64DFR0_EL1.read(ID_AA64DFR0_EL1::PMUVer);
    version != 0
        && version != 0xf
        && PMCR_EL0.read(PMCR_EL0::N) >= 1
        && PMCEID0_EL0.get() & 1 << INST_RETIRED != 0
}
