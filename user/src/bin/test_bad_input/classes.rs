//! Which values of an argument are bad, and the error that says so.

use crate::messages::{
    ACKNOWLEDGE_RIGHT, AWAIT_RIGHT, BADGE_RIGHT, BIND_RIGHT, CALL_RIGHT, NOT_A_NOTIFICATION,
    NOT_AN_ENDPOINT, NOT_AN_INTERRUPT, RAISE_RIGHT, RECEIVE_RIGHT, SENT,
};
use crate::pagers::{self, NEW_LENGTHS, NOT_COPIED, NOT_SUPPLIED};
use crate::parameters::Kind;
use crate::pieces;
use crate::scene::{HOLE, NO_ACCESS, READ_ONLY, Value, WRITABLE};
use Value::{
    Account, AccountNotInspected, AccountNotManaged, Anonymous, Archive, Child, ChildNotInspected,
    ChildNotManaged, Closed, Foreign, Guard, Memory, MemoryNotInspected, MemoryNotMapped,
    MemoryNotRead, MemoryNotTransferred, Mismatched, Number, Own, Stack, Stale, TaggedPointer,
    Text, Thread, ThreadNotInspected, ThreadNotManaged, Wide,
};
use vellum_user::abi::{
    Error, Handle, MapFlags, PAGE_SIZE, PRIORITIES, Policy, Protection, RemapFlags, USER_END,
    USER_START,
};

/// A bad value.
pub(crate) struct Bad {
    pub(crate) class: &'static str,
    pub(crate) value: Value,
    pub(crate) error: Error,
}

pub(crate) const fn bad(class: &'static str, value: Value, error: Error) -> Bad {
    Bad { class, value, error }
}

/// The first address of the kernel's half.
const KERNEL: u64 = 0xffff_0000_0000_0000;
/// The first address that has no meaning.
const NON_CANONICAL: u64 = 1 << 48;
/// The last page below 2^64.
const LAST_PAGE: u64 = PAGE_SIZE.wrapping_neg();

/// Names nobody while no report is to be answered.
const CALLER: Value = Number(Handle::CALLER.to_word());

const HANDLES: &[Bad] = &[
    bad("zero", Number(0), Error::BadHandle),
    bad("garbage", Number(0x1234_5678), Error::BadHandle),
    bad("another generation", Number(0xffe << 20), Error::BadHandle),
    bad("a slot beyond any table", Number(0x001f_ffff), Error::BadHandle),
    bad("good below a set bit 32", Wide, Error::BadHandle),
    bad("all bits", Number(u64::MAX), Error::BadHandle),
    bad("closed", Closed, Error::BadHandle),
    bad("stale", Stale, Error::BadHandle),
    bad("foreign", Foreign, Error::BadHandle),
    bad("the constant for the caller", CALLER, Error::BadHandle),
];
/// Handles where 0 stands for none.
const NOT_ZERO: &[Bad] = HANDLES.split_at(1).1;
const NOT_ANONYMOUS: &[Bad] = &[bad("the anonymous constant", Anonymous, Error::BadHandle)];
const NOT_OWN: &[Bad] = &[bad("the constant for oneself", Own, Error::BadHandle)];
const NOT_A_PROCESS: &[Bad] = &[
    bad("a memory object", Memory, Error::WrongObject),
    bad("the archive", Archive, Error::WrongObject),
    bad("a thread", Thread, Error::WrongObject),
    bad("an account", Account, Error::WrongObject),
];
const NOT_A_THREAD: &[Bad] = &[
    bad("a memory object", Memory, Error::WrongObject),
    bad("the archive", Archive, Error::WrongObject),
    bad("a process", Child, Error::WrongObject),
];
const NOT_AN_OBJECT: &[Bad] = &[
    bad("a process", Child, Error::WrongObject),
    bad("a thread", Thread, Error::WrongObject),
    bad("an account", Account, Error::WrongObject),
];
const NOT_AN_ACCOUNT: &[Bad] = &[
    bad("a memory object", Memory, Error::WrongObject),
    bad("a process", Child, Error::WrongObject),
    bad("a thread", Thread, Error::WrongObject),
];
const ACCOUNT_RIGHT_MANAGE: &[Bad] =
    &[bad("without MANAGE", AccountNotManaged, Error::MissingRight)];
const ACCOUNT_RIGHT_INSPECT: &[Bad] =
    &[bad("without INSPECT", AccountNotInspected, Error::MissingRight)];
const PROCESS_RIGHT_MANAGE: &[Bad] = &[bad("without MANAGE", ChildNotManaged, Error::MissingRight)];
const PROCESS_RIGHT_INSPECT: &[Bad] =
    &[bad("without INSPECT", ChildNotInspected, Error::MissingRight)];
const THREAD_RIGHT_MANAGE: &[Bad] = &[bad("without MANAGE", ThreadNotManaged, Error::MissingRight)];
const THREAD_RIGHT_INSPECT: &[Bad] =
    &[bad("without INSPECT", ThreadNotInspected, Error::MissingRight)];
const MEMORY_RIGHT_INSPECT: &[Bad] =
    &[bad("without INSPECT", MemoryNotInspected, Error::MissingRight)];
const MEMORY_RIGHT_TRANSFER: &[Bad] =
    &[bad("without TRANSFER", MemoryNotTransferred, Error::MissingRight)];
const MEMORY_RIGHTS_MAP: &[Bad] = &[
    bad("without MAP", MemoryNotMapped, Error::MissingRight),
    bad("without READ", MemoryNotRead, Error::MissingRight),
];

/// Pointers to memory that nothing can access. Each is a multiple of 16.
const POINTERS: &[Bad] = &[
    bad("null", Number(0), Error::BadAddress),
    bad("near null", Number(64), Error::BadAddress),
    bad("kernel", Number(KERNEL), Error::BadAddress),
    bad("kernel text", Number(0xffff_ffff_8000_0000), Error::BadAddress),
    bad("kernel with a tag", Number(0xf0ff_0000_0000_0000), Error::BadAddress),
    bad("non-canonical", Number(NON_CANONICAL), Error::BadAddress),
    bad("non-canonical, bit 55", Number(1 << 55 | WRITABLE), Error::BadAddress),
    bad("right below 2^48", Number(NON_CANONICAL - 16), Error::BadAddress),
    bad("right below 2^64", Number(0_u64.wrapping_sub(16)), Error::BadAddress),
    bad("unmapped", Number(HOLE), Error::BadAddress),
    bad("no access", Number(NO_ACCESS), Error::BadAddress),
    bad("the guard below the stack", Guard, Error::BadAddress),
];
/// Pointers that can be read and not written.
const NOT_WRITABLE: &[Bad] = &[
    bad("read-only", Number(READ_ONLY), Error::BadAddress),
    bad("the caller's text", Text, Error::BadAddress),
];
/// Pointers whose tag is checked: those to the caller's memory.
const CHECKED: &[Bad] = &[bad("a tag that is not the memory's", Mismatched, Error::BadAddress)];
const NOT_WORDS: &[Bad] = &[
    bad("unaligned by 1", Number(WRITABLE + 1), Error::Misaligned),
    bad("unaligned by 4", Number(WRITABLE + 4), Error::Misaligned),
];
const NOT_CONTENT: &[Bad] = &[
    bad("unaligned by 1", Number(WRITABLE + 1), Error::Misaligned),
    bad("unaligned by 8", Number(WRITABLE + 8), Error::Misaligned),
];

const NOT_WAITED: &[Bad] = &[
    bad("unaligned by 1", Number(WRITABLE + 1), Error::Misaligned),
    bad("unaligned by 2", Number(WRITABLE + 2), Error::Misaligned),
];
/// Pointers to what is not the user half.
const NOT_USER: &[Bad] = &[
    bad("kernel", Number(KERNEL), Error::BadAddress),
    bad("kernel with a tag", Number(0xf0ff_0000_0000_0000), Error::BadAddress),
    bad("non-canonical", Number(NON_CANONICAL), Error::BadAddress),
];
const WORDS: &[Bad] = &[
    bad("2^32", Number(1 << 32), Error::OutOfRange),
    bad("all bits", Number(u64::MAX), Error::OutOfRange),
];
const PRIORITIES_BEYOND: &[Bad] = &[
    bad("one too high", Number(PRIORITIES), Error::OutOfRange),
    bad("all bits", Number(u64::MAX), Error::OutOfRange),
];

/// Numbers of bytes that no buffer has. Others than these move bytes before they fail.
const LENGTHS: &[Bad] = &[
    bad("past 2^48", Number(NON_CANONICAL), Error::BadAddress),
    bad("half of everything", Number(1 << 63), Error::BadAddress),
    bad("past 2^64", Number(u64::MAX), Error::BadAddress),
];
const PLACES: &[Bad] = &[
    bad("kernel", Number(KERNEL), Error::OutOfRange),
    bad("non-canonical", Number(NON_CANONICAL), Error::OutOfRange),
    bad("the last page", Number(LAST_PAGE), Error::OutOfRange),
    bad("tagged", TaggedPointer, Error::OutOfRange),
    bad("above every mapping", Number(USER_END), Error::NotMapped),
];
const RANGES: &[Bad] = &[
    bad("unaligned", Number(WRITABLE + 1), Error::Misaligned),
    bad("unaligned by half a page", Number(WRITABLE + 2048), Error::Misaligned),
    bad("null", Number(0), Error::OutOfRange),
    bad("below the user half", Number(USER_START - PAGE_SIZE), Error::OutOfRange),
    bad("kernel", Number(KERNEL), Error::OutOfRange),
    bad("non-canonical", Number(NON_CANONICAL), Error::OutOfRange),
    bad("above the user half", Number(USER_END), Error::OutOfRange),
    bad("up to 2^48", Number(NON_CANONICAL - PAGE_SIZE), Error::OutOfRange),
    bad("up to 2^64", Number(LAST_PAGE), Error::OutOfRange),
    bad("tagged", TaggedPointer, Error::OutOfRange),
];
const TAKEN: &[Bad] = &[
    bad("over the source buffer", Number(WRITABLE), Error::Overlap),
    bad("over a page without access", Number(NO_ACCESS), Error::Overlap),
    bad("over the caller's text", Text, Error::Overlap),
    bad("over the caller's stack", Stack, Error::Overlap),
    bad("over the guard", Guard, Error::Overlap),
];
const NOT_OPEN: &[Bad] = &[
    bad("unmapped", Number(HOLE), Error::NotMapped),
    bad("the caller's text", Text, Error::Sealed),
    bad("the guard", Guard, Error::Sealed),
];
const NOT_MAPPED: &[Bad] = &[bad("unmapped", Number(HOLE), Error::NotMapped)];
const RANGE_LENGTHS: &[Bad] = &[
    bad("zero", Number(0), Error::InvalidSize),
    bad("unaligned", Number(PAGE_SIZE + 1), Error::Misaligned),
    bad("less than a page", Number(1), Error::Misaligned),
    bad("past the user half", Number(USER_END), Error::OutOfRange),
    bad("past 2^48", Number(NON_CANONICAL), Error::OutOfRange),
    bad("half of everything", Number(1 << 63), Error::OutOfRange),
    bad("past 2^64", Number(LAST_PAGE), Error::OutOfRange),
];
/// Returns the options of a mapping that is read, under a policy.
const fn under(policy: Policy, flags: MapFlags) -> Value {
    Number(Protection::READ.bits() | flags.bits() | (policy as u64) << 32)
}

const NEW_RANGE_LENGTHS: &[Bad] = &[
    bad("zero", Number(0), Error::InvalidSize),
    bad("unaligned", Number(PAGE_SIZE + 1), Error::Misaligned),
    bad("less than a page", Number(1), Error::Misaligned),
    bad("past the user half", Number(USER_END), Error::OutOfRange),
    bad("half of everything", Number(1 << 63), Error::OutOfRange),
    bad("past 2^64", Number(LAST_PAGE), Error::OutOfRange),
];
const REMAP_FLAGS: &[Bad] = &[
    bad("an unknown flag", Number(1 << 3), Error::InvalidFlags),
    bad("the highest bit", Number(1 << 63), Error::InvalidFlags),
    bad("all bits", Number(u64::MAX), Error::InvalidFlags),
    bad("fixed without maymove", Number(RemapFlags::FIXED.bits()), Error::InvalidFlags),
    bad("retain without maymove", Number(RemapFlags::RETAIN.bits()), Error::InvalidFlags),
];
const OPTIONS: &[Bad] = &[
    bad("unknown protection", Number(MapFlags::FIXED.bits() | 1 << 4), Error::InvalidProtection),
    bad("every protection bit", Number(0xffff), Error::InvalidProtection),
    bad("an unknown flag", Number(1 << 23), Error::InvalidFlags),
    bad("the highest flag", Number(1 << 31), Error::InvalidFlags),
    bad("an unknown policy", Number(0xff << 32), Error::InvalidFlags),
    bad("an unknown switch", Number(1 << 46), Error::InvalidFlags),
    bad("fault-around wider than a table", Number(10 << 48), Error::InvalidFlags),
    bad("a tag without a hint", Number(5 << 52), Error::InvalidFlags),
    bad(
        "a policy for objects that repeat",
        under(Policy::Wrap, MapFlags::FIXED),
        Error::WrongPolicy,
    ),
    bad(
        "a policy for private pages, shared",
        under(Policy::PatternOnAnyFault, MapFlags::FIXED.union(MapFlags::SHARED)),
        Error::WrongPolicy,
    ),
    bad(
        "an eager replacement",
        under(Policy::Eager, MapFlags::FIXED.union(MapFlags::REPLACE)),
        Error::WrongPolicy,
    ),
    bad("replace without fixed", Number(MapFlags::REPLACE.bits()), Error::InvalidFlags),
    bad(
        "write and execute",
        Number(MapFlags::FIXED.bits() | Protection::WRITE.bits() | Protection::EXECUTE.bits()),
        Error::WriteAndExecute,
    ),
];
const OFFSETS: &[Bad] = &[
    bad("unaligned", Number(1), Error::Misaligned),
    bad("unaligned and huge", Number(u64::MAX), Error::Misaligned),
];
const PROTECTIONS: &[Bad] = &[
    bad("an unknown bit", Number(1 << 4), Error::InvalidProtection),
    bad("the highest bit", Number(1 << 63), Error::InvalidProtection),
    bad("every bit", Number(u64::MAX), Error::InvalidProtection),
    bad("write and execute", Number(0b110), Error::WriteAndExecute),
    bad("read, write and execute", Number(0b111), Error::WriteAndExecute),
];
const ADVICE: &[Bad] = &[
    bad("unknown", Number(999), Error::InvalidAdvice),
    bad("the highest bit", Number(1 << 63), Error::InvalidAdvice),
    bad("decommit below a set bit 32", Number(1 << 32), Error::InvalidAdvice),
    bad("all bits", Number(u64::MAX), Error::InvalidAdvice),
];
const FLAGS: &[Bad] = &[
    bad("an unknown bit", Number(1), Error::InvalidFlags),
    bad("the highest bit", Number(1 << 63), Error::InvalidFlags),
    bad("all bits", Number(u64::MAX), Error::InvalidFlags),
];
const ONE_FLAG: &[Bad] = &[
    bad("an unknown bit", Number(1 << 1), Error::InvalidFlags),
    bad("the highest bit", Number(1 << 63), Error::InvalidFlags),
    bad("all bits", Number(u64::MAX), Error::InvalidFlags),
];
const RIGHTS: &[Bad] = &[
    bad("an unknown right", Number(1 << 7), Error::InvalidFlags),
    bad("the highest bit", Number(1 << 63), Error::InvalidFlags),
    bad("all bits", Number(u64::MAX), Error::InvalidFlags),
    bad("a right that the handle lacks", Number(1 << 5), Error::MissingRight),
];
const SIZES: &[Bad] = &[
    bad("zero", Number(0), Error::InvalidSize),
    bad("no power of two", Number(3), Error::InvalidSize),
    bad("nearly a page", Number(PAGE_SIZE - 1), Error::InvalidSize),
    bad("two pages", Number(2 * PAGE_SIZE), Error::InvalidSize),
    bad("bit 31", Number(1 << 31), Error::InvalidSize),
    bad("bit 32", Number(1 << 32 | 1), Error::InvalidSize),
    bad("bit 63", Number(1 << 63), Error::InvalidSize),
];
const BYTES: &[Bad] = &[
    bad("above a byte", Number(256), Error::InvalidContent),
    bad("a byte below a set bit 32", Number(1 << 32), Error::InvalidContent),
    bad("all bits", Number(u64::MAX), Error::InvalidContent),
];
const TAGS: &[Bad] = &[
    bad("above a tag", Number(16), Error::InvalidContent),
    bad("a tag in its place in pointers", Number(5 << 56), Error::InvalidContent),
    bad("all bits", Number(u64::MAX), Error::InvalidContent),
];
const TAG_MODES: &[Bad] = &[
    bad("behind the last mode", Number(4), Error::InvalidTagMode),
    bad("a mode below a set bit 32", Number(1 << 32 | 1), Error::InvalidTagMode),
    bad("all bits", Number(u64::MAX), Error::InvalidTagMode),
];
const TAG_SETS: &[Bad] = &[
    bad("a seventeenth tag", Number(1 << 16), Error::InvalidFlags),
    bad("all bits", Number(u64::MAX), Error::InvalidFlags),
];
const NOT_TAGGED: &[Bad] = &[
    bad("writable memory without tags", Number(WRITABLE), Error::NotTagged),
    bad("read-only memory without tags", Number(READ_ONLY), Error::NotTagged),
    bad("the caller's text", Text, Error::NotTagged),
];

/// Returns the bad values of a kind of argument.
pub(crate) const fn tables(kind: Kind) -> &'static [&'static [Bad]] {
    match kind {
        Kind::AnyWord => &[],
        Kind::OpenHandle => &[HANDLES, NOT_ANONYMOUS, NOT_OWN],
        Kind::TransferredHandle => &[HANDLES, NOT_ANONYMOUS, NOT_OWN, MEMORY_RIGHT_TRANSFER],
        Kind::ManagedProcess => &[HANDLES, NOT_ANONYMOUS, NOT_A_PROCESS, PROCESS_RIGHT_MANAGE],
        Kind::InspectedProcess => &[HANDLES, NOT_ANONYMOUS, NOT_A_PROCESS, PROCESS_RIGHT_INSPECT],
        Kind::ClonedProcess => {
            &[HANDLES, NOT_ANONYMOUS, NOT_A_PROCESS, PROCESS_RIGHT_MANAGE, PROCESS_RIGHT_INSPECT]
        }
        Kind::ManagedAccount => &[HANDLES, NOT_ANONYMOUS, NOT_AN_ACCOUNT, ACCOUNT_RIGHT_MANAGE],
        Kind::InspectedAccount => &[HANDLES, NOT_ANONYMOUS, NOT_AN_ACCOUNT, ACCOUNT_RIGHT_INSPECT],
        Kind::ManagedThread => {
            &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_A_THREAD, THREAD_RIGHT_MANAGE]
        }
        Kind::InspectedThread => {
            &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_A_THREAD, THREAD_RIGHT_INSPECT]
        }
        Kind::ManagedThreadOrOwn => &[HANDLES, NOT_ANONYMOUS, NOT_A_THREAD, THREAD_RIGHT_MANAGE],
        Kind::InspectedThreadOrOwn => &[HANDLES, NOT_ANONYMOUS, NOT_A_THREAD, THREAD_RIGHT_INSPECT],
        Kind::TagMode => &[TAG_MODES],
        Kind::TagSet => &[TAG_SETS],
        Kind::TheirTags => &[POINTERS, NOT_TAGGED, NOT_CONTENT],
        Kind::InspectedMemory => {
            &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_AN_OBJECT, MEMORY_RIGHT_INSPECT]
        }
        Kind::MappedObject => &[HANDLES, NOT_OWN, NOT_AN_OBJECT, MEMORY_RIGHTS_MAP],
        Kind::RecordOut => &[POINTERS, NOT_WRITABLE, CHECKED, NOT_WORDS],
        Kind::RecordIn => &[POINTERS, CHECKED, NOT_WORDS],
        Kind::BytesIn => &[POINTERS, CHECKED],
        Kind::BytesOut => &[POINTERS, NOT_WRITABLE, CHECKED],
        Kind::TheirBytesIn => &[POINTERS],
        Kind::TheirBytesOut => &[POINTERS, NOT_WRITABLE],
        Kind::Length => &[LENGTHS],
        Kind::Place => &[PLACES],
        Kind::NewRange => &[RANGES, TAKEN],
        Kind::AdvisedRange => &[RANGES, NOT_OPEN],
        Kind::RangeLength => &[RANGE_LENGTHS],
        Kind::NewRangeLength => &[NEW_RANGE_LENGTHS],
        Kind::RemapFlags => &[REMAP_FLAGS],
        Kind::MapOptions => &[OPTIONS],
        Kind::ObjectOffset => &[OFFSETS],
        Kind::Protection => &[PROTECTIONS],
        Kind::Advice => &[ADVICE],
        Kind::QueriedRange => &[RANGES, NOT_MAPPED],
        Kind::Flags => &[FLAGS],
        Kind::OneFlag | Kind::RegisterSet => &[ONE_FLAG],
        Kind::SuppliedObject => &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_AN_OBJECT, NOT_SUPPLIED],
        Kind::SuppliedOffset | Kind::SuppliedLength | Kind::SupplyOptions => pagers::tables(kind),
        Kind::SuppliedPages => &[RANGES, NOT_COPIED],
        Kind::CopyRights => &[RIGHTS],
        Kind::Content => &[POINTERS, NOT_CONTENT],
        Kind::Size => &[SIZES],
        Kind::AnyByte => &[BYTES],
        Kind::Tag => &[TAGS],
        Kind::NewLength => &[NEW_LENGTHS],
        Kind::CalledEndpoint => &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_AN_ENDPOINT, CALL_RIGHT],
        Kind::HandlerEndpoint => &[NOT_ZERO, NOT_ANONYMOUS, NOT_OWN, NOT_AN_ENDPOINT, CALL_RIGHT],
        Kind::ReceivedEndpoint => {
            &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_AN_ENDPOINT, RECEIVE_RIGHT]
        }
        Kind::ManagedEndpoint => &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_AN_ENDPOINT, BADGE_RIGHT],
        Kind::RaisedNotification => {
            &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_A_NOTIFICATION, RAISE_RIGHT]
        }
        Kind::ManagedInterrupt => &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_AN_INTERRUPT, BIND_RIGHT],
        Kind::AcknowledgedInterrupt => {
            &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_AN_INTERRUPT, ACKNOWLEDGE_RIGHT]
        }
        Kind::AwaitedNotification => {
            &[HANDLES, NOT_ANONYMOUS, NOT_OWN, NOT_A_NOTIFICATION, AWAIT_RIGHT]
        }
        Kind::SentHandle => &[SENT],
        Kind::WaitedWord => &[POINTERS, CHECKED, NOT_WAITED],
        Kind::WokenWord => &[NOT_USER, NOT_WAITED],
        Kind::Word => &[WORDS],
        Kind::Priority => &[PRIORITIES_BEYOND],
        Kind::PieceCount => &[pieces::COUNTS],
    }
}
