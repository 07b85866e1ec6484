//! What the values of the table mean in this run: pages at known addresses and handles of every
//! kind, state and set of rights.

use core::hint::black_box;
use vellum_user::abi::start::Device;
use vellum_user::abi::{
    Error, Handle, Limits, PAGE_SIZE, PagerFlags, Piece, Protection, Registers, Rights,
};
use vellum_user::devices::Devices;
use vellum_user::loader::layout::PROGRAM_END;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{
    Account, Arguments, Endpoint, Interrupt, Mapping, MemoryObject, Notification, Process, Thread,
    calls, system, testing,
};

/// Two pages that can be read and written, in use already.
pub(crate) const WRITABLE: u64 = 0x50_0000_0000;
/// A page that can only be read.
pub(crate) const READ_ONLY: u64 = 0x50_0010_0000;
/// A page that cannot be accessed.
pub(crate) const NO_ACCESS: u64 = 0x50_0020_0000;
/// A writable page with nothing behind it.
pub(crate) const EDGE: u64 = 0x50_0030_0000;
/// A private, writable mapping of a reference object, seen but not written.
pub(crate) const REFERENCE: u64 = 0x50_0040_0000;
/// A shared, read-only mapping of a reference object.
pub(crate) const SHARED_REFERENCE: u64 = 0x50_0050_0000;
/// A shared, read-only mapping by a handle without the right to write.
pub(crate) const SHARED_MEMORY: u64 = 0x50_0060_0000;
/// A page of register records that user mode may not have, 512 bytes each.
pub(crate) const RECORDS: u64 = 0x50_0070_0000;
/// In that page: pieces of memory to be moved.
pub(crate) const PIECES: u64 = RECORDS + 3072;
/// A page of memory under tag 5, where there are tags.
pub(crate) const TAGGED: u64 = 0x50_0080_0000;
/// Where nothing is mapped for a long way.
pub(crate) const HOLE: u64 = 0x60_0000_0000;
/// Bytes of the scene's memory object.
pub(crate) const OBJECT_BYTES: u64 = 4 * PAGE_SIZE;

/// PSTATE fields that no program may choose: EL1, masked interrupts, AArch32.
const BAD_PSTATES: [u64; 3] = [0b0101, 0xf << 6, 1 << 4];
/// Handles that the other process has: more than a chunk of a handle table.
const FOREIGN_HANDLES: usize = 100;

/// A value of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    /// The number itself.
    Number(u64),
    /// The constant for the calling process.
    Own,
    /// The constant for anonymous memory.
    Anonymous,
    /// A handle that was closed.
    Closed,
    /// A handle that was closed, and whose slot has another handle now.
    Stale,
    /// A handle that another process has and this one has not.
    Foreign,
    /// A good handle with a bit above its 32.
    Wide,
    /// A child that never started, with a thread.
    Child,
    /// The child by a handle without MANAGE.
    ChildNotManaged,
    /// The child by a handle without INSPECT.
    ChildNotInspected,
    /// A child that has ended.
    Dead,
    /// The child's stopped thread.
    Thread,
    /// The thread by a handle without MANAGE.
    ThreadNotManaged,
    /// The thread by a handle without INSPECT.
    ThreadNotInspected,
    /// The thread of the child that has ended.
    Ended,
    /// An account below the caller's own, without anything to give.
    Account,
    /// The account by a handle without MANAGE.
    AccountNotManaged,
    /// The account by a handle without INSPECT.
    AccountNotInspected,
    /// An endpoint.
    Endpoint,
    /// The endpoint by a handle without WRITE.
    EndpointNotCalled,
    /// The endpoint by a handle without READ.
    EndpointNotReceived,
    /// The endpoint by a handle without MANAGE.
    EndpointNotManaged,
    /// A notification.
    Notification,
    /// The notification by a handle without WRITE.
    NotificationNotRaised,
    /// The notification by a handle without READ.
    NotificationNotAwaited,
    /// A device's line: the clock's, bound to the notification.
    Interrupt,
    /// The line by a handle without MANAGE.
    InterruptNotManaged,
    /// The line by a handle without WRITE.
    InterruptNotAcknowledged,
    /// A memory object.
    Memory,
    /// The memory object by a handle without READ.
    MemoryNotRead,
    /// The memory object by a handle without WRITE.
    MemoryNotWritten,
    /// The memory object by a handle without EXECUTE.
    MemoryNotExecuted,
    /// The memory object by a handle without MAP.
    MemoryNotMapped,
    /// The memory object by a handle without TRANSFER.
    MemoryNotTransferred,
    /// The memory object by a handle without INSPECT.
    MemoryNotInspected,
    /// A paged object whose last page is poisoned.
    Paged,
    /// The paged object by a handle without MANAGE.
    PagedNotManaged,
    /// A reference object.
    Pattern,
    /// The boot archive.
    Archive,
    /// A page of this program's code.
    Text,
    /// A page of this program's stack that is in use.
    Stack,
    /// The guard below the stack.
    Guard,
    /// [`WRITABLE`] with a tag in the pointer.
    TaggedPointer,
    /// A pointer whose tag is not the memory's, or to a hole where there are no tags.
    Mismatched,
}

/// The pages and handles.
pub(crate) struct Scene {
    child: Process,
    thread: Thread,
    dead: Process,
    ended: Thread,
    account: Account,
    endpoint: Endpoint,
    notification: Notification,
    interrupt: Interrupt,
    memory: MemoryObject,
    paged: [MemoryObject; 2],
    pattern: MemoryObject,
    /// Handles to the same objects with one right less.
    narrowed: Narrowed,
    closed: Handle,
    stale: Handle,
    #[expect(dead_code, reason = "held so that the slot of the stale handle is in use")]
    reused: MemoryObject,
    foreign: Handle,
    archive: Handle,
    text: u64,
    stack: u64,
    #[expect(dead_code, reason = "held so that the pages stay mapped")]
    pages: [Mapping; 9],
}

struct Narrowed {
    child: [Process; 2],
    thread: [Thread; 2],
    account: [Account; 2],
    memory: [MemoryObject; 6],
    endpoint: [Endpoint; 3],
    notification: [Notification; 2],
    interrupt: [Interrupt; 2],
}

fn without(handle: Handle, all: Rights, right: Rights) -> Result<Handle, Error> {
    let rest = Rights::from_bits(all.bits() & !right.bits()).expect("fewer bits of the same set");
    calls::handle_copy(Handle::SELF, handle, rest)
}

impl Narrowed {
    fn new(
        child: &Process,
        thread: &Thread,
        account: &Account,
        memory: &MemoryObject,
        (endpoint, notification): (&Endpoint, &Notification),
        line: Handle,
    ) -> Result<Narrowed, Error> {
        let memory_rights = Rights::from_bits(Rights::ALL.bits() & !Rights::MANAGE.bits());
        let memory_rights = memory_rights.expect("fewer bits of the same set");
        let process = |right| without(child.handle(), Rights::ALL, right).map(Process::from_handle);
        let thread = |right| without(thread.handle(), Rights::ALL, right).map(Thread::from_handle);
        let payer = |right| without(account.handle(), Rights::ALL, right).map(Account::from_handle);
        let meeting = Rights::READ | Rights::WRITE | Rights::MANAGE | Rights::TRANSFER;
        let place = |right| without(endpoint.handle(), meeting, right).map(Endpoint::from_handle);
        let bits =
            |right| without(notification.handle(), meeting, right).map(Notification::from_handle);
        let wire = Rights::WRITE | Rights::MANAGE | Rights::TRANSFER;
        let interrupt = |right| without(line, wire, right).map(Interrupt::from_handle);
        let object =
            |right| without(memory.handle(), memory_rights, right).map(MemoryObject::from_handle);
        Ok(Narrowed {
            child: [process(Rights::MANAGE)?, process(Rights::INSPECT)?],
            thread: [thread(Rights::MANAGE)?, thread(Rights::INSPECT)?],
            account: [payer(Rights::MANAGE)?, payer(Rights::INSPECT)?],
            memory: [
                object(Rights::READ)?,
                object(Rights::WRITE)?,
                object(Rights::EXECUTE)?,
                object(Rights::MAP)?,
                object(Rights::TRANSFER)?,
                object(Rights::INSPECT)?,
            ],
            endpoint: [place(Rights::WRITE)?, place(Rights::READ)?, place(Rights::MANAGE)?],
            notification: [bits(Rights::WRITE)?, bits(Rights::READ)?],
            interrupt: [interrupt(Rights::MANAGE)?, interrupt(Rights::WRITE)?],
        })
    }
}

impl Scene {
    /// Sets the scene. Every page that a call may touch is in use afterwards.
    pub(crate) fn new(arguments: &Arguments) -> Result<Scene, Error> {
        let (archive, _) = arguments.archive().expect("a test gets the archive");
        let other = testing::load_self(&["exit"]);
        other.start()?;
        other.process.wait()?;
        let child = Process::new()?;
        let thread = child.thread()?;
        let (memory, pattern) = (MemoryObject::new(OBJECT_BYTES)?, MemoryObject::pattern(0x5a)?);
        let account = Account::new(&Limits::default())?;
        let (endpoint, notification) = (Endpoint::new()?, Notification::new()?);
        let meetings = (&endpoint, &notification);
        let line = Devices::own().get(Device::ClockInterrupt).expect("the machine has a clock");
        let narrowed = Narrowed::new(&child, &thread, &account, &memory, meetings, line)?;
        // A copy: this program's children get the line too.
        let whole = Rights::WRITE | Rights::MANAGE | Rights::TRANSFER;
        let interrupt =
            calls::handle_copy(Handle::SELF, line, whole).map(Interrupt::from_handle)?;
        interrupt.bind(&notification, 0)?;
        let pages = pages(&pattern, &narrowed.memory[1])?;
        // The first is closed now and its slot used again, the second at the end of this function.
        let (gone, brief) = (MemoryObject::pattern(1)?, MemoryObject::pattern(2)?);
        let (stale, closed) = (gone.handle(), brief.handle());
        drop(gone);
        let reused = MemoryObject::pattern(3)?;
        assert_eq!(reused.handle().index(), stale.index(), "the slot of a closed handle is next");
        let mut foreign = stale;
        for _ in 0..FOREIGN_HANDLES {
            foreign = memory.copy_to(&child, Rights::READ)?;
        }
        let here = black_box(0_u8);
        let (dead, ended) = (other.process, other.thread);
        let stack = (&raw const here).addr() as u64 & !(PAGE_SIZE - 1);
        let text = (Scene::new as fn(&Arguments) -> Result<Scene, Error> as usize) as u64;
        let text = text & !(PAGE_SIZE - 1);
        let scene = Scene {
            child,
            thread,
            dead,
            ended,
            account,
            notification,
            interrupt,
            memory,
            paged: paged(&endpoint)?,
            endpoint,
            pattern,
            narrowed,
            closed,
            stale,
            reused,
            foreign,
            archive,
            text,
            stack,
            pages,
        };
        Ok(scene)
    }

    /// Returns what goes into the argument register.
    pub(crate) fn word(&self, value: Value) -> u64 {
        let Narrowed { child, thread, account, memory, endpoint, notification, interrupt } =
            &self.narrowed;
        let handle = match value {
            Value::Number(number) => return number,
            Value::Text => return self.text,
            Value::Stack => return self.stack,
            Value::Guard => return PROGRAM_END,
            Value::TaggedPointer => return WRITABLE | 0x7 << 56,
            Value::Mismatched => return if system::tags_supported() { TAGGED } else { HOLE },
            Value::Wide => return self.memory.handle().to_word() | 1 << 32,
            Value::Own => Handle::SELF,
            Value::Anonymous => Handle::ANONYMOUS,
            Value::Closed => self.closed,
            Value::Stale => self.stale,
            Value::Foreign => self.foreign,
            Value::Archive => self.archive,
            Value::Child => self.child.handle(),
            Value::ChildNotManaged => child[0].handle(),
            Value::ChildNotInspected => child[1].handle(),
            Value::Dead => self.dead.handle(),
            Value::Thread => self.thread.handle(),
            Value::ThreadNotManaged => thread[0].handle(),
            Value::ThreadNotInspected => thread[1].handle(),
            Value::Ended => self.ended.handle(),
            Value::Account => self.account.handle(),
            Value::AccountNotManaged => account[0].handle(),
            Value::AccountNotInspected => account[1].handle(),
            Value::Endpoint => self.endpoint.handle(),
            Value::EndpointNotCalled => endpoint[0].handle(),
            Value::EndpointNotReceived => endpoint[1].handle(),
            Value::EndpointNotManaged => endpoint[2].handle(),
            Value::Notification => self.notification.handle(),
            Value::NotificationNotRaised => notification[0].handle(),
            Value::NotificationNotAwaited => notification[1].handle(),
            Value::Interrupt => self.interrupt.handle(),
            Value::InterruptNotManaged => interrupt[0].handle(),
            Value::InterruptNotAcknowledged => interrupt[1].handle(),
            Value::Memory => self.memory.handle(),
            Value::MemoryNotRead => memory[0].handle(),
            Value::MemoryNotWritten => memory[1].handle(),
            Value::MemoryNotExecuted => memory[2].handle(),
            Value::MemoryNotMapped => memory[3].handle(),
            Value::MemoryNotTransferred => memory[4].handle(),
            Value::MemoryNotInspected => memory[5].handle(),
            Value::Paged => self.paged[0].handle(),
            Value::PagedNotManaged => self.paged[1].handle(),
            Value::Pattern => self.pattern.handle(),
        };
        handle.to_word()
    }
}

/// Makes an object whose last page is poisoned, and another handle to it.
fn paged(endpoint: &Endpoint) -> Result<[MemoryObject; 2], Error> {
    let paged = MemoryObject::paged(endpoint, OBJECT_BYTES, PagerFlags::NONE)?;
    paged.poison(OBJECT_BYTES - PAGE_SIZE, PAGE_SIZE)?;
    let narrowed = without(paged.handle(), Rights::ALL, Rights::MANAGE)?;
    Ok([paged, MemoryObject::from_handle(narrowed)])
}

/// Maps the pages at their addresses and makes them present.
fn pages(pattern: &MemoryObject, not_written: &MemoryObject) -> Result<[Mapping; 9], Error> {
    let anonymous = |address: u64| MapRequest::anonymous(PAGE).at(address as usize);
    let pattern = |address: u64| MapRequest::of(pattern.handle(), PAGE).at(address as usize);
    let none = MapRequest { protection: Protection::NONE, ..anonymous(NO_ACCESS) };
    let memory = MapRequest::of(not_written.handle(), PAGE).read_only().shared();
    let tagged = anonymous(TAGGED);
    let pages = [
        MapRequest { length: 2 * PAGE, ..anonymous(WRITABLE) }.map()?,
        anonymous(READ_ONLY).read_only().map()?,
        none.map()?,
        anonymous(EDGE).map()?,
        pattern(REFERENCE).map()?,
        pattern(SHARED_REFERENCE).read_only().shared().map()?,
        memory.at(SHARED_MEMORY as usize).map()?,
        anonymous(RECORDS).map()?,
        if system::tags_supported() { tagged.tagged() } else { tagged }.map()?,
    ];
    let [writable, read_only, _, edge, reference, shared, memory, records, tagged] = &pages;
    (0..2 * PAGE).step_by(PAGE).for_each(|page| writable.write(page, b'\n'));
    (PAGE - 4..PAGE).for_each(|offset| edge.write(offset, b'\n'));
    for page in [read_only, reference, shared, memory] {
        _ = black_box(page.read(0));
    }
    for (index, pstate) in BAD_PSTATES.into_iter().enumerate() {
        let record = Registers { pstate, ..Registers::ZERO }.to_words();
        for (word, value) in record.into_iter().enumerate() {
            records.write_word(512 * index + 8 * word, value);
        }
    }
    for (index, word) in crate::pieces::LIST.iter().flat_map(Piece::to_words).enumerate() {
        records.write_word((PIECES - RECORDS) as usize + 8 * index, word);
    }
    if system::tags_supported() {
        tagged.set_tags(5);
    } else {
        tagged.write(0, 0);
    }
    Ok(pages)
}
