//! Calls on threads.

use super::{call, handle, query};
use vellum_abi::{Call, Error, Handle, Registers, TagControl};

/// Makes a stopped thread in a process.
///
/// # Errors
/// `InvalidState` for a dead process, `OutOfHandles`, `OutOfKernelMemory`, and those of the handle.
pub fn thread_create(process: Handle) -> Result<Handle, Error> {
    // SAFETY: a stopped thread changes nothing.
    unsafe { call(Call::ThreadCreate, [process.to_word()]) }.map(handle)
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

/// Lets a stopped thread run.
///
/// # Errors
/// `InvalidState` for a thread that was started already, and those of the handle.
///
/// # Safety
/// 1. In this process: the thread's registers name code and a stack that are its own to run on.
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
