//! What the arguments of each call are, how often it is made, and what it leaves.
//!
//! Owns: the one table that knows the calls. Refuses to know: which values there are of a kind (`values`). A
//! call without a row does not compile: a new one takes a line.

use How::{Ends, Makes, Plain, Refused, Waits};
use Kind::{
    AccountOrOwn, Advice, AnyHandle, Byte, Bytes, Content, Count, Endpoint, Expected, Flags,
    Length, LimitsRecord, MapOptions, Memory, MemoryFlags, NewLength, Notification,
    ObjectOrAnonymous, Offset, Paged, PieceList, Place, Priority, Process, ProcessOrOwn,
    Protection, Record, RegistersRecord, RemapFlags, Rights, Sent, Size, Supply, Tag, TagMode,
    TagSet, TestArgument, TestOperation, Text, TextLength, Thread, ThreadOrOwn, Timeout, WaitFlags,
    WaitWord, Word,
};
use vellum_user::abi::Call;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything.
    Word,
    /// A handle of anything.
    AnyHandle,
    /// A process, mostly the caller's own.
    ProcessOrOwn,
    /// A process, seldom the caller's own.
    Process,
    /// A thread.
    Thread,
    /// A thread, perhaps the caller.
    ThreadOrOwn,
    /// An account, mostly the caller's own.
    AccountOrOwn,
    /// A memory object.
    Memory,
    /// A memory object whose pages somebody supplies.
    Paged,
    /// A memory object, mostly none.
    ObjectOrAnonymous,
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
    /// A handle that goes along with a message, mostly none.
    Sent,
    /// Rights.
    Rights,
    /// The start of pages.
    Place,
    /// Bytes of pages.
    Length,
    /// Bytes of a new object.
    NewLength,
    /// An offset in an object.
    Offset,
    /// Where the call reads or writes a record or bytes.
    Record,
    /// A record of registers.
    RegistersRecord,
    /// A record of limits.
    LimitsRecord,
    /// A list of pieces of memory.
    PieceList,
    /// Bytes to move.
    Bytes,
    /// A page to be repeated, and how much of it.
    Content,
    /// How much of it.
    Size,
    /// What may be printed.
    Text,
    /// How much of it.
    TextLength,
    /// A word that threads wait at, or that becomes 0.
    WaitWord,
    /// What is expected there.
    Expected,
    /// A small number.
    Count,
    /// Flags of which there are none.
    Flags,
    /// Flags of `memory_create`.
    MemoryFlags,
    /// Flags of the calls at addresses.
    WaitFlags,
    /// Flags of `remap`.
    RemapFlags,
    /// The options word of `map`.
    MapOptions,
    /// Protection bits.
    Protection,
    /// An advice.
    Advice,
    /// A priority.
    Priority,
    /// A tag.
    Tag,
    /// A byte to repeat.
    Byte,
    /// A tag check mode.
    TagMode,
    /// A bit for each tag.
    TagSet,
    /// How long to wait at most.
    Timeout,
    /// How pages are supplied.
    Supply,
    /// What `test` does, and its argument.
    TestOperation,
    /// Its argument.
    TestArgument,
}

/// What kinds of handles there are to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Process,
    Thread,
    Memory,
    Endpoint,
    Notification,
    Account,
    /// What came with a message.
    Received,
    /// Memory objects whose pages somebody supplies.
    Paged,
}

impl Slot {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;
}

/// What a call is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It answers, and leaves no handle.
    Plain,
    /// Its value is a handle.
    Makes(Slot),
    /// It may wait for what somebody else has to do; its value may be a handle.
    Waits,
    /// It ends the caller.
    Ends,
    /// Nobody here has what it needs.
    Refused,
}

/// What is known of a call.
pub(crate) struct Row {
    /// How often it is made, compared with others; 0 for never.
    pub(crate) weight: u64,
    pub(crate) how: How,
    pub(crate) kinds: &'static [Kind],
}

const fn row(weight: u64, how: How, kinds: &'static [Kind]) -> Row {
    Row { weight, how, kinds }
}

const RANGE: [Kind; 3] = [ProcessOrOwn, Place, Length];
const MESSAGE: [Kind; 6] = [Endpoint, Sent, Word, Word, Word, Word];

/// Returns the row of a call.
pub(crate) const fn row_of(call: Call) -> Row {
    match call {
        Call::Null => row(10, Plain, &[]),
        Call::ConsoleWrite => row(5, Plain, &[Text, TextLength]),
        Call::Exit => row(1, Ends, &[Word]),
        Call::Yield => row(60, Plain, &[]),
        Call::Clock => row(5, Plain, &[]),
        Call::Stat => row(20, Plain, &[ProcessOrOwn, Record]),
        Call::HandleClose => row(40, Plain, &[AnyHandle]),
        Call::HandleCopy => row(40, Makes(Slot::Received), &[ProcessOrOwn, AnyHandle, Rights]),
        Call::ObjectQuery => row(20, Plain, &[Memory, Record]),
        Call::RefpageCreate => row(20, Makes(Slot::Memory), &[Content, Size, Flags]),
        Call::RefpageCreatePattern => row(15, Makes(Slot::Memory), &[Byte, Flags]),
        Call::RefpageCreateTag => row(15, Makes(Slot::Memory), &[Tag, Flags]),
        Call::RefpageCreateFrameless => row(20, Makes(Slot::Memory), &[Content, Size, Flags]),
        Call::MemoryCreate => row(30, Makes(Slot::Memory), &[NewLength, MemoryFlags]),
        Call::Map => {
            row(300, Plain, &[ProcessOrOwn, ObjectOrAnonymous, Place, Length, MapOptions, Offset])
        }
        Call::Unmap => row(80, Plain, &RANGE),
        Call::Protect => row(80, Plain, &[ProcessOrOwn, Place, Length, Protection]),
        Call::Advise => row(120, Plain, &[ProcessOrOwn, Place, Length, Advice]),
        Call::Query => row(20, Plain, &[ProcessOrOwn, Place, Record]),
        Call::QueryPages => row(20, Plain, &[ProcessOrOwn, Place, Record, Length]),
        Call::MemoryRead => row(100, Plain, &[ProcessOrOwn, Place, Record, Bytes]),
        Call::MemoryWrite => row(140, Plain, &[ProcessOrOwn, Place, Record, Bytes]),
        Call::MemoryTransfer => row(60, Plain, &[ProcessOrOwn, PieceList, Count, MemoryFlags]),
        Call::TagsRead => row(30, Plain, &[ProcessOrOwn, Place, Record, Bytes]),
        Call::TagsWrite => row(40, Plain, &[ProcessOrOwn, Place, Record, Bytes]),
        Call::Remap => row(120, Plain, &[ProcessOrOwn, Place, Length, Length, RemapFlags, Place]),
        Call::ProcessCreate => row(15, Makes(Slot::Process), &[AccountOrOwn]),
        Call::ProcessClone => row(20, Makes(Slot::Process), &[ProcessOrOwn]),
        Call::ProcessWait => row(5, Waits, &[Process, Record, Timeout]),
        Call::ProcessKill => row(6, Plain, &[Process]),
        Call::ThreadCreate => row(30, Makes(Slot::Thread), &[ProcessOrOwn, WaitWord]),
        Call::ThreadReadRegisters => row(15, Plain, &[Thread, Record, Flags]),
        Call::ThreadWriteRegisters => row(60, Plain, &[Thread, RegistersRecord, Flags]),
        Call::ThreadStart => row(12, Plain, &[Thread]),
        Call::ThreadExit => row(1, Ends, &[]),
        Call::ThreadKill => row(20, Plain, &[Thread]),
        Call::ThreadSetPriority => row(30, Plain, &[ThreadOrOwn, Priority]),
        Call::ThreadSetTagMode => row(10, Plain, &[Thread, TagMode, TagSet]),
        Call::ThreadTagMode => row(10, Plain, &[ThreadOrOwn]),
        Call::SystemQuery => row(5, Plain, &[Record]),
        Call::AccountCreate => row(10, Makes(Slot::Account), &[AccountOrOwn, LimitsRecord]),
        Call::AccountQuery => row(15, Plain, &[AccountOrOwn, Record]),
        Call::Test => row(10, Plain, &[TestOperation, TestArgument]),
        Call::AddressWait => row(8, Waits, &[WaitWord, Expected, WaitFlags, Timeout]),
        Call::AddressWake => row(80, Plain, &[WaitWord, Count, WaitFlags]),
        Call::EndpointCreate => row(15, Makes(Slot::Endpoint), &[]),
        Call::EndpointBadge => row(15, Makes(Slot::Endpoint), &[Endpoint, Word]),
        Call::EndpointCall => row(26, Waits, &MESSAGE),
        Call::EndpointReceive => row(14, Waits, &[Endpoint]),
        Call::EndpointReply => row(40, Plain, &[Flags, Sent, Word, Word, Word, Word]),
        Call::EndpointReplyReceive => row(14, Waits, &MESSAGE),
        Call::NotificationCreate => row(15, Makes(Slot::Notification), &[]),
        Call::NotificationRaise => row(50, Plain, &[Notification, Word]),
        Call::NotificationWait => row(10, Waits, &[Notification, Timeout]),
        Call::ProcessSetHandler => row(20, Plain, &[ProcessOrOwn, Endpoint, Flags]),
        Call::InterruptBind => row(5, Refused, &[AnyHandle, Notification, Word]),
        Call::InterruptAcknowledge => row(5, Refused, &[AnyHandle]),
        Call::ThreadInterrupt => row(30, Plain, &[Thread]),
        Call::PagerCreate => row(25, Makes(Slot::Paged), &[Endpoint, NewLength, Flags]),
        Call::PagerSupply => row(40, Plain, &[Paged, Offset, Length, Place, Supply]),
    }
}

/// The sum of all weights.
pub(crate) const WEIGHTS: u64 = {
    let (mut sum, mut index) = (0, 0);
    while index < Call::ALL.len() {
        let row = row_of(Call::ALL[index]);
        assert!(row.kinds.len() == Call::ALL[index].arguments(), "an argument has no kind");
        sum += row.weight;
        index += 1;
    }
    sum
};

/// Returns the call that a number below [`WEIGHTS`] means.
pub(crate) fn pick(mut number: u64) -> Call {
    for call in Call::ALL {
        let weight = row_of(*call).weight;
        if number < weight {
            return *call;
        }
        number -= weight;
    }
    Call::Null
}
