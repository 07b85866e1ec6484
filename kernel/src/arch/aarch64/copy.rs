//! `memcpy`, which the compiler calls for every value that is moved and larger than four words.
//!
//! Owns: plain copies of kernel memory. Refuses to know: pages (`page_fill`) and user memory
//! (`user_copy`). The compiler's own copies bytes up to a word's end even where both sides are aligned,
//! at four instructions each, and values that are moved are aligned and small. Every access is
//! aligned, as everywhere in the kernel; words are read only if a byte of them is copied, so that no
//! tag granule is touched that is not the source's.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.memcpy, \"ax\", %progbits",
    ".global memcpy",
    ".type memcpy, %function",
    ".balign 16",
    "memcpy:",
    "mov x3, x0",
    "orr x4, x0, x1",
    "tst x4, #7",
    "b.ne 5f",
    // Both sides are aligned: pairs of words, a word, bytes.
    "1: subs x2, x2, #16",
    "b.lo 3f",
    "2: ldp x4, x5, [x1], #16",
    "stp x4, x5, [x3], #16",
    "subs x2, x2, #16",
    "b.hs 2b",
    // What is left is still right in the low bits.
    "3: tbz x2, #3, 4f",
    "ldr x4, [x1], #8",
    "str x4, [x3], #8",
    "4: ands x2, x2, #7",
    "b.eq 9f",
    "6: ldrb w4, [x1], #1",
    "strb w4, [x3], #1",
    "subs x2, x2, #1",
    "b.ne 6b",
    "9: ret",
    // Bytes until the target is aligned.
    "5: cmp x2, #16",
    "b.lo 11f",
    "7: tst x3, #7",
    "b.eq 8f",
    "ldrb w4, [x1], #1",
    "strb w4, [x3], #1",
    "sub x2, x2, #1",
    "b 7b",
    "8: ands x6, x1, #7",
    "b.eq 1b",
    // Words put together of two; at least nine bytes are left.
    "lsl x6, x6, #3",
    "neg x7, x6",
    "and x8, x1, #~7",
    "ldr x4, [x8], #8",
    "sub x2, x2, #8",
    "10: ldr x5, [x8], #8",
    "lsr x9, x4, x6",
    "lsl x10, x5, x7",
    "orr x9, x9, x10",
    "str x9, [x3], #8",
    "mov x4, x5",
    "add x1, x1, #8",
    "subs x2, x2, #8",
    "b.hs 10b",
    "add x2, x2, #8",
    "11: cbnz x2, 6b",
    "ret",
    ".size memcpy, . - memcpy",
    ".popsection",
);
