//! `memory_transfer`: many pieces of memory between a process and the caller, by one call.
//!
//! Owns: which piece of the list a call has come to. Refuses to know: how bytes move (`bytes`).
//!
//! The list is the caller's memory: its other threads may change or unmap it meanwhile, and a piece may
//! lie over it. So each record is copied once, when its turn comes, and what is checked and used is the
//! copy. What was moved stays moved. Interrupts pass behind each record and within each piece; nothing
//! is allocated, and no more of the list is kept than the piece under way.

use super::bytes::{self, Peer, Transfer};
use super::user::copy_in;
use super::{Request, Result, Stop};
use crate::memory::machine::Hardware;
use crate::process::operation::{Progress, Reply};
use crate::process::{Operation, Process, Thread};
use vellum_abi::{Error, MAX_PIECES, Piece, Rights, TransferFlags, Transferred};
use vellum_vm::addr::UserPointer;
use vellum_vm::machine::Machine;

/// Bytes of a record of the list.
const RECORD: usize = 8 * Piece::WORDS;

/// Pieces on the way.
pub struct Pieces {
    list: u64,
    count: u64,
    /// Pieces that are done.
    done: u64,
    /// Whether the next one's record was read.
    is_known: bool,
    /// The piece under way.
    piece: Transfer,
}

pub(super) fn memory_transfer(request: &Request<'_>) -> Result {
    let [target, list, count, flags, ..] = *request.arguments;
    let flags = TransferFlags::from_bits(flags).ok_or(Error::InvalidFlags)?;
    let writes = flags.contains(TransferFlags::WRITE);
    let right = if writes { Rights::MANAGE } else { Rights::INSPECT };
    let target = Process::target(request.process(), target, right)?;
    if !(1..=MAX_PIECES).contains(&count) {
        return Err(Error::InvalidSize.into());
    }
    if !list.is_multiple_of(8) {
        return Err(Error::Misaligned.into());
    }
    let peer = if writes { Peer::To(target.clone(), 0) } else { Peer::From(target.clone(), 0) };
    let pieces = Pieces { list, count, done: 0, is_known: false, piece: Transfer::idle(peer) };
    bytes::answer(Operation::Pieces(pieces), request)
}

impl Pieces {
    /// Moves pieces until all are moved, an error stops it or something else must be done first.
    /// The thread's address space is active.
    pub fn run(&mut self, thread: &Thread) -> Progress {
        while self.done < self.count {
            if !self.is_known {
                if let Err(stop) = self.read_record(thread) {
                    return match stop.settle(thread) {
                        Ok(wait) => Progress::Block(wait),
                        Err(error) => self.end(error as u64, 0),
                    };
                }
                self.is_known = true;
                if Hardware.should_pause() {
                    return Progress::Paused;
                }
            }
            match self.piece.run(thread) {
                Progress::Done(Some(Reply { status: 0, .. })) => {
                    self.done += 1;
                    self.is_known = false;
                }
                Progress::Done(Some(Reply { status, value })) => return self.end(status, value),
                unfinished => return unfinished,
            }
        }
        self.end(0, 0)
    }

    /// Copies the next record and aims at its piece.
    fn read_record(&mut self, thread: &Thread) -> core::result::Result<(), Stop> {
        // A list that leaves the user half is refused at the record that does: no sum wraps before.
        let record = self.list.wrapping_add(RECORD as u64 * self.done);
        let mut bytes = [0; RECORD];
        let copied = copy_in(&thread.process, UserPointer::new(record), &mut bytes);
        copied.map_err(|short| short.stop)?;
        let (words, _) = bytes.as_chunks();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let piece = Piece::from_words(core::array::from_fn(|_| words.next().unwrap_or(0)));
        Ok(self.piece.aim(&piece)?)
    }

    /// Returns the answer: how far it came.
    fn end(&self, status: u64, bytes: u64) -> Progress {
        let value = Transferred { pieces: self.done, bytes }.to_word();
        Progress::Done(Some(Reply { status, value }))
    }
}
