//! Allocation tags of single granules.
//!
//! Owns: LDG, STG and ST2G. Refuses to know: whole pages (`page_fill`). Tags belong to the physical
//! granule and are reached through the direct map, which is Tagged: through any other view the
//! same instructions would be ignored without a word.

use core::arch::asm;

/// Bit position of the tag in a pointer.
pub(super) const TAG_SHIFT: u32 = 56;

/// Returns a pointer with another logical tag.
#[inline]
pub fn with_tag(pointer: *mut u8, tag: u8) -> *mut u8 {
    pointer.map_addr(|address| address & !(0xf << TAG_SHIFT) | usize::from(tag & 0xf) << TAG_SHIFT)
}

/// Returns the tag of the granule at `pointer`.
///
/// # Safety
/// 1. The CPU has tags.
/// 2. `pointer` is in mapped memory.
#[inline]
pub unsafe fn load_tag(pointer: *const u8) -> u8 {
    let result: u64;
    // SAFETY: By 1 the instruction exists, by 2 it does not fault; it reads a tag and nothing else.
    unsafe {
        asm!(".arch_extension memtag", "ldg {result}, [{pointer}]",
            result = inout(reg) 0u64 => result, pointer = in(reg) pointer,
            options(nostack, readonly, preserves_flags));
    }
    (result >> TAG_SHIFT & 0xf) as u8
}

/// Writes the tag of the granule at `pointer`, which is a multiple of 16.
///
/// # Safety
/// 1. The CPU has tags.
/// 2. `pointer` is in mapped memory, and nobody relies on the granule's tag.
#[inline]
pub unsafe fn store_tag(pointer: *mut u8, tag: u8) {
    // SAFETY: By 1 the instruction exists, by 2 it does not fault and changes only the tag.
    unsafe {
        asm!(".arch_extension memtag", "stg {tag}, [{pointer}]",
            tag = in(reg) u64::from(tag & 0xf) << TAG_SHIFT, pointer = in(reg) pointer,
            options(nostack, preserves_flags));
    }
}

/// Writes one tag on `bytes` bytes at `pointer`, both multiples of 16.
///
/// # Safety
/// As for [`store_tag`], for each granule.
#[inline]
pub unsafe fn set_tags(pointer: *mut u8, bytes: usize, tag: u8) {
    // SAFETY: The caller's duties; exactly `bytes / 16` granules are written.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "tbz {bytes}, #4, 2f",
            "stg {tag}, [{pointer}], #16",
            "2: tbz {bytes}, #5, 3f",
            "st2g {tag}, [{pointer}], #32",
            "3: lsr {bytes}, {bytes}, #6",
            "cbz {bytes}, 5f",
            "4: st2g {tag}, [{pointer}], #32",
            "st2g {tag}, [{pointer}], #32",
            "sub {bytes}, {bytes}, #1",
            "cbnz {bytes}, 4b",
            "5:",
            tag = in(reg) u64::from(tag & 0xf) << TAG_SHIFT,
            pointer = inout(reg) pointer => _,
            bytes = inout(reg) bytes => _,
            options(nostack, preserves_flags),
        );
    }
}
