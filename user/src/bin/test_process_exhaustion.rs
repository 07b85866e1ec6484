//! Does running out of processes, of kernel memory or of frames end in a named error or a reasoned
//! death, with everything back afterwards?
#![no_std]
#![no_main]

use vellum_user::abi::{Call, Error, ExitKind, FaultAccess, Handle, PAGE_SIZE, Stat};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, calls, check, println, raw, testing};

vellum_user::test!(main);

/// More processes than any machine has room for.
const MANY: u64 = 1 << 20;
/// More memory than any machine has: 64 GiB at a place that the report can name.
const PLACE: usize = 0x50_0000_0000;
const ENDLESS: usize = 64 << 30;
/// Frames that are given back before a process dies of having none: for its tables.
const SPARE: usize = 3;

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("processes") => return too_many_processes(),
        Some("objects") => return too_many_objects(),
        Some("refusals") => return refusals_without_frames(),
        Some("death") => return die_without_frames(),
        Some("exit") => return Ok(()),
        _ => {}
    }
    // The first child maps the archive here, which stays.
    _ = testing::run_self(&["exit"]);
    let before = testing::stat();
    for victim in ["processes", "objects", "refusals"] {
        let report = testing::run_self(&[victim]);
        check!(victim, testing::exited_with(&report, 0));
        check_back(victim, &before);
    }
    let report = testing::run_self(&["death"]);
    check!("death: kind", report.kind, ExitKind::OutOfFrames as u64);
    check!("death: access", report.access, FaultAccess::Write as u64);
    let range = PLACE as u64..(PLACE + ENDLESS) as u64;
    check!("death: address", range.contains(&report.address));
    check_back("death", &before);
    // The system is as good as new.
    let report = testing::run_self(&["exit"]);
    check!("afterwards", testing::exited_with(&report, 0));
    Ok(())
}

fn check_back(name: &str, before: &Stat) {
    let after = testing::stat();
    check!(format_args!("{name}: free frames"), after.free_frames, before.free_frames);
    check!(format_args!("{name}: processes"), after.processes_live, before.processes_live);
    check!(format_args!("{name}: objects"), after.refpages_live, before.refpages_live);
    check!(format_args!("{name}: kernel memory"), after.pool_bytes, before.pool_bytes);
}

/// Makes processes until there is no room for one more, asks for other things, and frees them.
fn too_many_processes() -> Result<(), Error> {
    let before = testing::stat();
    let first = calls::process_create(Handle::SELF)?;
    let mut last = first;
    let mut count = 1;
    let refusal = (0..MANY).find_map(|_| match calls::process_create(Handle::SELF) {
        Ok(handle) => {
            count += 1;
            last = handle;
            None
        }
        Err(error) => Some(error),
    });
    println!("{count} processes, then {refusal:?}");
    let named =
        [Error::OutOfKernelMemory, Error::LimitReached, Error::OutOfFrames, Error::OutOfHandles];
    check!("a reason", refusal.is_some_and(|refusal| named.contains(&refusal)));
    check!("live", testing::stat().processes_live, before.processes_live + count);
    let full = testing::stat();
    check!("once more", calls::process_create(Handle::SELF).err(), refusal);
    check!("without a trace", testing::stat(), full);
    // One that goes makes room for one.
    calls::handle_close(last)?;
    let again = calls::process_create(Handle::SELF);
    check!("in the place of another", again.is_ok());
    close_all(first, again.unwrap_or(last));
    let after = testing::stat();
    check!("processes", after.processes_live, before.processes_live);
    check!("handles", after.handles, before.handles);
    Ok(())
}

/// Closes every handle of the slots between two handles: each was used once, or the last twice.
fn close_all(first: Handle, last: Handle) {
    _ = calls::handle_close(last);
    for index in first.index()..=last.index() {
        _ = calls::handle_close(Handle::new(index, 1));
    }
}

/// Takes all kernel memory that a process may have, by mappings, which need no frames; then asks
/// for what needs more of it.
fn too_many_objects() -> Result<(), Error> {
    let object = MemoryObject::pattern(1)?;
    let spare = Mapping::anonymous(4 * PAGE)?;
    spare.write(PAGE, 1);
    let own = Handle::SELF.to_word();
    let step = 2 * PAGE;
    let at = |index: usize| MapRequest::of(object.handle(), PAGE).at(PLACE + index * step).map();
    let mut count = 0;
    let refusal = (0..MANY as usize).find_map(|index| match at(index) {
        Ok(mapping) => {
            count += 1;
            _ = mapping.leak();
            None
        }
        Err(error) => Some(error),
    });
    println!("{count} mappings, then {refusal:?}");
    let named = [Error::OutOfKernelMemory, Error::LimitReached];
    check!("a reason", refusal.is_some_and(|refusal| named.contains(&refusal)));
    let before = testing::stat();
    // Splitting a mapping needs memory too, and must not be half done.
    let inside = spare.address() as u64 + PAGE_SIZE;
    for (call, arguments) in [
        (Call::Protect, [own, inside, PAGE_SIZE, 1, 0, 0]),
        (Call::Unmap, [own, inside, PAGE_SIZE, 0, 0, 0]),
        (Call::Map, [own, Handle::ANONYMOUS.to_word(), 0, PAGE_SIZE, 0, 0]),
    ] {
        // SAFETY: the calls are refused; else they change mappings that no Rust value lives in.
        let (status, _) = unsafe { raw::call(call as u64, arguments) };
        check!(call.name(), Error::from_number(status), refusal);
        check!(format_args!("{}: what it changed", call.name()), testing::stat(), before);
    }
    check!("the page is as it was", (spare.read(PAGE), spare.read(PAGE + 1)), (1, 0));
    spare.write(PAGE, 2);
    // Whole mappings go without memory, and make room.
    // SAFETY: the mapping is this test's own.
    let unmapped = unsafe { calls::unmap(Handle::SELF, PLACE as u64, PAGE_SIZE) };
    check!("unmapping a whole one", unmapped, Ok(()));
    check!("room for one", at(0).map(Mapping::leak), Ok(PLACE));
    // SAFETY: the mappings are this test's own.
    let unmapped = unsafe { calls::unmap(Handle::SELF, PLACE as u64, (count * step) as u64) };
    check!("unmapping all", unmapped, Ok(()));
    check!("room for many", MemoryObject::new(PAGE_SIZE).is_ok() && Process::new().is_ok());
    Ok(())
}

/// Takes frames through the kernel, which answers when there are no more.
fn take_all_frames(pages: &Mapping) -> (usize, Option<Error>) {
    for page in 0..pages.pages() {
        let address = pages.pointer(page * PAGE).addr() as u64;
        // SAFETY: no Rust value lives in the mapping.
        if let (_, Err(error)) = unsafe { calls::memory_write(Handle::SELF, address, &[1]) } {
            return (page, Some(error));
        }
    }
    (pages.pages(), None)
}

/// With no frame left, every call that needs one says so and changes nothing.
fn refusals_without_frames() -> Result<(), Error> {
    let object = MemoryObject::new(PAGE_SIZE)?;
    let never_used = MapRequest::of(object.handle(), PAGE).shared().map()?;
    let content = Mapping::anonymous(PAGE)?;
    content.write(0, 1);
    let pages = MapRequest::anonymous(ENDLESS).at(PLACE).map()?;
    let (count, refusal) = take_all_frames(&pages);
    println!("{count} pages, then {refusal:?}");
    check!("a reason", refusal, Some(Error::OutOfFrames));
    check!("no frames", testing::stat().free_frames, 0);
    let own = Handle::SELF.to_word();
    let source = content.address() as u64;
    let untouched = never_used.address() as u64;
    for (call, arguments) in [
        (Call::RefpageCreate, [source, PAGE_SIZE, 0, 0, 0, 0]),
        (Call::RefpageCreatePattern, [7, 0, 0, 0, 0, 0]),
        (Call::RefpageCreateTag, [0, 0, 0, 0, 0, 0]),
        (Call::MemoryCreate, [PAGE_SIZE, 0, 0, 0, 0, 0]),
        (Call::ProcessCreate, [own, 0, 0, 0, 0, 0]),
        (Call::MemoryWrite, [own, untouched, source, 8, 0, 0]),
        (Call::MemoryRead, [own, source, untouched, 8, 0, 0]),
        (Call::ConsoleWrite, [untouched, 8, 0, 0, 0, 0]),
    ] {
        let before = Stat { faults_denied: 0, ..testing::stat() };
        // SAFETY: the calls are refused; else they write to mappings that no Rust value lives in.
        let answer = unsafe { raw::call(call as u64, arguments) };
        check!(call.name(), answer, (Error::OutOfFrames as u64, 0));
        let after = Stat { faults_denied: 0, ..testing::stat() };
        check!(format_args!("{}: what it changed", call.name()), after, before);
    }
    // What needs no frame goes on.
    check!(
        "a handle",
        calls::handle_copy(Handle::SELF, object.handle(), Default::default()).is_ok()
    );
    check!("the last page", pages.read((count - 1) * PAGE), 1);
    pages.decommit(0..SPARE * PAGE)?;
    check!("frames for others", MemoryObject::pattern(3).is_ok());
    never_used.write(0, 1);
    check!("the object's page", never_used.read(0), 1);
    Ok(())
}

/// With few frames left, touches pages until it is killed for it.
fn die_without_frames() -> Result<(), Error> {
    let pages = MapRequest::anonymous(ENDLESS).at(PLACE).map()?;
    let (count, refusal) = take_all_frames(&pages);
    check!("a reason", refusal, Some(Error::OutOfFrames));
    pages.decommit(0..SPARE * PAGE)?;
    (0..SPARE).for_each(|page| pages.write(page * PAGE, 1));
    pages.write(count * PAGE, 1);
    Ok(())
}
