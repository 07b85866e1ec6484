//! Stubs of the call that moves many pieces of memory.

use crate::raw;
use vellum_abi::{Call, Error, Handle, MAX_PIECES, Piece, TransferFlags, Transferred};

/// A record of the list, as the kernel reads it.
pub type PieceRecord = [u64; Piece::WORDS];

/// Moves pieces of memory between a process and this one. Returns how far it came, and why not to the end.
///
/// # Safety
/// 1. What is written is not in use as a Rust value: `own` of each piece, with WRITE `theirs` if the
///    process is this one.
pub unsafe fn memory_transfer(
    process: Handle,
    list: &[PieceRecord],
    flags: TransferFlags,
) -> (Transferred, Result<(), Error>) {
    let place = list.as_ptr().expose_provenance() as u64;
    let arguments = [process.to_word(), place, list.len() as u64, flags.bits(), 0, 0];
    // SAFETY: duty 1.
    let (status, value) = unsafe { raw::call(Call::MemoryTransfer as u64, arguments) };
    (Transferred::from_word(value), super::result((status, 0)).map(|_| ()))
}

/// Copies parts of a process's memory, addresses and lengths, into `buffer`, one behind the other, until
/// it is full. Returns how many bytes, and why not all of them.
///
/// There may be [`MAX_PIECES`] parts; `InvalidSize` for more, or for none.
pub fn memory_gather(
    process: Handle,
    parts: &[(u64, u64)],
    buffer: &mut [u8],
) -> (usize, Result<(), Error>) {
    if parts.len() as u64 > MAX_PIECES {
        return (0, Err(Error::InvalidSize));
    }
    let mut list = [[0; Piece::WORDS]; MAX_PIECES as usize];
    let start = buffer.as_mut_ptr().expose_provenance() as u64;
    let mut room = buffer.len() as u64;
    for (record, (theirs, length)) in list.iter_mut().zip(parts.iter().copied()) {
        let own = start + (buffer.len() as u64 - room);
        let length = length.min(room);
        *record = Piece { theirs, own, length }.to_words();
        room -= length;
    }
    let list = &list[..parts.len()];
    // SAFETY: every piece lies in `buffer`.
    let (end, result) = unsafe { memory_transfer(process, list, TransferFlags::NONE) };
    let whole =
        list.iter().take(end.pieces as usize).map(|record| Piece::from_words(*record).length);
    ((whole.sum::<u64>() + end.bytes) as usize, result)
}
