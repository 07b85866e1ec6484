//! Barriers and TLB maintenance, one instruction each.
//!
//! Owns: the encoding of operands. Refuses to know: the order; `vellum-vm` decides it. Every
//! operation is broadcast to the Inner Shareable domain (Arm ARM, "TLB maintenance instructions").

use core::arch::asm;
use vellum_vm::addr::Page;
use vellum_vm::machine::Asid;

/// Defines functions of one instruction without operand.
macro_rules! instructions {
    ($($(#[$meta:meta])* $name:ident $instruction:literal;)*) => {$(
        $(#[$meta])*
        #[inline]
        pub fn $name() {
            // SAFETY: Orders or forgets translations and changes no memory. Not `nomem`: descriptor
            // stores before it must be issued before it.
            unsafe { asm!($instruction, options(nostack, preserves_flags)) };
        }
    )*};
}

instructions! {
    /// Stores before it are seen by table walks of every CPU after it.
    dsb_ishst "dsb ishst";
    /// Everything before it, TLB maintenance too, is complete on every CPU after it.
    dsb_ish "dsb ish";
    /// Removes every translation of EL1 and EL0.
    all "tlbi vmalle1is";
}

/// Returns the operand of an operation by address: ASID in 63:48, page number in 43:0, no level
/// hint.
#[inline]
fn operand(asid: Asid, page: Page) -> u64 {
    u64::from(asid.0) << 48 | page.number()
}

/// Removes the leaves of a page.
#[inline]
pub fn leaf(asid: Asid, page: Page) {
    // SAFETY: Forgets translations and changes no memory.
    unsafe {
        asm!("tlbi vale1is, {}", in(reg) operand(asid, page), options(nostack, preserves_flags));
    }
}

/// Removes the leaves of a page and the table descriptors on the way to it.
#[inline]
pub fn page(asid: Asid, page: Page) {
    // SAFETY: As in `leaf`.
    unsafe {
        asm!("tlbi vae1is, {}", in(reg) operand(asid, page), options(nostack, preserves_flags));
    }
}

/// Removes everything of an address space.
#[inline]
pub fn asid(asid: Asid) {
    // SAFETY: As in `leaf`.
    unsafe {
        asm!("tlbi aside1is, {}", in(reg) u64::from(asid.0) << 48,
            options(nostack, preserves_flags));
    }
}
