//! Writing whole pages: zeros, patterns, tags, copies.
//!
//! Owns: one loop for each way to write a page, and the choice among them, made once at boot. Each
//! loop is one assembly block, unrolled, so that what the release binary executes is what is
//! written here. Refuses to know: whose page it is, and the order around it.
//!
//! Instructions for a page of 4096 bytes, loop control included:
//!
//! | loop | instructions |
//! |---|---|
//! | `DC ZVA`, `DC GZVA`, blocks of 64 bytes | 136 |
//! | `STP` of zeros or a pattern | 288 |
//! | `STZ2G` | 136 |
//! | `LDP`, `STP` copy | 544 |
//! | the same with `LDGM`, `STGM` of 256 bytes | 576 |
//! | `STGM` alone, of 256 bytes | 48 |
//!
//! Every pointer is the first byte of a page in the direct map, so that a loop ends where the low
//! twelve bits of its pointer are zero again.

use crate::arch::features::Features;
use crate::arch::mte::{TAG_SHIFT, with_tag};
use core::arch::asm;
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
    // SAFETY: The caller's duty; the choice was made for this CPU.
    unsafe {
        match zeroing {
            by if by == Zeroing::Mops as u8 => fill_by_set(page, 0),
            by if by == Zeroing::AnyBlock as u8 => zero_by_block(page),
            _ => fill_by_pairs(page, 0),
        }
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
    // SAFETY: The caller's duty; tags exist, and the choice was made for this CPU.
    unsafe {
        match zeroing {
            by if by == Zeroing::Mops as u8 => zero_and_tag_by_set(page),
            by if by == Zeroing::AnyBlock as u8 => zero_and_tag_by_block(page),
            _ => zero_and_tag_by_stores(page),
        }
    }
}

/// Defines a loop over one page: 16 times an instruction and a step, until the page ends.
macro_rules! block_64_loop {
    ($name:ident, $instruction:literal) => {
        /// # Safety
        /// As for [`zero`]; the CPU's block is 64 bytes.
        #[inline]
        unsafe fn $name(page: *mut u8) {
            // SAFETY: Writes the page and nothing else.
            unsafe {
                asm!(
                    ".arch_extension memtag",
                    "2:",
                    ".rept 16",
                    concat!($instruction, ", {page}"),
                    "add {page}, {page}, #64",
                    ".endr",
                    "tst {page}, #0xfff",
                    "b.ne 2b",
                    page = inout(reg) page => _,
                    options(nostack),
                );
            }
        }
    };
}

block_64_loop!(zero_by_block_64, "dc zva");
block_64_loop!(zero_and_tag_by_block_64, "dc gzva");

/// Defines a loop over one page by blocks of the size that the CPU has.
macro_rules! any_block_loop {
    ($name:ident, $instruction:literal) => {
        /// # Safety
        /// As for [`zero`]; the instruction is allowed.
        unsafe fn $name(page: *mut u8) {
            // SAFETY: Writes the page and nothing else: a block is at most 2 KiB.
            unsafe {
                asm!(
                    ".arch_extension memtag",
                    "2:",
                    concat!($instruction, ", {page}"),
                    "add {page}, {page}, {block}",
                    "tst {page}, #0xfff",
                    "b.ne 2b",
                    page = inout(reg) page => _,
                    block = in(reg) ZERO_BLOCK.load(Ordering::Relaxed),
                    options(nostack),
                );
            }
        }
    };
}

any_block_loop!(zero_by_block, "dc zva");
any_block_loop!(zero_and_tag_by_block, "dc gzva");

/// # Safety
/// As for [`zero`]; tags exist, and the pointer carries the tag.
unsafe fn zero_and_tag_by_stores(page: *mut u8) {
    // SAFETY: Writes the page and its tags and nothing else.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "2:",
            ".rept 31",
            "stz2g {page}, [{page}], #32",
            ".endr",
            "stz2g {page}, [{page}], #32",
            "tst {page}, #0xfff",
            "b.ne 2b",
            page = inout(reg) page => _,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`zero`].
#[inline]
unsafe fn fill_by_pairs(page: *mut u8, pattern: u64) {
    // SAFETY: Writes the page and nothing else. The first pair of 256 bytes comes last, because
    // its store moves the pointer on.
    unsafe {
        asm!(
            "2:",
            ".irp offset,16,32,48,64,80,96,112,128,144,160,176,192,208,224,240",
            r"stp {pattern}, {pattern}, [{page}, #\offset]",
            ".endr",
            "stp {pattern}, {pattern}, [{page}], #256",
            "tst {page}, #0xfff",
            "b.ne 2b",
            page = inout(reg) page => _,
            pattern = in(reg) pattern,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`zero`]; the CPU has MOPS.
unsafe fn fill_by_set(page: *mut u8, pattern: u64) {
    // SAFETY: Writes the page and nothing else.
    unsafe {
        asm!(
            ".arch_extension mops",
            "setp [{page}]!, {length}!, {pattern}",
            "setm [{page}]!, {length}!, {pattern}",
            "sete [{page}]!, {length}!, {pattern}",
            page = inout(reg) page => _,
            length = inout(reg) PAGE_SIZE => _,
            pattern = in(reg) pattern,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`zero`]; the CPU has MOPS and tags, and the pointer carries the tag.
unsafe fn zero_and_tag_by_set(page: *mut u8) {
    // SAFETY: Writes the page and its tags and nothing else.
    unsafe {
        asm!(
            ".arch_extension mops",
            ".arch_extension memtag",
            "setgp [{page}]!, {length}!, xzr",
            "setgm [{page}]!, {length}!, xzr",
            "setge [{page}]!, {length}!, xzr",
            page = inout(reg) page => _,
            length = inout(reg) PAGE_SIZE => _,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`set_tags`]; a tag block is 256 bytes.
#[inline]
unsafe fn set_tags_by_256(page: *mut u8, tags: u64) {
    // SAFETY: Writes the page's tags and nothing else.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "2:",
            ".rept 2",
            "stgm {tags}, [{page}]",
            "add {page}, {page}, #256",
            ".endr",
            "tst {page}, #0xfff",
            "b.ne 2b",
            page = inout(reg) page => _,
            tags = in(reg) tags,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`set_tags`]; tags exist and `block` is the CPU's. All nibbles of `tags` are equal, so
/// that it does not matter which of them a smaller block takes.
unsafe fn set_tags_by_block(page: *mut u8, tags: u64, block: usize) {
    // SAFETY: Writes the page's tags and nothing else.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "2:",
            "stgm {tags}, [{page}]",
            "add {page}, {page}, {block}",
            "tst {page}, #0xfff",
            "b.ne 2b",
            page = inout(reg) page => _,
            block = in(reg) block,
            tags = in(reg) tags,
            options(nostack),
        );
    }
}

/// # Safety
/// As for [`copy_with_tags`]; tags exist and `block` is the CPU's. A block's tags sit in the
/// register by address bits 7:4, which are the same in both pages.
unsafe fn copy_tags_by_block(from: *const u8, to: *mut u8, block: usize) {
    // SAFETY: Reads tags of one page and writes those of the other.
    unsafe {
        asm!(
            ".arch_extension memtag",
            "2:",
            "ldgm {tags}, [{from}]",
            "stgm {tags}, [{to}]",
            "add {from}, {from}, {block}",
            "add {to}, {to}, {block}",
            "tst {to}, #0xfff",
            "b.ne 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            block = in(reg) block,
            tags = out(reg) _,
            options(nostack),
        );
    }
}

/// Defines a copy loop of 256 bytes a round; `$tags` comes first in each. The first 32 bytes come
/// last, because their accesses move the pointers on.
macro_rules! copy_loop {
    ($name:ident, $($tags:literal),*) => {
        /// # Safety
        /// As for [`copy`]; where tags are copied, they exist and a tag block is 256 bytes.
        #[inline]
        unsafe fn $name(from: *const u8, to: *mut u8) {
            // SAFETY: Reads one page and writes the other.
            unsafe {
                asm!(
                    ".arch_extension memtag",
                    "2:",
                    $($tags,)*
                    ".irp offset,32,64,96,128,160,192,224",
                    r"ldp {a}, {b}, [{from}, #\offset]",
                    r"ldp {c}, {d}, [{from}, #\offset + 16]",
                    r"stp {a}, {b}, [{to}, #\offset]",
                    r"stp {c}, {d}, [{to}, #\offset + 16]",
                    ".endr",
                    "ldp {a}, {b}, [{from}, #16]",
                    "ldp {c}, {d}, [{from}], #256",
                    "stp {a}, {b}, [{to}, #16]",
                    "stp {c}, {d}, [{to}], #256",
                    "tst {to}, #0xfff",
                    "b.ne 2b",
                    from = inout(reg) from => _,
                    to = inout(reg) to => _,
                    a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
                    options(nostack),
                );
            }
        }
    };
}

copy_loop!(copy_by_pairs,);
copy_loop!(copy_with_tags_by_256, "ldgm {a}, [{from}]", "stgm {a}, [{to}]");

/// # Safety
/// As for [`copy`]; the CPU has MOPS.
unsafe fn copy_by_instruction(from: *const u8, to: *mut u8) {
    // SAFETY: Reads one page and writes the other; they differ, so that copying forward is right.
    unsafe {
        asm!(
            ".arch_extension mops",
            "cpyfp [{to}]!, [{from}]!, {length}!",
            "cpyfm [{to}]!, [{from}]!, {length}!",
            "cpyfe [{to}]!, [{from}]!, {length}!",
            to = inout(reg) to => _,
            from = inout(reg) from => _,
            length = inout(reg) PAGE_SIZE => _,
            options(nostack),
        );
    }
}

const _: () = assert!(TAG_SHIFT == 56 && PAGE_SIZE == 4096);
