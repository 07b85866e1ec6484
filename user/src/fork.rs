//! Fork: a clone of this process that goes on with a closure.
//!
//! The kernel clones an address space and nothing else. What a thread is apart from memory is put
//! together here: the callee-saved registers go on the stack before the clone, and the clone's new
//! thread takes them from its copy of the stack. The tag check mode and the excluded tags are
//! inherited. Handles are not: the clone has none.

use crate::handles::{Process, Thread};
use crate::{calls, console};
use core::arch::{asm, global_asm};
use vellum_abi::{Error, Handle, Registers};

/// What [`split`] returns in the clone.
const IN_CLONE: u64 = u64::MAX;
/// Set in what [`split`] returns beside the number of an error.
const FAILED: u64 = 1 << 63;

// x29 and x30, the other callee-saved registers and d8 to d15 (Procedure Call Standard for the
// Arm 64-bit Architecture, "Machine registers"), then the clone with the stack pointer and the
// address at which the clone goes on.
global_asm!(
    ".global vellum_fork_split",
    "vellum_fork_split:",
    "stp x29, x30, [sp, #-160]!",
    "mov x29, sp",
    "stp x19, x20, [sp, #16]",
    "stp x21, x22, [sp, #32]",
    "stp x23, x24, [sp, #48]",
    "stp x25, x26, [sp, #64]",
    "stp x27, x28, [sp, #80]",
    "stp d8, d9, [sp, #96]",
    "stp d10, d11, [sp, #112]",
    "stp d12, d13, [sp, #128]",
    "stp d14, d15, [sp, #144]",
    "mov x0, sp",
    "adr x1, 2f",
    "bl {start_clone}",
    "b 3f",
    "2:",
    "mov x0, #-1",
    "3:",
    "ldp x19, x20, [sp, #16]",
    "ldp x21, x22, [sp, #32]",
    "ldp x23, x24, [sp, #48]",
    "ldp x25, x26, [sp, #64]",
    "ldp x27, x28, [sp, #80]",
    "ldp d8, d9, [sp, #96]",
    "ldp d10, d11, [sp, #112]",
    "ldp d12, d13, [sp, #128]",
    "ldp d14, d15, [sp, #144]",
    "ldp x29, x30, [sp], #160",
    "ret",
    start_clone = sym start_clone,
);

unsafe extern "C" {
    /// Returns twice: the clone's handle or an error here, [`IN_CLONE`] in the clone.
    #[link_name = "vellum_fork_split"]
    safe fn split() -> u64;
}

/// Clones this process and lets the clone go on at `pc` with the stack pointer `sp`.
extern "C" fn start_clone(sp: u64, pc: u64) -> u64 {
    match try_start_clone(sp, pc) {
        Ok(clone) => clone.to_word(),
        Err(error) => FAILED | error as u64,
    }
}

fn try_start_clone(sp: u64, pc: u64) -> Result<Handle, Error> {
    let clone = Process::from_handle(calls::process_clone(Handle::SELF)?);
    let thread: Thread = clone.thread()?;
    let tpidr: u64;
    // SAFETY: reads a register of this thread.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) tpidr, options(nomem, nostack)) };
    thread.write_registers(&Registers { sp, pc, tpidr, ..Registers::ZERO })?;
    match calls::thread_set_tag_mode(thread.handle(), calls::thread_tag_mode(Handle::SELF)?) {
        // There is no other mode then.
        Ok(()) | Err(Error::TagsUnsupported) => {}
        Err(error) => return Err(error),
    }
    thread.start()?;
    Ok(clone.into_handle())
}

/// Clones this process: memory is the same on both sides from here on, and stores of one are not
/// seen by the other. The clone runs `clone_fn` and exits with what it returns.
///
/// # Errors
/// Those of [`calls::process_clone`] and [`calls::thread_create`].
pub fn fork(clone_fn: impl FnOnce() -> u64) -> Result<Process, Error> {
    // What is not written yet would be written twice.
    console::flush();
    match split() {
        IN_CLONE => {
            let status = clone_fn();
            console::flush();
            calls::exit(status)
        }
        value if value & FAILED == 0 => {
            let handle = Handle::from_word(value).expect("the kernel gives out 32-bit handles");
            Ok(Process::from_handle(handle))
        }
        value => {
            Err(Error::from_number(value & !FAILED).expect("the kernel answers with known errors"))
        }
    }
}
