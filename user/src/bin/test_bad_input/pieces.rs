//! The arguments of the call that moves pieces of memory, and which are bad.

use crate::cases::{Answer, Case, Undo};
use crate::classes::{Bad, bad};
use crate::parameters::{Kind, Parameter, of};
use crate::scene::{EDGE, HOLE, PIECES, READ_ONLY, SHARED_REFERENCE, Value, WRITABLE};
use Answer::{Allowed, Partly, Refused};
use Error::{BadAddress, InvalidFlags, InvalidSize, MissingRight};
use Value::{Child, ChildNotInspected, ChildNotManaged, Dead, Number, Own};
use vellum_user::abi::{Call, Error, MAX_PIECES, PAGE_SIZE, Piece, TransferFlags, Transferred};

pub(crate) const TRANSFER: &[Parameter] = &[
    of(Kind::InspectedProcess, Own),
    of(Kind::RecordIn, Number(PIECES)),
    of(Kind::PieceCount, Number(1)),
    of(Kind::OneFlag, Number(0)),
];
pub(crate) const COUNTS: &[Bad] = &[
    bad("none", Number(0), InvalidSize),
    bad("one too many", Number(MAX_PIECES + 1), InvalidSize),
    bad("one below a set bit 32", Number(1 << 32 | 1), InvalidSize),
    bad("all bits", Number(u64::MAX), InvalidSize),
];

const fn piece(theirs: u64, own: u64, length: u64) -> Piece {
    Piece { theirs, own, length }
}

/// The list in the scene at [`PIECES`].
pub(crate) const LIST: [Piece; 8] = [
    piece(WRITABLE, WRITABLE + PAGE_SIZE, 8),
    piece(HOLE, 0, 0),
    piece(EDGE + PAGE_SIZE - 4, WRITABLE, 8),
    piece(WRITABLE, EDGE + PAGE_SIZE - 4, 8),
    piece(WRITABLE, WRITABLE + 8, u64::MAX),
    piece(1 << 48, WRITABLE, 8),
    piece(WRITABLE, 0xffff_0000_0000_0000, 0),
    piece(SHARED_REFERENCE, READ_ONLY, 8),
];

/// The list from one of its pieces on.
const fn from(index: u64) -> Value {
    Number(PIECES + index * 8 * Piece::WORDS as u64)
}

const fn end(pieces: u64, bytes: u64) -> u64 {
    Transferred { pieces, bytes }.to_word()
}

const READ: Value = Number(0);
const WRITE: Value = Number(TransferFlags::WRITE.bits());

const fn case(class: &'static str, arguments: &'static [Value], answer: Answer) -> Case {
    Case { call: Call::MemoryTransfer, class, arguments, answer }
}

/// What several arguments together, and the list, make bad.
pub(crate) const CASES: &[Case] = &[
    case("two good pieces", &[Own, from(0), Number(2), READ], Allowed(Undo::Value(end(2, 0)))),
    case("two to write", &[Own, from(0), Number(2), WRITE], Allowed(Undo::Value(end(2, 0)))),
    case("from half nowhere", &[Own, from(0), Number(8), READ], Partly(BadAddress, end(2, 4))),
    case("to half nowhere", &[Own, from(0), Number(8), WRITE], Partly(BadAddress, end(2, 4))),
    case("into half nowhere", &[Own, from(3), Number(1), READ], Partly(BadAddress, 4)),
    case("out of half nowhere", &[Own, from(3), Number(1), WRITE], Partly(BadAddress, 4)),
    case("a length past 2^64", &[Own, from(4), Number(1), READ], Refused(BadAddress)),
    case("theirs in no half", &[Own, from(5), Number(1), WRITE], Refused(BadAddress)),
    case("nothing of the kernel's half", &[Own, from(6), Number(1), READ], Refused(BadAddress)),
    case("into read-only memory", &[Own, from(7), Number(1), READ], Refused(BadAddress)),
    case("to a shared reference", &[Own, from(7), Number(1), WRITE], Refused(BadAddress)),
    case(
        "a record half of which is nowhere",
        &[Own, Number(EDGE + PAGE_SIZE - 16), Number(1), READ],
        Refused(BadAddress),
    ),
    case("no right to write", &[ChildNotManaged, from(0), Number(1), WRITE], Refused(MissingRight)),
    case(
        "no right to read is needed to write",
        &[ChildNotInspected, from(1), Number(1), WRITE],
        Allowed(Undo::Value(end(1, 0))),
    ),
    case("flags and count wrong", &[Own, from(0), Number(0), Number(2)], Refused(InvalidFlags)),
    case("of a dead process", &[Dead, from(0), Number(1), READ], Refused(BadAddress)),
    case("to a dead process", &[Dead, from(0), Number(1), WRITE], Refused(BadAddress)),
    case("of a process without memory", &[Child, from(0), Number(1), READ], Refused(BadAddress)),
];
