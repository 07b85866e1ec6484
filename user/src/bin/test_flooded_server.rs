//! Does a server answer everybody in time, whoever floods it with calls?
//!
//! The flood is as many threads as one likes, of a process in an account of its own, which call over and over.
//! Calls are received in order of arrival, so each of the others waits for one call of each of them at most; and
//! server and client share a CPU with them as if the flood were one.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Call, Error, Limits, Rights};
use vellum_user::threads::scoped;
use vellum_user::{Account, Arguments, Endpoint, calls, check, system, testing};

vellum_user::test!(main);

const LIMITS: Limits = Limits { frames: 400, kernel_bytes: 400 << 10, handles: 40 };
/// Threads that call over and over.
const FLOOD: u64 = 80;
/// Calls that are measured.
const CALLS: u64 = 40;
const GOOD: [u64; 4] = [9; 4];
const STOP: [u64; 4] = [u64::MAX; 4];
/// Nanoseconds of a time slice.
const SLICE: u64 = 5_000_000;

/// Calls of the flood that were received.
static OTHERS: AtomicU64 = AtomicU64::new(0);

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.at(0).is_some() {
        return Ok(());
    }
    // What the heap and the tables take once stays.
    _ = testing::run_self(&["nothing"]);
    once(1)?;
    let before = testing::at_rest();
    let took = once(FLOOD)?;
    // A slice of the flood before each part of an answer. On several CPUs the host's own load is in it.
    let noise = if system::cpus() == 1 { 1 } else { 8 };
    check!(format_args!("{CALLS} calls took {took} ns"), took <= noise * 4 * CALLS * SLICE);
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(())
}

/// Calls a server beside a flood of so many threads. Returns how many nanoseconds it took.
fn once(flood: u64) -> Result<u64, Error> {
    OTHERS.store(0, Ordering::Relaxed);
    let endpoint = Endpoint::new()?;
    // SAFETY: joined before the endpoint goes.
    let server = unsafe { scoped(|| serve(&endpoint)) }?;
    let account = Account::new(&LIMITS)?;
    // Its own thread never starts.
    let child = testing::load_self_paid_by(&account, &["never"]);
    let word = endpoint.copy_to(&child.process, Rights::WRITE)?.to_word();
    for _ in 0..flood {
        let arguments = [word, 0, 1, 2, 3, 4];
        // SAFETY: the call touches no memory.
        let thread = unsafe {
            testing::repeat_call(child.process.handle(), 0, Call::EndpointCall, arguments, 1 << 62)
        };
        calls::handle_close(thread?)?;
    }
    while OTHERS.load(Ordering::Relaxed) < flood {
        calls::yield_now();
    }
    let begun = calls::clock();
    for _ in 0..CALLS {
        check!("the answer", endpoint.call(GOOD).map(|answer| answer.words), Ok(GOOD));
    }
    let took = calls::clock() - begun;
    child.process.kill()?;
    child.wait()?;
    endpoint.call(STOP)?;
    server.join().unwrap_or(Err(Error::PartnerGone))?;
    Ok(took)
}

/// Answers each call as it is, and counts those of the flood.
fn serve(endpoint: &Endpoint) -> Result<(), Error> {
    let mut received = endpoint.receive()?;
    while received.words != STOP {
        OTHERS.fetch_add(u64::from(received.words != GOOD), Ordering::Relaxed);
        received = match endpoint.reply_receive(received.words) {
            // The flood has ended meanwhile.
            Err(Error::InvalidState) => endpoint.receive()?,
            other => other?,
        };
    }
    calls::endpoint_reply(None, STOP)
}
