//! Memory of a worker that is there from the start: records that calls read, and the drivers' buffers.
//!
//! Owns: what the records say. Threads that one of them describes make a call a few times and end, or cannot
//! run at all: none goes on for ever. So nothing that is drawn ever changes them.

use vellum_user::abi::{Call, Error, Limits, MAX_PIECES, PAGE_SIZE, Piece, Protection, Registers};
use vellum_user::mapping::{MapRequest, Mapping};

/// Pages of records.
const RECORDS: u64 = 0x9_0000_0000;
/// Bytes between two records of registers, and where those of limits begin.
const REGISTERS: u64 = 1024;
const LIMITS: u64 = 6 * REGISTERS;
/// Where pieces begin; behind the last are zeros, then nothing.
const PIECES: u64 = LIMITS + 5 * 24;
/// Memory of each driver for what calls read and write, mapped for good.
pub(crate) const BUFFERS: u64 = 0x9_1000_0000;
/// Bytes of it.
pub(crate) const BUFFER: u64 = 16 * PAGE_SIZE;
/// More drivers than a worker has.
const DRIVERS: usize = 8;

const _: () = assert!(size_of::<Registers>() <= REGISTERS as usize);

/// Where a record of registers is: 0 to 2 are such by which a thread can run, 3 to 5 others.
pub(crate) const fn registers(number: u64) -> u64 {
    RECORDS + number * REGISTERS
}

/// Where a record of limits is, from 0 to 4.
pub(crate) const fn limits(number: u64) -> u64 {
    RECORDS + LIMITS + number * 24
}

/// Where the record of a piece is, from 0 to [`MAX_PIECES`].
pub(crate) const fn pieces(number: u64) -> u64 {
    RECORDS + PIECES + number * 8 * Piece::WORDS as u64
}

/// Returns a piece: some of a range that calls change, or of the buffers, and the buffers' own. A few are not
/// mapped, or nowhere.
fn piece(number: u64, range: u64) -> Piece {
    let length = [8, 0, 300, 5000, 64, 1][number as usize % 6];
    let (theirs, own) = match number % 16 {
        0..10 => (range + number * PAGE_SIZE / 2 - 3, BUFFERS + number * 1500),
        10 => (BUFFERS + 100, BUFFERS + 90),
        11 => (range, range + 5 * PAGE_SIZE),
        12 => (range | 5 << 56, BUFFERS | 3 << 56),
        13 => (1 << 48, BUFFERS),
        14 => (range, 0xffff_0000_4000_0000),
        _ => (range, BUFFERS),
    };
    let length = if number == 47 { u64::MAX } else { length };
    Piece { theirs, own, length }
}

/// Makes the records: registers of threads that make a call a few times and end, or that cannot run, and
/// limits, and pieces of the range at `range`; and the drivers' buffers.
///
/// # Errors
/// Those of `map`.
pub(crate) fn make(repeat: u64, range: u64) -> Result<(), Error> {
    let page: Mapping = MapRequest::anonymous(2 * PAGE_SIZE as usize).at(RECORDS as usize).map()?;
    let mut records = [Registers { pc: repeat, ..Registers::ZERO }; 6];
    for (number, record) in records.iter_mut().enumerate() {
        record.x[25] = [Call::Null as u64, Call::Yield as u64, u64::MAX][number % 3];
        record.x[26] = 4;
    }
    records[3].pc = RECORDS;
    (records[4].pc, records[4].sp) = (repeat + 2, 1);
    records[5].pstate = 0b0101;
    for (number, record) in records.iter().enumerate() {
        for (index, word) in record.to_words().into_iter().enumerate() {
            page.write_word(number * REGISTERS as usize + index * 8, word);
        }
    }
    let ample = Limits { frames: 600, kernel_bytes: 1 << 17, handles: 40 };
    let tight = Limits { frames: 7, kernel_bytes: 9000, handles: 2 };
    let much = Limits { frames: u64::MAX, kernel_bytes: u64::MAX, handles: u64::MAX };
    for (number, limits) in [ample, ample, tight, Limits::default(), much].iter().enumerate() {
        for (index, word) in limits.to_words().into_iter().enumerate() {
            page.write_word(LIMITS as usize + number * 24 + index * 8, word);
        }
    }
    for number in 0..MAX_PIECES {
        for (index, word) in piece(number, range).to_words().into_iter().enumerate() {
            page.write_word((pieces(number) - RECORDS) as usize + index * 8, word);
        }
    }
    page.protect(Protection::READ)?;
    _ = page.leak();
    let plain = MapRequest::anonymous(DRIVERS * BUFFER as usize).at(BUFFERS as usize);
    let buffers = plain.tagged().map().or_else(|_| plain.map())?;
    _ = buffers.leak();
    Ok(())
}
