//! Threads of this process that run closures.
//!
//! Owns: a thread's stack, which ends in a guard, and how its result comes back. Refuses to know: what it
//! does. The kernel clears a word when the thread is gone for good; only then is the stack unmapped.
//!
//! TPIDR_EL0 is the address of the end of the thread's stack: another for each, and never 0.

use crate::mapping::{Mapping, PAGE};
use crate::{Thread, calls};
use alloc::boxed::Box;
use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering};
use vellum_abi::{Error, Handle, Protection, Registers, WaitFlags};

/// Bytes of a stack, its guard not counted.
const STACK: usize = 64 * 1024;

/// What a thread and who waits for it share.
struct Shared<T> {
    /// 1 until the thread has ended: the kernel clears it.
    runs: AtomicU32,
    result: UnsafeCell<Option<T>>,
}

/// A thread that was started; dropping it waits for its end.
pub struct Joined<'a, T> {
    thread: Thread,
    shared: Box<Shared<T>>,
    /// Kept for as long as the thread runs.
    _stack: [Mapping; 2],
    borrows: PhantomData<&'a ()>,
}

/// What the new thread finds: its closure, and where the result goes.
struct Start<F, T> {
    body_fn: F,
    result: *mut Option<T>,
}

/// Starts a thread that runs `body_fn`.
///
/// What `body_fn` borrows must live until the end of the process: see [`scoped`] for what does not.
///
/// # Errors
/// Those of [`calls::map`] and [`calls::thread_create`].
pub fn spawn<T: Send + 'static>(
    body_fn: impl FnOnce() -> T + Send + 'static,
) -> Result<Joined<'static, T>, Error> {
    // SAFETY: nothing is borrowed.
    unsafe { scoped(body_fn) }
}

/// As [`spawn`], for a closure that borrows.
///
/// # Safety
/// 1. The value is dropped or joined before what the closure borrows is gone: it is not forgotten.
///
/// # Errors
/// As for [`spawn`].
pub unsafe fn scoped<'a, T: Send + 'a, F: FnOnce() -> T + Send + 'a>(
    body_fn: F,
) -> Result<Joined<'a, T>, Error> {
    let (guard, stack) = Mapping::anonymous(PAGE + STACK)?.split(PAGE);
    guard.protect(Protection::NONE)?;
    let shared = Box::new(Shared { runs: AtomicU32::new(1), result: UnsafeCell::new(None) });
    let word = shared.runs.as_ptr().expose_provenance() as u64;
    let thread = Thread::from_handle(calls::thread_create(Handle::SELF, word)?);
    let start = Box::new(Start { body_fn, result: shared.result.get() });
    let top = (stack.address() + stack.length()) as u64;
    let mut registers = Registers { sp: top, tpidr: top, ..Registers::ZERO };
    registers.pc = enter as *const () as u64;
    let start = Box::into_raw(start);
    registers.x[0] = start.expose_provenance() as u64;
    registers.x[1] = run::<F, T> as *const () as u64;
    let started = thread.write_registers(&registers).and_then(|()| {
        // SAFETY: the registers name code and a stack of the thread's own.
        unsafe { calls::thread_start(thread.handle()) }
    });
    if let Err(error) = started {
        // SAFETY: the thread that should have taken it never ran.
        drop(unsafe { Box::from_raw(start) });
        return Err(error);
    }
    Ok(Joined { thread, shared, _stack: [guard, stack], borrows: PhantomData })
}

impl<T> Joined<'_, T> {
    /// Returns the thread's handle: to end it, or to change its priority.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.thread.handle()
    }

    /// Returns whether the thread has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.runs.load(Ordering::Acquire) == 0
    }

    /// Waits for the thread's end and returns its result; `None` if it was ended before it had one.
    #[must_use]
    pub fn join(self) -> Option<T> {
        self.wait();
        // SAFETY: the thread has ended, and nobody else has the cell.
        unsafe { &mut *self.shared.result.get() }.take()
    }

    fn wait(&self) {
        while !self.has_ended() {
            calls::address_wait(&self.shared.runs, 1, WaitFlags::NONE);
        }
    }
}

impl<T> Drop for Joined<'_, T> {
    fn drop(&mut self) {
        self.wait();
    }
}

impl<T> core::fmt::Debug for Joined<'_, T> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Joined").field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// The first instructions of a thread: x0 its closure, x1 the function that runs it.
#[unsafe(naked)]
extern "C" fn enter() -> ! {
    // The chain of frames ends here.
    naked_asm!("mov x29, xzr", "mov x30, xzr", "br x1")
}

/// Runs a closure and ends the thread.
extern "C" fn run<F: FnOnce() -> T, T>(start: *mut Start<F, T>) -> ! {
    // SAFETY: `scoped` made the value for this thread alone.
    let Start { body_fn, result } = *unsafe { Box::from_raw(start) };
    let value = body_fn();
    // SAFETY: whoever reads the cell waits for the end of this thread first.
    unsafe { *result = Some(value) };
    calls::thread_exit()
}
