//! Do handles carry no more rights than they were given, die when they are closed, and keep what
//! they name alive exactly as long?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use vellum_user::abi::{Error, Handle, MapOptions, Protection, Rights};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, calls, check, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
/// Times that a slot is used again: more than there are generations.
const REUSES: u32 = 5000;
const EMBRYOS: usize = 50;
/// Where memory of embryos goes.
const THERE: u64 = 0x50_0000_0000;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let Some(word) = arguments.value("handle") {
        let word = word.parse().map_err(|_| Error::BadHandle)?;
        return use_as_child(Handle::from_word(word).ok_or(Error::BadHandle)?);
    }
    rights_never_grow()?;
    closed_handles_name_nothing()?;
    handles_and_mappings_keep_objects()?;
    a_child_has_what_it_was_given()?;
    embryos_give_everything_back()
}

const MEMORY: [Rights; 6] =
    [Rights::READ, Rights::WRITE, Rights::EXECUTE, Rights::MAP, Rights::TRANSFER, Rights::INSPECT];

/// Returns the rights of [`MEMORY`] whose bits are set.
fn set(bits: u32) -> Rights {
    let chosen = MEMORY.iter().enumerate().filter(|(index, _)| bits >> index & 1 != 0);
    chosen.fold(Rights::NONE, |set, (_, right)| set | *right)
}

/// Every set of rights is copied from every other: it works for subsets alone, and only with
/// TRANSFER.
fn rights_never_grow() -> Result<(), Error> {
    let object = MemoryObject::new(PAGE as u64)?;
    let sets = || (0..1_u32 << MEMORY.len()).map(set);
    let mut wrong = 0;
    for held in sets() {
        let holder = calls::handle_copy(Handle::SELF, object.handle(), held)?;
        for wanted in sets() {
            let copy = calls::handle_copy(Handle::SELF, holder, wanted);
            let allowed = held.contains(Rights::TRANSFER) && held.contains(wanted);
            match copy {
                Ok(copy) => {
                    wrong += usize::from(!allowed);
                    calls::handle_close(copy)?;
                }
                Err(error) => wrong += usize::from(allowed || error != Error::MissingRight),
            }
        }
        calls::handle_close(holder)?;
    }
    check!("copies that were wrong", wrong, 0);
    Ok(())
}

fn closed_handles_name_nothing() -> Result<(), Error> {
    let object = MemoryObject::pattern(PATTERN)?;
    let before = testing::stat();
    let first = calls::handle_copy(Handle::SELF, object.handle(), Rights::INSPECT)?;
    calls::handle_close(first)?;
    check!("closing twice", calls::handle_close(first), Err(Error::BadHandle));
    let mut same_slot = 0;
    let mut stale = 0;
    let mut last = first;
    for reuse in 0..REUSES {
        let handle = calls::handle_copy(Handle::SELF, object.handle(), Rights::INSPECT)?;
        same_slot += u32::from(handle.index() == first.index());
        // The value before this one names nothing, although its slot is in use.
        stale += u32::from(calls::object_query(last) == Err(Error::BadHandle));
        check!(format_args!("reuse {reuse}"), handle != last);
        calls::handle_close(handle)?;
        last = handle;
    }
    check!("the slot is used again", same_slot, REUSES);
    check!("closed handles name nothing", stale, REUSES);
    let after = testing::stat();
    check!("handles", after.handles, before.handles);
    check!("kernel memory", after.pool_bytes, before.pool_bytes);
    Ok(())
}

fn handles_and_mappings_keep_objects() -> Result<(), Error> {
    let before = testing::stat();
    let object = MemoryObject::pattern(PATTERN)?;
    check!("one handle", object.query()?.references, 1);
    let copy = calls::handle_copy(Handle::SELF, object.handle(), Rights::ALL_OF_A_REFERENCE)?;
    let copy = MemoryObject::from_handle(copy);
    check!("two handles", object.query()?.references, 2);
    let page = Mapping::private(&object, 2 * PAGE)?;
    check!("and a mapping", copy.query()?.references, 3);
    drop(object);
    check!("one of each", copy.query()?.references, 2);
    drop(copy);
    check!("alive", testing::stat().refpages_live, before.refpages_live + 1);
    check!("to be read", page.read(0), PATTERN);
    page.write(PAGE, 1);
    check!("and written", page.first_other(PAGE + 8..2 * PAGE, PATTERN), None);
    page.unmap()?;
    let after = testing::stat();
    check!("gone with the mapping", after.refpages_live, before.refpages_live);
    check!("its frames too", after.free_frames, before.free_frames);
    Ok(())
}

/// The rights that the maker of a reference object has.
trait ReferenceRights {
    const ALL_OF_A_REFERENCE: Rights;
}

impl ReferenceRights for Rights {
    const ALL_OF_A_REFERENCE: Rights =
        Rights::READ.union(Rights::MAP).union(Rights::TRANSFER).union(Rights::INSPECT);
}

fn a_child_has_what_it_was_given() -> Result<(), Error> {
    let object = MemoryObject::new(PAGE as u64)?;
    let window = MapRequest::of(object.handle(), PAGE).shared().map()?;
    window.write(0, 77);
    // The child's table is filled in the same order each time: first the archive, then this.
    let probe = testing::load_self(&["handle=0"]);
    let theirs = object.copy_to(&probe.process, Rights::READ)?;
    probe.process.kill()?;
    drop(probe);
    let child = testing::load_self(&[&format!("handle={}", theirs.to_word())]);
    let rights = Rights::READ | Rights::MAP;
    check!("the same slot", object.copy_to(&child.process, rights), Ok(theirs));
    child.start()?;
    let report = child.wait()?;
    check!("the child's view", testing::exited_with(&report, 0));
    check!("the object", window.read(0), 77);
    Ok(())
}

/// Uses a memory object with READ and MAP.
fn use_as_child(object: Handle) -> Result<(), Error> {
    let request = MapRequest::of(object, PAGE);
    check!("to be read", request.read_only().map()?.read(0), 77);
    check!("shared and read", request.read_only().shared().map()?.read(0), 77);
    let private = request.map()?;
    private.write(0, 1);
    check!("a copy to be written", private.read(0), 1);
    check!("shared and written", request.shared().map().err(), Some(Error::MissingRight));
    let code = MapRequest { protection: Protection::EXECUTE, ..request };
    check!("executed", code.map().err(), Some(Error::MissingRight));
    check!("asked about", calls::object_query(object).err(), Some(Error::MissingRight));
    let copy = calls::handle_copy(Handle::SELF, object, Rights::READ);
    check!("copied", copy, Err(Error::MissingRight));
    check!("closed", calls::handle_close(object), Ok(()));
    Ok(())
}

/// A process that never starts goes with its last handle, and everything in it.
fn embryos_give_everything_back() -> Result<(), Error> {
    let object = MemoryObject::pattern(PATTERN)?;
    embryo(&object, 0)?;
    let before = testing::stat();
    for round in 0..EMBRYOS {
        embryo(&object, round)?;
    }
    let after = testing::stat();
    check!("free frames", after.free_frames, before.free_frames);
    check!("processes", after.processes_live, before.processes_live);
    check!("handles", after.handles, before.handles);
    check!("kernel memory", after.pool_bytes, before.pool_bytes);
    check!("account", after.account_kernel_bytes, before.account_kernel_bytes);
    check!("references", object.query()?.references, 1);
    Ok(())
}

fn embryo(object: &MemoryObject, round: usize) -> Result<(), Error> {
    let child = Process::new()?;
    let options = MapOptions::from_word(0b11)?;
    let start = child.map(object.handle(), 0, 100 * PAGE as u64, options, 0)?;
    child.map(Handle::ANONYMOUS, THERE, PAGE as u64, options, 0)?;
    let (written, result) = child.write(start + 5 * PAGE as u64 - 8, &[7; 16]);
    check!("written across pages", (written, result), (16, Ok(())));
    let stat = child.stat()?;
    check!("their frames", (stat.private_frames, stat.mappings), (2, 2));
    object.copy_to(&child, Rights::READ)?;
    check!("their handles", child.stat()?.handles, 1);
    let thread = child.thread()?;
    // The thread keeps its process, or the process its thread: any order of closing will do.
    if round.is_multiple_of(2) {
        drop(child);
        check!("a thread of a process without handles", thread.registers().is_ok());
        drop(thread);
    } else {
        drop(thread);
        drop(child);
    }
    Ok(())
}
