//! Routines that set every register, do one thing, and store every register again.

use core::arch::global_asm;

/// Words of a snapshot: x0 to x30, the flags, FPCR, FPSR, then q0 to q31 in two words each. The
/// frame pointer and the link register are among them.
pub(crate) const WORDS: usize = 34 + 64;
const FLAGS: usize = 31;
const FPCR: usize = 32;
const FPSR: usize = 33;

/// The registers.
pub(crate) type Snapshot = [u64; WORDS];

/// Returns the name of the register that a word is of.
pub(crate) fn name(index: usize) -> &'static str {
    const NAMES: [&str; 31] = [
        "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
        "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
        "x27", "x28", "x29", "x30",
    ];
    match index {
        FLAGS => "flags",
        FPCR => "FPCR",
        FPSR => "FPSR",
        _ => NAMES.get(index).copied().unwrap_or("a vector"),
    }
}

/// Makes the words of control registers such as they can have.
pub(crate) fn constrain(snapshot: &mut Snapshot) {
    snapshot[FLAGS] &= 0xf << 28;
    snapshot[FPCR] = 0b10 << 22;
    snapshot[FPSR] &= 0x1f;
}

// The routines keep the two snapshots and the callee-saved registers on the stack: 176 bytes, of
// which [sp] is where the registers come from and [sp, #8] where they go.
global_asm!(
    r#"
    .macro save_all_callee_saved
    sub     sp, sp, #176
    stp     x0, x1, [sp]
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     x29, x30, [sp, #96]
    stp     d8, d9, [sp, #112]
    stp     d10, d11, [sp, #128]
    stp     d12, d13, [sp, #144]
    stp     d14, d15, [sp, #160]
    .endm

    .macro load_everything
    ldr     x0, [sp]
    ldp     q0, q1, [x0, #272]
    ldp     q2, q3, [x0, #304]
    ldp     q4, q5, [x0, #336]
    ldp     q6, q7, [x0, #368]
    ldp     q8, q9, [x0, #400]
    ldp     q10, q11, [x0, #432]
    ldp     q12, q13, [x0, #464]
    ldp     q14, q15, [x0, #496]
    ldp     q16, q17, [x0, #528]
    ldp     q18, q19, [x0, #560]
    ldp     q20, q21, [x0, #592]
    ldp     q22, q23, [x0, #624]
    ldp     q24, q25, [x0, #656]
    ldp     q26, q27, [x0, #688]
    ldp     q28, q29, [x0, #720]
    ldp     q30, q31, [x0, #752]
    ldp     x1, x2, [x0, #248]
    msr     nzcv, x1
    msr     fpcr, x2
    ldr     x1, [x0, #264]
    msr     fpsr, x1
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x8, x9, [x0, #64]
    ldp     x10, x11, [x0, #80]
    ldp     x12, x13, [x0, #96]
    ldp     x14, x15, [x0, #112]
    ldp     x16, x17, [x0, #128]
    ldp     x18, x19, [x0, #144]
    ldp     x20, x21, [x0, #160]
    ldp     x22, x23, [x0, #176]
    ldp     x24, x25, [x0, #192]
    ldp     x26, x27, [x0, #208]
    ldp     x28, x29, [x0, #224]
    ldr     x30, [x0, #240]
    ldp     x0, x1, [x0]
    .endm

    // x30 is free once it is on the stack below; it then points to the target.
    .macro store_everything
    str     x30, [sp, #-16]!
    ldr     x30, [sp, #24]
    stp     x0, x1, [x30]
    stp     x2, x3, [x30, #16]
    stp     x4, x5, [x30, #32]
    stp     x6, x7, [x30, #48]
    stp     x8, x9, [x30, #64]
    stp     x10, x11, [x30, #80]
    stp     x12, x13, [x30, #96]
    stp     x14, x15, [x30, #112]
    stp     x16, x17, [x30, #128]
    stp     x18, x19, [x30, #144]
    stp     x20, x21, [x30, #160]
    stp     x22, x23, [x30, #176]
    stp     x24, x25, [x30, #192]
    stp     x26, x27, [x30, #208]
    stp     x28, x29, [x30, #224]
    ldr     x0, [sp], #16
    str     x0, [x30, #240]
    mrs     x0, nzcv
    mrs     x1, fpcr
    stp     x0, x1, [x30, #248]
    mrs     x0, fpsr
    str     x0, [x30, #264]
    stp     q0, q1, [x30, #272]
    stp     q2, q3, [x30, #304]
    stp     q4, q5, [x30, #336]
    stp     q6, q7, [x30, #368]
    stp     q8, q9, [x30, #400]
    stp     q10, q11, [x30, #432]
    stp     q12, q13, [x30, #464]
    stp     q14, q15, [x30, #496]
    stp     q16, q17, [x30, #528]
    stp     q18, q19, [x30, #560]
    stp     q20, q21, [x30, #592]
    stp     q22, q23, [x30, #624]
    stp     q24, q25, [x30, #656]
    stp     q26, q27, [x30, #688]
    stp     q28, q29, [x30, #720]
    stp     q30, q31, [x30, #752]
    msr     fpcr, xzr
    msr     fpsr, xzr
    .endm

    .macro restore_all_callee_saved
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp, #96]
    ldp     d8, d9, [sp, #112]
    ldp     d10, d11, [sp, #128]
    ldp     d12, d13, [sp, #144]
    ldp     d14, d15, [sp, #160]
    add     sp, sp, #176
    .endm

    .pushsection .text.registers, "ax"
    .balign 4
registers_call:
    save_all_callee_saved
    load_everything
    svc     #0
    store_everything
    restore_all_callee_saved
    ret

registers_load:
    save_all_callee_saved
    load_everything
    ldrb    wzr, [x0]
    store_everything
    restore_all_callee_saved
    ret

registers_store:
    save_all_callee_saved
    load_everything
    strb    wzr, [x0]
    store_everything
    restore_all_callee_saved
    ret

    // The first thing that a new process does: sp is the page that everything goes to.
registers_dump:
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    mrs     x0, tpidr_el0
    stp     x30, x0, [sp, #240]
    mrs     x0, nzcv
    mrs     x1, fpcr
    stp     x0, x1, [sp, #256]
    mrs     x0, fpsr
    str     x0, [sp, #272]
    stp     q0, q1, [sp, #512]
    stp     q2, q3, [sp, #544]
    stp     q4, q5, [sp, #576]
    stp     q6, q7, [sp, #608]
    stp     q8, q9, [sp, #640]
    stp     q10, q11, [sp, #672]
    stp     q12, q13, [sp, #704]
    stp     q14, q15, [sp, #736]
    stp     q16, q17, [sp, #768]
    stp     q18, q19, [sp, #800]
    stp     q20, q21, [sp, #832]
    stp     q22, q23, [sp, #864]
    stp     q24, q25, [sp, #896]
    stp     q26, q27, [sp, #928]
    stp     q28, q29, [sp, #960]
    stp     q30, q31, [sp, #992]
    mov     x8, #2
    mov     x0, #5
    svc     #0
registers_dump_end:
    .popsection
    "#
);

unsafe extern "C" {
    fn registers_call(from: *const u64, to: *mut u64);
    fn registers_load(from: *const u64, to: *mut u64);
    fn registers_store(from: *const u64, to: *mut u64);
    static registers_dump: u8;
    static registers_dump_end: u8;
}

/// Makes the call whose number is in word 8 with these registers, and stores them afterwards.
///
/// # Safety
/// 1. As for `raw::call`.
pub(crate) unsafe fn enter_with(from: &Snapshot, to: &mut Snapshot) {
    // SAFETY: both are as long as a snapshot; the routine keeps what its caller needs; duty 1.
    unsafe { registers_call(from.as_ptr(), to.as_mut_ptr()) }
}

/// Loads from or stores a zero to the address in word 0 with these registers.
///
/// # Safety
/// 1. The address is in a mapping that no Rust value lives in.
pub(crate) unsafe fn touch_with(from: &Snapshot, to: &mut Snapshot, writes: bool) {
    let routine = if writes { registers_store } else { registers_load };
    // SAFETY: as for `enter_with`; duty 1.
    unsafe { routine(from.as_ptr(), to.as_mut_ptr()) }
}

/// Returns the instructions that store all registers to the page at sp and exit with status 5.
pub(crate) fn dump_bytes() -> impl Iterator<Item = u8> {
    let start = &raw const registers_dump;
    let length = (&raw const registers_dump_end).addr() - start.addr();
    // SAFETY: the bytes between the labels are this program's code.
    (0..length).map(move |offset| unsafe { start.wrapping_add(offset).read() })
}
