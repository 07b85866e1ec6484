//! Copies from and to the calling process's memory.
//!
//! Owns: the retry after a fault that the handler resolves. The access itself is unprivileged
//! (`arch::user_copy`), so that it obeys the program's own permissions and tag checks.

use super::Stop;
use crate::arch::user_copy::{self, CopyFault};
use crate::arch::{features, tlb};
use crate::memory::pools::PoolArc;
use crate::process::{Process, Wait};
use vellum_abi::{Error, FaultAccess, TAG_GRANULE};
use vellum_vm::addr::UserPointer;
use vellum_vm::error::VmError;
use vellum_vm::fault::Outcome;
use vellum_vm::syndrome::{self, AbortKind};

/// Why a copy stopped, and after how many bytes.
pub(super) struct Short {
    /// Bytes copied.
    pub(super) done: usize,
    /// Why no more.
    pub(super) stop: Stop,
}

/// Copies bytes from the calling process.
///
/// # Errors
/// `BadAddress`, or a restart when the address space is at rest; with the bytes done.
pub(super) fn copy_in(
    process: &PoolArc<Process>,
    from: UserPointer,
    to: &mut [u8],
) -> Result<(), Short> {
    let length = to.len();
    repeat(process, from, length, |done| {
        user_copy::copy_in(&mut to[done..], UserPointer::new(from.tagged() + done as u64))
    })
}

/// Copies bytes to the calling process.
///
/// # Errors
/// As [`copy_in`].
pub(super) fn copy_out(
    process: &PoolArc<Process>,
    to: UserPointer,
    from: &[u8],
) -> Result<(), Short> {
    repeat(process, to, from.len(), |done| {
        user_copy::copy_out(UserPointer::new(to.tagged() + done as u64), &from[done..])
    })
}

fn repeat(
    process: &PoolArc<Process>,
    pointer: UserPointer,
    length: usize,
    mut copy_fn: impl FnMut(usize) -> Result<(), CopyFault>,
) -> Result<(), Short> {
    let mut done = 0;
    if !pointer.is_user(length as u64) {
        return Err(Short { done, stop: Error::BadAddress.into() });
    }
    loop {
        let Err(fault) = copy_fn(done) else { return Ok(()) };
        done += fault.done;
        if let Err(stop) = resolve(process, &fault) {
            return Err(Short { done, stop });
        }
    }
}

fn resolve(process: &PoolArc<Process>, fault: &CopyFault) -> Result<(), Stop> {
    let abort = syndrome::abort(fault.esr, fault.far);
    if abort.kind == AbortKind::TlbConflict {
        tlb::all();
        tlb::dsb_ish();
        return Ok(());
    }
    if abort.kind != AbortKind::Mapping {
        return Err(Error::BadAddress.into());
    }
    match process.space.handle_kernel_fault_at(abort.pointer, abort.access) {
        Outcome::Resume | Outcome::Long => Ok(()),
        Outcome::Changing => Err(Stop::Restart(Wait::AtRest(process.clone()))),
        Outcome::Absent => Err(Stop::Absent(process.clone(), abort.pointer, abort.access)),
        Outcome::Die(kind) => Err(VmError::of_access(kind).into()),
    }
}

/// Reads a record of words. Calls do this while decoding, before any change.
///
/// # Errors
/// `Misaligned` unless the untagged address is a multiple of 8; else as [`copy_in`].
pub(super) fn read_words<const N: usize>(
    process: &PoolArc<Process>,
    from: u64,
) -> Result<[u64; N], Stop> {
    let mut words = [0; N];
    for (index, word) in words.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        let address = aligned(from)?.wrapping_add(8 * index as u64);
        copy_in(process, UserPointer::new(address), &mut bytes).map_err(|short| short.stop)?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(words)
}

/// Makes the pages of a buffer writable that lies in two pages at most, so that nothing is written
/// to it unless all can be.
///
/// # Errors
/// `BadAddress` or why no frame was had; a restart when the address space is at rest.
pub(super) fn make_writable(
    process: &PoolArc<Process>,
    buffer: u64,
    length: u64,
) -> Result<(), Stop> {
    if !UserPointer::new(buffer).is_user(length) {
        return Err(Error::BadAddress.into());
    }
    for address in [buffer, buffer.wrapping_add(length.saturating_sub(1))] {
        let page = UserPointer::new(address).page().ok_or(Error::BadAddress)?;
        match process.space.with_frame(page, FaultAccess::Write, |_, _| ()) {
            Ok(()) => {}
            Err(refusal) => return Err(Stop::from_access(refusal, process)),
        }
    }
    Ok(())
}

/// Writes a record of words. Only calls without another effect do this.
///
/// The record's last page is made writable first, so that nothing is written of one that reaches
/// into memory that is not.
///
/// # Errors
/// As [`read_words`].
pub(super) fn write_words<const N: usize>(
    process: &PoolArc<Process>,
    to: u64,
    words: [u64; N],
) -> Result<(), Stop> {
    let last = UserPointer::new(aligned(to)?.wrapping_add(8 * N as u64 - 1));
    let page = last.page().ok_or(Error::BadAddress)?;
    match process.space.with_frame(page, FaultAccess::Write, |_, _| ()) {
        Ok(()) => {}
        Err(refusal) => return Err(Stop::from_access(refusal, process)),
    }
    check_tags(process, to, last.tagged())?;
    for (index, word) in words.iter().enumerate() {
        let address = aligned(to)?.wrapping_add(8 * index as u64);
        let bytes = word.to_le_bytes();
        copy_out(process, UserPointer::new(address), &bytes).map_err(|short| short.stop)?;
    }
    Ok(())
}

/// Reads one byte of each tag granule of a record, where the caller's tags are checked: the write
/// that follows is whole or not at all.
fn check_tags(process: &PoolArc<Process>, first: u64, last: u64) -> Result<(), Stop> {
    if features::get().tags {
        for address in (first..=last).step_by(TAG_GRANULE as usize).chain([last]) {
            copy_in(process, UserPointer::new(address), &mut [0]).map_err(|short| short.stop)?;
        }
    }
    Ok(())
}

fn aligned(address: u64) -> Result<u64, Error> {
    if address.is_multiple_of(8) { Ok(address) } else { Err(Error::Misaligned) }
}
