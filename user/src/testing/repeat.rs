//! Threads that make one call over and over: they need neither stack nor memory, so that they may be
//! ended anywhere, and run in a clone as they do here.

use crate::{calls, raw};
use core::arch::naked_asm;
use vellum_abi::{Call, Error, Handle, Registers};

/// Makes a thread of a process that makes a call `times` times, then ends; nobody has started it.
/// `word` is that of [`calls::thread_create`].
///
/// # Errors
/// Those of [`calls::thread_create`] and [`calls::thread_write_registers`].
///
/// # Safety
/// 1. The caller may make the call itself, however often, and with whatever else goes on.
/// 2. Nobody minds that `word` becomes 0.
pub unsafe fn repeating(
    process: Handle,
    word: u64,
    call: Call,
    arguments: [u64; 6],
    times: u64,
) -> Result<Handle, Error> {
    let thread = calls::thread_create(process, word)?;
    let mut registers = Registers { pc: repeat_address(), ..Registers::ZERO };
    registers.x[19..25].copy_from_slice(&arguments);
    (registers.x[25], registers.x[26]) = (call as u64, times);
    calls::thread_write_registers(thread, &registers)?;
    Ok(thread)
}

/// As [`repeating`], and starts the thread.
///
/// # Errors
/// As for [`repeating`]; those of [`calls::thread_start`].
///
/// # Safety
/// As for [`repeating`].
pub unsafe fn repeat_call(
    process: Handle,
    word: u64,
    call: Call,
    arguments: [u64; 6],
    times: u64,
) -> Result<Handle, Error> {
    // SAFETY: the caller's duties.
    let thread = unsafe { repeating(process, word, call, arguments, times) }?;
    // SAFETY: the code below touches no memory; what the call does is the caller's duty.
    unsafe { calls::thread_start(thread) }?;
    Ok(thread)
}

/// Returns where such a thread begins: the arguments in x19 to x24, the call in x25, how often in x26.
#[must_use]
pub fn repeat_address() -> u64 {
    repeat as *const () as u64
}

/// Makes a call and returns its value, unless it was refused.
///
/// # Safety
/// As for [`raw::call`].
///
/// # Errors
/// Those of the call.
pub unsafe fn try_call(call: Call, given: &[u64]) -> Result<u64, Error> {
    let mut arguments = [0; 6];
    arguments[..given.len()].copy_from_slice(given);
    // SAFETY: the caller's duty.
    calls::result(unsafe { raw::call(call as u64, arguments) })
}

/// Makes the call of x25 with the arguments in x19 to x24, x26 times, then ends the thread. A timeout in x6 is
/// for ever.
#[unsafe(naked)]
extern "C" fn repeat() -> ! {
    naked_asm!(
        "1: mov x0, x19",
        "mov x1, x20",
        "mov x2, x21",
        "mov x3, x22",
        "mov x4, x23",
        "mov x5, x24",
        "mov x6, #-1",
        "mov x8, x25",
        "svc #0",
        "subs x26, x26, #1",
        "b.gt 1b",
        "2: mov x8, {exit}",
        "svc #0",
        "b 2b",
        exit = const Call::ThreadExit as u64,
    )
}
