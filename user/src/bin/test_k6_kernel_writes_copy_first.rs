//! Does every call that writes the caller's memory break the sharing of a clean page first?
#![no_std]
#![no_main]

use core::cell::Cell;
use vellum_user::abi::{
    AccountInfo, Call, Error, ExitReport, Handle, MappingInfo, ObjectInfo, Piece, Registers, Stat,
    SystemInfo,
};
use vellum_user::calls::PieceRecord;
use vellum_user::loader::layout::STACK_START;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, Thread, check, raw, system, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
/// Bytes that `memory_read` and `query_pages` write here.
const BYTES: usize = 200;
/// Stands for an argument where the address to write to is in a list.
const IN_LIST: usize = 6;
/// Where in a page the record begins: some of it lies in the next page.
const ACROSS: usize = PAGE - 16;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.has("exit") {
        return Ok(());
    }
    let ended = testing::load_self(&["exit"]);
    ended.start()?;
    ended.process.wait()?;
    let never = Process::new()?;
    let targets = Targets {
        list: Cell::default(),
        dead: ended.process,
        thread: never.thread()?,
        object: MemoryObject::pattern(PATTERN)?,
        memory: MemoryObject::new(2 * PAGE as u64)?,
        tags: system::tags_supported()
            .then(|| MapRequest::anonymous(PAGE).tagged().map())
            .transpose()?,
    };
    let window = MapRequest::of(targets.memory.handle(), 2 * PAGE).shared().map()?;
    window.fill(PATTERN);
    for call in Call::ALL {
        if let Some((arguments, out, bytes)) = targets.arguments(*call) {
            for object in [&targets.object, &targets.memory] {
                let case = Case { call: *call, arguments, out, bytes, list: &targets.list };
                case.check(object, "untouched", |_| {})?;
                case.check(object, "seen", |pages| _ = (pages.read(0), pages.read(PAGE)))?;
                case.check(object, "half seen", |pages| _ = pages.read(PAGE))?;
                case.check(object, "half written", |pages| pages.write(PAGE + 3000, PATTERN))?;
            }
        }
    }
    check!("the memory object", window.first_other(0..2 * PAGE, PATTERN), None);
    let clean = Mapping::private(&targets.object, PAGE)?;
    check!("the reference object", clean.first_other(0..PAGE, PATTERN), None);
    Ok(())
}

/// What the calls are about.
struct Targets {
    /// The piece that `memory_transfer` moves.
    list: Cell<PieceRecord>,
    dead: Process,
    thread: Thread,
    object: MemoryObject,
    memory: MemoryObject,
    /// Tagged memory, where there are tags.
    tags: Option<Mapping>,
}

impl Targets {
    /// Returns a call's arguments, which of them is the address to write to, and how many bytes
    /// it writes there; `None` for a call that writes no memory of its caller. There is no arm
    /// for other calls: a new one does not compile until it is here.
    fn arguments(&self, call: Call) -> Option<([u64; 6], usize, usize)> {
        let own = Handle::SELF.to_word();
        let source = self as *const Targets as u64 & !7;
        let of = |first: u64, words: usize| Some(([first, 0, 0, 0, 0, 0], 1, 8 * words));
        match call {
            Call::Stat => of(own, Stat::WORDS),
            Call::ObjectQuery => of(self.object.handle().to_word(), ObjectInfo::WORDS),
            Call::ProcessWait => of(self.dead.handle().to_word(), ExitReport::WORDS),
            Call::ThreadReadRegisters => of(self.thread.handle().to_word(), Registers::WORDS),
            Call::SystemQuery => Some(([0; 6], 0, 8 * SystemInfo::WORDS)),
            Call::AccountQuery => of(own, AccountInfo::WORDS),
            Call::Query => Some(([own, source, 0, 0, 0, 0], 2, 8 * MappingInfo::WORDS)),
            Call::MemoryRead => {
                // From the code of this program: bytes that are there in every run.
                let text = main as fn(&Arguments) -> Result<(), Error> as usize as u64;
                Some(([own, text, 0, BYTES as u64, 0, 0], 2, BYTES))
            }
            Call::QueryPages => {
                let length = (BYTES * PAGE) as u64;
                Some(([own, STACK_START, 0, length, 0, 0], 2, BYTES))
            }
            Call::MemoryWrite => {
                let text = main as fn(&Arguments) -> Result<(), Error> as usize as u64;
                Some(([own, 0, text, BYTES as u64, 0, 0], 1, BYTES))
            }
            Call::MemoryTransfer => {
                let list = self.list.as_ptr().expose_provenance() as u64;
                Some(([own, list, 1, 0, 0, 0], IN_LIST, BYTES))
            }
            Call::TagsRead => {
                let tags = self.tags.as_ref()?.address() as u64;
                Some(([own, tags, 0, BYTES as u64, 0, 0], 2, BYTES))
            }
            Call::Null
            | Call::ConsoleWrite
            | Call::Exit
            | Call::Yield
            | Call::Clock
            | Call::HandleClose
            | Call::HandleCopy
            | Call::RefpageCreate
            | Call::RefpageCreateFrameless
            | Call::RefpageCreatePattern
            | Call::RefpageCreateTag
            | Call::MemoryCreate
            | Call::Map
            | Call::Unmap
            | Call::Protect
            | Call::Advise
            | Call::ProcessCreate
            | Call::ProcessClone
            | Call::ProcessKill
            | Call::ThreadCreate
            | Call::ThreadWriteRegisters
            | Call::ThreadStart
            | Call::ThreadSetTagMode
            | Call::ThreadTagMode
            | Call::TagsWrite
            | Call::AccountCreate
            | Call::Test
            | Call::Remap
            | Call::ThreadExit
            | Call::ThreadKill
            | Call::ThreadInterrupt
            | Call::ThreadSetPriority
            | Call::AddressWait
            | Call::AddressWake
            | Call::EndpointCreate
            | Call::EndpointBadge
            | Call::EndpointCall
            | Call::EndpointReceive
            | Call::EndpointReply
            | Call::EndpointReplyReceive
            | Call::NotificationCreate
            | Call::NotificationRaise
            | Call::NotificationWait
            | Call::ProcessSetHandler
            | Call::InterruptBind
            | Call::InterruptAcknowledge
            | Call::PagerCreate
            | Call::PagerSupply => None,
        }
    }
}

struct Case<'a> {
    call: Call,
    list: &'a Cell<PieceRecord>,
    arguments: [u64; 6],
    out: usize,
    bytes: usize,
}

impl Case<'_> {
    /// Lets the call write across the border of two pages of a private mapping.
    fn check(
        &self,
        object: &MemoryObject,
        state: &str,
        prepare_fn: impl FnOnce(&Mapping),
    ) -> Result<(), Error> {
        let name = format_args!("{}, {state}", self.call.name());
        let pages = Mapping::private(object, 2 * PAGE)?;
        prepare_fn(&pages);
        let private = i64::from(state == "half written");
        let mut arguments = self.arguments;
        let own = pages.pointer(ACROSS).addr() as u64;
        if self.out == IN_LIST {
            let theirs = main as fn(&Arguments) -> Result<(), Error> as usize as u64;
            self.list.set(Piece { theirs, own, length: BYTES as u64 }.to_words());
        } else {
            arguments[self.out] = own;
        }
        let mut status = 0;
        let change = testing::measure(|| {
            // SAFETY: the call writes into the mapping, which no Rust value lives in.
            (status, _) = unsafe { raw::call(self.call as u64, arguments) };
        });
        check!(name, status, 0);
        check!(format_args!("{name}: frames"), change.private_frames, 2 - private);
        let written = change.faults_write_fresh + change.faults_write_cow;
        check!(format_args!("{name}: faults"), written, 2 - private);
        // Something was written on both sides of the border, and nothing outside the record.
        let end = (ACROSS + self.bytes).next_multiple_of(8);
        check!(format_args!("{name}: before"), pages.first_other(0..ACROSS, PATTERN), None);
        check!(format_args!("{name}: behind"), pages.first_other(end..2 * PAGE, PATTERN), None);
        let last = ACROSS + self.bytes - 1;
        check!(format_args!("{name}: last byte"), pages.read(last) != PATTERN);
        let first = pages.first_other(ACROSS..PAGE, PATTERN).is_some();
        check!(format_args!("{name}: first bytes"), first);
        Ok(())
    }
}
