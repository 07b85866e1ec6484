//! The loops that write a whole page.
//!
//! Owns: one loop for each way. Each is one assembly block, unrolled, so that what the release
//! binary executes is what is written here. Refuses to know: which of them is chosen
//! (`page_fill`).
//!
//! Instructions for a page of 4096 bytes, loop control included:
//!
//! | loop | instructions |
//! |---|---|
//! | `DC ZVA`, `DC GZVA`, blocks of 64 bytes | 136 |
//! | the same over 2 MiB | 130 |
//! | `STP` of zeros or a pattern | 288 |
//! | `STZ2G` | 136 |
//! | `LDP`, `STP` copy | 544 |
//! | the same with `LDGM`, `STGM` of 256 bytes | 576 |
//! | `STGM` alone, of 256 bytes | 48 |
//!
//! Every pointer is the first byte of a page in the direct map, so that a loop ends where the low
//! twelve bits of its pointer are zero again.

use core::arch::asm;
use vellum_abi::PAGE_SIZE;

/// Defines a loop by blocks of 64 bytes that goes on until the bits of `$end` are zero in the pointer;
/// `$unrolled` times an instruction and a step, then a look.
macro_rules! block_64_loop {
    ($name:ident, $instruction:literal, $unrolled:literal, $end:literal) => {
        /// # Safety
        /// The pointer is the start of a page, or of 2 MiB, of the caller's alone; the CPU's block is
        /// 64 bytes.
        #[inline]
        pub(super) unsafe fn $name(page: *mut u8) {
            // SAFETY: Writes the memory up to where the bits are zero and nothing else.
            unsafe {
                asm!(
                    ".arch_extension memtag",
                    "2:",
                    concat!(".rept ", $unrolled),
                    concat!($instruction, ", {page}"),
                    "add {page}, {page}, #64",
                    ".endr",
                    concat!("tst {page}, #", $end),
                    "b.ne 2b",
                    page = inout(reg) page => _,
                    options(nostack),
                );
            }
        }
    };
}

block_64_loop!(zero_by_block_64, "dc zva", 16, "0xfff");
block_64_loop!(zero_and_tag_by_block_64, "dc gzva", 16, "0xfff");
block_64_loop!(zero_2m_by_block_64, "dc zva", 64, "0x1fffff");
block_64_loop!(zero_and_tag_2m_by_block_64, "dc gzva", 64, "0x1fffff");

/// Defines a loop over one page by blocks of the size that the CPU has.
macro_rules! any_block_loop {
    ($name:ident, $instruction:literal) => {
        /// # Safety
        /// `page` is a page of the caller's alone; the instruction is allowed and `block` is the CPU's.
        pub(super) unsafe fn $name(page: *mut u8, block: usize) {
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
                    block = in(reg) block,
                    options(nostack),
                );
            }
        }
    };
}

any_block_loop!(zero_by_block, "dc zva");
any_block_loop!(zero_and_tag_by_block, "dc gzva");

/// # Safety
/// `page` is a page of the caller's alone; tags exist, and the pointer carries the tag.
pub(super) unsafe fn zero_and_tag_by_stores(page: *mut u8) {
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
/// `page` is a page of the caller's alone.
#[inline]
pub(super) unsafe fn fill_by_pairs(page: *mut u8, pattern: u64) {
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
/// `page` is a page of the caller's alone; the CPU has MOPS.
pub(super) unsafe fn fill_by_set(page: *mut u8, pattern: u64) {
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
/// `page` is a page of the caller's alone; the CPU has MOPS and tags, and the pointer carries the tag.
pub(super) unsafe fn zero_and_tag_by_set(page: *mut u8) {
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
/// Nobody relies on the page's tags; a tag block is 256 bytes.
#[inline]
pub(super) unsafe fn set_tags_by_256(page: *mut u8, tags: u64) {
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
/// Nobody relies on the page's tags; tags exist and `block` is the CPU's. All nibbles of `tags` are equal, so
/// that it does not matter which of them a smaller block takes.
pub(super) unsafe fn set_tags_by_block(page: *mut u8, tags: u64, block: usize) {
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
/// Both are pages, and only the caller uses `to`; tags exist and `block` is the CPU's. A block's tags sit in the
/// register by address bits 7:4, which are the same in both pages.
pub(super) unsafe fn copy_tags_by_block(from: *const u8, to: *mut u8, block: usize) {
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
        /// Both are pages, they differ, and only the caller uses `to`; where tags are copied, they exist and a tag block is 256 bytes.
        #[inline]
        pub(super) unsafe fn $name(from: *const u8, to: *mut u8) {
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
/// Both are pages, they differ, and only the caller uses `to`; the CPU has MOPS.
pub(super) unsafe fn copy_by_instruction(from: *const u8, to: *mut u8) {
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

const _: () = assert!(PAGE_SIZE == 4096, "the loops end at a multiple of 4096");
