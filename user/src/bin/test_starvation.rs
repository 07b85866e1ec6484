//! Does a process that does its worst leave others their share of the CPU, frames, kernel memory and handles?
//!
//! The worst is done by as many threads as an account with limits allows, all as urgent as the one who
//! watches, each repeating what a load asks for. Equal threads share a CPU evenly, so whoever has none but
//! its own gets its part among them; what an account may have is nobody else's to miss.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::sync::atomic::AtomicU32;
use vellum_user::abi::{Advice, Call, Error, Handle, Limits, Rights, TestOperation, WaitFlags};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{
    Account, Arguments, Endpoint, Mapping, MemoryObject, Notification, Process, calls, check,
    system, testing,
};

vellum_user::test!(main);

/// What the worst may use.
const LIMITS: Limits = Limits { frames: 900, kernel_bytes: 160 << 10, handles: 24 };
/// What it does.
const LOADS: [&str; 6] = ["spin", "yield", "wake", "call", "clone", "touch"];
/// Steps of the work that is measured: some milliseconds.
const WORK: u64 = 4_000_000;
/// What is taken beside the worst.
const PAGES: usize = 300;
/// Nanoseconds that the worst is given to begin.
const BEGINS: u64 = 60_000_000;
/// Nanoseconds of a time slice.
const SLICE: u64 = 5_000_000;

static WORD: AtomicU32 = AtomicU32::new(0);

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("exit") => return Ok(()),
        Some(load) => return worst(load),
        None => {}
    }
    // The first child maps the archive here, which stays.
    _ = testing::run_self(&["exit"]);
    let alone = work();
    let before = testing::stat();
    for load in LOADS {
        let account = Account::new(&LIMITS)?;
        let child = testing::load_self_paid_by(&account, &[load]);
        child.start()?;
        let begun = calls::clock();
        while calls::clock() - begun < BEGINS {
            calls::yield_now();
        }
        let used = account.query()?;
        let beside = work();
        // Each of its threads has a handle. On several CPUs the host's own load is in it.
        let threads = used.handles + 2;
        let noise = if system::cpus() == 1 { 2 } else { 8 };
        let most = noise * threads * (alone + SLICE);
        check!(format_args!("{load}: {beside} ns beside {threads} threads"), beside <= most);
        check!(format_args!("{load}: it was there"), used.handles > 4);
        check!(format_args!("{load}: frames"), used.subtree_frames <= LIMITS.frames);
        check!(
            format_args!("{load}: kernel memory"),
            used.subtree_kernel_bytes <= LIMITS.kernel_bytes
        );
        check!(format_args!("{load}: what others take"), take(), Ok(()));
        check!(format_args!("{load}: its end"), child.process.kill(), Ok(()));
        child.wait()?;
        drop(account);
        check!(
            format_args!("{load}: frames afterwards"),
            testing::stat().free_frames,
            before.free_frames
        );
        check!(
            format_args!("{load}: pools afterwards"),
            testing::stat().pool_bytes,
            before.pool_bytes
        );
    }
    check!("nothing is set to fail", calls::test(TestOperation::FailAllocation, 0).unwrap_or(0), 0);
    Ok(())
}

/// Does some work without a call and returns how many nanoseconds it took.
fn work() -> u64 {
    let begun = calls::clock();
    (0..WORK).for_each(|step| _ = black_box(step));
    calls::clock() - begun
}

/// Takes some of everything, and gives it back.
fn take() -> Result<(), Error> {
    let pages = Mapping::anonymous(PAGES * PAGE)?;
    (0..PAGES).for_each(|page| pages.write(page * PAGE, 1));
    let _objects = (MemoryObject::pattern(7)?, MemoryObject::new(PAGE as u64)?);
    let _meeting = (Endpoint::new()?, Notification::new()?);
    let process = Process::new()?;
    let _thread = process.thread()?;
    Ok(())
}

/// Starts threads until no more are allowed, then goes on as they do.
fn worst(load: &str) -> Result<(), Error> {
    let pages = MapRequest::anonymous(4000 * PAGE).map()?;
    let (own, start) = (Handle::SELF.to_word(), pages.address() as u64);
    let word = WORD.as_ptr().expose_provenance() as u64;
    let endpoint = Endpoint::new()?.into_handle().to_word();
    let sent = endpoint | Rights::TRANSFER.bits() << 32;
    let length = pages.length() as u64;
    let does = |number: u64| match (load, number % 2) {
        ("spin", _) => (Call::Null, [0; 6]),
        ("yield", _) => (Call::Yield, [0; 6]),
        ("wake", 0) => (Call::AddressWait, [word, 0, WaitFlags::NONE.bits(), 0, 0, 0]),
        ("wake", _) => (Call::AddressWake, [word, 64, WaitFlags::NONE.bits(), 0, 0, 0]),
        ("call", 0) => (Call::EndpointReceive, [endpoint, 0, 0, 0, 0, 0]),
        ("call", _) => (Call::EndpointCall, [endpoint, sent, 1, 2, 3, 4]),
        ("clone", _) => (Call::ProcessClone, [own, 0, 0, 0, 0, 0]),
        (_, 0) => (Call::Advise, [own, start, length, Advice::PopulateWrite as u64, 0, 0]),
        (_, _) => (Call::Advise, [own, start, length, Advice::Decommit as u64, 0, 0]),
    };
    for number in 0.. {
        let (call, arguments) = does(number);
        // SAFETY: the pages hold no Rust value, and the word means nothing but waiting.
        let thread = unsafe { testing::repeat_call(Handle::SELF, 0, call, arguments, 1 << 62) };
        if thread.is_err() || number == 15 {
            break;
        }
    }
    loop {
        calls::yield_now();
    }
}
