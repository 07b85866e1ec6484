//! What only several arguments together make bad, and what looks bad and is allowed.

use crate::parameters::FIXED;
use crate::scene::{
    EDGE, HOLE, OBJECT_BYTES, READ_ONLY, RECORDS, REFERENCE, SHARED_MEMORY, SHARED_REFERENCE,
    Value, WRITABLE,
};
use Answer::{Allowed, Partly, Refused};
use Error::{
    BadAddress, BadHandle, BeyondEnd, InvalidFlags, InvalidRegisters, InvalidSize, InvalidState,
    Misaligned, MissingRight, NotMapped, NotPermitted, OutOfAddresses, OutOfRange, Overlap,
    PagePresent, Sealed, SharedWritable, TagsUnsupported, WouldDeadlock, WrongObject, WrongPolicy,
};
use Undo::{Close, Nothing, Unmap};
use Value::{
    Anonymous, Archive, Child, Dead, Ended, Endpoint, Guard, Interrupt, Memory, MemoryNotExecuted,
    MemoryNotWritten, Notification, Number, Own, Paged, Pattern, Stack, TaggedPointer, Text,
    Thread,
};
use vellum_user::abi::{
    Call, Error, FOR_EVER, HandlerFlags, MapFlags, PAGE_SIZE, PRIORITIES, Policy, Protection,
    RegisterSet, RemapFlags, Rights, USER_END, USER_START, WaitFlags,
};
use vellum_user::loader::layout::{GUARD_BYTES, STACK_BYTES, START_BLOCK};

/// How a call must answer.
pub(crate) enum Answer {
    /// With this error, and a value of 0.
    Refused(Error),
    /// With this error after so many bytes.
    Partly(Error, u64),
    /// Without an error; then this takes back what it did.
    Allowed(Undo),
}

/// What an allowed call leaves to be taken back.
#[derive(Clone, Copy)]
pub(crate) enum Undo {
    /// Nothing.
    Nothing,
    /// Nothing, and the call's value is this.
    Value(u64),
    /// The call's value is a handle.
    Close,
    /// The call's value is the address of a mapping as long as the fourth argument.
    Unmap,
}

/// A call with all its arguments.
pub(crate) struct Case {
    pub(crate) call: Call,
    pub(crate) class: &'static str,
    pub(crate) arguments: &'static [Value],
    pub(crate) answer: Answer,
}

/// Writes a case as `Call "class" [arguments] => answer;`, so that the table is one.
macro_rules! cases {
    ($($call:ident $class:literal [$($argument:expr),*] => $answer:expr;)*) => {
        &[$(Case {
            call: Call::$call,
            class: $class,
            arguments: &[$($argument),*],
            answer: $answer,
        }),*]
    };
}

const PAGE: Value = Number(PAGE_SIZE);
const FREE: Value = Number(HOLE);
const PLAIN: Value = Number(FIXED);
const NONE: Value = Number(0);
const NEVER: Value = Number(FOR_EVER);
const BUFFER: Value = Number(WRITABLE);
const BYTES: Value = Number(8);
/// Half of these bytes are in the page at [`EDGE`], the others nowhere.
const ACROSS: Value = Number(EDGE + PAGE_SIZE - 4);
const LAST_PAGE: u64 = PAGE_SIZE.wrapping_neg();
const READ: u64 = Protection::READ.bits();
const IN_MAPPING: u64 = (Policy::InMapping as u64) << 32;
const SHARED: u64 = MapFlags::SHARED.bits();
const REPLACE: Value = Number(FIXED | MapFlags::REPLACE.bits());
const MAYMOVE: Value = Number(RemapFlags::MAYMOVE.bits());
const MOVE_TO: Value = Number(RemapFlags::MAYMOVE.bits() | RemapFlags::FIXED.bits());
const READ_WRITE: u64 = READ | Protection::WRITE.bits();
const EXECUTE: u64 = READ | Protection::EXECUTE.bits();
const TAGGED: u64 = READ | Protection::TAGGED.bits();
const BOTTOM: Value = Number(USER_START);
const EVERYTHING: Value = Number(USER_END - USER_START);
/// What programs begin with.
const USUAL: Value = Number(16);
const FOREIGN: Value = Number(HandlerFlags::FOREIGN.bits());
const VECTORS: Value = Number(RegisterSet::Vectors as u64);
const SHARED_WORD: Value = Number(WaitFlags::SHARED.bits());
/// From the guard on: both are mapped, and the guard is sealed.
const GUARD_AND_STACK: Value = Number(GUARD_BYTES + STACK_BYTES);

/// Every case.
pub(crate) const CASES: &[Case] = cases! {
    // The console, while the buffers still hold line feeds.
    ConsoleWrite "nothing from nowhere" [FREE, NONE] => Allowed(Nothing);
    ConsoleWrite "a tagged buffer" [TaggedPointer, Number(1)] => Allowed(Undo::Value(1));
    ConsoleWrite "half nowhere" [ACROSS, BYTES] => Partly(BadAddress, 4);
    // map: replacing what is sealed, and parts of what is mapped.
    Map "replacing text" [Own, Anonymous, Text, PAGE, REPLACE, NONE] => Refused(Sealed);
    Map "replacing the guard" [Own, Anonymous, Guard, PAGE, REPLACE, NONE] => Refused(Sealed);
    Map "replacing the start block"
        [Own, Anonymous, Number(START_BLOCK), PAGE, REPLACE, NONE] => Refused(Sealed);
    Map "replacing guard and stack"
        [Own, Anonymous, Guard, GUARD_AND_STACK, REPLACE, NONE] => Refused(Sealed);
    Map "replacing everything"
        [Own, Anonymous, BOTTOM, EVERYTHING, REPLACE, NONE] => Refused(Sealed);
    Map "the last page of it taken"
        [Own, Anonymous, Number(WRITABLE - PAGE_SIZE), Number(2 * PAGE_SIZE), PLAIN, NONE]
        => Refused(Overlap);
    Map "the first page of it taken"
        [Own, Anonymous, Number(WRITABLE + PAGE_SIZE), Number(2 * PAGE_SIZE), PLAIN, NONE]
        => Refused(Overlap);
    Map "larger than any gap"
        [Own, Anonymous, NONE, EVERYTHING, Number(READ), NONE] => Refused(OutOfAddresses);
    // map: hints.
    Map "a tagged hint"
        [Own, Anonymous, TaggedPointer, PAGE, Number(READ), NONE] => Refused(OutOfRange);
    Map "a hint in the kernel"
        [Own, Anonymous, Number(LAST_PAGE), PAGE, Number(READ), NONE] => Refused(OutOfRange);
    Map "an unaligned hint"
        [Own, Anonymous, Number(HOLE + 1), PAGE, Number(READ), NONE] => Refused(Misaligned);
    Map "a hint that is taken" [Own, Anonymous, BUFFER, PAGE, Number(READ), NONE] => Allowed(Unmap);
    // map: objects and what they allow.
    Map "a reference object shared for writing"
        [Own, Pattern, FREE, PAGE, Number(FIXED | SHARED), NONE] => Refused(SharedWritable);
    Map "zeros shared for writing"
        [Own, Anonymous, FREE, PAGE, Number(FIXED | SHARED), NONE] => Refused(SharedWritable);
    Map "the archive shared for writing"
        [Own, Archive, FREE, PAGE, Number(FIXED | SHARED), NONE] => Refused(SharedWritable);
    Map "shared for writing without WRITE"
        [Own, MemoryNotWritten, FREE, PAGE, Number(FIXED | SHARED), NONE] => Refused(MissingRight);
    Map "private and writable without WRITE"
        [Own, MemoryNotWritten, FREE, PAGE, PLAIN, NONE] => Allowed(Unmap);
    Map "executable without EXECUTE"
        [Own, MemoryNotExecuted, NONE, PAGE, Number(EXECUTE), NONE] => Refused(MissingRight);
    Map "an executable reference object"
        [Own, Pattern, NONE, PAGE, Number(EXECUTE), NONE] => Refused(MissingRight);
    Map "a tagged archive"
        [Own, Archive, NONE, PAGE, Number(TAGGED), NONE] => Refused(TagsUnsupported);
    Map "into a dead process" [Dead, Anonymous, FREE, PAGE, PLAIN, NONE] => Refused(InvalidState);
    // map: what only anonymous memory can be asked for.
    Map "a tag hint for an object"
        [Own, Pattern, FREE, PAGE, Number(FIXED | MapFlags::TAG_HINT.bits() | 5 << 52), NONE]
        => Refused(InvalidFlags);
    Map "a snapshot instead of an object"
        [Own, Pattern, FREE, PAGE, Number(FIXED | MapFlags::REFPAGE.bits()), BUFFER]
        => Refused(InvalidFlags);
    Map "a snapshot of nothing"
        [Own, Anonymous, FREE, PAGE, Number(FIXED | MapFlags::REFPAGE.bits()), FREE]
        => Refused(BadAddress);
    Map "a snapshot of half a page"
        [Own, Anonymous, FREE, PAGE, Number(FIXED | MapFlags::REFPAGE.bits()), Number(WRITABLE + 2048)]
        => Refused(Misaligned);
    Map "a snapshot over what is mapped"
        [Own, Anonymous, BUFFER, PAGE, Number(FIXED | MapFlags::REFPAGE.bits()), BUFFER]
        => Refused(Overlap);
    Map "a page of its own for an object that has several"
        [Own, Memory, NONE, PAGE, Number(READ | IN_MAPPING), NONE] => Refused(WrongPolicy);
    Map "a page of its own over what is mapped"
        [Own, Pattern, BUFFER, PAGE, Number(FIXED | IN_MAPPING), NONE] => Refused(Overlap);
    // map: the object's end.
    Map "from the end on"
        [Own, Memory, NONE, PAGE, Number(READ), Number(OBJECT_BYTES)] => Refused(BeyondEnd);
    Map "past the end"
        [Own, Memory, NONE, Number(2 * PAGE_SIZE), Number(READ), Number(OBJECT_BYTES - PAGE_SIZE)]
        => Refused(BeyondEnd);
    Map "longer than the object"
        [Own, Memory, NONE, Number(OBJECT_BYTES + PAGE_SIZE), Number(READ), NONE]
        => Refused(BeyondEnd);
    Map "an offset near 2^64"
        [Own, Memory, NONE, PAGE, Number(READ), Number(LAST_PAGE)] => Refused(BeyondEnd);
    Map "the last page of the object"
        [Own, Memory, NONE, PAGE, Number(READ), Number(OBJECT_BYTES - PAGE_SIZE)] => Allowed(Unmap);
    Map "a reference object from near 2^64"
        [Own, Pattern, NONE, PAGE, Number(READ), Number(LAST_PAGE)] => Allowed(Unmap);
    // unmap.
    Unmap "guard and stack" [Own, Guard, GUARD_AND_STACK] => Refused(Sealed);
    Unmap "everything" [Own, BOTTOM, EVERYTHING] => Refused(Sealed);
    Unmap "of a dead process" [Dead, BUFFER, PAGE] => Refused(InvalidState);
    Protect "of a dead process" [Dead, BUFFER, PAGE, Number(READ)] => Refused(InvalidState);
    Advise "of a dead process" [Dead, BUFFER, PAGE, NONE] => Refused(InvalidState);
    // protect.
    Protect "half mapped"
        [Own, Number(EDGE), Number(2 * PAGE_SIZE), Number(READ)] => Refused(NotMapped);
    Protect "the last page mapped"
        [Own, Number(EDGE - PAGE_SIZE), Number(2 * PAGE_SIZE), Number(READ)] => Refused(NotMapped);
    Protect "guard and stack" [Own, Guard, GUARD_AND_STACK, Number(READ)] => Refused(Sealed);
    Protect "a shared reference object to be written"
        [Own, Number(SHARED_REFERENCE), PAGE, Number(READ_WRITE)] => Refused(SharedWritable);
    Protect "shared memory to be written without WRITE"
        [Own, Number(SHARED_MEMORY), PAGE, Number(READ_WRITE)] => Refused(MissingRight);
    Protect "a reference object to be executed"
        [Own, Number(REFERENCE), PAGE, Number(EXECUTE)] => Refused(MissingRight);
    Protect "as it is" [Own, Number(READ_ONLY), PAGE, Number(READ)] => Allowed(Nothing);
    // remap.
    Remap "to where it is" [Own, BUFFER, PAGE, PAGE, MOVE_TO, BUFFER] => Refused(Overlap);
    Remap "to half of where it is"
        [Own, BUFFER, PAGE, Number(2 * PAGE_SIZE), MOVE_TO, Number(WRITABLE - PAGE_SIZE)]
        => Refused(Overlap);
    Remap "half mapped" [Own, Number(EDGE), Number(2 * PAGE_SIZE), PAGE, NONE, NONE]
        => Refused(NotMapped);
    Remap "onto text" [Own, BUFFER, PAGE, PAGE, MOVE_TO, Text] => Refused(Sealed);
    Remap "onto the guard" [Own, BUFFER, PAGE, PAGE, MOVE_TO, Guard] => Refused(Sealed);
    Remap "onto a tagged address" [Own, BUFFER, PAGE, PAGE, MOVE_TO, TaggedPointer]
        => Refused(OutOfRange);
    Remap "onto the kernel" [Own, BUFFER, PAGE, PAGE, MOVE_TO, Number(LAST_PAGE)]
        => Refused(OutOfRange);
    Remap "onto nothing" [Own, BUFFER, PAGE, PAGE, MOVE_TO, NONE] => Refused(OutOfRange);
    Remap "onto an unaligned address" [Own, BUFFER, PAGE, PAGE, MOVE_TO, Number(HOLE + 1)]
        => Refused(Misaligned);
    Remap "past the end of the object"
        [Own, Number(SHARED_MEMORY), PAGE, Number(OBJECT_BYTES + PAGE_SIZE), NONE, NONE]
        => Refused(BeyondEnd);
    Remap "larger than any gap" [Own, BUFFER, PAGE, EVERYTHING, MAYMOVE, NONE]
        => Refused(OutOfAddresses);
    Remap "into what is mapped behind" [Own, BUFFER, PAGE, Number(2 * PAGE_SIZE), NONE, NONE]
        => Refused(OutOfAddresses);
    Remap "of a dead process" [Dead, BUFFER, PAGE, PAGE, NONE, NONE] => Refused(InvalidState);
    Remap "as it is" [Own, BUFFER, PAGE, PAGE, NONE, FREE] => Allowed(Undo::Value(WRITABLE));
    // advise.
    Advise "half mapped" [Own, Number(EDGE), Number(2 * PAGE_SIZE), NONE] => Refused(NotMapped);
    Advise "guard and stack" [Own, Guard, GUARD_AND_STACK, NONE] => Refused(Sealed);
    Advise "what was never written" [Own, Number(REFERENCE), PAGE, NONE] => Allowed(Nothing);
    Advise "to load what is not mapped"
        [Own, Number(EDGE), Number(2 * PAGE_SIZE), Number(1)] => Refused(NotMapped);
    Advise "to store to what can only be read"
        [Own, Number(READ_ONLY), PAGE, Number(2)] => Refused(MissingRight);
    Advise "to load what is there" [Own, BUFFER, PAGE, Number(1)] => Allowed(Nothing);
    QueryPages "half mapped"
        [Own, Number(EDGE), BUFFER, Number(2 * PAGE_SIZE)] => Refused(NotMapped);
    QueryPages "more pages than at once"
        [Own, Number(HOLE), BUFFER, Number(513 * PAGE_SIZE)] => Refused(InvalidSize);
    QueryPages "to half nowhere" [Own, BUFFER, Number(EDGE + PAGE_SIZE - 1), Number(2 * PAGE_SIZE)]
        => Refused(BadAddress);
    QueryPages "two pages" [Own, BUFFER, BUFFER, Number(2 * PAGE_SIZE)] => Allowed(Undo::Value(2));
    Advise "promotion without huge pages" [Own, Number(REFERENCE), PAGE, Number(3)]
        => Refused(WrongPolicy);
    // query and records.
    Query "an address inside a page" [Own, Number(WRITABLE + 5), BUFFER] => Allowed(Nothing);
    Query "a dead process" [Dead, BUFFER, BUFFER] => Refused(NotMapped);
    Query "a tagged record" [Own, BUFFER, TaggedPointer] => Allowed(Nothing);
    Stat "a tagged record" [Own, TaggedPointer] => Allowed(Nothing);
    Stat "a dead process" [Dead, BUFFER] => Allowed(Nothing);
    Stat "a record half of which is nowhere"
        [Own, Number(EDGE + PAGE_SIZE - 8)] => Refused(BadAddress);
    SystemQuery "a record half of which is nowhere"
        [Number(EDGE + PAGE_SIZE - 8)] => Refused(BadAddress);
    SystemQuery "a tagged record" [TaggedPointer] => Allowed(Nothing);
    ObjectQuery "a tagged record" [Memory, TaggedPointer] => Allowed(Nothing);
    // memory of processes.
    MemoryRead "from half nowhere" [Own, ACROSS, BUFFER, BYTES] => Partly(BadAddress, 4);
    MemoryRead "to half nowhere" [Own, BUFFER, ACROSS, BYTES] => Partly(BadAddress, 4);
    MemoryRead "a tagged buffer"
        [Own, Number(READ_ONLY), TaggedPointer, BYTES] => Allowed(Undo::Value(8));
    MemoryRead "a tagged address" [Own, TaggedPointer, BUFFER, BYTES] => Allowed(Undo::Value(8));
    MemoryRead "from a reference mapping"
        [Own, Number(REFERENCE), BUFFER, BYTES] => Allowed(Undo::Value(8));
    MemoryRead "from a dead process" [Dead, BUFFER, BUFFER, BYTES] => Refused(BadAddress);
    MemoryRead "from a process without memory"
        [Child, BUFFER, BUFFER, BYTES] => Refused(BadAddress);
    MemoryWrite "from half nowhere" [Own, BUFFER, ACROSS, BYTES] => Partly(BadAddress, 4);
    MemoryWrite "to half nowhere" [Own, ACROSS, BUFFER, BYTES] => Partly(BadAddress, 4);
    MemoryWrite "a tagged buffer" [Own, BUFFER, TaggedPointer, BYTES] => Allowed(Undo::Value(8));
    MemoryWrite "a tagged address"
        [Own, TaggedPointer, Number(READ_ONLY), BYTES] => Allowed(Undo::Value(8));
    MemoryWrite "from a reference mapping"
        [Own, BUFFER, Number(REFERENCE), BYTES] => Allowed(Undo::Value(8));
    MemoryWrite "to a shared reference mapping"
        [Own, Number(SHARED_REFERENCE), BUFFER, BYTES] => Refused(BadAddress);
    MemoryWrite "to a dead process" [Dead, BUFFER, BUFFER, BYTES] => Refused(BadAddress);
    // reference objects: flags are judged before sizes, sizes before alignment and access.
    RefpageCreate "everything wrong" [NONE, Number(3), Number(1)] => Refused(InvalidFlags);
    RefpageCreate "size and address wrong" [Number(1), Number(3), NONE] => Refused(InvalidSize);
    RefpageCreate "unaligned and nowhere"
        [Number(HOLE + 1), Number(16), NONE] => Refused(Misaligned);
    RefpageCreate "content in a reference mapping"
        [Number(REFERENCE), PAGE, NONE] => Allowed(Close);
    RefpageCreate "read-only content" [Number(READ_ONLY), PAGE, NONE] => Allowed(Close);
    RefpageCreate "tagged content" [TaggedPointer, Number(16), NONE] => Allowed(Close);
    RefpageCreate "text as content" [Text, PAGE, NONE] => Allowed(Close);
    RefpageCreate "stack as content" [Stack, PAGE, NONE] => Allowed(Close);
    RefpageCreatePattern "the largest byte" [Number(255), NONE] => Allowed(Close);
    MemoryCreate "unknown flags and no length" [NONE, Number(2)] => Refused(InvalidFlags);
    MemoryCreate "an object that repeats" [PAGE, Number(1)] => Allowed(Close);
    // handles.
    HandleCopy "a process for one that never started"
        [Child, Child, Number(Rights::INSPECT.bits())] => Refused(InvalidState);
    HandleCopy "a thread for one that never started"
        [Child, Thread, Number(Rights::INSPECT.bits())] => Refused(InvalidState);
    HandleCopy "an object for a dead process"
        [Dead, Memory, Number(Rights::READ.bits())] => Refused(InvalidState);
    HandleCopy "without any right" [Own, Memory, NONE] => Allowed(Close);
    // processes and threads.
    ProcessWait "for oneself" [Own, BUFFER, NEVER] => Refused(WouldDeadlock);
    ProcessWait "a tagged record" [Dead, TaggedPointer, NEVER] => Allowed(Nothing);
    ProcessKill "a dead process" [Dead] => Refused(InvalidState);
    ThreadCreate "a second thread" [Child] => Allowed(Close);
    ThreadCreate "a second thread of oneself" [Own] => Allowed(Close);
    ThreadCreate "in a dead process" [Dead] => Refused(InvalidState);
    ThreadReadRegisters "of an ended thread" [Ended, BUFFER] => Refused(InvalidState);
    ThreadReadRegisters "a tagged record" [Thread, TaggedPointer] => Allowed(Nothing);
    ThreadWriteRegisters "of an ended thread"
        [Ended, Number(RECORDS + 2048)] => Refused(InvalidState);
    ThreadWriteRegisters "privileged mode" [Thread, Number(RECORDS)] => Refused(InvalidRegisters);
    ThreadWriteRegisters "masked interrupts"
        [Thread, Number(RECORDS + 512)] => Refused(InvalidRegisters);
    ThreadWriteRegisters "another execution state"
        [Thread, Number(RECORDS + 1024)] => Refused(InvalidRegisters);
    ThreadStart "an ended thread" [Ended] => Refused(InvalidState);
    ThreadKill "a stopped thread" [Thread] => Refused(InvalidState);
    ThreadKill "an ended thread" [Ended] => Refused(InvalidState);
    ThreadSetPriority "above its maker's" [Own, Number(PRIORITIES - 1)] => Refused(NotPermitted);
    ThreadSetPriority "another's above the own maker's"
        [Thread, Number(PRIORITIES - 1)] => Refused(NotPermitted);
    ThreadSetPriority "what it has" [Own, USUAL] => Allowed(Nothing);
    ProcessSetHandler "none" [Child, NONE] => Allowed(Nothing);
    ProcessSetHandler "an endpoint" [Child, Endpoint] => Allowed(Nothing);
    ProcessSetHandler "foreign after the start" [Own, Endpoint, FOREIGN] => Refused(InvalidState);
    ThreadReadRegisters "vectors" [Thread, BUFFER, VECTORS] => Allowed(Nothing);
    ThreadWriteRegisters "vectors" [Thread, Number(RECORDS + 2048), VECTORS] => Allowed(Nothing);
    ProcessSetHandler "of a dead process" [Dead, Endpoint] => Refused(InvalidState);
    // waiting at an address.
    AddressWait "another value" [BUFFER, Number(1), NONE, NEVER] => Allowed(Undo::Value(0));
    AddressWait "another value, shared" [BUFFER, Number(1), SHARED_WORD, NEVER] => Allowed(Undo::Value(0));
    AddressWake "where nobody waits" [BUFFER, Number(u64::MAX), NONE] => Allowed(Undo::Value(0));
    AddressWake "where nothing is" [FREE, Number(1), SHARED_WORD] => Allowed(Undo::Value(0));
    // messages.
    EndpointReply "without a caller" [NONE, NONE] => Refused(InvalidState);
    EndpointReplyReceive "without a caller" [Endpoint, NONE] => Refused(InvalidState);
    EndpointBadge "a badge" [Endpoint, Number(u64::MAX)] => Allowed(Close);
    EndpointCreate "another" [] => Allowed(Close);
    NotificationCreate "another" [] => Allowed(Close);
    NotificationRaise "nothing" [Notification, NONE] => Allowed(Undo::Value(0));
    NotificationRaise "a bit" [Notification, Number(4)] => Allowed(Undo::Value(0));
    NotificationWait "for a bit that is raised" [Notification, NEVER] => Allowed(Undo::Value(4));
    InterruptBind "again" [Interrupt, Notification, NONE] => Allowed(Undo::Value(0));
    InterruptAcknowledge "what has not fired" [Interrupt] => Allowed(Undo::Value(0));
    // pagers.
    PagerCreate "another object of an endpoint" [Endpoint, PAGE, NONE] => Allowed(Close);
    PagerCreate "flags and length wrong" [Endpoint, NONE, Number(2)] => Refused(InvalidFlags);
    PagerSupply "another object" [Own, NONE, PAGE, BUFFER, NONE] => Refused(BadHandle);
    PagerSupply "a page that is there" [Paged, Number(OBJECT_BYTES - PAGE_SIZE), PAGE, BUFFER, NONE]
        => Refused(PagePresent);
    PagerSupply "to allow what nobody watches" [Paged, NONE, PAGE, NONE, Number(4)]
        => Refused(InvalidState);
    PagerSupply "poison from somewhere" [Paged, NONE, PAGE, BUFFER, Number(3)]
        => Refused(InvalidFlags);
    PagerSupply "a memory object as a reference" [Paged, NONE, PAGE, Memory, Number(2)]
        => Refused(WrongObject);
    PagerSupply "an endpoint as a reference" [Paged, NONE, PAGE, Endpoint, Number(2)]
        => Refused(WrongObject);
    PagerSupply "nothing as a reference" [Paged, NONE, PAGE, NONE, Number(2)] => Refused(BadHandle);
    PagerSupply "text that moves" [Paged, NONE, PAGE, Text, Number(1)] => Refused(Sealed);
    PagerSupply "a shared page that moves" [Paged, NONE, PAGE, Number(SHARED_REFERENCE), Number(1)]
        => Refused(NotPermitted);
    PagerSupply "a page that is not mapped, to move" [Paged, NONE, PAGE, Number(HOLE), Number(1)]
        => Refused(NotMapped);
    Map "a paged object eagerly"
        [Own, Paged, FREE, PAGE, Number(FIXED | (Policy::Eager as u64) << 32), NONE]
        => Refused(WrongPolicy);
    Map "a paged object shared for writing"
        [Own, Paged, FREE, PAGE, Number(FIXED | SHARED), NONE] => Refused(SharedWritable);
    Map "a memory object under the policy of pagers"
        [Own, Memory, FREE, PAGE, Number(FIXED | (Policy::UserPager as u64) << 32), NONE]
        => Refused(WrongPolicy);
    // calls without arguments do not care what is in the registers.
    Null "garbage" [Number(u64::MAX), Number(u64::MAX)] => Allowed(Undo::Value(0));
    Yield "garbage" [Number(u64::MAX), Number(u64::MAX)] => Allowed(Undo::Value(0));
    Clock "garbage" [Number(u64::MAX), Number(u64::MAX)] => Allowed(Nothing);
};
