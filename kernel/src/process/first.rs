//! The first program: the only one that the kernel loads.
//!
//! Owns: turning the archive's flat segments into mappings, and the machine's end when the first
//! process ends. Refuses to know: ELF. Everything else is started by this program, in user space.

use super::handle::Object;
use super::{Process, Thread};
use crate::ipc::{Interrupt, interrupt};
use crate::masked;
use crate::memory::archive::BootArchive;
use crate::memory::machine::{Hardware, start_tag_pages};
use crate::memory::pools::PoolArc;
use crate::memory::{accounts, heap};
use crate::platform;
use crate::platform::console::println;
use crate::platform::device_tree;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Once;
use vellum_abi::archive::{ArchiveError, Segment};
use vellum_abi::{
    Error, ExitKind, ExitReport, Limits, MapFlags, MapOptions, PAGE_SIZE, Protection, Registers,
    Rights, USER_END,
};
use vellum_sched::Priority;
use vellum_vm::account::Account;
use vellum_vm::addr::{FrameAddress, PageRange};
use vellum_vm::counters::Counters;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::machine::Pools;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::{AccessRefusal, Change, MapRequest, Progress};
use vellum_vm::refpage;
use vellum_vm::tag::Tag;

/// Bytes of the first program's stack.
const STACK: u64 = 256 * 1024;
/// Handles of all processes together.
const ALL_HANDLES: u64 = 1 << 20;
/// Status of the machine when a process was ended by a fault or from outside.
const STATUS_KILLED: u8 = 102;
/// Status of the machine when the archive is no good.
pub const STATUS_BAD_INPUT: u8 = 106;

/// The zero object that anonymous memory shows.
static ZERO: Once<PoolArc<MemoryObject<Hardware>>> = Once::new();
/// The address of the first process, to know its end.
static FIRST: AtomicUsize = AtomicUsize::new(0);

/// Why the first program could not be started.
enum Trouble {
    Archive(ArchiveError),
    Memory(Error),
}

impl From<ArchiveError> for Trouble {
    fn from(error: ArchiveError) -> Trouble {
        Trouble::Archive(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Memory(error)
    }
}

impl From<VmError> for Trouble {
    fn from(error: VmError) -> Trouble {
        Trouble::Memory(error.into())
    }
}

/// Returns the zero object.
///
/// # Panics
/// Before the first program is loaded: boot makes it then.
pub fn zero_object() -> &'static PoolArc<MemoryObject<Hardware>> {
    ZERO.get().expect("made before the first program runs")
}

/// Loads the archive's first program and makes it ready to run.
pub fn start(archive: &BootArchive) {
    if let Err(trouble) = load(archive) {
        let text = match trouble {
            Trouble::Archive(error) => error.text(),
            Trouble::Memory(error) => error.text(),
        };
        println!("vellum: archive: first program: {text}");
        platform::exit(STATUS_BAD_INPUT);
    }
}

fn load(archive: &BootArchive) -> Result<(), Trouble> {
    // All RAM, the kernel's own included: it is the allocators that run out first, by their names.
    let ram_bytes = platform::description().ram_bytes;
    let account = accounts::root(&Limits {
        frames: ram_bytes / PAGE_SIZE,
        kernel_bytes: heap::pool_bytes_for(ram_bytes),
        handles: ALL_HANDLES,
    })?;
    let zero = refpage::tagged(&Hardware, &account, Tag::ZERO, &Counters::new())?;
    let zero = share(zero)?;
    ZERO.call_once(|| zero);
    start_tag_pages(account.clone());
    let process = Process::create(&account, Priority::HIGHEST)?;
    FIRST.store(ptr::from_ref::<Process>(&process).addr(), Ordering::Relaxed);
    for segment in archive.contents().segments() {
        load_segment(&process, &segment?)?;
    }
    let bottom = USER_END - STACK - PAGE_SIZE;
    map_zero(&process, bottom, STACK)?;
    let pages = archive.pages();
    let object = MemoryObject::fixed(Hardware, account.clone(), archive.first_frame(), pages)?;
    let rights = Rights::READ | Rights::MAP | Rights::TRANSFER | Rights::INSPECT;
    let handle = process.give(Object::Memory(share(object)?), rights)?;
    let mut registers = Registers::ZERO;
    registers.x[0] = handle.to_word();
    registers.x[1] = pages * PAGE_SIZE;
    let machine = platform::description();
    registers.x[2] = give_registers(&process, &account, machine.clock)?;
    registers.x[3] = give_interrupt(&process, interrupt::clock())?;
    registers.x[4] = give_registers(&process, &account, Some(machine.console))?;
    registers.x[5] = give_interrupt(&process, interrupt::console())?;
    registers.sp = bottom + STACK;
    registers.pc = archive.contents().entry();
    let thread = Thread::create(&process, &account, 0, Priority::USUAL)?;
    thread.with_stopped(|context| context.set_registers(&registers))?;
    Ok(Thread::start(&thread)?)
}

/// Gives the process a device's registers and returns the handle; 0 without a device that has whole pages.
fn give_registers(
    process: &Process,
    account: &PoolArc<Account>,
    registers: Option<device_tree::Registers>,
) -> Result<u64, Trouble> {
    let is_whole = |registers: &device_tree::Registers| {
        registers.address.is_multiple_of(PAGE_SIZE) && registers.length.is_multiple_of(PAGE_SIZE)
    };
    let Some(registers) = registers.filter(is_whole) else { return Ok(0) };
    let first = FrameAddress::containing(registers.address);
    let pages = registers.length / PAGE_SIZE;
    let object = MemoryObject::device(Hardware, account.clone(), first, pages)?;
    let rights = Rights::READ | Rights::WRITE | Rights::MAP | Rights::TRANSFER | Rights::INSPECT;
    Ok(process.give(Object::Memory(share(object)?), rights)?.to_word())
}

/// Gives the process a device's line and returns the handle; 0 without one.
fn give_interrupt(process: &Process, line: Option<&'static Interrupt>) -> Result<u64, Trouble> {
    let Some(line) = line else { return Ok(0) };
    let rights = Rights::WRITE | Rights::MANAGE | Rights::TRANSFER | Rights::INSPECT;
    Ok(process.give(Object::Interrupt(line), rights)?.to_word())
}

fn share<T: Send + Sync + 'static>(value: T) -> Result<PoolArc<T>, Error> {
    Ok(Hardware.share(value).map_err(VmError::from)?)
}

/// Maps zeros, writes the segment's bytes and gives the pages their final protection.
fn load_segment(process: &Process, segment: &Segment<'_>) -> Result<(), Trouble> {
    let start = segment.address & !(PAGE_SIZE - 1);
    let end = segment.address.checked_add(segment.memory_length).ok_or(Error::OutOfRange)?;
    let end = end.checked_next_multiple_of(PAGE_SIZE).ok_or(Error::OutOfRange)?;
    map_zero(process, start, end - start)?;
    let mut done = 0;
    while done < segment.data.len() {
        let address = segment.address + done as u64;
        match process.space.write_page(address, &segment.data[done..]) {
            Ok(bytes) => done += bytes,
            Err(AccessRefusal::Changing | AccessRefusal::Absent(..) | AccessRefusal::Fault(_)) => {
                return Err(Error::OutOfFrames.into());
            }
        }
    }
    let range = PageRange::new(start, end - start).map_err(VmError::from)?;
    finish(process, process.space.protect(range, segment.protection))
}

fn map_zero(process: &Process, address: u64, length: u64) -> Result<(), Trouble> {
    let options = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: MapFlags::FIXED,
        ..MapOptions::default()
    };
    let object = zero_object().clone();
    let request =
        MapRequest { object, address, length, offset: 0, options, maximum: Protection::ALL };
    match process.space.map_for_kernel(&request) {
        Ok(_) => Ok(()),
        Err(Refusal::Error(error)) => Err(error.into()),
        Err(Refusal::Changing | Refusal::Absent(..)) => Err(Error::InvalidState.into()),
    }
}

/// Runs a change to its end: at boot there is nobody to let pass.
fn finish(process: &Process, begun: Result<Change<Hardware>, Refusal>) -> Result<(), Trouble> {
    match begun {
        Ok(mut change) => {
            while change.run(&process.space) == Progress::Paused {}
            Ok(())
        }
        Err(Refusal::Error(error)) => Err(error.into()),
        Err(Refusal::Changing | Refusal::Absent(..)) => Err(Error::InvalidState.into()),
    }
}

/// Ends the machine if this was the first process, with its status.
pub fn if_first(process: &PoolArc<Process>) {
    if ptr::from_ref::<Process>(process).addr() != FIRST.load(Ordering::Relaxed) {
        return;
    }
    let super::Life::Dead(report) = process.life() else { return };
    masked::report();
    platform::exit(status(&report));
}

fn status(report: &ExitReport) -> u8 {
    match ExitKind::from_number(report.kind) {
        Some(ExitKind::Exited) => u8::try_from(report.status).unwrap_or(u8::MAX),
        kind => {
            let text = kind.map_or("unknown end", ExitKind::text);
            let (pc, address) = (report.pc, report.address);
            println!("vellum: the first program died: {text}, address {address:#x}, pc {pc:#x}");
            STATUS_KILLED
        }
    }
}

/// Runs user code for ever, beginning with the first program.
pub fn enter_user_mode() -> ! {
    crate::arch::vectors::enter()
}
