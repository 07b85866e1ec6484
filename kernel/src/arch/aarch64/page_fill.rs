//! Writing whole pages: zeros, patterns, tags, copies.
//!
//! Owns: the choice among the loops of `page_loops`, made once at boot from what the CPU can do and
//! what the boot options allow. Refuses to know: whose page it is, and the order around it.

use super::page_loops::{
    copy_by_instruction, copy_by_pairs, copy_tags_by_block, copy_with_tags_by_256, fill_by_pairs,
    fill_by_set, set_tags_by_256, set_tags_by_block, zero_2m_by_block_64,
    zero_and_tag_2m_by_block_64, zero_and_tag_by_block, zero_and_tag_by_block_64,
    zero_and_tag_by_set, zero_and_tag_by_stores, zero_by_block, zero_by_block_64,
};
use crate::arch::features::Features;
use crate::arch::mte::with_tag;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use vellum_abi::PAGE_SIZE;

/// How to write zeros, with or without a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Zeroing {
    /// `STP`, or `STZ2G` with a tag: the fallback that always works.
    Stores,
    /// `DC ZVA` or `DC GZVA` of 64 bytes.
    Block64,
    /// `DC ZVA` or `DC GZVA` of any other size.
    AnyBlock,
    /// `SETP` or `SETGP`.
    Mops,
}

static ZEROING: AtomicU8 = AtomicU8::new(Zeroing::Stores as u8);
static PLAIN: AtomicBool = AtomicBool::new(false);
static MOPS: AtomicBool = AtomicBool::new(false);
static TAGS: AtomicBool = AtomicBool::new(false);
static ZERO_BLOCK: AtomicUsize = AtomicUsize::new(0);
static TAG_BLOCK: AtomicUsize = AtomicUsize::new(0);
/// Tags move by blocks of 256 bytes, which one register holds.
static WIDE_TAGS: AtomicBool = AtomicBool::new(false);

/// What the boot options say about fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Memory copy and set instructions are used. Only with a CPU that has them.
    pub mops: bool,
    /// Every fill takes its fallback loop.
    pub plain: bool,
}

/// Chooses the loops.
pub fn choose(features: &Features, choice: Choice) {
    let mops = choice.mops && features.mops && !choice.plain;
    let zeroing = match features.zero_block_bytes {
        _ if choice.plain => Zeroing::Stores,
        _ if mops => Zeroing::Mops,
        0 => Zeroing::Stores,
        64 => Zeroing::Block64,
        _ => Zeroing::AnyBlock,
    };
    ZEROING.store(zeroing as u8, Ordering::Relaxed);
    ZERO_BLOCK.store(features.zero_block_bytes, Ordering::Relaxed);
    TAG_BLOCK.store(features.tag_block_bytes, Ordering::Relaxed);
    WIDE_TAGS.store(features.tag_block_bytes == 256 && !choice.plain, Ordering::Relaxed);
    TAGS.store(features.tags, Ordering::Relaxed);
    MOPS.store(mops, Ordering::Relaxed);
    PLAIN.store(choice.plain, Ordering::Relaxed);
}

/// Returns what is in use.
pub fn choice() -> Choice {
    Choice { mops: uses_mops(), plain: PLAIN.load(Ordering::Relaxed) }
}

/// Returns whether memory copy and set instructions are in use.
pub fn uses_mops() -> bool {
    MOPS.load(Ordering::Relaxed)
}

/// Returns whether tags are kept: the copy of the feature that is one load away.
#[inline]
pub fn has_tags() -> bool {
    TAGS.load(Ordering::Relaxed)
}

/// Writes zeros. Tags stay as they are.
///
/// # Safety
/// `page` is the start of a page in the direct map that only the caller uses.
#[inline]
pub unsafe fn zero(page: *mut u8) {
    let zeroing = ZEROING.load(Ordering::Relaxed);
    if zeroing == Zeroing::Block64 as u8 {
        // SAFETY: The caller's duty; the block size was read from the CPU.
        unsafe { zero_by_block_64(page) }
    } else {
        // SAFETY: As above.
        unsafe { zero_otherwise(page, zeroing) }
    }
}

/// Writes zeros and one tag on every granule. On a machine without tags: zeros.
///
/// # Safety
/// As for [`zero`].
#[inline]
pub unsafe fn zero_with_tag(page: *mut u8, tag: u8) {
    let zeroing = ZEROING.load(Ordering::Relaxed);
    if zeroing == Zeroing::Block64 as u8 && has_tags() {
        // SAFETY: The caller's duty; tags exist and the block size was read from the CPU.
        unsafe { zero_and_tag_by_block_64(with_tag(page, tag)) }
    } else {
        // SAFETY: As above.
        unsafe { zero_with_tag_otherwise(page, tag, zeroing) }
    }
}

/// Bytes of a block, which is what [`zero_block`] writes.
const BLOCK_BYTES: usize = 2 << 20;

/// Writes zeros to 2 MiB. Tags stay as they are.
///
/// # Safety
/// `block` is the start of aligned 2 MiB in the direct map that only the caller uses.
pub unsafe fn zero_block(block: *mut u8) {
    if ZEROING.load(Ordering::Relaxed) == Zeroing::Block64 as u8 {
        // SAFETY: The caller's duty; the block size was read from the CPU.
        return unsafe { zero_2m_by_block_64(block) };
    }
    for offset in (0..BLOCK_BYTES).step_by(PAGE_SIZE as usize) {
        // SAFETY: The caller's duty; a page of the block.
        unsafe { zero(block.wrapping_add(offset)) };
    }
}

/// Writes zeros and one tag on every granule of 2 MiB. On a machine without tags: zeros.
///
/// # Safety
/// As for [`zero_block`].
pub unsafe fn zero_block_with_tag(block: *mut u8, tag: u8) {
    if ZEROING.load(Ordering::Relaxed) == Zeroing::Block64 as u8 && has_tags() {
        // SAFETY: The caller's duty; tags exist and the block size was read from the CPU.
        return unsafe { zero_and_tag_2m_by_block_64(with_tag(block, tag)) };
    }
    for offset in (0..BLOCK_BYTES).step_by(PAGE_SIZE as usize) {
        // SAFETY: The caller's duty; a page of the block.
        unsafe { zero_with_tag(block.wrapping_add(offset), tag) };
    }
}

/// Writes one byte throughout. Tags stay as they are.
///
/// # Safety
/// As for [`zero`].
#[inline]
pub unsafe fn fill(page: *mut u8, byte: u8) {
    let pattern = u64::from(byte) * 0x0101_0101_0101_0101;
    if uses_mops() {
        // SAFETY: The caller's duty; MOPS is in use only where it exists.
        unsafe { fill_by_set(page, pattern) }
    } else {
        // SAFETY: The caller's duty.
        unsafe { fill_by_pairs(page, pattern) }
    }
}

/// Writes one tag on every granule. Bytes stay as they are. Nothing on a machine without tags.
///
/// # Safety
/// `page` is the start of a page in the direct map; nobody relies on its tags.
#[inline]
pub unsafe fn set_tags(page: *mut u8, tag: u8) {
    let tags = u64::from(tag & 0xf) * 0x1111_1111_1111_1111;
    if WIDE_TAGS.load(Ordering::Relaxed) {
        // SAFETY: The caller's duty; the block size was read from the CPU.
        unsafe { set_tags_by_256(page, tags) }
    } else if has_tags() {
        // SAFETY: The caller's duty; tags exist.
        unsafe { set_tags_by_block(page, tags, TAG_BLOCK.load(Ordering::Relaxed)) }
    }
}

/// Copies a page. Tags of the target stay as they are.
///
/// # Safety
/// Both are starts of pages in the direct map; only the caller uses `to`, and they differ.
#[inline]
pub unsafe fn copy(from: *const u8, to: *mut u8) {
    if uses_mops() {
        // SAFETY: The caller's duty; MOPS is in use only where it exists.
        unsafe { copy_by_instruction(from, to) }
    } else {
        // SAFETY: The caller's duty.
        unsafe { copy_by_pairs(from, to) }
    }
}

/// Copies a page and its tags.
///
/// # Safety
/// As for [`copy`].
#[inline]
pub unsafe fn copy_with_tags(from: *const u8, to: *mut u8) {
    if WIDE_TAGS.load(Ordering::Relaxed) && !uses_mops() {
        // SAFETY: The caller's duty; the block size was read from the CPU.
        unsafe { copy_with_tags_by_256(from, to) }
    } else {
        // SAFETY: The caller's duty.
        unsafe { copy(from, to) };
        if has_tags() {
            // SAFETY: The caller's duty; tags exist.
            unsafe { copy_tags_by_block(from, to, TAG_BLOCK.load(Ordering::Relaxed)) }
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn zero_otherwise(page: *mut u8, zeroing: u8) {
    if zeroing == Zeroing::Mops as u8 {
        // SAFETY: The caller's duty; MOPS is in use only where it exists.
        unsafe { fill_by_set(page, 0) }
    } else if zeroing == Zeroing::AnyBlock as u8 {
        // SAFETY: The caller's duty; zeroing by block is allowed where it was chosen.
        unsafe { zero_by_block(page, ZERO_BLOCK.load(Ordering::Relaxed)) }
    } else {
        // SAFETY: The caller's duty.
        unsafe { fill_by_pairs(page, 0) }
    }
}

#[cold]
#[inline(never)]
unsafe fn zero_with_tag_otherwise(page: *mut u8, tag: u8, zeroing: u8) {
    if !has_tags() {
        // SAFETY: The caller's duty.
        return unsafe { zero(page) };
    }
    let page = with_tag(page, tag);
    if zeroing == Zeroing::Mops as u8 {
        // SAFETY: The caller's duty; tags exist, and MOPS is in use only where it exists.
        unsafe { zero_and_tag_by_set(page) }
    } else if zeroing == Zeroing::AnyBlock as u8 {
        // SAFETY: The caller's duty; tags exist, and zeroing by block is allowed.
        unsafe { zero_and_tag_by_block(page, ZERO_BLOCK.load(Ordering::Relaxed)) }
    } else {
        // SAFETY: The caller's duty; tags exist.
        unsafe { zero_and_tag_by_stores(page) }
    }
}
