//! Copies between the kernel and the running process, as the process itself would access memory.
//!
//! Owns: the only accesses of the kernel to user addresses. They use LDTR and STTR, which have
//! EL0's permissions whatever PAN says and EL0's tag checks (SCTLR_EL1.TCF0). Refuses to know:
//! mappings. A fault ends the copy and is reported with its syndrome, and the caller decides whether
//! to resolve it and go on behind what is done.
//!
//! Checks that would be synchronous for the thread's own access are so here, and stop the copy right
//! before the first byte of the first granule whose tag differs. Where they would be asynchronous
//! they are off (PSTATE.TCO): nobody could tell which byte it was, and a fault that the kernel's
//! access left in TFSRE0_EL1 would be taken for the thread's.
//!
//! The mode decides alone. PSTATE.TCO of the thread does not count: it overrides the checks of the few
//! instructions that an allocator or collector puts it around, and a call that happens to come
//! between them has pointers like any other. A thread that wants its calls unchecked says so by its
//! mode, which tells the kernel of the whole of it; so does Linux.
//!
//! How a fault comes back: the EL1 vector sees that the interrupted instruction lies between
//! `user_access_start` and `user_access_end`, puts ESR_EL1 and FAR_EL1 into x16 and x17 and returns
//! to the address in x5. A fault in a loop of many bytes leads to the loop of single bytes, whose
//! fault is final: so the number of bytes done is exact, and every access before the reported one
//! has happened.

use crate::arch::sysreg::SCTLR_EL1;
use core::arch::global_asm;
use core::mem::offset_of;
use tock_registers::interfaces::Readable;
use vellum_abi::TagMode;
use vellum_vm::addr::UserPointer;

/// A copy that ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFault {
    /// Bytes that were copied before.
    pub done: usize,
    /// The syndrome (ESR_EL1): an abort taken at EL1.
    pub esr: u64,
    /// The address (FAR_EL1), with its tag.
    pub far: u64,
}

/// What the assembly reports of a fault.
#[repr(C)]
#[derive(Default)]
struct Report {
    esr: u64,
    far: u64,
}

const _: () = assert!(offset_of!(Report, esr) == 0 && offset_of!(Report, far) == 8);

unsafe extern "C" {
    /// Copies from user memory; returns how many bytes are left.
    fn user_copy_in(
        to: *mut u8,
        from: u64,
        length: usize,
        report: *mut Report,
        loose: u64,
    ) -> usize;
    /// Copies to user memory; returns how many bytes are left.
    fn user_copy_out(
        to: u64,
        from: *const u8,
        length: usize,
        report: *mut Report,
        loose: u64,
    ) -> usize;
}

// x0 to, x1 from, x2 bytes left, x3 report, x4 tags are not to be checked, x5 where a fault leads.
global_asm!(
    r#"
    .arch_extension memtag
    .pushsection .text.user_access, "ax"
    .global user_access_start
    .global user_access_end
    .global user_copy_in
    .global user_copy_out
user_access_start:

user_copy_in:
    cbz     x4, 1f
    msr     tco, #1
1:  adr     x5, 5f
    b       3f
2:  ldtr    x6, [x1]
    ldtr    x7, [x1, #8]
    ldtr    x8, [x1, #16]
    ldtr    x9, [x1, #24]
    stp     x6, x7, [x0], #16
    stp     x8, x9, [x0], #16
    add     x1, x1, #32
    sub     x2, x2, #32
3:  cmp     x2, #32
    b.hs    2b
    b       42f
4:  ldtr    x6, [x1]
    str     x6, [x0], #8
    add     x1, x1, #8
    sub     x2, x2, #8
42: cmp     x2, #8
    b.hs    4b
5:  adr     x5, 8f
    cbz     x2, 7f
6:  ldtrb   w6, [x1]
    strb    w6, [x0], #1
    add     x1, x1, #1
    subs    x2, x2, #1
    b.ne    6b
7:  cbz     x4, 72f
    msr     tco, #0
72: mov     x0, x2
    ret
8:  stp     x16, x17, [x3]
    b       7b

user_copy_out:
    cbz     x4, 1f
    msr     tco, #1
1:  adr     x5, 5f
    b       3f
2:  ldp     x6, x7, [x1]
    ldp     x8, x9, [x1, #16]
    sttr    x6, [x0]
    sttr    x7, [x0, #8]
    sttr    x8, [x0, #16]
    sttr    x9, [x0, #24]
    add     x0, x0, #32
    add     x1, x1, #32
    sub     x2, x2, #32
3:  cmp     x2, #32
    b.hs    2b
    b       42f
4:  ldr     x6, [x1]
    sttr    x6, [x0]
    add     x0, x0, #8
    add     x1, x1, #8
    sub     x2, x2, #8
42: cmp     x2, #8
    b.hs    4b
5:  adr     x5, 8f
    cbz     x2, 7f
6:  ldrb    w6, [x1]
    sttrb   w6, [x0]
    add     x0, x0, #1
    add     x1, x1, #1
    subs    x2, x2, #1
    b.ne    6b
7:  cbz     x4, 72f
    msr     tco, #0
72: mov     x0, x2
    ret
8:  stp     x16, x17, [x3]
    b       7b

user_access_end:
    .popsection
    "#
);

/// Modes, a bit for each, whose loads are not checked synchronously although TCF0 is not zero.
const LOADS_UNCHECKED: u64 = 1 << TagMode::Asynchronous as u64;
/// The same for stores.
const STORES_UNCHECKED: u64 = LOADS_UNCHECKED | 1 << TagMode::Asymmetric as u64;

/// Returns 1 if the mode in force is one of `modes`, else 0.
#[inline]
fn is_unchecked(modes: u64) -> u64 {
    modes >> SCTLR_EL1.read(SCTLR_EL1::TCF0) & 1
}

/// Copies from the process whose address space is active.
///
/// # Errors
/// `CopyFault` at the first byte that cannot be read; the bytes before it are in `to`. Addresses
/// outside the user half fault like any other.
#[inline]
pub fn copy_in(to: &mut [u8], from: UserPointer) -> Result<(), CopyFault> {
    let mut report = Report::default();
    // SAFETY: `to` and `report` are the caller's to write. User memory is only read, by accesses
    // that fault where EL0 could not read; the fault comes back here.
    let left = unsafe {
        user_copy_in(
            to.as_mut_ptr(),
            from.tagged(),
            to.len(),
            &raw mut report,
            is_unchecked(LOADS_UNCHECKED),
        )
    };
    outcome(to.len(), left, &report)
}

/// Copies to the process whose address space is active.
///
/// # Errors
/// `CopyFault` at the first byte that cannot be written; the bytes before it are written.
#[inline]
pub fn copy_out(to: UserPointer, from: &[u8]) -> Result<(), CopyFault> {
    let mut report = Report::default();
    // SAFETY: `from` is readable and `report` writable. User memory is written by accesses that
    // fault where EL0 could not write, so that no memory of the kernel's own can be reached.
    let left = unsafe {
        user_copy_out(
            to.tagged(),
            from.as_ptr(),
            from.len(),
            &raw mut report,
            is_unchecked(STORES_UNCHECKED),
        )
    };
    outcome(from.len(), left, &report)
}

#[inline]
fn outcome(length: usize, left: usize, report: &Report) -> Result<(), CopyFault> {
    if left == 0 {
        return Ok(());
    }
    Err(CopyFault { done: length - left, esr: report.esr, far: report.far })
}
