//! Does every call that waits end when its time is over, never before, and as if it had not begun?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use vellum_user::abi::{Call, Error, Handle, WaitFlags};
use vellum_user::lock::{Condition, Mutex};
use vellum_user::threads::{Joined, scoped, spawn};
use vellum_user::time::{Deadline, sleep};
use vellum_user::{Arguments, Endpoint, Notification, Process, calls, check, system, testing};

vellum_user::test!(main);

const SHORT: Duration = Duration::from_micros(300);
const LONG: Duration = Duration::from_secs(3600);
/// Longer than the clock can tell, and just not.
const ENDLESS: [Duration; 2] = [Duration::MAX, Duration::from_nanos(u64::MAX - 1)];

fn main(arguments: &Arguments) -> Result<u64, Error> {
    match arguments.at(0) {
        Some("sleep") => {
            let others: Result<Vec<_>, Error> = (0..20).map(|_| spawn(|| sleep(LONG))).collect();
            sleep(LONG);
            drop(others);
            return Ok(1);
        }
        Some(_) => return Ok(0),
        None => {}
    }
    // What the heap and the tables take once stays.
    drop((spawn(|| 0)?, Endpoint::new()?));
    check!("a child", testing::exited_with(&testing::run_self(&["nothing"]), 0));
    let before = testing::at_rest();
    nothing_is_waited_for()?;
    the_time_passes_first()?;
    what_is_there_in_time_counts()?;
    a_late_answer_reaches_nobody()?;
    sleepers_wake_in_order()?;
    a_busy_cpu_wakes_sleepers()?;
    timers_of_waits_that_are_over_do_nothing()?;
    conditions_wait_for_a_time()?;
    who_ends_while_it_sleeps_leaves_nothing()?;
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(0)
}

/// What each call that waits answers, where nobody does anything, for a timeout.
fn answers(timeout: Duration) -> Result<Vec<(&'static str, Option<Error>)>, Error> {
    let word = AtomicU32::new(7);
    let (endpoint, notification) = (Endpoint::new()?, Notification::new()?);
    let process = Process::new()?;
    let call = endpoint.call_for([0; 4], timeout).err();
    let received = endpoint.receive_for(timeout).err();
    Ok(alloc::vec![
        ("endpoint_call", call),
        ("endpoint_receive", received),
        ("notification_wait", notification.wait_for(timeout).err()),
        ("address_wait", calls::address_wait_for(&word, 7, WaitFlags::NONE, timeout).err()),
        ("process_wait", process.wait_for(timeout).err()),
    ])
}

/// With a timeout of nothing a call takes what is there.
fn nothing_is_waited_for() -> Result<(), Error> {
    for (call, error) in answers(Duration::ZERO)? {
        check!(call, error, Some(Error::TimedOut));
    }
    let notification = Notification::new()?;
    notification.raise(6)?;
    check!("bits that are raised", notification.wait_for(Duration::ZERO), Ok(6));
    let word = AtomicU32::new(1);
    let other = calls::address_wait_for(&word, 2, WaitFlags::NONE, Duration::ZERO);
    check!("another value", other, Ok(()));
    let process = Process::new()?;
    process.kill()?;
    check!("a process that is gone", process.wait_for(Duration::ZERO).is_ok());
    let endpoint = Endpoint::new()?;
    // SAFETY: joined before the endpoint goes.
    let client = unsafe { scoped(|| endpoint.call([3; 4]).map(|answer| answer.words)) }?;
    let call = loop {
        match endpoint.receive_for(Duration::ZERO) {
            Err(Error::TimedOut) => calls::yield_now(),
            other => break other?,
        }
    };
    check!("a call that waits", call.words, [3; 4]);
    let next = endpoint.reply_receive_for([4; 4], Duration::ZERO);
    check!("no other", next, Err(Error::TimedOut));
    check!("the answer is given", client.join(), Some(Ok([4; 4])));
    Ok(())
}

fn the_time_passes_first() -> Result<(), Error> {
    let spans = [1, 1023, 1024, 1025, 65_536, 1_000_000, 5_000_000, 40_000_000];
    for span in spans.map(Duration::from_nanos) {
        let begun = calls::clock();
        for (call, error) in answers(span)? {
            check!(call, error, Some(Error::TimedOut));
        }
        let passed = calls::clock() - begun;
        check!("five waits are not early", passed >= 5 * span.as_nanos() as u64);
        let begun = calls::clock();
        sleep(span);
        check!("nor is sleep", calls::clock() - begun >= span.as_nanos() as u64);
    }
    Ok(())
}

/// Whoever is woken in time has its answer, whatever the timeout.
fn what_is_there_in_time_counts() -> Result<(), Error> {
    for timeout in ENDLESS.into_iter().chain([LONG]) {
        let (endpoint, notification) = (Endpoint::new()?, Notification::new()?);
        let word = AtomicU32::new(0);
        let process = Process::new()?;
        // SAFETY: each is joined before what it uses goes.
        let bits = unsafe { scoped(|| notification.wait_for(timeout)) }?;
        let wait_fn = || calls::address_wait_for(&word, 0, WaitFlags::NONE, timeout);
        // SAFETY: likewise.
        let told = unsafe { scoped(wait_fn) }?;
        // SAFETY: likewise.
        let ended = unsafe { scoped(|| process.wait_for(timeout).map(|_| ())) }?;
        let call_fn = || endpoint.call_for([5; 4], timeout).map(|answer| answer.words);
        // SAFETY: likewise.
        let answered = unsafe { scoped(call_fn) }?;
        sleep(SHORT);
        check!("none is over", !bits.has_ended() && !told.has_ended() && !ended.has_ended());
        notification.raise(2)?;
        word.store(1, Ordering::Relaxed);
        calls::address_wake(&word, 1, WaitFlags::NONE);
        process.kill()?;
        check!("a call", endpoint.receive_for(timeout).map(|call| call.words), Ok([5; 4]));
        calls::endpoint_reply(None, [6; 4])?;
        check!("bits", bits.join(), Some(Ok(2)));
        check!("a word", told.join(), Some(Ok(())));
        check!("an end", ended.join(), Some(Ok(())));
        check!("an answer", answered.join(), Some(Ok([6; 4])));
    }
    Ok(())
}

/// A caller whose time is over while its call waits, and while a server has it.
fn a_late_answer_reaches_nobody() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    check!("no server", endpoint.call_for([1; 4], SHORT), Err(Error::TimedOut));
    check!("the call is gone", endpoint.receive_for(Duration::ZERO), Err(Error::TimedOut));
    for round in 0..50 {
        let is_over = AtomicBool::new(false);
        // SAFETY: joined before the endpoint goes.
        let client = unsafe {
            scoped(|| {
                let first = endpoint.call_for([round, 0, 0, 0], SHORT).map(|it| it.words);
                is_over.store(true, Ordering::Relaxed);
                let second = endpoint.call_for([round, 1, 0, 0], LONG).map(|it| it.words);
                (first, second)
            })
        }?;
        let call = endpoint.receive()?;
        if call.words[1] == 0 {
            while !is_over.load(Ordering::Relaxed) {
                sleep(SHORT);
            }
            let late = calls::endpoint_reply(None, [9; 4]);
            check!("too late", late, Err(Error::InvalidState));
            check!("the next call", endpoint.receive().map(|it| it.words[1]), Ok(1));
        }
        let next = endpoint.reply_receive_for([8; 4], Duration::ZERO);
        check!("no other call", next, Err(Error::TimedOut));
        let seen = client.join();
        check!("each call has its own answer", seen, Some((Err(Error::TimedOut), Ok([8; 4]))));
    }
    Ok(())
}

/// Threads that sleep until moments that are a millisecond apart, and began in another order.
fn sleepers_wake_in_order() -> Result<(), Error> {
    // Where there are several CPUs, or the host is busy, one may overtake the other on its way.
    let tries = if system::cpus() == 1 { 8 } else { 1 };
    let mut in_order = false;
    for _ in 0..tries {
        in_order |= one_crowd_wakes_in_order()?;
    }
    check!("in order", in_order || system::cpus() > 1);
    Ok(())
}

fn one_crowd_wakes_in_order() -> Result<bool, Error> {
    const SLEEPERS: u64 = 40;
    static TURN: AtomicU64 = AtomicU64::new(0);
    TURN.store(0, Ordering::Relaxed);
    let begun = calls::clock() + 20_000_000;
    let sleeper = |number: u64| {
        let due = begun + number * 1_000_000;
        move || {
            sleep(Duration::from_nanos(due.saturating_sub(calls::clock())));
            let in_time = calls::clock() >= due;
            (TURN.fetch_add(1, Ordering::Relaxed), in_time)
        }
    };
    let sleepers: Result<Vec<(u64, Joined<'_, _>)>, Error> = (0..SLEEPERS)
        .map(|index| index * 17 % SLEEPERS)
        .map(|number| Ok((number, spawn(sleeper(number))?)))
        .collect();
    let mut in_order = true;
    for (number, sleeper) in sleepers? {
        let (turn, in_time) = sleeper.join().expect("it wakes");
        check!("none is early", in_time);
        in_order &= turn == number;
    }
    Ok(in_order)
}

/// Threads that never wait keep every CPU busy in time slices: who sleeps has its turn all the same.
fn a_busy_cpu_wakes_sleepers() -> Result<(), Error> {
    let stop = AtomicBool::new(false);
    let busy = || {
        while !stop.load(Ordering::Relaxed) {
            core::hint::spin_loop();
        }
    };
    let threads: Result<Vec<Joined<'_, ()>>, Error> = (0..2 * system::cpus())
        // SAFETY: joined before the flag goes.
        .map(|_| unsafe { scoped(busy) })
        .collect();
    for span in [10_000, 1_000_000, 12_000_000] {
        sleep(Duration::from_nanos(span));
    }
    stop.store(true, Ordering::Relaxed);
    drop(threads?);
    Ok(())
}

/// Calls that are answered long before their time is over, and waits without one behind that time.
fn timers_of_waits_that_are_over_do_nothing() -> Result<(), Error> {
    const TIME: Duration = Duration::from_millis(40);
    let (endpoint, notification) = (Endpoint::new()?, Notification::new()?);
    // SAFETY: joined before the endpoint goes.
    let server = unsafe {
        scoped(|| {
            let mut received = endpoint.receive_for(LONG)?;
            while received.words[0] != 0 {
                received = match endpoint.reply_receive_for(received.words, LONG) {
                    // The caller's time is over: only on a host that is busy.
                    Err(Error::InvalidState) => endpoint.receive_for(LONG)?,
                    other => other?,
                };
            }
            calls::endpoint_reply(None, [0; 4])
        })
    }?;
    let over = Deadline::after(TIME);
    for round in 1..200 {
        let answer = endpoint.call_for([round; 4], TIME).map(|it| it.words);
        // The time is over first only on a host that is busy.
        check!("an answer", answer == Ok([round; 4]) || answer == Err(Error::TimedOut));
    }
    // SAFETY: joined before the notification goes.
    let waiter = unsafe { scoped(|| (0..3).map(|_| notification.wait()).collect::<Vec<_>>()) }?;
    for bit in [1, 2, 4] {
        sleep(over.left() + SHORT);
        notification.raise(bit)?;
        sleep(SHORT);
    }
    let seen = waiter.join().unwrap_or_default();
    check!("waits without a time", seen, alloc::vec![Ok(1), Ok(2), Ok(4)]);
    check!("stop", endpoint.call([0; 4]).is_ok());
    check!("the server", server.join(), Some(Ok(())));
    Ok(())
}

fn conditions_wait_for_a_time() -> Result<(), Error> {
    let (value, changed) = (Mutex::new(0), Condition::new());
    let mut guard = value.lock();
    let over = Deadline::after(SHORT);
    while changed.wait_for(&mut guard, over.left()) && !over.is_over() {}
    check!("the time is over", over.is_over());
    // SAFETY: joined before the lock goes.
    let teller = unsafe {
        scoped(|| {
            *value.lock() = 1;
            changed.tell_all();
        })
    }?;
    while *guard == 0 {
        check!("told in time", changed.wait_for(&mut guard, LONG));
    }
    drop(guard);
    drop(teller);
    Ok(())
}

fn who_ends_while_it_sleeps_leaves_nothing() -> Result<(), Error> {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let long = LONG.as_nanos() as u64;
    let arguments = [WORD.as_ptr().expose_provenance() as u64, 0, 0, long, 0, 0];
    let word = RUNS.as_ptr().expose_provenance() as u64;
    for round in 0..20 {
        RUNS.store(1, Ordering::Relaxed);
        // A thread of the runtime could have the lock of the heap, before it sleeps.
        // SAFETY: the thread looks at a word that nobody changes, and its own is the kernel's to clear.
        let sleeper =
            unsafe { testing::repeat_call(Handle::SELF, word, Call::AddressWait, arguments, 1) }?;
        (0..round % 3).for_each(|_| calls::yield_now());
        check!("end a sleeper", calls::thread_kill(sleeper), Ok(()));
        while RUNS.load(Ordering::Acquire) != 0 {
            calls::address_wait(&RUNS, 1, WaitFlags::NONE);
        }
        calls::handle_close(sleeper)?;
    }
    let endpoint = Endpoint::new()?;
    let handle = endpoint.handle();
    let caller = spawn(move || calls::endpoint_call_for(handle, None, [0; 4], LONG))?;
    endpoint.receive()?;
    check!("end a caller", calls::thread_kill(caller.handle()), Ok(()));
    check!("no answer", caller.join(), None);
    for _ in 0..5 {
        let child = testing::load_self(&["sleep"]);
        child.start()?;
        check!("it sleeps", child.process.wait_for(10 * SHORT), Err(Error::TimedOut));
        child.process.kill()?;
        child.wait()?;
    }
    check!("oneself", calls::process_wait_for(Handle::SELF, SHORT), Err(Error::WouldDeadlock));
    Ok(())
}
