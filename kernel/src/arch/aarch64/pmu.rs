//! The performance monitors: one counter of retired instructions, readable by programs.
//!
//! Owns: event counter 0. Refuses to know: who reads it. Under fixed-shift icount QEMU counts one
//! for one, and one for the whole machine; without icount the event does not exist there.

use crate::arch::cpu;
use crate::arch::features::{self, INST_RETIRED};
use crate::arch::sysreg::{
    PMCNTENCLR_EL0, PMCNTENSET_EL0, PMCR_EL0, PMEVCNTR0_EL0, PMEVTYPER0_EL0, PMINTENCLR_EL1,
    PMUSERENR_EL0,
};
use aarch64_cpu::registers::{ID_AA64DFR0_EL1, ReadWriteable, Readable, Writeable};
use core::sync::atomic::{AtomicBool, Ordering};

/// Whether EL0 may use the counters.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Returns whether EL0 may select and read event counters.
#[inline]
pub fn is_open() -> bool {
    OPEN.load(Ordering::Relaxed)
}

/// Starts the instruction counter of this CPU if it has one, and closes everything else to EL0.
///
/// All filter bits of the event are zero: EL0 and EL1 are both counted. EL0 may read event
/// counters and can write none; it may also write PMSELR_EL0, which is each thread's own.
pub fn start() {
    if matches!(ID_AA64DFR0_EL1.read(ID_AA64DFR0_EL1::PMUVer), 0 | 0xf) {
        return;
    }
    PMUSERENR_EL0.set(0);
    PMCNTENCLR_EL0.set(u64::from(u32::MAX));
    PMINTENCLR_EL1.set(u64::from(u32::MAX));
    if !features::get().instruction_counter {
        return;
    }
    PMEVTYPER0_EL0.set(INST_RETIRED);
    PMCR_EL0.modify(PMCR_EL0::P::SET + PMCR_EL0::E::SET);
    PMCNTENSET_EL0.set(1);
    PMUSERENR_EL0.write(PMUSERENR_EL0::ER::SET);
    OPEN.store(true, Ordering::Relaxed);
    cpu::isb();
}

/// Returns the low half of the counter of retired instructions. Only for a build that measures the
/// kernel; the counter was started.
pub fn instructions() -> u32 {
    PMEVCNTR0_EL0.get() as u32
}
