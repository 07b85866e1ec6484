//! Faults to a handler: is each kind told as it happened, and does the thread do what the answer says,
//! with its registers as they were or as the handler left them?
#![no_std]
#![no_main]

extern crate alloc;

use core::arch::asm;
use vellum_user::abi::{
    Action, Error, ExitKind, ExitReport, FaultAccess, FaultReport, Handle, HandlerFlags, PAGE_SIZE,
    Protection, TagControl, TagMode, VectorRegisters,
};
use vellum_user::calls::{self, Received};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::scoped;
use vellum_user::{Arguments, Endpoint, Thread, check, system, testing};

vellum_user::test!(main);

/// Where nothing is mapped at first.
const PLACE: usize = 0x50_0000_0000;
/// Tells the handler thread to stop.
const STOP: [u64; 4] = [u64::MAX; 4];
/// The badge under which faults are reported here.
const BADGE: u64 = 0x1234_5678_9abc_def0;

fn main(_: &Arguments) -> Result<(), Error> {
    // What the heap and the tables take once stays.
    drop((scoped_nothing()?, Endpoint::new()?));
    _ = testing::run("crash", &["exit=0"]);
    let before = testing::at_rest();
    every_kind_is_told_and_ends()?;
    check!("free frames and kernel memory after children", testing::at_rest(), before);
    a_page_that_the_handler_maps_is_read()?;
    answers_are_done()?;
    vectors_and_tags_are_open()?;
    if system::tags_supported() {
        an_asynchronous_fault_costs_no_call()?;
    }
    bad_answers_change_nothing()?;
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(())
}

fn scoped_nothing() -> Result<(), Error> {
    // SAFETY: nothing is borrowed.
    drop(unsafe { scoped(|| 0) }?);
    Ok(())
}

/// Ways to end of the program `crash`, and what is told of them.
const WAYS: &[(&str, ExitKind, FaultAccess)] = &[
    ("null", ExitKind::NotMapped, FaultAccess::Read),
    ("null_write", ExitKind::NotMapped, FaultAccess::Write),
    ("kernel", ExitKind::NotMapped, FaultAccess::Read),
    ("write_text", ExitKind::AccessDenied, FaultAccess::Write),
    ("jump", ExitKind::AccessDenied, FaultAccess::Execute),
    ("undefined", ExitKind::UndefinedInstruction, FaultAccess::Read),
    ("register", ExitKind::TrappedInstruction, FaultAccess::Read),
    ("breakpoint", ExitKind::Breakpoint, FaultAccess::Read),
];

fn every_kind_is_told_and_ends() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(BADGE)?;
    let tags = system::tags_supported();
    let with_tags = [
        ("tag", ExitKind::TagCheck, FaultAccess::Read),
        ("tag_write", ExitKind::TagCheck, FaultAccess::Write),
    ];
    for (way, kind, access) in WAYS.iter().chain(with_tags.iter().filter(|_| tags)) {
        let expected = testing::run("crash", &[way]);
        let child = testing::load("crash", &[way]);
        child.process.set_handler(&told)?;
        child.start()?;
        let call = endpoint.receive()?;
        check!(format_args!("{way}: the badge"), call.badge, BADGE);
        let Some(report) = call.report() else {
            check!(format_args!("{way}: a report"), false);
            continue;
        };
        check!(
            format_args!("{way}: kind and access"),
            (report.kind, report.access),
            (*kind, *access)
        );
        check!(format_args!("{way}: all"), as_end(&report), expected);
        check!(format_args!("{way}: kill"), reply(calls::answer(Action::Kill)), Ok(()));
        check!(format_args!("{way}: the end"), child.wait()?, expected);
    }
    Ok(())
}

/// Returns how a process ends with what was told.
fn as_end(report: &FaultReport) -> ExitReport {
    ExitReport {
        kind: report.kind as u64,
        status: report.syndrome,
        address: untagged(report.address),
        access: report.access as u64,
        pc: report.pc,
        logical_tag: u64::from(report.logical_tag),
        allocation_tag: u64::from(report.allocation_tag),
    }
}

fn untagged(address: u64) -> u64 {
    ((address << 8) as i64 >> 8) as u64
}

fn reply(words: [u64; 4]) -> Result<(), Error> {
    calls::endpoint_reply(None, words)
}

/// Runs `body_fn` while another thread of this process answers its faults with `answer_fn`. Returns how
/// many faults there were.
fn handled(
    answer_fn: impl Fn(&FaultReport) -> [u64; 4] + Send + Sync,
    body_fn: impl FnOnce(),
) -> Result<u64, Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(BADGE)?;
    let serve = || {
        let mut received = endpoint.receive()?;
        let mut count = 0;
        while let Some(report) = received.report() {
            count += 1;
            received = endpoint.reply_receive(answer_fn(&report))?;
        }
        check!("told to stop", received.words, STOP);
        reply([0; 4]).map(|()| count)
    };
    // SAFETY: joined before the endpoint goes.
    let server = unsafe { scoped(serve) }?;
    calls::process_set_handler(Handle::SELF, Some(told.handle()), HandlerFlags::NONE)?;
    body_fn();
    calls::process_set_handler(Handle::SELF, None, HandlerFlags::NONE)?;
    let stopped = endpoint.call(STOP);
    check!("the handler stops", stopped.map(|Received { words, .. }| words), Ok([0; 4]));
    server.join().unwrap_or(Err(Error::PartnerGone))
}

/// Loads from an address and returns what was there; sixteen other registers hold what they held.
fn load(address: usize) -> u64 {
    let (loaded, sum): (u64, u64);
    // SAFETY: the handler sees to it that the load reads what it maps there, or goes on behind it.
    unsafe {
        asm!(
            "mov x1, #1", "mov x2, #2", "mov x3, #3", "mov x4, #4",
            "mov x10, #5", "mov x17, #6", "mov x20, #7", "mov x28, #8",
            "fmov d0, #1.0", "fmov d31, #2.0",
            "ldr {loaded}, [{address}]",
            "add x1, x1, x2", "add x1, x1, x3", "add x1, x1, x4", "add x1, x1, x10",
            "add x1, x1, x17", "add x1, x1, x20", "add x1, x1, x28",
            "fadd d0, d0, d31", "fcvtzu x2, d0", "add x1, x1, x2",
            address = in(reg) address,
            loaded = inout(reg) 99_u64 => loaded,
            out("x1") sum, out("x2") _, out("x3") _, out("x4") _, out("x10") _, out("x17") _,
            out("x20") _, out("x28") _, out("v0") _, out("v31") _,
            options(nostack),
        );
    }
    check!("registers afterwards", sum, 36 + 3);
    loaded
}

fn a_page_that_the_handler_maps_is_read() -> Result<(), Error> {
    let map = |report: &FaultReport| {
        let at = (report.address - report.address % PAGE_SIZE) as usize;
        let page = MapRequest::anonymous(PAGE).at(at).map().unwrap_or_else(failed);
        page.write(8, 77);
        _ = page.leak();
        // Wherever the thread is sent meanwhile, it is the instruction of the report that runs again.
        let mut registers = calls::thread_read_registers(Handle::CALLER).unwrap_or_else(failed);
        registers.pc += 4;
        let written = calls::thread_write_registers(Handle::CALLER, &registers);
        check!("another pc", written, Ok(()));
        calls::answer(Action::Retry)
    };
    let faults = handled(map, || {
        for round in 0..10 {
            let at = PLACE + round * PAGE;
            check!("what was mapped", load(at + 8), 77);
        }
    })?;
    check!("faults", faults, 10);
    // SAFETY: nobody else knows the pages.
    unsafe { calls::unmap(Handle::SELF, PLACE as u64, 10 * PAGE_SIZE) }
}

fn answers_are_done() -> Result<(), Error> {
    let caller = Thread::from_handle(Handle::CALLER);
    let (skip, edit) = (calls::answer(Action::Skip), calls::answer(Action::Resume));
    check!("a skipped load", handled(|_| skip, || check_load(99))?, 1);
    let returned = handled(
        |_| calls::return_value(55),
        || _ = check!("a breakpoint that returns", breakpoint(), 55),
    )?;
    check!("one breakpoint", returned, 1);
    let behind = handled(
        |report| {
            let mut registers = calls::thread_read_registers(Handle::CALLER).unwrap_or_else(failed);
            check!("the pc of the report", registers.pc, report.pc);
            registers.pc += 4;
            registers.x[0] = 66;
            check!("write", caller.write_registers(&registers), Ok(()));
            edit
        },
        || _ = check!("registers that the handler wrote", breakpoint(), 66),
    )?;
    check!("one fault", behind, 1);
    core::mem::forget(caller);
    Ok(())
}

/// The handler reads what is in FP and SIMD registers, and what it writes is there afterwards.
fn vectors_and_tags_are_open() -> Result<(), Error> {
    let tags = system::tags_supported();
    let change = |_: &FaultReport| {
        let caller = Handle::CALLER;
        let mut vectors = calls::thread_read_vectors(caller).unwrap_or_else(failed);
        check!("the first and the last", (vectors.q[0], vectors.q[31]), ([3, 0], [7, 9]));
        (vectors.q[0], vectors.q[31]) = ([30, 0], [70, 90]);
        vectors.random = 0x1234 << 8 | 5;
        check!("write", calls::thread_write_vectors(caller, &vectors), Ok(()));
        check!("what was written", calls::thread_read_vectors(caller), Ok(vectors));
        let bad = VectorRegisters { random: 1 << 40, ..vectors };
        let written = calls::thread_write_vectors(caller, &bad);
        check!("no such tag", written, Err(Error::InvalidRegisters));
        if tags {
            let control = calls::thread_tag_mode(caller).unwrap_or_else(failed);
            let none = TagControl { mode: TagMode::None, exclude: 0xff };
            check!("the mode", calls::thread_set_tag_mode(caller, none), Ok(()));
            check!("and that it is so", calls::thread_tag_mode(caller), Ok(none));
            check!("and back", calls::thread_set_tag_mode(caller, control), Ok(()));
        }
        calls::answer(Action::Skip)
    };
    let faults = handled(change, || {
        let (first, low, high): (u64, u64, u64);
        // SAFETY: the handler goes on behind the breakpoint.
        unsafe {
            asm!(
                "mov x9, #3", "fmov d0, x9", "mov x9, #7", "fmov d31, x9", "mov x9, #9",
                "fmov v31.d[1], x9",
                "brk #2",
                "fmov x9, d0", "fmov x10, d31", "fmov x11, v31.d[1]",
                out("x9") first, out("x10") low, out("x11") high, out("v0") _, out("v31") _,
                options(nostack),
            );
        }
        check!("vectors afterwards", [first, low, high], [30, 70, 90]);
    })?;
    check!("one breakpoint", faults, 1);
    Ok(())
}

/// The entry that shows an asynchronous tag check fault is that of a call, which is made nevertheless.
fn an_asynchronous_fault_costs_no_call() -> Result<(), Error> {
    let page = MapRequest::anonymous(PAGE).tagged().map()?;
    page.set_tags(5);
    let resume = |report: &FaultReport| {
        check!("the kind", report.kind, ExitKind::TagCheckAsync);
        calls::answer(Action::Resume)
    };
    let control = calls::thread_tag_mode(Handle::SELF)?;
    let mode = TagMode::Asynchronous;
    let faults = handled(resume, || {
        let set = calls::thread_set_tag_mode(Handle::SELF, TagControl { mode, ..control });
        check!("asynchronous", set, Ok(()));
        page.write_as(7, 0, 1);
        let nanoseconds = calls::clock();
        check!("the call was made", nanoseconds != 0);
        check!("back", calls::thread_set_tag_mode(Handle::SELF, control), Ok(()));
    })?;
    check!("one asynchronous fault", faults, 1);
    page.unmap()
}

fn failed<T>(error: Error) -> T {
    panic!("{error:?}")
}

fn check_load(expected: u64) {
    check!("what a load gave", load(PLACE), expected);
}

/// Executes a breakpoint and returns what is in x0 behind it.
fn breakpoint() -> u64 {
    let value;
    // SAFETY: the handler goes on behind it.
    unsafe { asm!("brk #5", inout("x0") 5_u64 => value, options(nostack)) };
    value
}

fn bad_answers_change_nothing() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let object = vellum_user::MemoryObject::new(PAGE_SIZE)?;
    let bad = |_: &FaultReport| {
        let unknown = Action::ALL.len() as u64;
        check!("no such action", reply([unknown, 0, 0, 0]), Err(Error::InvalidAction));
        let sent = Some((object.handle(), vellum_user::abi::Rights::READ));
        check!("no handle", calls::endpoint_reply(sent, [0; 4]), Err(Error::InvalidAction));
        let (caller, own) = (Handle::CALLER, Handle::SELF);
        let copy = calls::handle_copy(own, caller, vellum_user::abi::Rights::NONE);
        check!("no handle to be copied", copy.err(), Some(Error::BadHandle));
        check!("no wait", calls::process_wait(caller).err(), Some(Error::WouldDeadlock));
        check!("it was started", start(caller), Err(Error::InvalidState));
        let mut registers = calls::thread_read_registers(caller).unwrap_or_else(failed);
        registers.pstate = 5;
        let written = calls::thread_write_registers(caller, &registers);
        check!("no privileges", written, Err(Error::InvalidRegisters));
        calls::return_value(44)
    };
    let faults = handled(bad, || _ = check!("a good answer", breakpoint(), 44))?;
    check!("one report", faults, 1);
    // SAFETY: joined before the endpoint goes.
    let client = unsafe { scoped(|| endpoint.call([0; 4])) }?;
    check!("a message is no report", endpoint.receive()?.report().is_none());
    let registers = calls::thread_read_registers(Handle::CALLER).err();
    check!("a caller is no open thread", registers, Some(Error::BadHandle));
    let protection = Protection::NONE;
    // SAFETY: nobody uses the address.
    let protected = unsafe { calls::protect(Handle::CALLER, PLACE as u64, PAGE_SIZE, protection) };
    check!("nor is its process", protected, Err(Error::BadHandle));
    check!("answer", reply([3; 4]), Ok(()));
    check!("the answer", client.join().and_then(Result::ok).map(|it| it.words), Some([3; 4]));
    Ok(())
}

fn start(thread: Handle) -> Result<(), Error> {
    // SAFETY: it is refused.
    unsafe { calls::thread_start(thread) }
}
