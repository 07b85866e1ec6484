//! Does anything break, hang, leak or contradict itself, whatever calls programs make with whatever
//! arguments?
//!
//! A seeded fuzzer of system calls. Threads of several processes (`worker`, `driver`) make every call there
//! is, with values that mostly mean something and sometimes nothing (`arguments`, `values`), on memory,
//! handles, threads and processes that they share and end at random, while allocations fail. `keeper`s, one
//! in an account that is tight, begin a new worker for each that ends. Every 1000 calls the kernel audits
//! the processes at hand. After each round everything has ended, the kernel has audited itself, and as many
//! frames, as much kernel memory and as many processes are there as before.
//!
//! `calls=N` in all, in rounds of `round=N`, from `seed=N` on; `table` prints how often each call was made,
//! and how often not refused. On one CPU under icount a seed means the same calls in the same order each
//! time.
#![no_std]
#![no_main]

extern crate alloc;

mod arguments;
mod board;
mod dice;
mod driver;
mod keeper;
mod records;
mod slots;
mod values;
mod worker;

use alloc::format;
use alloc::vec::Vec;
use arguments::{How, Slot, row_of};
use board::{Board, board};
use core::sync::atomic::Ordering;
use values::PLAYGROUND_BYTES;
use vellum_user::abi::{Call, Error, ExitKind, Handle, Limits, Stat, TestOperation};
use vellum_user::{
    Account, Arguments, Endpoint, MemoryObject, Notification, calls, check, println, testing,
};

vellum_user::entry!(main);

const SEED: u64 = 1;
const CALLS: u64 = 100_000;
const ROUND: u64 = 25_000;
/// What the keepers' accounts may use: the second one's workers come to the limits all the time.
const ACCOUNTS: [Limits; keeper::KEEPERS] = [
    Limits { frames: 24_000, kernel_bytes: 6 << 20, handles: 4000 },
    Limits { frames: 2200, kernel_bytes: 400 << 10, handles: 160 },
];
/// The priority of the first program's children.
const PRIORITY: u64 = 16;
/// How long what nobody names any more may take to end by itself, in nanoseconds.
const PATIENCE: u64 = 20_000_000_000;
/// Calls by which every kind of call has succeeded at least once.
const ENOUGH: u64 = 300_000;

fn main(arguments: &Arguments) -> Result<(), Error> {
    let number = |name| arguments.value(name).and_then(|text| text.parse::<u64>().ok());
    if let Some(index) = number("worker") {
        // What fails in it is no news, and another begins.
        return worker::live(index as usize).or_else(|_| calls::exit(worker::UNBORN));
    }
    testing::warm();
    if let Some(index) = number("keeper") {
        return keeper::keep(index as usize);
    }
    let object = MemoryObject::new(board::LENGTH)?;
    board::map_into(Handle::SELF, object.handle())?;
    let (seed, calls) = (number("seed").unwrap_or(SEED), number("calls").unwrap_or(CALLS));
    fuzz(&object, seed, calls, number("round").unwrap_or(ROUND))?;
    if arguments.has("table") {
        print_table(board());
    }
    Ok(())
}

/// Runs rounds until there were so many calls.
fn fuzz(object: &MemoryObject, seed: u64, calls: u64, round_calls: u64) -> Result<(), Error> {
    let checked = calls::test(TestOperation::FailAllocation, 0).is_ok();
    if !checked {
        println!("fuzz: not a checked kernel: no failing allocations, no audits");
    }
    let processes = testing::stat().processes_live;
    // What is taken once stays.
    round(object, seed, 200)?;
    let before = at_rest(|stat| stat.processes_live == processes)?;
    let never_free = free_by_count(checked)? - before.free_frames;
    let (mut made, mut lives, mut seed) = (0, 0, seed);
    while made < calls {
        println!("fuzz: seed {seed}, {made} of {calls} calls");
        vellum_user::console::flush();
        round(object, seed, round_calls.min(calls - made))?;
        made += board().calls.load(Ordering::Relaxed);
        lives += board().lives.load(Ordering::Relaxed);
        let is_over =
            |stat: &Stat| stat.processes_live == processes && stat.pool_bytes == before.pool_bytes;
        let after = at_rest(is_over)?;
        compare(seed, &after, &before);
        let free = free_by_count(checked)? - never_free;
        check!(format!("seed {seed}: frames by their counts"), free, after.free_frames);
        seed += 1;
    }
    let board = board();
    let audits = board.audits.load(Ordering::Relaxed);
    println!("fuzz: {made} calls, {lives} lives of workers, {audits} audits");
    if calls >= ENOUGH {
        for call in Call::ALL.iter().filter(|call| checked || **call != Call::Test) {
            if row_of(*call).how == How::Refused || row_of(*call).weight == 0 {
                continue;
            }
            let done = board.done[*call as usize].load(Ordering::Relaxed);
            check!(format!("{} was ever not refused", call.name()), done != 0);
        }
    }
    Ok(())
}

/// Compares what there is after a round with what there was before all.
fn compare(seed: u64, after: &Stat, before: &Stat) {
    check!(format!("seed {seed}: what went wrong"), board().trouble(), None);
    check!(format!("seed {seed}: processes"), after.processes_live, before.processes_live);
    check!(format!("seed {seed}: frames"), after.free_frames, before.free_frames);
    check!(format!("seed {seed}: kernel memory"), after.pool_bytes, before.pool_bytes);
    check!(format!("seed {seed}: handles"), after.handles, before.handles);
    check!(format!("seed {seed}: objects"), after.refpages_live, before.refpages_live);
}

/// Counts the frames that are free, or were never anybody's, by what is known of each. Where the kernel does
/// not tell, its own sum has to do.
fn free_by_count(checked: bool) -> Result<u64, Error> {
    let (mut first, mut free) = (0, 0);
    if !checked {
        return Ok(testing::stat().free_frames);
    }
    loop {
        // In x1: how many of the next ones are free, above it where to go on, 0 at the end.
        let answer = calls::test(TestOperation::AuditFrames, first)?;
        free += answer & 0xffff_ffff;
        first = answer >> 32;
        if first == 0 {
            return Ok(free);
        }
    }
}

/// Runs keepers until there were so many calls, and waits for their end.
fn round(object: &MemoryObject, seed: u64, calls: u64) -> Result<(), Error> {
    board().begin(seed, calls);
    let playground = MemoryObject::new(PLAYGROUND_BYTES)?;
    let (endpoint, notification) = (Endpoint::new()?, Notification::new()?);
    let accounts = [Account::new(&ACCOUNTS[0])?, Account::new(&ACCOUNTS[1])?];
    let mut keepers = Vec::with_capacity(accounts.len());
    for (number, account) in accounts.iter().enumerate() {
        let keeper = testing::load_self_paid_by(account, &[&format!("keeper={number}")]);
        board::map_into(keeper.process.handle(), object.handle())?;
        for (slot, handle) in [
            (keeper::BOARD, object.handle()),
            (Slot::Memory as usize, playground.handle()),
            (Slot::Endpoint as usize, endpoint.handle()),
            (Slot::Notification as usize, notification.handle()),
            (Slot::Account as usize, account.handle()),
        ] {
            let copy = calls::handle_copy(keeper.process.handle(), handle, keeper::rights(slot))?;
            board().kept[number][slot].store(copy.to_word(), Ordering::Relaxed);
        }
        keepers.push(keeper);
    }
    keepers.iter().try_for_each(vellum_user::loader::Child::start)?;
    for keeper in keepers {
        let report = keeper.wait()?;
        check!(format!("seed {seed}: a keeper, {report:?}"), testing::exited_with(&report, 0));
    }
    _ = calls::test(TestOperation::FailAllocation, 0);
    Ok(())
}

/// Lets what nobody names any more end by itself, and returns what there is then.
fn at_rest(is_over_fn: impl Fn(&Stat) -> bool) -> Result<Stat, Error> {
    let begun = calls::clock();
    // Below everybody, so that who is left gets its turn.
    calls::thread_set_priority(Handle::SELF, 0)?;
    while !is_over_fn(&testing::stat()) && calls::clock() - begun < PATIENCE {
        calls::yield_now();
    }
    calls::thread_set_priority(Handle::SELF, PRIORITY)?;
    Ok(testing::stat())
}

/// Prints how often each call was made, not refused, and refused with the commonest errors.
fn print_table(board: &Board) {
    for (kind, count) in board.ends.iter().enumerate() {
        let count = count.load(Ordering::Relaxed);
        if count != 0 {
            let kind =
                ExitKind::from_number(kind as u64).map_or("all its threads waited", ExitKind::text);
            println!("{count:>6} lives ended: {kind}");
        }
    }
    println!("call                            made  not refused");
    for call in Call::ALL {
        let made = board.made[*call as usize].load(Ordering::Relaxed);
        let done = board.done[*call as usize].load(Ordering::Relaxed);
        let refused = &board.refused[*call as usize];
        let count = |error: &Error| refused[*error as usize].load(Ordering::Relaxed);
        let mut errors: Vec<_> = Error::ALL.iter().filter(|error| count(error) != 0).collect();
        errors.sort_by_key(|error| u64::MAX - count(error));
        let errors: Vec<_> =
            errors.iter().take(5).map(|error| format!("{error:?} {}", count(error))).collect();
        println!("{:<26} {made:>9} {done:>12}  {}", call.name(), errors.join(", "));
    }
}
