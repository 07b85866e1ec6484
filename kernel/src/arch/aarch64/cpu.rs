//! The CPU as a whole: waiting, barriers, identity.
//!
//! Owns: single instructions that belong to no other file. Refuses to know: why anybody waits.

use aarch64_cpu::registers::{DAIF, MIDR_EL1, Readable, Writeable};
use core::arch::asm;

/// Waits for an interrupt. It ends the wait even while it is masked, and is not taken then
/// (Arm ARM, "Wait for Interrupt").
#[inline]
pub fn wait_for_interrupt() {
    aarch64_cpu::asm::wfi();
}

/// Stops this CPU for good.
pub fn park() -> ! {
    mask_exceptions();
    loop {
        aarch64_cpu::asm::wfe();
    }
}

/// Masks everything that can be masked on this CPU.
pub fn mask_exceptions() {
    DAIF.set(0xf << 6);
}

/// Returns the implementer and part number of this CPU.
pub fn part() -> (u8, u16) {
    let midr = MIDR_EL1.get();
    ((midr >> 24) as u8, (midr >> 4 & 0xfff) as u16)
}

/// Completes memory accesses and makes context changes visible: between a register write that
/// changes translation or permissions and whatever relies on it.
#[inline]
pub fn isb() {
    // SAFETY: A barrier. Not `nomem`, so that the compiler moves no access across it either.
    unsafe { asm!("isb", options(nostack, preserves_flags)) };
}
