//! What does a message cost? Instructions of a call and its answer between two processes and between two
//! threads, and of a switch between two threads that do nothing but yield, without and with a use of FP and
//! SIMD registers in each turn.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};
use vellum_user::abi::{Error, Handle, Rights};
use vellum_user::figures::Samples;
use vellum_user::threads::{scoped, spawn};
use vellum_user::{Arguments, Endpoint, calls, counter, println, system, testing};

vellum_user::entry!(main);

const ROUNDS: usize = 1000;
/// Calls before those that count.
const WARM: usize = 20;
/// Tells a server to stop.
const STOP: u64 = u64::MAX;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let (Some("serve"), Some(word)) = (arguments.at(0), arguments.at(1)) {
        let handle = word.parse().ok().and_then(Handle::from_word).ok_or(Error::BadHandle)?;
        return serve(&Endpoint::from_handle(handle));
    }
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    println!("Instructions of messages and switches; instructions are not cycles.");
    println!("{:<26}{:>10}{:>10}{:>8}{:>8}", "case", "mean", "median", "least", "most");
    let figures = arguments.has("figures");
    let endpoint = Endpoint::new()?;
    // The first handle that a child gets beyond those of every program.
    let rights = Rights::READ | Rights::WRITE;
    let probe = testing::load_self(&["serve", "0"]);
    let word = endpoint.copy_to(&probe.process, rights)?.to_word();
    drop(probe);
    let server = testing::load_self(&["serve", &format!("{word}")]);
    endpoint.copy_to(&server.process, rights)?;
    server.start()?;
    call_reply("call_reply", &endpoint, figures)?;
    server.wait()?;
    // SAFETY: joined before the endpoint goes.
    let server = unsafe { scoped(|| serve(&endpoint)) }?;
    call_reply("call_reply_threads", &endpoint, figures)?;
    drop(server);
    thread_switch("thread_switch", figures, || {})?;
    thread_switch("thread_switch_fp", figures, use_vector_register)
}

/// Uses one of the FP and SIMD registers: one instruction.
fn use_vector_register() {
    // SAFETY: the register is declared as changed.
    unsafe { asm!("movi v31.2d, #0", out("v31") _, options(nomem, nostack, preserves_flags)) };
}

fn serve(endpoint: &Endpoint) -> Result<(), Error> {
    let mut received = endpoint.receive()?;
    while received.words[0] != STOP {
        received = endpoint.reply_receive(received.words)?;
    }
    calls::endpoint_reply(None, [0; 4])
}

fn call_reply(case: &str, endpoint: &Endpoint, figures: bool) -> Result<(), Error> {
    let mut samples = [0; ROUNDS];
    for round in 0..WARM + ROUNDS {
        let before = counter::read();
        let answer = endpoint.call([1, 2, 3, 4]);
        let instructions = counter::read().wrapping_sub(before);
        answer?;
        if let Some(sample) = round.checked_sub(WARM).and_then(|round| samples.get_mut(round)) {
            *sample = u64::from(instructions);
        }
    }
    endpoint.call([STOP, 0, 0, 0])?;
    print(case, &mut samples, figures);
    Ok(())
}

/// Two threads that yield to each other, and do something before: there and back are two switches.
fn thread_switch(
    case: &str,
    figures: bool,
    turn_fn: impl Fn() + Copy + Send + 'static,
) -> Result<(), Error> {
    static DONE: AtomicBool = AtomicBool::new(false);
    DONE.store(false, Ordering::Relaxed);
    let other = spawn(move || {
        while !DONE.load(Ordering::Relaxed) {
            turn_fn();
            calls::yield_now();
        }
    })?;
    let mut samples = [0; ROUNDS];
    calls::yield_now();
    for sample in &mut samples {
        let before = counter::read();
        turn_fn();
        calls::yield_now();
        *sample = u64::from(counter::read().wrapping_sub(before)) / 2;
    }
    DONE.store(true, Ordering::Relaxed);
    drop(other);
    print(case, &mut samples, figures);
    Ok(())
}

fn print(case: &str, samples: &mut [u64], figures: bool) {
    let suffix = system::figure_suffix();
    Samples { case, samples, mean: None, suffix, figures }.print(|line| println!("{line}"));
}
