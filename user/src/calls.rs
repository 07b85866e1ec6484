//! One typed stub for each system call: numbers in, `Result` out, nothing remembered.
//!
//! Handles are plain values here. The types that own and close them are in [`crate::handles`], and
//! [`crate::mapping`] owns ranges of this process's memory.

mod accounts;
mod handlers;
mod messages;
mod pagers;
mod pieces;
mod remap;
mod tags;
mod threads;

pub use accounts::{account_create, account_query, test};
pub use handlers::{answer, process_set_handler, return_value};
pub use messages::{
    Received, endpoint_badge, endpoint_call, endpoint_call_for, endpoint_create, endpoint_receive,
    endpoint_receive_for, endpoint_reply, endpoint_reply_receive, endpoint_reply_receive_for,
    interrupt_acknowledge, interrupt_bind, notification_create, notification_raise,
    notification_wait, notification_wait_for,
};
pub use pagers::{pager_create, pager_supply};
pub use pieces::{PieceRecord, memory_gather, memory_transfer};
pub use remap::remap;
pub use tags::{tags_read, tags_write};
pub use threads::{
    address_wait, address_wait_for, address_wake, thread_create, thread_exit, thread_interrupt,
    thread_kill, thread_read_registers, thread_read_vectors, thread_set_priority,
    thread_set_tag_mode, thread_start, thread_tag_mode, thread_write_registers,
    thread_write_vectors,
};

use crate::raw;
use crate::time::nanoseconds;
use core::time::Duration;
use vellum_abi::{
    Advice, Call, Error, ExitReport, FOR_EVER, Handle, MapOptions, MappingInfo, ObjectInfo,
    Protection, Rights, Stat, SystemInfo,
};

/// Turns (status, value) into a result.
///
/// # Errors
/// The error that `status` names.
///
/// # Panics
/// If the status is neither 0 nor an error of this version of the interface.
#[inline]
pub fn result((status, value): (u64, u64)) -> Result<u64, Error> {
    if status == 0 { Ok(value) } else { Err(refusal(status)) }
}

#[cold]
#[inline(never)]
fn refusal(status: u64) -> Error {
    Error::from_number(status).expect("the kernel answers with known errors")
}

/// Makes a call whose arguments are complete in `arguments`; missing ones are 0.
///
/// # Safety
/// As for [`raw::call`].
#[inline]
unsafe fn call<const COUNT: usize>(call: Call, arguments: [u64; COUNT]) -> Result<u64, Error> {
    let mut all = [0; 6];
    all[..COUNT].copy_from_slice(&arguments);
    // SAFETY: passed on to the caller.
    result(unsafe { raw::call(call as u64, all) })
}

/// Makes a call whose last argument is a record for the kernel to fill.
fn query<const WORDS: usize, const COUNT: usize>(
    number: Call,
    arguments: [u64; COUNT],
) -> Result<[u64; WORDS], Error> {
    let mut words = [0; WORDS];
    let mut all = [0; 6];
    all[..COUNT].copy_from_slice(&arguments);
    all[COUNT] = words.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the kernel writes the record's own words only, which are `words`.
    result(unsafe { raw::call(number as u64, all) })?;
    Ok(words)
}

fn handle(value: u64) -> Handle {
    Handle::from_word(value).expect("the kernel gives out 32-bit handles")
}

/// Enters and leaves the kernel.
pub fn null() {
    // SAFETY: the call has no effect.
    let _ = unsafe { call(Call::Null, []) };
}

/// Writes bytes to the console; returns how many were written, and why not all of them.
pub fn console_write(bytes: &[u8]) -> (usize, Result<(), Error>) {
    let address = bytes.as_ptr().expose_provenance() as u64;
    let arguments = [address, bytes.len() as u64, 0, 0, 0, 0];
    // SAFETY: the call only reads memory.
    let (status, written) = unsafe { raw::call(Call::ConsoleWrite as u64, arguments) };
    (written as usize, result((status, 0)).map(|_| ()))
}

/// Ends the process at once, without running destructors; see [`crate::entry::exit`] for the
/// ordinary end.
pub fn exit(status: u64) -> ! {
    // SAFETY: nothing of this process runs after the call.
    let _ = unsafe { call(Call::Exit, [status]) };
    unreachable!("exit does not return")
}

/// Lets another runnable thread go first.
pub fn yield_now() {
    // SAFETY: the call has no effect on memory.
    let _ = unsafe { call(Call::Yield, []) };
}

/// Returns nanoseconds since boot.
#[must_use]
pub fn clock() -> u64 {
    // SAFETY: the call has no effect on memory.
    unsafe { call(Call::Clock, []) }.unwrap_or(0)
}

/// Returns exact counters.
///
/// # Errors
/// `BadHandle`, `WrongObject`, `MissingRight`.
pub fn stat(process: Handle) -> Result<Stat, Error> {
    query(Call::Stat, [process.to_word()]).map(Stat::from_words)
}

/// Gives a handle back.
///
/// # Errors
/// `BadHandle`.
pub fn handle_close(handle: Handle) -> Result<(), Error> {
    // SAFETY: mappings outlive handles: closing one changes no memory.
    unsafe { call(Call::HandleClose, [handle.to_word()]) }.map(|_| ())
}

/// Puts a copy of `object` with at most `rights` into the process's table; returns its value there.
///
/// # Errors
/// `BadHandle`, `WrongObject`, `MissingRight`, `InvalidFlags`, `OutOfHandles`,
/// `OutOfKernelMemory`, `InvalidState`.
pub fn handle_copy(process: Handle, object: Handle, rights: Rights) -> Result<Handle, Error> {
    let arguments = [process.to_word(), object.to_word(), rights.bits()];
    // SAFETY: the call changes no memory.
    unsafe { call(Call::HandleCopy, arguments) }.map(handle)
}

/// Returns what a memory object is.
///
/// # Errors
/// `BadHandle`, `WrongObject`, `MissingRight`.
pub fn object_query(object: Handle) -> Result<ObjectInfo, Error> {
    query(Call::ObjectQuery, [object.to_word()]).map(ObjectInfo::from_words)
}

/// Makes a reference object from `size` bytes at `content`. The kernel checks `flags`, `size`, the
/// alignment and that it can read the content, in this order, so any numbers may be given.
///
/// # Errors
/// `InvalidFlags`, `InvalidSize`, `Misaligned`, `BadAddress`, `OutOfFrames`, `OutOfHandles`,
/// `OutOfKernelMemory`.
pub fn refpage_create(content: *const u8, size: u64, flags: u64) -> Result<Handle, Error> {
    let address = content.expose_provenance() as u64;
    // SAFETY: the call only reads memory.
    unsafe { call(Call::RefpageCreate, [address, size, flags]) }.map(handle)
}

/// Makes a reference object of one repeated byte.
///
/// # Errors
/// `InvalidFlags`, `InvalidContent`, `OutOfFrames`, `OutOfHandles`, `OutOfKernelMemory`.
pub fn refpage_create_pattern(byte: u64, flags: u64) -> Result<Handle, Error> {
    // SAFETY: the call changes no memory of this process.
    unsafe { call(Call::RefpageCreatePattern, [byte, flags]) }.map(handle)
}

/// Makes a reference object of zeros under one tag.
///
/// # Errors
/// `InvalidFlags`, `InvalidContent`, `TagsUnsupported`, `OutOfFrames`, `OutOfHandles`,
/// `OutOfKernelMemory`.
pub fn refpage_create_tag(tag: u64, flags: u64) -> Result<Handle, Error> {
    // SAFETY: the call changes no memory of this process.
    unsafe { call(Call::RefpageCreateTag, [tag, flags]) }.map(handle)
}

/// Makes a reference object without a frame from `size` bytes at `content`; checks are those of
/// [`refpage_create`].
///
/// # Errors
/// `InvalidFlags`, `InvalidSize`, `Misaligned`, `BadAddress`, `OutOfHandles`, `OutOfKernelMemory`.
pub fn refpage_create_frameless(
    content: *const u8,
    size: u64,
    flags: u64,
) -> Result<Handle, Error> {
    let address = content.expose_provenance() as u64;
    // SAFETY: the call only reads memory.
    unsafe { call(Call::RefpageCreateFrameless, [address, size, flags]) }.map(handle)
}

/// Makes a memory object of zeros; `flags` are those of `vellum_abi::MemoryFlags`.
///
/// # Errors
/// `InvalidFlags`, `InvalidSize`, `Misaligned`, `OutOfHandles`, `OutOfKernelMemory`.
pub fn memory_create(length: u64, flags: u64) -> Result<Handle, Error> {
    // SAFETY: the call changes no memory of this process.
    unsafe { call(Call::MemoryCreate, [length, flags]) }.map(handle)
}

/// Maps an object; returns the address.
///
/// # Errors
/// Those of the call in `vellum_abi`.
///
/// # Safety
/// 1. With REPLACE, in this process: nothing in the range is in use.
pub unsafe fn map(
    process: Handle,
    object: Handle,
    address: u64,
    length: u64,
    options: MapOptions,
    offset: u64,
) -> Result<u64, Error> {
    let arguments =
        [process.to_word(), object.to_word(), address, length, options.to_word(), offset];
    // SAFETY: without REPLACE a new mapping covers no existing one; with it, duty 1.
    unsafe { call(Call::Map, arguments) }
}

/// Removes every mapping, or part of one, in the range.
///
/// # Errors
/// `Misaligned`, `InvalidSize`, `OutOfRange`, `Sealed` and those of the handle.
///
/// # Safety
/// 1. In this process: nothing in the range is in use.
pub unsafe fn unmap(process: Handle, address: u64, length: u64) -> Result<(), Error> {
    // SAFETY: duty 1.
    unsafe { call(Call::Unmap, [process.to_word(), address, length]) }.map(|_| ())
}

/// Changes the protection of mapped pages.
///
/// # Errors
/// `Misaligned`, `InvalidSize`, `OutOfRange`, `NotMapped`, `WriteAndExecute`, `Sealed`,
/// `SharedWritable`, `OutOfKernelMemory` and those of the handle.
///
/// # Safety
/// 1. In this process: code that uses the range does without the access that is taken away.
pub unsafe fn protect(
    process: Handle,
    address: u64,
    length: u64,
    protection: Protection,
) -> Result<(), Error> {
    let arguments = [process.to_word(), address, length, protection.bits()];
    // SAFETY: duty 1.
    unsafe { call(Call::Protect, arguments) }.map(|_| ())
}

/// Advises the kernel about a range; see [`Advice`].
///
/// # Errors
/// `Misaligned`, `InvalidSize`, `OutOfRange`, `NotMapped`, `Sealed` and those of the handle; to
/// populate also `MissingRight`, `OutOfFrames`, `LimitReached`, and then pages before the one that
/// failed are present.
///
/// # Safety
/// 1. In this process: to decommit, nobody relies on the contents of the range.
pub unsafe fn advise(
    process: Handle,
    address: u64,
    length: u64,
    advice: Advice,
) -> Result<(), Error> {
    let arguments = [process.to_word(), address, length, advice as u64];
    // SAFETY: duty 1.
    unsafe { call(Call::Advise, arguments) }.map(|_| ())
}

/// Returns the mapping at `address`, or the next above it.
///
/// # Errors
/// `NotMapped` where there is none, `OutOfRange` and those of the handle.
pub fn query_mapping(process: Handle, address: u64) -> Result<MappingInfo, Error> {
    query(Call::Query, [process.to_word(), address]).map(MappingInfo::from_words)
}

/// Writes the state of each page of a range, one byte a page; returns how many pages.
///
/// # Errors
/// `Misaligned`, `InvalidSize` for a range of no page, of more than `vellum_abi::MAX_QUERY_PAGES` or
/// of another number of pages than `states` has bytes, `OutOfRange`, `NotMapped` and those of the
/// handle.
pub fn query_pages(process: Handle, address: u64, states: &mut [u8]) -> Result<u64, Error> {
    let buffer = states.as_mut_ptr().expose_provenance() as u64;
    let length = states.len() as u64 * vellum_abi::PAGE_SIZE;
    // SAFETY: the kernel writes a byte a page, inside `states` only.
    unsafe { call(Call::QueryPages, [process.to_word(), address, buffer, length]) }
}

/// Copies memory of a process into `buffer`; returns how many bytes, and why not all of them.
pub fn memory_read(process: Handle, address: u64, buffer: &mut [u8]) -> (usize, Result<(), Error>) {
    let place = buffer.as_mut_ptr().expose_provenance() as u64;
    let arguments = [process.to_word(), address, place, buffer.len() as u64, 0, 0];
    // SAFETY: the kernel writes inside `buffer` only.
    let (status, copied) = unsafe { raw::call(Call::MemoryRead as u64, arguments) };
    (copied as usize, result((status, 0)).map(|_| ()))
}

/// Copies `bytes` into the memory of a process; returns how many, and why not all of them.
///
/// # Safety
/// 1. In this process: the destination is not in use as a Rust value.
pub unsafe fn memory_write(
    process: Handle,
    address: u64,
    bytes: &[u8],
) -> (usize, Result<(), Error>) {
    let place = bytes.as_ptr().expose_provenance() as u64;
    let arguments = [process.to_word(), address, place, bytes.len() as u64, 0, 0];
    // SAFETY: duty 1.
    let (status, copied) = unsafe { raw::call(Call::MemoryWrite as u64, arguments) };
    (copied as usize, result((status, 0)).map(|_| ()))
}

/// Makes an empty process that `account` pays for; [`Handle::SELF`] is the caller's own account.
///
/// # Errors
/// `OutOfHandles`, `OutOfKernelMemory`, `OutOfFrames`, `LimitReached` and those of the handle.
pub fn process_create(account: Handle) -> Result<Handle, Error> {
    // SAFETY: the call changes no memory of this process.
    unsafe { call(Call::ProcessCreate, [account.to_word()]) }.map(handle)
}

/// Makes a process with the same mappings and memory contents as another, and no handle and no
/// thread.
///
/// # Errors
/// `OutOfHandles`, `OutOfKernelMemory`, `OutOfFrames`, `LimitReached`, and those of the handle.
pub fn process_clone(process: Handle) -> Result<Handle, Error> {
    // SAFETY: the call changes no contents of memory.
    unsafe { call(Call::ProcessClone, [process.to_word()]) }.map(handle)
}

/// Waits for the end of a process.
///
/// # Errors
/// `WouldDeadlock` for oneself, and those of the handle.
pub fn process_wait(process: Handle) -> Result<ExitReport, Error> {
    wait_until(process, FOR_EVER)
}

/// As [`process_wait`], for a time at most.
///
/// # Errors
/// `TimedOut`; those of [`process_wait`].
pub fn process_wait_for(process: Handle, timeout: Duration) -> Result<ExitReport, Error> {
    wait_until(process, nanoseconds(timeout))
}

fn wait_until(process: Handle, timeout: u64) -> Result<ExitReport, Error> {
    let mut words = [0; ExitReport::WORDS];
    let out = words.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the kernel writes the record's own words only, which are `words`.
    unsafe { call(Call::ProcessWait, [process.to_word(), out, timeout]) }?;
    Ok(ExitReport::from_words(words))
}

/// Ends a process.
///
/// # Errors
/// `InvalidState` for a dead process, and those of the handle.
pub fn process_kill(process: Handle) -> Result<(), Error> {
    // SAFETY: nothing of a killed process runs afterwards, this one included.
    unsafe { call(Call::ProcessKill, [process.to_word()]) }.map(|_| ())
}

/// Returns what this machine is.
#[must_use]
pub fn system_query() -> SystemInfo {
    query(Call::SystemQuery, []).map(SystemInfo::from_words).unwrap_or_default()
}
