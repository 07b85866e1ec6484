//! The instruction that enters the kernel.
//!
//! Owns: the register convention of `vellum_abi`. Everything else calls through here, so that a
//! debugger finds every system call behind one function.

use core::arch::asm;
use vellum_abi::MESSAGE_WORDS;

/// Makes a system call from plain numbers and returns (status, value): x0 and x1 afterwards.
///
/// Meant for tests of bad input; programs use [`crate::calls`]. A call that takes its timeout in x6 finds
/// there whatever the program left.
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

/// Makes a system call whose message is in x1 to x5 and whose timeout is in x6; returns status, handle, words and badge: x0, x1, x2 to
/// x5 and x6 afterwards.
///
/// # Safety
/// As for [`call`].
#[inline]
pub unsafe fn exchange(
    number: u64,
    first: u64,
    handle: u64,
    words: [u64; MESSAGE_WORDS],
    timeout: u64,
) -> (u64, u64, [u64; MESSAGE_WORDS], u64) {
    let [mut w0, mut w1, mut w2, mut w3] = words;
    let (status, received, badge);
    // SAFETY: as in `call`.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") first => status,
            inlateout("x1") handle => received,
            inlateout("x2") w0,
            inlateout("x3") w1,
            inlateout("x4") w2,
            inlateout("x5") w3,
            inlateout("x6") timeout => badge,
            options(nostack),
        );
    }
    (status, received, [w0, w1, w2, w3], badge)
}
