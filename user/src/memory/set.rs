//! Three ways to fill memory: pairs of general registers, NEON registers, and one instruction.

use super::declare;
use core::arch::asm;

/// Bytes that one round of the unrolled loops covers.
const ROUND: usize = 256;

/// Fills the last bytes, fewer than a round. Volatile, so that the compiler does not turn the loop
/// into the `memset` that this module stands in for.
///
/// # Safety
/// 1. `pointer` is valid for writes of `length` bytes.
unsafe fn set_rest(pointer: *mut u8, byte: u8, length: usize) {
    for index in 0..length {
        let place = pointer.wrapping_add(index);
        // SAFETY: duty 1.
        unsafe { place.write_volatile(byte) }
    }
}

/// Fills `length` bytes with 16-byte stores of general registers: 288 instructions a page.
///
/// # Safety
/// 1. `pointer` is valid for writes of `length` bytes.
pub unsafe fn set_pairs(pointer: *mut u8, byte: u8, length: usize) {
    declare(length);
    let rest;
    // SAFETY: duty 1. Each round fills 256 bytes from `pointer` on and moves it behind them.
    unsafe {
        asm!(
            "cbz {rounds}, 3f",
            "2: stp {word}, {word}, [{pointer}], #256",
            ".irp distance, 240, 224, 208, 192, 176, 160, 144, 128, 112, 96, 80, 64, 48, 32, 16",
            "stp {word}, {word}, [{pointer}, #-\\distance]",
            ".endr",
            "subs {rounds}, {rounds}, #1",
            "b.ne 2b",
            "3:",
            word = in(reg) u64::from_ne_bytes([byte; 8]),
            pointer = inout(reg) pointer => rest,
            rounds = inout(reg) length / ROUND => _,
            options(nostack),
        );
    }
    // SAFETY: duty 1: `rest` is behind the last whole round.
    unsafe { set_rest(rest, byte, length % ROUND) }
}

/// Fills `length` bytes with 32-byte stores of NEON registers: 160 instructions a page.
///
/// # Safety
/// 1. `pointer` is valid for writes of `length` bytes.
pub unsafe fn set_vectors(pointer: *mut u8, byte: u8, length: usize) {
    declare(length);
    let rest;
    // SAFETY: duty 1, as in `set_pairs`.
    unsafe {
        asm!(
            "dup {vector:v}.16b, {byte:w}",
            "cbz {rounds}, 3f",
            "2: stp {vector:q}, {vector:q}, [{pointer}], #256",
            ".irp distance, 224, 192, 160, 128, 96, 64, 32",
            "stp {vector:q}, {vector:q}, [{pointer}, #-\\distance]",
            ".endr",
            "subs {rounds}, {rounds}, #1",
            "b.ne 2b",
            "3:",
            vector = out(vreg) _,
            byte = in(reg) u32::from(byte),
            pointer = inout(reg) pointer => rest,
            rounds = inout(reg) length / ROUND => _,
            options(nostack),
        );
    }
    // SAFETY: duty 1: `rest` is behind the last whole round.
    unsafe { set_rest(rest, byte, length % ROUND) }
}

/// Fills `length` bytes with the memory set instructions (Arm ARM, "Memory Copy and Memory Set
/// instructions"), which count as three whatever the length.
///
/// # Safety
/// 1. `pointer` is valid for writes of `length` bytes.
/// 2. The machine has FEAT_MOPS, and the kernel lets programs use it.
pub unsafe fn set_mops(pointer: *mut u8, byte: u8, length: usize) {
    declare(length);
    // SAFETY: duties 1 and 2; the three instructions advance pointer and length together.
    unsafe {
        asm!(
            ".arch_extension mops",
            "setp [{pointer}]!, {length}!, {byte}",
            "setm [{pointer}]!, {length}!, {byte}",
            "sete [{pointer}]!, {length}!, {byte}",
            pointer = inout(reg) pointer => _,
            length = inout(reg) length => _,
            byte = in(reg) u64::from(byte),
            options(nostack),
        );
    }
}
