//! Does a process that does its worst leave others their share of the CPU, frames, kernel memory and handles?
//!
//! The worst is done by threads of an account with limits, all as urgent as the one who watches, each
//! repeating what a load asks for. Accounts share a CPU evenly, however many threads and processes each
//! has, so who watches gets half of it at least; what an account may have is nobody else's to miss.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::sync::atomic::AtomicU32;
use vellum_user::abi::{
    Advice, Call, Error, Handle, Limits, MapOptions, PagerFlags, Policy, Protection, Rights,
    TestOperation, WaitFlags,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{
    Account, Arguments, Endpoint, Mapping, MemoryObject, Notification, Process, calls, check,
    system, testing,
};

vellum_user::test!(main);

/// What the worst may use.
const LIMITS: Limits = Limits { frames: 1500, kernel_bytes: 400 << 10, handles: 110 };
/// What it does, with how many threads at most.
const LOADS: [(&str, u64); 13] = [
    ("spin", 32),
    ("yield", 32),
    ("wake", 32),
    ("sleep", 32),
    ("call", 24),
    ("clone", 16),
    ("touch", 16),
    ("protect", 16),
    ("map", 16),
    ("endpoint", 16),
    ("page", 24),
    ("processes", 16),
    ("transfer", 4),
];
/// Steps of the work that is measured: some milliseconds.
const WORK: u64 = 2_000_000;
/// What is taken beside the worst.
const PAGES: usize = 300;
/// Bytes that are moved at once: much more than a slice's work.
const MOVED: usize = 256 << 20;
/// Nanoseconds that the worst is given to begin.
const BEGINS: u64 = 25_000_000;
/// Nanoseconds of a time slice.
const SLICE: u64 = 5_000_000;

const ANONYMOUS: u64 = Handle::ANONYMOUS.to_word();

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
    for (load, most) in LOADS {
        let account = Account::new(&LIMITS)?;
        let child = testing::load_self_paid_by(&account, &[load]);
        child.start()?;
        let begun = calls::clock();
        let mut used = account.query()?;
        // Each of its threads has a handle.
        while calls::clock() - begun < BEGINS || used.handles < most.min(30) {
            calls::yield_now();
            used = account.query()?;
        }
        let beside = work();
        // A slice of the others before each of its own, and a half more for what all of them cost. On several
        // CPUs the host's own load is in it.
        let noise = if system::cpus() == 1 { 3 } else { 24 };
        let bound = noise * (alone + SLICE);
        check!(format_args!("{load}: {beside} ns, {alone} alone"), beside <= bound);
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
    let most = LOADS.iter().find(|(name, _)| *name == load).map_or(0, |(_, most)| *most);
    let pages = MapRequest::anonymous(4000 * PAGE).map()?;
    let (own, start) = (Handle::SELF.to_word(), pages.address() as u64);
    let word = WORD.as_ptr().expose_provenance() as u64;
    let endpoint = Endpoint::new()?.into_handle().to_word();
    let sent = endpoint | Rights::TRANSFER.bits() << 32;
    let length = pages.length() as u64;
    let readable = (Protection::READ.bits(), (Protection::READ | Protection::WRITE).bits());
    let options = MapOptions { protection: Protection::READ, ..MapOptions::default() }.to_word();
    // Pages that nobody supplies.
    let pager = Endpoint::new()?;
    let paged = MemoryObject::paged(&pager, 64 * PAGE as u64, PagerFlags::NONE)?;
    let absent = MapRequest::of(paged.handle(), 64 * PAGE).read_only().map()?;
    let absent = absent.address() as u64;
    // Bytes that take long to move, and hardly any frame.
    let wrap = MemoryObject::wrap(PAGE as u64)?;
    let target = MapRequest::of(wrap.handle(), MOVED).shared().under(Policy::Wrap).map()?;
    let source = MapRequest::anonymous(MOVED).read_only().map()?;
    let (target, source) = (target.address() as u64, source.address() as u64);
    let does = |number: u64| match (load, number % 2) {
        ("spin", _) => (Call::Null, [0; 6]),
        ("yield", _) => (Call::Yield, [0; 6]),
        ("wake", 0) => (Call::AddressWait, [word, 0, WaitFlags::NONE.bits(), 0, 0, 0]),
        ("wake", _) => (Call::AddressWake, [word, 64, WaitFlags::NONE.bits(), 0, 0, 0]),
        ("call", 0) => (Call::EndpointReceive, [endpoint, 0, 0, 0, 0, 0]),
        ("call", _) => (Call::EndpointCall, [endpoint, sent, 1, 2, 3, 4]),
        ("sleep", _) => (Call::AddressWait, [word, 0, WaitFlags::NONE.bits(), 20_000, 0, 0]),
        ("clone", _) => (Call::ProcessClone, [own, 0, 0, 0, 0, 0]),
        ("protect", 0) => (Call::Protect, [own, start, length, readable.0, 0, 0]),
        ("protect", _) => (Call::Protect, [own, start, length, readable.1, 0, 0]),
        ("map", _) => (Call::Map, [own, ANONYMOUS, 0, PAGE as u64, options, 0]),
        ("endpoint", _) => (Call::EndpointCreate, [0; 6]),
        ("page", _) => (Call::MemoryRead, [own, absent + number * PAGE as u64, start, 8, 0, 0]),
        ("transfer", _) => (Call::MemoryRead, [own, source, target, MOVED as u64, 0, 0]),
        ("processes", _) => (Call::ProcessCreate, [own, 0, 0, 0, 0, 0]),
        (_, 0) => (Call::Advise, [own, start, length, Advice::PopulateWrite as u64, 0, 0]),
        (_, _) => (Call::Advise, [own, start, length, Advice::Decommit as u64, 0, 0]),
    };
    for number in 0.. {
        let (call, arguments) = does(number);
        // SAFETY: the pages hold no Rust value, and the word means nothing but waiting.
        let thread = unsafe { testing::repeat_call(Handle::SELF, 0, call, arguments, 1 << 62) };
        if thread.is_err() || number + 1 == most {
            break;
        }
    }
    loop {
        calls::yield_now();
    }
}
