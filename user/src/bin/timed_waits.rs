//! What does a timeout cost? Instructions of a call and its answer where both sides' time runs, of a wait whose
//! time passes, and of a wait that somebody interrupts; and a crowd whose time is over at once.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use vellum_user::abi::Error;
use vellum_user::figures::Samples;
use vellum_user::threads::{Joined, scoped, spawn};
use vellum_user::time::sleep;
use vellum_user::{Arguments, Endpoint, Notification, calls, counter, println, system, testing};

vellum_user::entry!(main);

const ROUNDS: usize = 1000;
/// Rounds before those that count.
const WARM: usize = 20;
/// Tells a server to stop.
const STOP: u64 = u64::MAX;
const LONG: Duration = Duration::from_secs(1000);
/// Threads whose time is over at once.
const CROWD: u32 = 500;

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    println!("Instructions of waits that have a time; instructions are not cycles.");
    println!("{:<26}{:>10}{:>10}{:>8}{:>8}", "case", "mean", "median", "least", "most");
    let figures = arguments.has("figures");
    let endpoint = Endpoint::new()?;
    // SAFETY: joined before the endpoint goes.
    let server = unsafe { scoped(|| serve(&endpoint)) }?;
    let call_fn = || endpoint.call_for([1, 2, 3, 4], LONG).map(|_| ());
    measure("call_reply_timed", figures, call_fn)?;
    endpoint.call([STOP; 4])?;
    drop(server);
    let notification = Notification::new()?;
    // Nobody else could run: what passes meanwhile is no instruction.
    measure("wait_timed_out", figures, || {
        let waited = notification.wait_for(Duration::from_micros(20));
        if waited == Err(Error::TimedOut) { Ok(()) } else { waited.map(|_| ()) }
    })?;
    crowd()
}

/// Answers each call, for a time that is never over.
fn serve(endpoint: &Endpoint) -> Result<(), Error> {
    let mut received = endpoint.receive()?;
    while received.words[0] != STOP {
        received = endpoint.reply_receive_for(received.words, LONG)?;
    }
    calls::endpoint_reply(None, [0; 4])
}

fn measure(case: &str, figures: bool, act_fn: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    let mut samples = [0; ROUNDS];
    for round in 0..WARM + ROUNDS {
        let before = counter::read();
        let done = act_fn();
        let instructions = counter::read().wrapping_sub(before);
        done?;
        if let Some(sample) = round.checked_sub(WARM).and_then(|round| samples.get_mut(round)) {
            *sample = u64::from(instructions);
        }
    }
    let suffix = system::figure_suffix();
    let samples = Samples { case, samples: &mut samples, mean: None, suffix, figures };
    samples.print(|line| println!("{line}"));
    Ok(())
}

/// Lets the time of many threads be over at the same moment: the longest time with interrupts masked.
fn crowd() -> Result<(), Error> {
    static THERE: AtomicU32 = AtomicU32::new(0);
    let until = calls::clock() + 200_000_000;
    let sleepers: Result<Vec<Joined<'_, ()>>, Error> = (0..CROWD)
        .map(|_| {
            spawn(move || {
                THERE.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_nanos(until.saturating_sub(calls::clock())));
            })
        })
        .collect();
    drop(sleepers?);
    let there = THERE.load(Ordering::Relaxed);
    println!("{there} threads slept until the same moment.");
    Ok(())
}
