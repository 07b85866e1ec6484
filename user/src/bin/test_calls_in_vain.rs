//! Does a server get the call that reaches it, and its time, whatever others call in vain?
//!
//! A call that sends a handle is in vain where the handle is gone when it is received, or the server can take
//! no more. Whoever receives refuses such calls, one after the other: as many as wait, and for as long as they
//! come back.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use vellum_user::abi::{Call, Error, Handle, Limits, Rights};
use vellum_user::threads::{Joined, scoped};
use vellum_user::time::sleep;
use vellum_user::{Account, Arguments, Endpoint, Notification, calls, check, testing};

vellum_user::test!(main);

/// Threads whose calls are refused once.
const CROWD: usize = 100;
/// Threads whose timers interrupt meanwhile.
const TICKS: u64 = 16;
/// Threads that call again whenever they are refused.
const STUBBORN: usize = 12;
/// What the server is called with that never ends to be called in vain.
const LIMITS: Limits = Limits { frames: 900, kernel_bytes: 400 << 10, handles: 40 };
const GOOD: [u64; 4] = [1, 2, 3, 4];
const ROUNDS: usize = 5;
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("besieged") => return besieged(),
        Some(_) => return Ok(()),
        None => {}
    }
    // What the heap and the tables take once stays.
    check!("a child", testing::exited_with(&testing::run_self(&["nothing"]), 0));
    refused_once()?;
    let before = testing::at_rest();
    for _ in 0..ROUNDS {
        refused_once()?;
    }
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    let account = Account::new(&LIMITS)?;
    let child = testing::load_self_paid_by(&account, &["besieged"]);
    child.start()?;
    check!("who was besieged", testing::exited_with(&child.wait()?, 0));
    Ok(())
}

/// Many calls whose handle is gone, and one without: under interrupts that come every few of them.
fn refused_once() -> Result<(), Error> {
    let (endpoint, sent) = (Endpoint::new()?, Notification::new()?);
    let (there, over) = (AtomicU32::new(0), AtomicBool::new(false));
    let handle = sent.handle();
    let call_fn = || {
        there.fetch_add(1, Ordering::Relaxed);
        endpoint.call_with(handle, Rights::NONE, GOOD).err()
    };
    let (there, over) = (&there, &over);
    let tick_fn = |number: u64| {
        move || {
            there.fetch_add(1, Ordering::Relaxed);
            while !over.load(Ordering::Relaxed) {
                sleep(Duration::from_micros(20 * number));
            }
        }
    };
    // SAFETY: all are joined before what they use goes.
    let crowd: Result<Vec<Joined<'_, _>>, Error> =
        (0..CROWD).map(|_| unsafe { scoped(call_fn) }).collect();
    let crowd = crowd?;
    // SAFETY: likewise.
    let ticks: Result<Vec<Joined<'_, _>>, Error> =
        (1..=TICKS).map(|number| unsafe { scoped(tick_fn(number)) }).collect();
    let ticks = ticks?;
    while u64::from(there.load(Ordering::Relaxed)) < CROWD as u64 + TICKS {
        calls::yield_now();
    }
    drop(sent);
    // SAFETY: likewise.
    let good = unsafe { scoped(|| endpoint.call(GOOD).map(|answer| answer.words)) }?;
    check!("who calls without a handle", endpoint.receive_for(LONG)?.words, GOOD);
    // The answer is given in either case.
    check!("nobody else", endpoint.reply_receive_for(GOOD, SHORT).err(), Some(Error::TimedOut));
    check!("the answer", good.join(), Some(Ok(GOOD)));
    over.store(true, Ordering::Relaxed);
    ticks.into_iter().for_each(|tick| _ = tick.join());
    for caller in crowd {
        check!("who calls in vain", caller.join(), Some(Some(Error::BadHandle)));
    }
    Ok(())
}

/// Calls in vain that never end, at a server that can take no more handles.
fn besieged() -> Result<(), Error> {
    let (endpoint, sent) = (Endpoint::new()?, Notification::new()?);
    let arguments = [
        endpoint.handle().to_word(),
        sent.handle().to_word() | Rights::TRANSFER.bits() << 32,
        0,
        0,
        0,
        0,
    ];
    for _ in 0..STUBBORN {
        // SAFETY: the call touches no memory of the caller's.
        unsafe { testing::repeat_call(Handle::SELF, 0, Call::EndpointCall, arguments, 1 << 62) }?;
    }
    // SAFETY: joined before the endpoint goes.
    let good = unsafe { scoped(|| endpoint.call(GOOD).map(|answer| answer.words)) }?;
    let mut taken = Vec::new();
    while let Ok(notification) = Notification::new() {
        taken.push(notification);
    }
    check!("who calls without a handle", endpoint.receive_for(LONG)?.words, GOOD);
    let next = endpoint.reply_receive_for(GOOD, SHORT);
    check!("nobody else", next.err(), Some(Error::TimedOut));
    check!("nor later", endpoint.receive_for(SHORT).err(), Some(Error::TimedOut));
    check!("the answer", good.join(), Some(Ok(GOOD)));
    Ok(())
}
