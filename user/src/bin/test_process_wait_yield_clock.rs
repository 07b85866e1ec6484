//! Do `wait` wake everybody who waits, `yield` let the others go first, and `clock` tell the time?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{
    Error, ExitKind, ExitReport, Handle, MapFlags, MapOptions, Protection, Rights,
};
use vellum_user::loader::Child;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, Process, calls, check, system, testing};

vellum_user::test!(main);

/// Where parent and children have the shared page.
const SHARED: usize = 0x50_0000_0000;
/// How many entries the log of turns gets.
const TURNS: usize = 100;
/// The exit status of a child that has done what it was told.
const DONE: u64 = 42;

/// What parent and children share.
#[repr(C)]
struct Shared {
    go: AtomicU64,
    /// A handle for the child.
    handle: AtomicU64,
    turns: AtomicU64,
    log: [AtomicU64; TURNS],
}

fn shared() -> &'static Shared {
    let place: *const Shared = core::ptr::with_exposed_provenance(SHARED);
    // SAFETY: the page is mapped there from the start of each process to its end, is zero at first,
    // and is only used as atomic words.
    unsafe { &*place }
}

fn main(arguments: &Arguments) -> Result<u64, Error> {
    match arguments.at(0) {
        Some("wait") => return wait_for_handle(),
        Some("go") => return wait_for_go(),
        Some("turns") => return take_turns(2),
        _ => {}
    }
    let object = MemoryObject::new(PAGE as u64)?;
    let page = MapRequest::of(object.handle(), PAGE).shared().at(SHARED).map()?;
    everybody_is_woken(&object)?;
    page.fill(0);
    killed_before_it_started(&object)?;
    page.fill(0);
    turns_alternate(&object)?;
    clock_tells_the_time();
    Ok(0)
}

/// Loads a child that has the shared page too.
fn child(object: &MemoryObject, word: &str) -> Result<Child, Error> {
    let options = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: MapFlags::SHARED | MapFlags::FIXED,
        ..MapOptions::default()
    };
    let child = testing::load_self(&[word]);
    child.process.map(object.handle(), SHARED as u64, PAGE as u64, options, 0)?;
    Ok(child)
}

/// Waits for the process whose handle is in the shared page; the status says how that ended.
fn wait_for_handle() -> Result<u64, Error> {
    while shared().handle.load(Ordering::Acquire) == 0 {
        calls::yield_now();
    }
    let handle = Handle::from_word(shared().handle.load(Ordering::Acquire));
    let report = calls::process_wait(handle.ok_or(Error::BadHandle)?)?;
    Ok(1000 + report.kind * 100 + report.status)
}

fn wait_for_go() -> Result<u64, Error> {
    while shared().go.load(Ordering::Acquire) == 0 {
        calls::yield_now();
    }
    Ok(DONE)
}

/// Two processes wait for a third; both learn how it ended, and so does who asks later.
fn everybody_is_woken(object: &MemoryObject) -> Result<(), Error> {
    let (worker, waiter) = (child(object, "go")?, child(object, "wait")?);
    waiter.start()?;
    worker.start()?;
    // The waiter has started, so it may hold a process; it needs no more than INSPECT.
    let there = worker.process_handle_for(&waiter)?;
    shared().handle.store(there.to_word(), Ordering::Release);
    (0..20).for_each(|_| calls::yield_now());
    shared().go.store(1, Ordering::Release);
    let want = ExitReport { kind: ExitKind::Exited as u64, status: DONE, ..ExitReport::default() };
    check!("the parent", worker.process.wait(), Ok(want));
    check!("the parent again", worker.process.wait(), Ok(want));
    let report = waiter.wait()?;
    check!("the other child", testing::exited_with(&report, 1000 + DONE));
    Ok(())
}

trait HandleFor {
    fn process_handle_for(&self, other: &Child) -> Result<Handle, Error>;
}

impl HandleFor for Child {
    fn process_handle_for(&self, other: &Child) -> Result<Handle, Error> {
        self.process.copy_to(&other.process, Rights::INSPECT)
    }
}

/// A process that never runs ends when it is killed, and wakes who waits.
fn killed_before_it_started(object: &MemoryObject) -> Result<(), Error> {
    let (never, waiter) = (Process::new()?, child(object, "wait")?);
    waiter.start()?;
    let there = never.copy_to(&waiter.process, Rights::INSPECT)?;
    shared().handle.store(there.to_word(), Ordering::Release);
    (0..20).for_each(|_| calls::yield_now());
    never.kill()?;
    let report = waiter.wait()?;
    let status = 1000 + ExitKind::Killed as u64 * 100;
    check!("the one who waited", testing::exited_with(&report, status));
    let want = ExitReport { kind: ExitKind::Killed as u64, ..ExitReport::default() };
    check!("the report", never.wait(), Ok(want));
    Ok(())
}

/// Writes one's name into the log, again and again, and lets the other go first.
fn take_turns(name: u64) -> Result<u64, Error> {
    // The child is here first or second, and the other one waits for it.
    shared().go.fetch_add(1, Ordering::AcqRel);
    while shared().go.load(Ordering::Acquire) < 2 {
        calls::yield_now();
    }
    loop {
        let turn = shared().turns.fetch_add(1, Ordering::AcqRel) as usize;
        let Some(entry) = shared().log.get(turn) else { return Ok(DONE) };
        entry.store(name, Ordering::Release);
        calls::yield_now();
    }
}

fn turns_alternate(object: &MemoryObject) -> Result<(), Error> {
    let other = child(object, "turns")?;
    other.start()?;
    check!("this one's turns", take_turns(1), Ok(DONE));
    let report = other.wait()?;
    check!("the other's turns", testing::exited_with(&report, DONE));
    let log = &shared().log;
    let name = |turn: usize| log[turn].load(Ordering::Acquire);
    let both = (0..TURNS).all(|turn| name(turn) == 1 || name(turn) == 2);
    check!("every turn was taken", both);
    if system::cpus() != 1 {
        // Each has a CPU of its own: nobody has to let the other go first.
        return Ok(());
    }
    // A time slice that ends at the wrong moment may give one of them two turns, but hardly ever.
    let twice = (1..TURNS).filter(|turn| name(*turn) == name(turn - 1)).count();
    check!(format_args!("{twice} of {TURNS} turns out of order"), twice <= TURNS / 10);
    Ok(())
}

/// Reads the virtual counter and its frequency (CNTVCT_EL0, CNTFRQ_EL0).
fn ticks() -> (u64, u64) {
    let (count, frequency): (u64, u64);
    // SAFETY: reading the counter changes nothing.
    unsafe {
        asm!(
            "isb",
            "mrs {count}, cntvct_el0",
            "mrs {frequency}, cntfrq_el0",
            count = out(reg) count,
            frequency = out(reg) frequency,
            options(nostack, preserves_flags),
        );
    }
    (count, frequency)
}

fn nanoseconds((count, frequency): (u64, u64)) -> u64 {
    (u128::from(count) * 1_000_000_000 / u128::from(frequency)) as u64
}

fn clock_tells_the_time() {
    let mut last = calls::clock();
    check!("some time has passed since boot", last > 0);
    let mut backwards = 0;
    for _ in 0..1000 {
        let now = calls::clock();
        backwards += usize::from(now < last);
        last = now;
    }
    check!("the clock never goes back", backwards, 0);
    // A stretch of the clock lies between two stretches of the counter.
    let outer = nanoseconds(ticks());
    let begin = calls::clock();
    let inner = nanoseconds(ticks());
    (0..100_000).for_each(|turn| _ = core::hint::black_box(turn));
    let inner = nanoseconds(ticks()).saturating_sub(inner);
    let stretch = calls::clock() - begin;
    let outer = nanoseconds(ticks()) - outer;
    // Both round down, by a tick or a nanosecond.
    let name = format!("{inner} <= {stretch} <= {outer} nanoseconds");
    check!(name, inner <= stretch + 100 && stretch <= outer + 100);
    check!("it goes on", stretch > 0);
}
