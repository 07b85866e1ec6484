//! Calls that move bytes: between processes and to the console.
//!
//! They are the one exception to "a refused call changes nothing": what was moved stays moved, and
//! x1 tells how much it was, also beside an error. Progress is kept with the thread, so that a
//! long transfer lets interrupts pass and goes on where it was.

use super::user::{self, Short};
use super::{Answer, Request, Result, Stop};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::platform::console;
use crate::process::operation::{Progress, Reply};
use crate::process::{Operation, Process, Thread};
use vellum_abi::{Error, Piece, Rights, TAG_GRANULE};
use vellum_vm::addr::UserPointer;
use vellum_vm::machine::Machine;

/// Bytes moved at a time: the kernel's stacks are small.
const CHUNK: usize = 256;

/// The other side of a transfer.
pub(super) enum Peer {
    /// Bytes come from a process's memory.
    From(PoolArc<Process>, u64),
    /// Bytes go to a process's memory.
    To(PoolArc<Process>, u64),
    /// Bytes are the tags of a process's memory.
    TagsFrom(PoolArc<Process>, u64),
    /// Bytes become the tags of a process's memory.
    TagsTo(PoolArc<Process>, u64),
    /// Bytes go to the console.
    Console,
}

/// Bytes on the way from or to the calling process's buffer.
pub struct Transfer {
    peer: Peer,
    buffer: UserPointer,
    length: u64,
    done: u64,
}

pub(super) fn console_write(request: &Request<'_>) -> Result {
    let [buffer, length, ..] = *request.arguments;
    begin(request, Peer::Console, buffer, length)
}

pub(super) fn memory_read(request: &Request<'_>) -> Result {
    let [target, address, buffer, length, ..] = *request.arguments;
    let target = Process::target(request.process(), target, Rights::INSPECT)?;
    begin(request, Peer::From(target.clone(), address), buffer, length)
}

pub(super) fn memory_write(request: &Request<'_>) -> Result {
    let [target, address, buffer, length, ..] = *request.arguments;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    begin(request, Peer::To(target.clone(), address), buffer, length)
}

/// Begins to move `length` bytes between the caller's buffer and a peer.
pub(super) fn begin(request: &Request<'_>, peer: Peer, buffer: u64, length: u64) -> Result {
    let buffer = UserPointer::new(buffer);
    if !buffer.is_user(length) {
        return Err(Error::BadAddress.into());
    }
    if let Peer::From(_, address) | Peer::To(_, address) = peer
        && !UserPointer::new(address).is_user(length)
    {
        return Err(Error::BadAddress.into());
    }
    answer(Operation::Transfer(Transfer { peer, buffer, length, done: 0 }), request)
}

/// Begins an operation that moves bytes, and answers the call if it is done at once.
pub(super) fn answer(operation: Operation, request: &Request<'_>) -> Result {
    match operation.begin(request.thread) {
        (Some(reply), _) => Ok(Answer::Reply(reply)),
        (None, outcome) => Ok(Answer::Outcome(outcome)),
    }
}

impl Transfer {
    /// Returns one that has nothing to move yet.
    pub(super) fn idle(peer: Peer) -> Transfer {
        Transfer { peer, buffer: UserPointer::new(0), length: 0, done: 0 }
    }

    /// Begins with another piece of memory of the same process.
    ///
    /// # Errors
    /// `BadAddress` for what is not in the user half; then nothing has changed.
    pub(super) fn aim(&mut self, piece: &Piece) -> core::result::Result<(), Error> {
        let buffer = UserPointer::new(piece.own);
        if !buffer.is_user(piece.length) || !UserPointer::new(piece.theirs).is_user(piece.length) {
            return Err(Error::BadAddress);
        }
        if let Peer::From(_, address) | Peer::To(_, address) = &mut self.peer {
            *address = piece.theirs;
        }
        (self.buffer, self.length, self.done) = (buffer, piece.length, 0);
        Ok(())
    }

    /// Moves bytes until all are moved, an error stops it or something else must be done first.
    /// The thread's address space is active.
    pub fn run(&mut self, thread: &Thread) -> Progress {
        while self.done < self.length {
            if let Err(stop) = self.step(&thread.process) {
                return match stop.settle(thread) {
                    Ok(wait) => Progress::Block(wait),
                    Err(error) => {
                        let status = error as u64;
                        Progress::Done(Some(Reply { status, value: self.done }))
                    }
                };
            }
            if Hardware.should_pause() && self.done < self.length {
                return Progress::Paused;
            }
        }
        Progress::Done(Some(Reply { status: 0, value: self.done }))
    }

    /// Moves at most one chunk.
    fn step(&mut self, process: &PoolArc<Process>) -> core::result::Result<(), Stop> {
        let mut chunk = [0; CHUNK];
        let left = usize::try_from(self.length - self.done).unwrap_or(CHUNK).min(CHUNK);
        let buffer = UserPointer::new(self.buffer.tagged() + self.done);
        match &self.peer {
            Peer::From(source, address) => {
                let from = UserPointer::new(*address).untagged() + self.done;
                let read = source.space.read_page(from, &mut chunk[..left]);
                let bytes = read.map_err(|refusal| Stop::from_access(refusal, source))?;
                self.count(user::copy_out(process, buffer, &chunk[..bytes]), bytes)
            }
            Peer::TagsFrom(source, address) => {
                let from = address + self.done * TAG_GRANULE;
                let read = source.space.read_tags(from, &mut chunk[..left]);
                let tags = read.map_err(|refusal| Stop::from_access(refusal, source))?;
                let tags = tags.ok_or(Error::NotTagged)?;
                self.count(user::copy_out(process, buffer, &chunk[..tags]), tags)
            }
            Peer::To(..) | Peer::TagsTo(..) | Peer::Console => {
                let (bytes, short) =
                    taken(user::copy_in(process, buffer, &mut chunk[..left]), left);
                let mut given = 0;
                while given < bytes {
                    let more = self.give(&chunk[given..bytes])?;
                    given += more;
                    self.done += more as u64;
                }
                short.map_or(Ok(()), Err)
            }
        }
    }

    /// Gives bytes of the buffer to the peer. Returns how many it took.
    fn give(&self, bytes: &[u8]) -> core::result::Result<usize, Stop> {
        match &self.peer {
            Peer::To(sink, address) => {
                let to = UserPointer::new(*address).untagged() + self.done;
                sink.space.write_page(to, bytes).map_err(|refusal| Stop::from_access(refusal, sink))
            }
            Peer::TagsTo(sink, address) => {
                // Up to the first byte that is no tag.
                let tags = bytes.iter().position(|tag| *tag > 0xf).unwrap_or(bytes.len());
                if tags == 0 {
                    return Err(Error::InvalidContent.into());
                }
                let to = address + self.done * TAG_GRANULE;
                let written = sink.space.write_tags(to, &bytes[..tags]);
                Ok(written
                    .map_err(|refusal| Stop::from_access(refusal, sink))?
                    .ok_or(Error::NotTagged)?)
            }
            _ => {
                console::write_bytes(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn count(
        &mut self,
        copied: core::result::Result<(), Short>,
        bytes: usize,
    ) -> core::result::Result<(), Stop> {
        let (bytes, short) = taken(copied, bytes);
        self.done += bytes as u64;
        short.map_or(Ok(()), Err)
    }
}

/// Returns how many bytes a copy moved, and why not all.
fn taken(copied: core::result::Result<(), Short>, all: usize) -> (usize, Option<Stop>) {
    match copied {
        Ok(()) => (all, None),
        Err(short) => (short.done, Some(short.stop)),
    }
}
