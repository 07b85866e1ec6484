//! Does a thread find its FP and SIMD registers again when it goes on, on whichever CPU, beside threads that
//! use them too and threads that do not?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Call, Error};
use vellum_user::testing::{Meeting, Vectors};
use vellum_user::threads::{Joined, spawn};
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

/// More than there are CPUs, so that they change places.
const THREADS: usize = 7;
const ROUNDS: u64 = 30;
/// Calls for which a thread leaves its registers alone: fewer and more than the turns in which the kernel
/// loads them without being asked.
const LENGTHS: [u64; 7] = [1, 2, 7, 8, 9, 20, 100];
/// Turns of an empty loop before each call.
const TURNS: u64 = 50;

static MEETING: Meeting = Meeting::new();
static DONE: AtomicU64 = AtomicU64::new(0);

fn main(_: &Arguments) -> Result<(), Error> {
    // What the heap and the tables take once stays.
    drop(start()?);
    let before = free();
    DONE.store(0, Ordering::Relaxed);
    let wrong: Vec<_> = start()?.into_iter().map(Joined::join).collect();
    check!("wrong registers", wrong, [const { Some(0) }; THREADS + 1]);
    check!("free frames and kernel memory afterwards", free(), before);
    Ok(())
}

fn free() -> (u64, u64) {
    let stat = testing::stat();
    (stat.free_frames, stat.pool_bytes)
}

fn start() -> Result<Vec<Joined<'static, u64>>, Error> {
    let mut threads = Vec::with_capacity(THREADS + 1);
    for seed in 1..=THREADS as u64 {
        threads.push(spawn(move || use_registers(seed))?);
    }
    threads.push(spawn(use_none)?);
    Ok(threads)
}

/// Keeps values over calls; returns how often they were others afterwards.
fn use_registers(seed: u64) -> u64 {
    let mut wrong = 0;
    for round in 0..ROUNDS {
        let want = Vectors::of(seed + round * THREADS as u64);
        let length = LENGTHS[((seed + round) % LENGTHS.len() as u64) as usize];
        wrong += u64::from(want.after_calls(Call::Yield, length, TURNS) != want);
        // Everybody sleeps and is woken at once, where a CPU is idle.
        MEETING.meet(THREADS);
    }
    DONE.fetch_add(1, Ordering::Relaxed);
    wrong
}

/// Takes part in the switches without a use of the registers.
fn use_none() -> u64 {
    while DONE.load(Ordering::Relaxed) != THREADS as u64 {
        calls::yield_now();
    }
    0
}
