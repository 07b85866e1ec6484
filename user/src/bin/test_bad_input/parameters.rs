//! What the arguments of each call are, and a good value of each.

use crate::scene::{HOLE, OBJECT_BYTES, RECORDS, TAGGED, Value, WRITABLE};
use crate::{pagers, pieces};
use Kind::{
    AcknowledgedInterrupt, Advice, AdvisedRange, AnyByte, AnyWord, AwaitedNotification, BytesIn,
    BytesOut, CalledEndpoint, ClonedProcess, Content, CopyRights, Flags, HandlerEndpoint,
    InspectedAccount, InspectedMemory, InspectedProcess, InspectedThread, InspectedThreadOrOwn,
    Length, ManagedAccount, ManagedEndpoint, ManagedInterrupt, ManagedProcess, ManagedThread,
    ManagedThreadOrOwn, MapOptions, MappedObject, NewLength, NewRange, NewRangeLength,
    ObjectOffset, OneFlag, OpenHandle, Place, Priority, Protection, QueriedRange,
    RaisedNotification, RangeLength, ReceivedEndpoint, RecordIn, RecordOut, RegisterSet,
    RemapFlags, SentHandle, Size, Tag, TagMode, TagSet, TheirBytesIn, TheirBytesOut, TheirTags,
    TransferredHandle, WaitedWord, WokenWord, Word,
};
use Value::{
    Anonymous, Child, Dead, Endpoint, Interrupt, Memory, Notification, Number, Own, Thread,
};
use vellum_user::abi::{Call, FOR_EVER, MapFlags, PAGE_SIZE, Protection as Bits, Rights};

/// What an argument means to its call, as far as that decides which values are bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is bad.
    AnyWord,
    /// A handle of any kind.
    OpenHandle,
    /// A handle with TRANSFER.
    TransferredHandle,
    /// A process that the call changes.
    ManagedProcess,
    /// A process that the call looks at and changes.
    ClonedProcess,
    /// A process that the call looks at.
    InspectedProcess,
    /// An account that the call takes from.
    ManagedAccount,
    /// An account that the call looks at.
    InspectedAccount,
    /// A thread that the call changes.
    ManagedThread,
    /// A thread that the call looks at.
    InspectedThread,
    /// A thread, or oneself, that the call changes.
    ManagedThreadOrOwn,
    /// A thread, or oneself, that the call looks at.
    InspectedThreadOrOwn,
    /// The number of a tag check mode.
    TagMode,
    /// A bit for each tag.
    TagSet,
    /// The target's memory whose tags the call moves.
    TheirTags,
    /// A memory object that the call looks at.
    InspectedMemory,
    /// What `map` takes for an object.
    MappedObject,
    /// Where a record of words goes.
    RecordOut,
    /// Where a record of words comes from.
    RecordIn,
    /// The caller's bytes to read.
    BytesIn,
    /// The caller's bytes to write.
    BytesOut,
    /// The target's bytes to read.
    TheirBytesIn,
    /// The target's bytes to write.
    TheirBytesOut,
    /// How many bytes to move.
    Length,
    /// An address that is looked up.
    Place,
    /// The start of a range that must be free.
    NewRange,
    /// The start of a range that must be mapped.
    AdvisedRange,
    /// The start of a range that is looked at.
    QueriedRange,
    /// The length of a range.
    RangeLength,
    /// The length that a range is to have.
    NewRangeLength,
    /// The flags of `remap`.
    RemapFlags,
    /// The options word of `map`.
    MapOptions,
    /// An offset in an object.
    ObjectOffset,
    /// Protection bits.
    Protection,
    /// An advice number.
    Advice,
    /// A flag word without defined flags.
    Flags,
    /// A flag word whose lowest bit alone is defined.
    OneFlag,
    /// Rights that the handle has.
    CopyRights,
    /// The address of a reference page's content.
    Content,
    /// The size of that content.
    Size,
    /// A pattern byte.
    AnyByte,
    /// A tag.
    Tag,
    /// The length of a new memory object.
    NewLength,
    /// The address of a word that is read.
    WaitedWord,
    /// The address of a word that may be anywhere in the user half.
    WokenWord,
    /// An endpoint that is called.
    CalledEndpoint,
    /// An endpoint that is received at.
    ReceivedEndpoint,
    /// An endpoint of which a badged handle is made.
    ManagedEndpoint,
    /// An endpoint where faults are reported, or none.
    HandlerEndpoint,
    /// A notification whose bits are raised.
    RaisedNotification,
    /// A notification that is waited for.
    AwaitedNotification,
    /// A device's line that is bound.
    ManagedInterrupt,
    /// A device's line that is acknowledged.
    AcknowledgedInterrupt,
    /// A handle that goes along with a message, with its rights.
    SentHandle,
    /// What 4 bytes can hold.
    Word,
    /// Which registers.
    RegisterSet,
    /// A priority.
    Priority,
    /// A paged object that is supplied.
    SuppliedObject,
    /// Where in it.
    SuppliedOffset,
    /// How much of it.
    SuppliedLength,
    /// The start of the pages that it is supplied with.
    SuppliedPages,
    /// The word that says how.
    SupplyOptions,
    /// How many pieces a list has.
    PieceCount,
}

/// An argument.
pub(crate) struct Parameter {
    pub(crate) kind: Kind,
    pub(crate) good: Value,
}

pub(crate) const fn of(kind: Kind, good: Value) -> Parameter {
    Parameter { kind, good }
}

/// The arguments of a call that sends a message.
const fn message(first: Parameter) -> [Parameter; 6] {
    [
        first,
        of(SentHandle, NONE),
        of(AnyWord, NONE),
        of(AnyWord, NONE),
        of(AnyWord, NONE),
        of(AnyWord, NONE),
    ]
}

/// Options of a readable and writable mapping at its address or not at all.
pub(crate) const FIXED: u64 = Bits::READ.bits() | Bits::WRITE.bits() | MapFlags::FIXED.bits();

const PAGE: Value = Number(PAGE_SIZE);
const NONE: Value = Number(0);
/// A timeout that is never over.
const NEVER: Value = Number(FOR_EVER);
const BYTES: Value = Number(8);
const BUFFER: Value = Number(WRITABLE);
const SECOND: Value = Number(WRITABLE + PAGE_SIZE);
const MEMORY_WITH_TAGS: Value = Number(TAGGED);
/// Where bytes are that are tags.
const ZEROS: Value = Number(RECORDS);
const READ: Value = Number(Rights::READ.bits());
const READ_WRITE: Value = Number(Bits::READ.bits() | Bits::WRITE.bits());

/// Returns the arguments of a call, in order. There is no arm for calls unknown to this table: a
/// new one does not compile until it is here.
pub(crate) const fn parameters(call: Call) -> &'static [Parameter] {
    match call {
        Call::Null | Call::Yield | Call::Clock => &[],
        Call::ProcessCreate => const { &[of(ManagedAccount, Own)] },
        Call::AccountCreate => const { &[of(ManagedAccount, Own), of(RecordIn, BUFFER)] },
        Call::AccountQuery => const { &[of(InspectedAccount, Own), of(RecordOut, BUFFER)] },
        Call::ConsoleWrite => const { &[of(BytesIn, BUFFER), of(Length, BYTES)] },
        Call::Exit => const { &[of(AnyWord, NONE)] },
        Call::Stat => const { &[of(InspectedProcess, Own), of(RecordOut, BUFFER)] },
        Call::HandleClose => const { &[of(OpenHandle, Memory)] },
        Call::HandleCopy => {
            const { &[of(ManagedProcess, Own), of(TransferredHandle, Memory), of(CopyRights, READ)] }
        }
        Call::ObjectQuery => const { &[of(InspectedMemory, Memory), of(RecordOut, BUFFER)] },
        Call::RefpageCreate | Call::RefpageCreateFrameless => {
            const { &[of(Content, BUFFER), of(Size, Number(16)), of(Flags, NONE)] }
        }
        Call::RefpageCreatePattern => const { &[of(AnyByte, NONE), of(Flags, NONE)] },
        Call::RefpageCreateTag => const { &[of(Tag, NONE), of(Flags, NONE)] },
        Call::MemoryCreate => const { &[of(NewLength, Number(OBJECT_BYTES)), of(OneFlag, NONE)] },
        Call::Map => {
            const {
                &[
                    of(ManagedProcess, Own),
                    of(MappedObject, Anonymous),
                    of(NewRange, Number(HOLE)),
                    of(RangeLength, PAGE),
                    of(MapOptions, Number(FIXED)),
                    of(ObjectOffset, NONE),
                ]
            }
        }
        Call::Unmap => {
            const { &[of(ManagedProcess, Own), of(AdvisedRange, BUFFER), of(RangeLength, PAGE)] }
        }
        Call::Protect => {
            const {
                &[
                    of(ManagedProcess, Own),
                    of(AdvisedRange, BUFFER),
                    of(RangeLength, PAGE),
                    of(Protection, READ_WRITE),
                ]
            }
        }
        Call::Advise => {
            const {
                &[
                    of(ManagedProcess, Own),
                    of(AdvisedRange, BUFFER),
                    of(RangeLength, PAGE),
                    of(Advice, NONE),
                ]
            }
        }
        Call::Query => {
            const { &[of(InspectedProcess, Own), of(Place, BUFFER), of(RecordOut, SECOND)] }
        }
        Call::MemoryRead => {
            const {
                &[
                    of(InspectedProcess, Own),
                    of(TheirBytesIn, BUFFER),
                    of(BytesOut, SECOND),
                    of(Length, BYTES),
                ]
            }
        }
        Call::MemoryWrite => {
            const {
                &[
                    of(ManagedProcess, Own),
                    of(TheirBytesOut, BUFFER),
                    of(BytesIn, SECOND),
                    of(Length, BYTES),
                ]
            }
        }
        Call::ProcessWait => {
            const { &[of(InspectedProcess, Dead), of(RecordOut, BUFFER), of(AnyWord, NEVER)] }
        }
        Call::ProcessSetHandler => {
            const { &[of(ManagedProcess, Child), of(HandlerEndpoint, Endpoint), of(OneFlag, NONE)] }
        }
        Call::MemoryTransfer => pieces::TRANSFER,
        Call::PagerCreate => pagers::CREATE,
        Call::PagerSupply => pagers::SUPPLY,
        Call::ProcessKill => const { &[of(ManagedProcess, Child)] },
        Call::ThreadCreate => const { &[of(ManagedProcess, Child), of(WokenWord, NONE)] },
        Call::ThreadExit | Call::EndpointCreate | Call::NotificationCreate => &[],
        Call::EndpointBadge => const { &[of(ManagedEndpoint, Endpoint), of(AnyWord, NONE)] },
        Call::EndpointCall => const { &message(of(CalledEndpoint, Endpoint)) },
        Call::EndpointReceive => const { &[of(ReceivedEndpoint, Endpoint)] },
        Call::EndpointReply => const { &message(of(Flags, NONE)) },
        Call::EndpointReplyReceive => const { &message(of(ReceivedEndpoint, Endpoint)) },
        Call::NotificationRaise => {
            const { &[of(RaisedNotification, Notification), of(AnyWord, NONE)] }
        }
        Call::NotificationWait => {
            const { &[of(AwaitedNotification, Notification), of(AnyWord, NEVER)] }
        }
        Call::InterruptBind => {
            const {
                &[
                    of(ManagedInterrupt, Interrupt),
                    of(RaisedNotification, Notification),
                    of(AnyWord, NONE),
                ]
            }
        }
        Call::InterruptAcknowledge => const { &[of(AcknowledgedInterrupt, Interrupt)] },
        Call::ThreadKill | Call::ThreadInterrupt => const { &[of(ManagedThread, Thread)] },
        Call::ThreadSetPriority => const { &[of(ManagedThreadOrOwn, Thread), of(Priority, NONE)] },
        Call::AddressWait => {
            const {
                &[
                    of(WaitedWord, BUFFER),
                    of(Word, Number(1)),
                    of(OneFlag, NONE),
                    of(AnyWord, NEVER),
                ]
            }
        }
        Call::AddressWake => {
            const { &[of(WokenWord, BUFFER), of(AnyWord, NONE), of(OneFlag, NONE)] }
        }
        Call::ThreadReadRegisters => {
            const { &[of(InspectedThread, Thread), of(RecordOut, BUFFER), of(RegisterSet, NONE)] }
        }
        Call::ThreadWriteRegisters => {
            const {
                &[
                    of(ManagedThread, Thread),
                    of(RecordIn, Number(RECORDS + 2048)),
                    of(RegisterSet, NONE),
                ]
            }
        }
        Call::ThreadStart => const { &[of(ManagedThread, Thread)] },
        Call::ProcessClone => const { &[of(ClonedProcess, Own)] },
        Call::Remap => {
            const {
                &[
                    of(ManagedProcess, Own),
                    of(AdvisedRange, BUFFER),
                    of(RangeLength, PAGE),
                    of(NewRangeLength, PAGE),
                    of(RemapFlags, NONE),
                    of(AnyWord, NONE),
                ]
            }
        }
        Call::Test => const { &[of(AnyWord, Number(u64::MAX)), of(AnyWord, NONE)] },
        Call::SystemQuery => const { &[of(RecordOut, BUFFER)] },
        Call::ThreadSetTagMode => {
            const { &[of(ManagedThreadOrOwn, Thread), of(TagMode, NONE), of(TagSet, NONE)] }
        }
        Call::ThreadTagMode => const { &[of(InspectedThreadOrOwn, Thread)] },
        Call::TagsRead => {
            const {
                &[
                    of(InspectedProcess, Own),
                    of(TheirTags, MEMORY_WITH_TAGS),
                    of(BytesOut, SECOND),
                    of(Length, BYTES),
                ]
            }
        }
        Call::TagsWrite => {
            const {
                &[
                    of(ManagedProcess, Own),
                    of(TheirTags, MEMORY_WITH_TAGS),
                    of(BytesIn, ZEROS),
                    of(Length, BYTES),
                ]
            }
        }
        Call::QueryPages => {
            const {
                &[
                    of(InspectedProcess, Own),
                    of(QueriedRange, BUFFER),
                    of(BytesOut, SECOND),
                    of(RangeLength, PAGE),
                ]
            }
        }
    }
}

/// Every argument register that a call reads is in the table.
const _: () = {
    let mut index = 0;
    while index < Call::ALL.len() {
        let call = Call::ALL[index];
        assert!(parameters(call).len() == call.arguments());
        index += 1;
    }
};
