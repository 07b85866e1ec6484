//! Handlers that go: whatever becomes of a handler and of whom it handles, does the process end by the name
//! of what it did, and does nobody wait for ever?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;
use core::arch::asm;
use vellum_user::abi::{Action, Error, ExitKind, ExitReport, Handle, HandlerFlags, Rights};
use vellum_user::calls;
use vellum_user::loader::Child;
use vellum_user::threads::scoped;
use vellum_user::{Arguments, Endpoint, check, testing};

vellum_user::test!(main);

/// Addresses where nothing is, to tell who faulted.
const THERE: u64 = 0x100;
const OWN: u64 = 0x200;
const ROUNDS: usize = 8;
/// Nanoseconds in which a program that was started receives.
const MOMENT: u64 = 20_000_000;

fn main(arguments: &Arguments) -> Result<u64, Error> {
    let word = arguments.at(1).and_then(|word| word.parse().ok());
    match (arguments.at(0), word) {
        (Some("fault"), _) => load(THERE),
        (Some("later"), _) => fault_later(),
        (Some("handle"), Some(word)) => return handle_and_fault(endpoint(word)),
        (Some("die"), Some(word)) => return endpoint(word).receive().map(|_| 3),
        (Some("forget"), Some(word)) => return forget(&endpoint(word)),
        (Some("own"), Some(count)) => return own_handler(count),
        (Some("left"), _) => return left_alone(),
        (Some(_), _) => return Ok(1),
        _ => {}
    }
    // What the heap and the tables take once stays.
    // SAFETY: nothing is borrowed.
    drop((unsafe { scoped(|| 0) }?, Endpoint::new()?));
    _ = testing::run_self(&["nothing"]);
    let before = testing::at_rest();
    for _ in 0..ROUNDS {
        endpoints_close()?;
        threads_end_or_forget()?;
        clients_are_killed()?;
    }
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    let mut handled = 0;
    for _ in 0..ROUNDS {
        processes_end()?;
        nobody_handles_itself();
        circles_end(&["fault", "fault"])?;
        circles_end(&["fault", "fault", "fault"])?;
        handled += circles_end(&["later", "handle"])?;
    }
    check!("circles that began with a report received", handled != 0);
    check!("free frames and kernel memory after circles", testing::at_rest(), before);
    Ok(0)
}

fn load(address: u64) {
    // SAFETY: the load faults.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) address => _, options(nostack)) }
}

/// Faults when others have had the time to receive.
fn fault_later() {
    let start = calls::clock();
    while calls::clock() - start < MOMENT {
        calls::yield_now();
    }
    load(THERE);
}

fn endpoint(word: u64) -> Endpoint {
    Endpoint::from_handle(Handle::from_word(word).expect("a handle of the maker's"))
}

fn ended_at(report: &ExitReport, address: u64) -> bool {
    report.kind == ExitKind::NotMapped as u64 && report.address == address
}

/// A child that faults at once, with a handler.
fn victim(told: &Endpoint) -> Result<Child, Error> {
    let child = testing::load_self(&["fault"]);
    child.process.set_handler(told)?;
    Ok(child)
}

fn endpoints_close() -> Result<(), Error> {
    // Before the fault.
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    let child = victim(&told)?;
    drop(endpoint);
    child.start()?;
    check!("closed before", ended_at(&child.wait()?, THERE));
    // While it waits, or about then.
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    let child = victim(&told)?;
    child.start()?;
    calls::yield_now();
    drop(endpoint);
    check!("closed meanwhile", ended_at(&child.wait()?, THERE));
    Ok(())
}

fn threads_end_or_forget() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    let child = victim(&told)?;
    // SAFETY: joined before the endpoint goes.
    let handler = unsafe { scoped(|| endpoint.receive().map(|_| calls::thread_exit())) }?;
    child.start()?;
    check!("the handler thread ends", ended_at(&child.wait()?, THERE));
    drop(handler);
    let children = [victim(&told)?, victim(&told)?];
    for child in &children {
        child.start()?;
    }
    check!("the first", endpoint.receive()?.report().map(|it| it.address), Some(THERE));
    check!("the second", endpoint.receive()?.report().map(|it| it.address), Some(THERE));
    check!("kill", calls::endpoint_reply(None, calls::answer(Action::Kill)), Ok(()));
    for child in children {
        check!("a forgotten one, and one that is killed", ended_at(&child.wait()?, THERE));
    }
    Ok(())
}

fn clients_are_killed() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    for received in [false, true] {
        let child = victim(&told)?;
        child.start()?;
        if received {
            check!("told", endpoint.receive()?.report().is_some());
        }
        // It ends by itself only if nobody handles it.
        check!("kill", child.process.kill(), Ok(()));
        check!("killed", child.wait()?.kind, ExitKind::Killed as u64);
        let late = calls::endpoint_reply(None, calls::answer(Action::Resume));
        check!("too late", late, Err(Error::InvalidState));
        let caller = calls::thread_read_registers(Handle::CALLER).err();
        check!("no caller", caller, Some(Error::BadHandle));
    }
    Ok(())
}

/// Loads this program again with the word of a handle to an endpoint in its table.
fn with_endpoint(endpoint: &Endpoint, word: &str) -> Result<Child, Error> {
    let rights = Rights::READ | Rights::WRITE;
    let probe = testing::load_self(&["die", "0"]);
    let value = endpoint.copy_to(&probe.process, rights)?.to_word();
    drop(probe);
    let child = testing::load_self(&[word, &format!("{value}")]);
    check!("the same handle", endpoint.copy_to(&child.process, rights)?.to_word(), value);
    Ok(child)
}

/// Another process is the handler, and ends with the report in its hands.
fn processes_end() -> Result<(), Error> {
    for (way, expected) in [("die", 3), ("forget", 0)] {
        let endpoint = Endpoint::new()?;
        let told = endpoint.with_badge(1)?;
        let handler = with_endpoint(&endpoint, way)?;
        drop(endpoint);
        handler.start()?;
        let child = victim(&told)?;
        child.start()?;
        check!(format_args!("{way}: the client"), ended_at(&child.wait()?, THERE));
        check!(format_args!("{way}"), testing::exited_with(&handler.wait()?, expected));
    }
    Ok(())
}

/// Closes the endpoint instead of answering.
fn forget(endpoint: &Endpoint) -> Result<u64, Error> {
    endpoint.receive()?;
    check!("close", calls::handle_close(endpoint.handle()), Ok(()));
    Ok(0)
}

/// A thread that faults where it handles: with its first report to answer, or a later one.
fn nobody_handles_itself() {
    for count in ["1", "2"] {
        let report = testing::run_self(&["own", count]);
        check!(format_args!("after {count}: the handler's fault"), ended_at(&report, OWN));
    }
    check!("the others are left alone", ended_at(&testing::run_self(&["left"]), THERE));
}

/// Sets a handler of this process's own that answers `count` - 1 reports, takes another and faults.
fn own_handler(count: u64) -> Result<u64, Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    let serve = || {
        for number in 0..count {
            let report = endpoint.receive()?.report();
            check!("who faults", report.map(|it| it.address), Some(THERE));
            if number + 1 < count {
                calls::endpoint_reply(None, calls::answer(Action::Skip))?;
            }
        }
        load(OWN);
        Ok::<u64, Error>(0)
    };
    calls::process_set_handler(Handle::SELF, Some(told.handle()), HandlerFlags::NONE)?;
    // SAFETY: joined before the endpoint goes.
    let server = unsafe { scoped(serve) }?;
    (0..count).for_each(|_| load(THERE));
    server.join().unwrap_or(Err(Error::PartnerGone))
}

/// The thread that could have handled ends, and one that faulted is left.
fn left_alone() -> Result<u64, Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    calls::process_set_handler(Handle::SELF, Some(told.handle()), HandlerFlags::NONE)?;
    // SAFETY: this thread never leaves the function.
    let other = unsafe { scoped(|| load(THERE)) }?;
    (0..4).for_each(|_| calls::yield_now());
    core::mem::forget(other);
    calls::thread_exit()
}

/// Takes one report, and faults with it in its hands.
fn handle_and_fault(endpoint: Endpoint) -> Result<u64, Error> {
    let report = endpoint.receive()?.report();
    check!("a report", report.map(|it| it.address), Some(THERE));
    load(OWN);
    Ok(2)
}

/// Some that handle each other's faults in a ring, and all fault. Returns how many faulted while they
/// handled another's.
fn circles_end(ways: &[&str]) -> Result<u64, Error> {
    let endpoints = [Endpoint::new()?, Endpoint::new()?, Endpoint::new()?];
    let count = ways.len();
    let children: Result<Vec<_>, Error> =
        (0..count).map(|at| with_endpoint(&endpoints[at], ways[at])).collect();
    let children = children?;
    for (at, child) in children.iter().enumerate() {
        let told = endpoints[(at + 1) % count].with_badge(at as u64)?;
        child.process.set_handler(&told)?;
    }
    drop(endpoints);
    children.iter().rev().try_for_each(Child::start)?;
    let mut handled = 0;
    for (child, way) in children.into_iter().zip(ways) {
        if *way != "handle" {
            check!(format_args!("{way}, one of {count}"), ended_at(&child.wait()?, THERE));
            continue;
        }
        // If nobody received yet when the other faulted, that ended by itself, and this one waits.
        _ = child.process.kill();
        let report = child.wait()?;
        let killed = report.kind == ExitKind::Killed as u64;
        check!(format_args!("a handler, one of {count}"), killed || ended_at(&report, OWN));
        handled += u64::from(!killed);
    }
    Ok(handled)
}
