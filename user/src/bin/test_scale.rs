//! Do 10 000 mappings, 1000 processes and 100 000 handles live at once, and does everything work
//! beside them and come back after them?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use vellum_user::abi::{Error, Handle, MapOptions, PAGE_SIZE, Protection, Rights};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, calls, check, testing};

vellum_user::test!(main);

const MAPPINGS: usize = 10_000;
const PROCESSES: usize = 1000;
const HANDLES: usize = 100_000;
/// Where the mappings are: every other page.
const PLACE: usize = 0x50_0000_0000;

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("mappings") => return mappings(),
        Some("processes") => return processes(),
        Some("handles") => return handles(),
        Some("exit") => return Ok(()),
        _ => {}
    }
    _ = testing::run_self(&["exit"]);
    let before = testing::stat();
    for crowd in ["mappings", "processes", "handles"] {
        let report = testing::run_self(&[crowd]);
        check!(crowd, testing::exited_with(&report, 0));
        let after = testing::stat();
        check!(format_args!("{crowd}: free frames"), after.free_frames, before.free_frames);
        check!(format_args!("{crowd}: kernel memory"), after.pool_bytes, before.pool_bytes);
        check!(format_args!("{crowd}: processes"), after.processes_live, before.processes_live);
    }
    Ok(())
}

fn mappings() -> Result<(), Error> {
    let object = MemoryObject::pattern(0x11)?;
    let at = |index: usize| MapRequest::of(object.handle(), PAGE).at(PLACE + 2 * index * PAGE);
    let before = testing::stat().mappings;
    for index in 0..MAPPINGS {
        _ = at(index * 7919 % MAPPINGS).map()?.leak();
    }
    check!("alive", testing::stat().mappings, before + MAPPINGS as u64);
    let mine = Mapping::anonymous(2 * PAGE)?;
    mine.write(PAGE, 7);
    check!("one more", mine.read(PAGE), 7);
    check!("a taken place", at(MAPPINGS / 2).map().err(), Some(Error::Overlap));
    let whole = (2 * MAPPINGS * PAGE) as u64;
    // SAFETY: nothing lives in the range.
    let hole = unsafe { calls::protect(Handle::SELF, PLACE as u64, whole, Protection::READ) };
    check!("protect over holes", hole, Err(Error::NotMapped));
    let all = testing::stat().mappings;
    // SAFETY: nothing lives in the range.
    unsafe { calls::unmap(Handle::SELF, PLACE as u64, whole / 2) }?;
    check!("half", testing::stat().mappings, all - MAPPINGS as u64 / 2);
    // The rest goes with the process.
    Ok(())
}

fn processes() -> Result<(), Error> {
    let before = testing::stat().processes_live;
    let mut alive = Vec::with_capacity(PROCESSES);
    for number in 0..PROCESSES {
        let process = Process::new()?;
        let options = MapOptions {
            protection: Protection::READ | Protection::WRITE,
            ..MapOptions::default()
        };
        let at = process.map(Handle::ANONYMOUS, 0, PAGE_SIZE, options, 0)?;
        check!("a page", process.write(at, &[number as u8]), (1, Ok(())));
        alive.push((process, at));
    }
    check!("alive", testing::stat().processes_live, before + PROCESSES as u64);
    for (number, (process, at)) in alive.iter().enumerate() {
        let mut byte = [0];
        check!("its page", process.read(*at, &mut byte), (1, Ok(())));
        check!("its own", byte[0], number as u8);
    }
    let report = testing::run_self(&["exit"]);
    check!("one more", testing::exited_with(&report, 0));
    // Every other one by hand, the rest with this process.
    alive.retain(|(process, _)| process.handle().index() % 2 == 0);
    alive.into_iter().for_each(|(process, _)| _ = process.into_handle());
    Ok(())
}

fn handles() -> Result<(), Error> {
    let object = MemoryObject::pattern(0x22)?;
    let before = testing::stat().handles;
    let copy = || calls::handle_copy(Handle::SELF, object.handle(), Rights::INSPECT);
    let first = copy()?;
    let mut last = first;
    for _ in 1..HANDLES {
        last = copy()?;
    }
    check!("alive", testing::stat().handles, before + HANDLES as u64);
    check!("references", object.query()?.references, 1 + HANDLES as u64);
    check!("the first", calls::object_query(first).is_ok());
    check!("the last", calls::object_query(last).is_ok());
    calls::handle_close(first)?;
    check!("closed", calls::object_query(first).err(), Some(Error::BadHandle));
    let again = copy()?;
    check!("its slot, another handle", (again.index(), again == first), (first.index(), false));
    // The rest goes with the process.
    Ok(())
}
