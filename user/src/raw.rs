//! The instruction that enters the kernel.
//!
//! Owns: the register convention of `vellum_abi`. Everything else calls through here, so that a
//! debugger finds every system call behind one function.

use core::arch::asm;

/// Makes a system call from plain numbers and returns (status, value): x0 and x1 afterwards.
///
/// Meant for tests of bad input; programs use [`crate::calls`].
///
/// # Safety
/// 1. If the kernel accepts the call, what it does to this process's memory (unmapping, replacing,
///    writing through an out pointer) must not touch memory that Rust code still uses.
#[inline]
pub unsafe fn call(number: u64, arguments: [u64; 6]) -> (u64, u64) {
    let status;
    let value;
    // SAFETY: the convention preserves every other register and the stack; memory effects are the
    // caller's duty 1 and declared to the compiler by the absence of `nomem` and `readonly`.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") arguments[0] => status,
            inlateout("x1") arguments[1] => value,
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            in("x5") arguments[5],
            options(nostack),
        );
    }
    (status, value)
}
