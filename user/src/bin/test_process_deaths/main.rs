//! Does a process that dies, in any way there is, leave the exact report of it, and nothing else?
//!
//! The program runs itself once for each way to die. Both runs know the addresses: the program is
//! linked at a fixed place, and what it maps goes to fixed places too.
#![no_std]
#![no_main]

extern crate alloc;

mod routines;
mod ways;

use alloc::format;
use vellum_user::abi::{
    Action, Advice, Error, ExitKind, ExitReport, Handle, Policy, Protection, Stat, Switches,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{
    Arguments, Endpoint, Mapping, MemoryObject, Process, calls, check, println, system, testing,
};
use ways::{Needs, WAYS, Way};

vellum_user::test!(main);

/// The exit status of a child that outlived its death.
const SURVIVED: u64 = 3;
/// Nanoseconds in which a child has ended by far.
const PATIENCE: u64 = 2_000_000_000;
/// Exit statuses that must arrive as they are.
const STATUSES: [u64; 5] = [0, 1, 255, 1 << 32, u64::MAX];

fn main(arguments: &Arguments) -> Result<u64, Error> {
    if let Some(status) = arguments.value("exit") {
        return Ok(status.parse().unwrap_or(SURVIVED));
    }
    if let Some(name) = arguments.value("way") {
        let way = WAYS.iter().find(|way| way.name == name).expect("a name of the table");
        return die(way);
    }
    match arguments.at(0) {
        Some("wait") => return wait_for_ever(),
        Some("last") => return spin_last(),
        Some("die") => return die_last(),
        Some("touch") => return touch_for_ever(),
        Some("map") => return map_for_ever(),
        Some("spin") => loop {
            core::hint::spin_loop();
        },
        _ => {}
    }
    // The first child maps the archive here, which stays.
    _ = testing::run_self(&["exit=0"]);
    for way in WAYS.iter().filter(|way| is_possible(way)) {
        check_way(way);
    }
    check_exits();
    check_kill("a child that spins", "spin", 20);
    check_kill("a child that has not run", "spin", 0);
    check_kill("a child that waits", "wait", 20);
    check_kill("a child whose pages are made present", "touch", 20);
    check_kill("a child that maps what is made present", "map", 20);
    check_end_of_the_least_urgent();
    check_end_by_a_handler()?;
    Ok(0)
}

fn is_possible(way: &Way) -> bool {
    way.needs == Needs::Nothing || system::tags_supported()
}

/// Maps what the ways need, and dies in one of them.
fn die(way: &Way) -> Result<u64, Error> {
    let anonymous = |address: u64| MapRequest::anonymous(PAGE).at(address as usize);
    let _data = anonymous(ways::DATA).map()?;
    let read_only = anonymous(ways::READ_ONLY).read_only().map()?;
    _ = read_only.read(0);
    let _untouched = anonymous(ways::UNTOUCHED).read_only().map()?;
    let _endless = MapRequest { length: ways::ENDLESS_BYTES, ..anonymous(ways::ENDLESS) }.map()?;
    let no_access = MapRequest { protection: Protection::NONE, ..anonymous(ways::NO_ACCESS) };
    let _no_access = no_access.map()?;
    let tagged = tagged(anonymous(ways::TAGGED))?;
    if let Some(page) = &tagged {
        page.set_tags(ways::MEMORY_TAG);
    }
    let _fresh = tagged_object()?;
    // SAFETY: the routine ends the program; if it comes back, so does this function.
    unsafe { (way.routine)(way.first.value(), way.second) }
    println!("{}: still alive", way.name);
    Ok(SURVIVED)
}

fn tagged(request: MapRequest) -> Result<Option<Mapping>, Error> {
    if system::tags_supported() { request.tagged().map().map(Some) } else { Ok(None) }
}

/// Maps an untouched page of tagged zeros.
fn tagged_object() -> Result<Option<Mapping>, Error> {
    if !system::tags_supported() {
        return Ok(None);
    }
    let object = MemoryObject::tagged(ways::MEMORY_TAG)?;
    tagged(MapRequest::of(object.handle(), PAGE).at(ways::FRESH as usize))
}

fn check_way(way: &Way) {
    let before = testing::stat();
    let report = testing::run_self(&[&format!("way={}", way.name)]);
    let want = ExitReport {
        kind: way.kind as u64,
        status: report.status,
        address: way.address.value(),
        access: way.access as u64,
        pc: way.pc.value(),
        logical_tag: way.tags.0,
        allocation_tag: way.tags.1,
    };
    let report = ways::settled(way, report);
    check!(way.name, report, want);
    let class = report.status >> 26 & 0x3f;
    check!(format_args!("{}: exception class {class:#x}", way.name), way.classes.contains(&class));
    check_nothing_left(way.name, &before);
}

/// Checks that a process that is gone has taken nothing with it.
fn check_nothing_left(name: &str, before: &Stat) {
    let after = testing::stat();
    check!(format_args!("{name}: free frames"), after.free_frames, before.free_frames);
    check!(format_args!("{name}: processes"), after.processes_live, before.processes_live);
    check!(format_args!("{name}: objects"), after.refpages_live, before.refpages_live);
    check!(format_args!("{name}: pools"), after.pool_bytes, before.pool_bytes);
}

fn check_exits() {
    for status in STATUSES {
        let report = testing::run_self(&[&format!("exit={status}")]);
        let want = ExitReport { kind: ExitKind::Exited as u64, status, ..ExitReport::default() };
        check!("a report of an exit", report, want);
    }
}

/// Waits for a process that never starts.
fn wait_for_ever() -> Result<u64, Error> {
    let never = Process::new()?;
    never.wait()?;
    Ok(SURVIVED)
}

/// Makes more pages present than it could in a day: none of them needs a frame.
fn touch_for_ever() -> Result<u64, Error> {
    let pages = MapRequest::anonymous(1 << 46).with(Switches::SHARED_TABLES).map()?;
    pages.populate(0..1 << 46, Advice::PopulateRead)?;
    Ok(SURVIVED)
}

/// Maps more than there are frames for, all of it present.
fn map_for_ever() -> Result<u64, Error> {
    while MapRequest::anonymous(1 << 40).under(Policy::Eager).map().is_err() {}
    Ok(SURVIVED)
}

/// Runs when nobody else would.
fn spin_last() -> Result<u64, Error> {
    calls::thread_set_priority(Handle::SELF, 0)?;
    loop {
        core::hint::spin_loop();
    }
}

/// Does what ends it, when nobody else would run.
fn die_last() -> Result<u64, Error> {
    calls::thread_set_priority(Handle::SELF, 0)?;
    die(WAYS.iter().find(|way| way.name == "undefined").expect("a name of the table"))
}

/// A child that was ended gives everything back although somebody more urgent never waits.
fn check_end_of_the_least_urgent() {
    let before = testing::stat();
    let child = testing::load_self(&["last"]);
    check!("start", child.start(), Ok(()));
    (0..20).for_each(|_| calls::yield_now());
    check!("kill", child.process.kill(), Ok(()));
    check_comes_back("who ran last", &before);
    check!("report", child.process.wait().is_ok());
    drop(child);
    check_nothing_left("who ran last", &before);
}

/// The same of one that a handler ended, which reported something when nobody else would run.
fn check_end_by_a_handler() -> Result<(), Error> {
    let before = testing::stat();
    let handler = Endpoint::new()?;
    let child = testing::load_self(&["die"]);
    child.process.set_handler(&handler)?;
    child.start()?;
    let kind = handler.receive()?.report().map(|report| report.kind);
    check!("what it reports", kind, Some(ExitKind::UndefinedInstruction));
    calls::endpoint_reply(None, calls::answer(Action::Kill))?;
    check_comes_back("who was ended by its handler", &before);
    check!("report", child.process.wait().is_ok());
    drop((child, handler));
    check_nothing_left("who was ended by its handler", &before);
    Ok(())
}

/// Checks that the frames of a child come back while this thread never waits.
fn check_comes_back(name: &str, before: &Stat) {
    let begun = calls::clock();
    // Its root table stays until nobody names it.
    let is_there = || testing::stat().free_frames + 1 >= before.free_frames;
    while !is_there() && calls::clock() - begun < PATIENCE {
        calls::yield_now();
    }
    check!(format_args!("frames of {name}"), is_there());
}

fn check_kill(name: &str, argument: &str, turns: u32) {
    let before = testing::stat();
    let child = testing::load_self(&[argument]);
    check!("start", child.start(), Ok(()));
    for _ in 0..turns {
        calls::yield_now();
    }
    check!("kill", child.process.kill(), Ok(()));
    check!("kill again", child.process.kill(), Err(Error::InvalidState));
    let want = ExitReport { kind: ExitKind::Killed as u64, ..ExitReport::default() };
    check!(name, child.process.wait(), Ok(want));
    check!("the report stays", child.process.wait(), Ok(want));
    drop(child);
    check_nothing_left(name, &before);
}
