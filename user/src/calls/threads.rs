//! Calls on threads, and those by which threads wait for each other.

use super::{call, handle, query};
use crate::time::nanoseconds;
use core::sync::atomic::AtomicU32;
use core::time::Duration;
use vellum_abi::{
    Call, Error, FOR_EVER, Handle, RegisterSet, Registers, TagControl, VectorRegisters, WaitFlags,
};

/// Makes a stopped thread in a process. When it has ended, the kernel clears the 4 bytes at `word` there,
/// unless that is 0, and wakes who waits for them.
///
/// # Errors
/// `InvalidState` for a dead process, `Misaligned`, `BadAddress`, `OutOfHandles`, `OutOfKernelMemory`,
/// and those of the handle.
pub fn thread_create(process: Handle, word: u64) -> Result<Handle, Error> {
    // SAFETY: a stopped thread changes nothing; who starts one answers for its word.
    unsafe { call(Call::ThreadCreate, [process.to_word(), word]) }.map(handle)
}

/// Returns a stopped thread's registers.
///
/// # Errors
/// `InvalidState` for a running thread, and those of the handle.
pub fn thread_read_registers(thread: Handle) -> Result<Registers, Error> {
    query::<{ Registers::WORDS }, 1>(Call::ThreadReadRegisters, [thread.to_word()])
        .map(|words| Registers::from_words(&words))
}

/// Writes a stopped thread's registers.
///
/// # Errors
/// `InvalidState` for a running thread, `InvalidRegisters`, and those of the handle.
pub fn thread_write_registers(thread: Handle, registers: &Registers) -> Result<(), Error> {
    let words = registers.to_words();
    let address = words.as_ptr().expose_provenance() as u64;
    // SAFETY: the call reads the record only.
    unsafe { call(Call::ThreadWriteRegisters, [thread.to_word(), address]) }.map(|_| ())
}

/// Returns a stopped thread's FP and SIMD registers.
///
/// # Errors
/// As for [`thread_read_registers`].
pub fn thread_read_vectors(thread: Handle) -> Result<VectorRegisters, Error> {
    let mut words = [0; VectorRegisters::WORDS];
    let address = words.as_mut_ptr().expose_provenance() as u64;
    let arguments = [thread.to_word(), address, RegisterSet::Vectors as u64];
    // SAFETY: the kernel writes the record's own words only, which are `words`.
    unsafe { call(Call::ThreadReadRegisters, arguments) }?;
    Ok(VectorRegisters::from_words(&words))
}

/// Writes a stopped thread's FP and SIMD registers.
///
/// # Errors
/// As for [`thread_write_registers`].
pub fn thread_write_vectors(thread: Handle, registers: &VectorRegisters) -> Result<(), Error> {
    let words = registers.to_words();
    let address = words.as_ptr().expose_provenance() as u64;
    let arguments = [thread.to_word(), address, RegisterSet::Vectors as u64];
    // SAFETY: the call reads the record only.
    unsafe { call(Call::ThreadWriteRegisters, arguments) }.map(|_| ())
}

/// Lets a stopped thread run.
///
/// # Errors
/// `InvalidState` for a thread that was started already, and those of the handle.
///
/// # Safety
/// 1. In this process: the thread's registers name code and a stack that are its own to run on, and its
///    word, if it has one, is the kernel's to clear.
pub unsafe fn thread_start(thread: Handle) -> Result<(), Error> {
    // SAFETY: duty 1.
    unsafe { call(Call::ThreadStart, [thread.to_word()]) }.map(|_| ())
}

/// Decides how tag check faults of a stopped thread, or of the caller by SELF, are reported and which
/// tags `IRG` never gives it.
///
/// # Errors
/// `TagsUnsupported`, `TagModeUnsupported`, `InvalidState` for a running thread, and those of the
/// handle.
pub fn thread_set_tag_mode(thread: Handle, control: TagControl) -> Result<(), Error> {
    let arguments = [thread.to_word(), control.mode as u64, u64::from(control.exclude)];
    // SAFETY: what programs may access stays as it is; only how a wrong tag is reported changes.
    unsafe { call(Call::ThreadSetTagMode, arguments) }.map(|_| ())
}

/// Returns how tag check faults of a thread, or of the caller by SELF, are reported.
///
/// # Errors
/// Those of the handle.
pub fn thread_tag_mode(thread: Handle) -> Result<TagControl, Error> {
    // SAFETY: the call has no effect on memory.
    unsafe { call(Call::ThreadTagMode, [thread.to_word()]) }.map(TagControl::from_word)
}

/// Ends the calling thread.
pub fn thread_exit() -> ! {
    // SAFETY: nothing runs here afterwards.
    let _ = unsafe { call(Call::ThreadExit, []) };
    unreachable!("the call does not return")
}

/// Ends a thread wherever it is: what it has taken stays taken.
///
/// # Errors
/// `InvalidState` for one that was not started or is about to end, and those of the handle.
pub fn thread_kill(thread: Handle) -> Result<(), Error> {
    // SAFETY: a thread that stops anywhere breaks no promise but to release what it holds.
    unsafe { call(Call::ThreadKill, [thread.to_word()]) }.map(|_| ())
}

/// Ends the call in which a thread waits for something, with `Interrupted`. Returns whether it did: one that
/// does not wait so is left alone.
///
/// # Errors
/// Those of the handle.
pub fn thread_interrupt(thread: Handle) -> Result<bool, Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::ThreadInterrupt, [thread.to_word()]) }.map(|ended| ended != 0)
}

/// Sets how urgent a thread is, or the caller by SELF: below [`vellum_abi::PRIORITIES`].
///
/// # Errors
/// `OutOfRange`; `NotPermitted` above what the process may have; those of the handle.
pub fn thread_set_priority(thread: Handle, priority: u64) -> Result<(), Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::ThreadSetPriority, [thread.to_word(), priority]) }.map(|_| ())
}

/// Waits until [`address_wake`] names the word, unless it is not `value`. May return for no reason.
pub fn address_wait(word: &AtomicU32, value: u32, flags: WaitFlags) {
    // The call fails for no word of this process; that it was interrupted is a reason that is none.
    let _ = wait_until(word, value, flags, FOR_EVER);
}

/// As [`address_wait`], for a time at most.
///
/// # Errors
/// `TimedOut`, `Interrupted`.
pub fn address_wait_for(
    word: &AtomicU32,
    value: u32,
    flags: WaitFlags,
    timeout: Duration,
) -> Result<(), Error> {
    wait_until(word, value, flags, nanoseconds(timeout))
}

fn wait_until(word: &AtomicU32, value: u32, flags: WaitFlags, timeout: u64) -> Result<(), Error> {
    let word = word.as_ptr().expose_provenance() as u64;
    // SAFETY: the call reads the word only.
    unsafe { call(Call::AddressWait, [word, u64::from(value), flags.bits(), timeout]) }.map(|_| ())
}

/// Wakes up to `count` threads that wait at a word, and at most [`vellum_abi::MAX_WAKE`]. Returns how
/// many.
pub fn address_wake(word: &AtomicU32, count: u64, flags: WaitFlags) -> u64 {
    let arguments = [word.as_ptr().expose_provenance() as u64, count, flags.bits()];
    // SAFETY: the call touches no memory. It fails for no word of this process.
    unsafe { call(Call::AddressWake, arguments) }.unwrap_or(0)
}
