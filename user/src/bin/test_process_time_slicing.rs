//! Do processes that never give up the CPU all make progress at the same time?
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Error, MapFlags, MapOptions, Protection};
use vellum_user::loader::Child;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, calls, check, println, testing};

vellum_user::test!(main);

const CHILDREN: usize = 5;
/// Where every child has the shared page.
const SHARED: u64 = 0x50_0000_0000;
/// How often each counter must be seen to have grown.
const ROUNDS: usize = 10;
/// Virtual nanoseconds after which the test gives up.
const PATIENCE: u64 = 60_000_000_000;
/// The exit status of a child that saw the order to stop.
const STOPPED: u64 = 42;

/// What parent and children share.
#[repr(C)]
struct Shared {
    counters: [AtomicU64; CHILDREN],
    stop: AtomicU64,
}

fn shared(address: usize) -> &'static Shared {
    let place: *const Shared = core::ptr::with_exposed_provenance(address);
    // SAFETY: the page is mapped there for as long as anybody uses the reference, is zero at first,
    // and is only used as atomic words.
    unsafe { &*place }
}

fn main(arguments: &Arguments) -> Result<u64, Error> {
    if let Some(index) = arguments.value("count") {
        return Ok(count(index.parse().unwrap_or(0)));
    }
    let object = MemoryObject::new(PAGE as u64)?;
    let page = MapRequest::of(object.handle(), PAGE).shared().map()?;
    // The page gets its frame, and the first child maps the archive here, which stays.
    page.write(0, 0);
    _ = testing::run_self(&["count=99"]);
    let before = testing::stat();
    let children = start(&object)?;
    let all = shared(page.address());
    watch_without_waiting(all);
    all.stop.store(1, Ordering::SeqCst);
    for child in children {
        let report = child.wait()?;
        check!("the child saw the order to stop", testing::exited_with(&report, STOPPED));
    }
    let after = testing::stat();
    check!("processes", after.processes_live, before.processes_live);
    check!("free frames", after.free_frames, before.free_frames);
    Ok(0)
}

/// Counts for ever, without a single system call.
fn count(index: usize) -> u64 {
    if index >= CHILDREN {
        return STOPPED;
    }
    let shared = shared(SHARED as usize);
    while shared.stop.load(Ordering::Relaxed) == 0 {
        shared.counters[index].fetch_add(1, Ordering::Relaxed);
    }
    STOPPED
}

fn start(object: &MemoryObject) -> Result<[Child; CHILDREN], Error> {
    let options = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: MapFlags::SHARED | MapFlags::FIXED,
        ..MapOptions::default()
    };
    let words = ["count=0", "count=1", "count=2", "count=3", "count=4"];
    let children = words.map(|word| testing::load_self(&[word]));
    for child in &children {
        child.process.map(object.handle(), SHARED, PAGE as u64, options, 0)?;
        child.start()?;
    }
    Ok(children)
}

/// Sees every counter grow, again and again, without giving up the CPU either.
fn watch_without_waiting(shared: &Shared) {
    let begin = calls::clock();
    let mut seen = [0; CHILDREN];
    let mut grown = [0; CHILDREN];
    while grown.iter().any(|grown| *grown < ROUNDS) {
        for (index, counter) in shared.counters.iter().enumerate() {
            let now = counter.load(Ordering::Relaxed);
            grown[index] += usize::from(now > seen[index]);
            seen[index] = now;
        }
        if calls::clock() - begin > PATIENCE {
            break;
        }
    }
    println!("counters {seen:?}, seen to grow {grown:?} times");
    check!("every child made progress", grown.iter().all(|grown| *grown >= ROUNDS));
}
