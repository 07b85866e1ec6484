//! The tag instructions that EL0 has (Arm ARM, "The Memory Tagging Extension").
//!
//! A logical tag lives in bits 59:56 of a pointer, an allocation tag in memory, one for each tag
//! granule of 16 bytes. Through memory that is not mapped TAGGED, loads give tag 0 and stores of
//! tags do nothing. Each block enables the instructions for itself, so that the compiler never
//! emits one on its own.

use crate::memory;
use core::arch::asm;

/// Bytes that share an allocation tag.
pub const GRANULE: usize = vellum_abi::TAG_GRANULE as usize;
/// Where the logical tag is in a pointer.
const SHIFT: u32 = 56;
/// The bits of the logical tag.
const MASK: usize = 0xf << SHIFT;
/// Bytes that one round of the unrolled loops covers.
const ROUND: usize = 256;

/// Returns the pointer with this logical tag, of which bits 3:0 count.
#[must_use]
#[inline]
pub fn with_tag(pointer: *mut u8, tag: u8) -> *mut u8 {
    pointer.map_addr(|address| address & !MASK | (usize::from(tag) << SHIFT & MASK))
}

/// Returns the pointer's logical tag.
#[must_use]
pub fn logical(pointer: *const u8) -> u8 {
    (pointer.addr() >> SHIFT & 0xf) as u8
}

/// Returns the allocation tag of the granule at `pointer` (`LDG`), which must be readable: else the
/// process dies of the fault.
#[must_use]
pub fn load(pointer: *const u8) -> u8 {
    let mut tagged = pointer;
    // SAFETY: the instruction reads a tag and changes one register.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "ldg {tagged}, [{pointer}]",
            tagged = inout(reg) tagged,
            pointer = in(reg) pointer,
            options(nostack, preserves_flags, readonly),
        );
    }
    logical(tagged)
}

/// Returns the pointer with a random tag that is not in `excluded`, a bit for each tag (`IRG`).
/// Without the extension the pointer stays as it is or the process dies: ask
/// [`crate::system::tags_supported`] first.
#[must_use]
pub fn random(pointer: *mut u8, excluded: u16) -> *mut u8 {
    pointer.map_addr(|address| {
        let tagged;
        // SAFETY: the instruction computes on registers.
        unsafe {
            asm!(
                ".arch_extension memtag",
                "irg {tagged}, {address}, {excluded}",
                tagged = out(reg) tagged,
                address = in(reg) address,
                excluded = in(reg) u64::from(excluded),
                options(nostack, preserves_flags, nomem),
            );
        }
        tagged
    })
}

/// Sets the granule's allocation tag to the pointer's logical tag (`STG`).
///
/// # Safety
/// 1. `pointer` is 16-aligned, in writable memory, and no reference with another tag is used to
///    reach the granule afterwards.
#[inline]
pub unsafe fn store(pointer: *mut u8) {
    // SAFETY: duty 1.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "stg {pointer}, [{pointer}]",
            pointer = in(reg) pointer,
            options(nostack, preserves_flags),
        );
    }
    memory::declare_tags(1);
}

/// Sets the allocation tags of `length` bytes with one `STG` a granule: 288 instructions a page.
///
/// # Safety
/// 1. As for [`store`], for each granule of the range, whose length is a multiple of 16.
pub unsafe fn store_range(pointer: *mut u8, length: usize) {
    memory::declare_tags(length / 32);
    let (rounds, rest) = (length / ROUND, length % ROUND / GRANULE);
    // SAFETY: duty 1. Each round tags 256 bytes from `pointer` on and moves it behind them.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "cbz {rounds}, 3f",
            "2: stg {tag}, [{pointer}], #256",
            ".irp distance, 240, 224, 208, 192, 176, 160, 144, 128, 112, 96, 80, 64, 48, 32, 16",
            "stg {tag}, [{pointer}, #-\\distance]",
            ".endr",
            "subs {rounds}, {rounds}, #1",
            "b.ne 2b",
            "3: cbz {rest}, 5f",
            "4: stg {tag}, [{pointer}], #16",
            "subs {rest}, {rest}, #1",
            "b.ne 4b",
            "5:",
            tag = in(reg) pointer,
            pointer = inout(reg) pointer => _,
            rounds = inout(reg) rounds => _,
            rest = inout(reg) rest => _,
            options(nostack),
        );
    }
}

/// Sets the allocation tags of `length` bytes with one `ST2G` for two granules: 160 instructions a
/// page.
///
/// # Safety
/// 1. As for [`store_range`]; the length is a multiple of 256.
pub unsafe fn store_range_pairs(pointer: *mut u8, length: usize) {
    memory::declare_tags(length / 32);
    let rounds = length / ROUND;
    // SAFETY: duty 1, as in `store_range`.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "cbz {rounds}, 3f",
            "2: st2g {tag}, [{pointer}], #256",
            ".irp distance, 224, 192, 160, 128, 96, 64, 32",
            "st2g {tag}, [{pointer}, #-\\distance]",
            ".endr",
            "subs {rounds}, {rounds}, #1",
            "b.ne 2b",
            "3:",
            tag = in(reg) pointer,
            pointer = inout(reg) pointer => _,
            rounds = inout(reg) rounds => _,
            options(nostack),
        );
    }
}

/// Returns the bytes that `DC GVA` and `DC GZVA` write, or `None` where they are prohibited
/// (DCZID_EL0, "Data Cache Zero ID register": BS in bits 3:0, DZP in bit 4).
#[must_use]
pub fn block_bytes() -> Option<usize> {
    let identity: u64;
    // SAFETY: reading an identification register changes nothing.
    unsafe {
        asm!("mrs {}, dczid_el0", out(reg) identity, options(nomem, nostack, preserves_flags));
    }
    if identity & 1 << 4 == 0 { Some(4 << (identity & 0xf)) } else { None }
}

/// Defines a loop over zero blocks; `DC` has no addressing mode, so each block needs an `ADD`.
macro_rules! block_loop {
    ($(#[$meta:meta])* $name:ident $operation:literal) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// 1. As for [`store_range`]; `block` comes from [`block_bytes`], and `pointer` and
        ///    `length` are multiples of it.
        pub unsafe fn $name(pointer: *mut u8, length: usize, block: usize) {
            memory::declare_tags(length / 32);
            // SAFETY: duty 1. Each round writes one block and moves `pointer` behind it.
            unsafe {
                asm!(
                    ".arch_extension memtag",
                    "cbz {rounds}, 3f",
                    concat!("2: ", $operation, ", {pointer}"),
                    "add {pointer}, {pointer}, {block}",
                    "subs {rounds}, {rounds}, #1",
                    "b.ne 2b",
                    "3:",
                    pointer = inout(reg) pointer => _,
                    rounds = inout(reg) length / block => _,
                    block = in(reg) block,
                    options(nostack),
                );
            }
        }
    };
}

block_loop! {
    /// Sets the allocation tags of `length` bytes by blocks (`DC GVA`); the bytes stay.
    store_range_blocks "dc gva"
}
block_loop! {
    /// Zeroes `length` bytes and sets their allocation tags by blocks (`DC GZVA`).
    zero_range_blocks "dc gzva"
}
