//! The instruction counter: PMEVCNTR0_EL0, which the kernel sets to count INST_RETIRED at EL0 and
//! EL1 (Arm ARM, "PMEVCNTR_n_EL0, Performance Monitors Event Count Registers").
//!
//! Under QEMU's fixed-shift icount it counts one to one and repeats exactly. Instructions are not
//! cycles: a `DC GZVA` and an `ADD` both count once.

use crate::system;
use core::arch::asm;

/// Returns the counter's low 32 bits. Only differences mean something; take them with
/// [`u32::wrapping_sub`].
///
/// The read traps, and the process dies, where [`system::instruction_counter`] says no.
#[inline(always)]
#[must_use]
pub fn read() -> u32 {
    let value: u64;
    // SAFETY: reading a counter changes nothing. Without `nomem` and `pure` the compiler keeps every
    // read in its place between the accesses that are measured.
    unsafe { asm!("mrs {}, pmevcntr0_el0", out(reg) value, options(nostack, preserves_flags)) };
    value as u32
}

/// Returns the instructions that `work_fn` takes, kernel included, or `None` where nothing counts
/// them. The two instructions of reading the counter are not subtracted; the work must stay below
/// 2^32 instructions.
pub fn instructions(work_fn: impl FnOnce()) -> Option<u64> {
    if !system::instruction_counter() {
        work_fn();
        return None;
    }
    let before = read();
    work_fn();
    Some(u64::from(read().wrapping_sub(before)))
}
