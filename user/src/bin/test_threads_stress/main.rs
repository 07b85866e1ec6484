//! Does anything break, hang or stay behind when several processes, each with several threads, do
//! anything at all to each other?
//!
//! Each worker process has threads that follow numbers which look random (`driver`), on memory, handles,
//! threads and clones that they share; some workers are ended from outside. Afterwards as many frames,
//! as much kernel memory and as many processes are there as before. `seed=N` and `rounds=N` choose.
#![no_std]
#![no_main]

extern crate alloc;

mod driver;

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;
use driver::Driver;
use vellum_user::abi::{Error, ExitKind, Handle, Stat};
use vellum_user::threads::spawn;
use vellum_user::time::sleep;
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

const SEED: u64 = 1;
const ROUNDS: u64 = 4;
/// Processes at a time, and the threads of each that follow numbers.
const WORKERS: u64 = 3;
const DRIVERS: u64 = 3;
/// What each of these threads does in all.
const STEPS: u64 = 120;
/// The priority of the first program's children, and so of the workers.
const PRIORITY: u64 = 16;
/// How long clones that nobody names any more may take to end by themselves, in nanoseconds.
const PATIENCE: u64 = 10_000_000_000;
/// For how long nothing changes when all has ended.
const REST: Duration = Duration::from_millis(100);

fn main(arguments: &Arguments) -> Result<(), Error> {
    let number = |name| arguments.value(name).and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("worker") {
        return work(seed);
    }
    let seed = number("seed").unwrap_or(SEED);
    let processes = testing::stat().processes_live;
    // What the heap takes once stays.
    round(seed);
    let before = settled(processes)?;
    for seed in seed..seed + number("rounds").unwrap_or(ROUNDS) {
        round(seed);
        let after = at_rest(|stat| {
            stat.processes_live == processes && stat.pool_bytes == before.pool_bytes
        })?;
        check!(format!("seed {seed}: processes"), after.processes_live, processes);
        check!(format!("seed {seed}: frames"), after.free_frames, before.free_frames);
        check!(format!("seed {seed}: kernel memory"), after.pool_bytes, before.pool_bytes);
        check!(format!("seed {seed}: handles"), after.handles, before.handles);
        check!(format!("seed {seed}: objects"), after.refpages_live, before.refpages_live);
    }
    Ok(())
}

/// Returns what there is when nothing has changed for a while: a process that lives no more may still be
/// held for a moment by the CPU that took it down.
fn settled(processes: u64) -> Result<Stat, Error> {
    let begun = calls::clock();
    loop {
        let stat = at_rest(|stat| stat.processes_live == processes)?;
        sleep(REST);
        let after = testing::stat();
        let same = (after.pool_bytes, after.free_frames) == (stat.pool_bytes, stat.free_frames);
        if same || calls::clock() - begun > PATIENCE {
            return Ok(after);
        }
    }
}

/// Lets clones that nobody names any more end by themselves, and returns what there is then.
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

/// Runs some workers beside each other, and ends every other one before it is done.
fn round(seed: u64) {
    let start = |number: u64| {
        let argument = (seed * WORKERS + number).to_string();
        let child = testing::load_self(&[&format!("worker={argument}")]);
        child.start().expect("a new thread starts");
        child
    };
    let workers: Vec<_> = (0..WORKERS).map(start).collect();
    for (number, worker) in workers.into_iter().enumerate() {
        let ends_early = (seed + number as u64).is_multiple_of(2);
        if ends_early {
            for _ in 0..seed % 7 * 20 {
                calls::yield_now();
            }
            let _ = calls::process_kill(worker.process.handle());
        }
        let report = worker.wait().expect("a child can be waited for");
        let killed = ends_early && report.kind == ExitKind::Killed as u64;
        check!(format!("seed {seed}: worker {number}"), killed || testing::exited_with(&report, 0));
    }
}

/// What a worker does: its other threads go on when it ends.
fn work(seed: u64) -> Result<(), Error> {
    let drive = |number: u64| spawn(move || Driver::new(seed, number).run(STEPS));
    let drivers: Result<Vec<_>, _> = (0..DRIVERS).map(drive).collect();
    for driver in drivers? {
        check!("what a driver alone has written", driver.join(), Some(Ok(())));
    }
    Ok(())
}
