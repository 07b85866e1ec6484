//! Does `thread_interrupt` end each call that waits, and nothing else, and of those who race to end a wait
//! exactly one?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use vellum_user::abi::{Error, Handle, WaitFlags};
use vellum_user::lock::{Condition, Mutex};
use vellum_user::threads::{Joined, scoped, spawn};
use vellum_user::time::sleep;
use vellum_user::{Arguments, Endpoint, Notification, Process, calls, check, testing};

vellum_user::test!(main);

/// Rounds of each race.
const ROUNDS: u64 = 2500;
/// The most nanoseconds that a racer hesitates.
const MOMENT: u64 = 30_000;

fn main(_: &Arguments) -> Result<(), Error> {
    // What the heap and the tables take once stays.
    drop((spawn(|| 0)?, Endpoint::new()?, Process::new()?));
    let before = testing::at_rest();
    each_wait_ends()?;
    who_does_not_wait_is_left_alone()?;
    who_must_wait_waits_on()?;
    bits_come_in_time_or_stay()?;
    an_answer_is_taken_or_refused()?;
    interrupters_know_what_they_did()?;
    everybody_at_once()?;
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(())
}

/// Interrupts a thread until it waits and is interrupted.
fn interrupt<T>(thread: &Joined<'_, T>) {
    while calls::thread_interrupt(thread.handle()) != Ok(true) {
        calls::yield_now();
    }
}

/// Lets a thread wait and interrupts it.
fn ends<T: Send + PartialEq + core::fmt::Debug>(
    call: &str,
    wait_fn: impl Fn() -> Result<T, Error> + Sync,
) -> Result<(), Error> {
    for _ in 0..5 {
        // SAFETY: joined before the closure goes.
        let thread = unsafe { scoped(&wait_fn) }?;
        interrupt(&thread);
        check!(call, thread.join(), Some(Err(Error::Interrupted)));
    }
    Ok(())
}

fn each_wait_ends() -> Result<(), Error> {
    let (endpoint, notification) = (Endpoint::new()?, Notification::new()?);
    let (process, word) = (Process::new()?, AtomicU32::new(0));
    let long = Duration::from_secs(1000);
    ends("notification_wait", || notification.wait())?;
    ends("process_wait", || process.wait().map(|_| ()))?;
    ends("endpoint_receive", || endpoint.receive())?;
    ends("endpoint_call, not received", || endpoint.call([0; 4]))?;
    ends("address_wait", || calls::address_wait_for(&word, 0, WaitFlags::NONE, Duration::MAX))?;
    ends("notification_wait with a time", || notification.wait_for(long))?;
    ends("process_wait with a time", || process.wait_for(long).map(|_| ()))?;
    ends("endpoint_receive with a time", || endpoint.receive_for(long))?;
    ends("endpoint_call with a time", || endpoint.call_for([0; 4], long))?;
    check!("no call is left", endpoint.receive_for(Duration::ZERO), Err(Error::TimedOut));
    // SAFETY: joined before the endpoint goes.
    let client = unsafe { scoped(|| endpoint.call([0; 4])) }?;
    endpoint.receive()?;
    interrupt(&client);
    check!("endpoint_call, received", client.join(), Some(Err(Error::Interrupted)));
    check!("its answer", calls::endpoint_reply(None, [0; 4]), Err(Error::InvalidState));
    // SAFETY: joined before the endpoint goes.
    let server =
        unsafe { scoped(|| endpoint.receive().and_then(|_| endpoint.reply_receive([5; 4]))) }?;
    check!("an answer", endpoint.call([0; 4]).map(|it| it.words), Ok([5; 4]));
    interrupt(&server);
    check!("endpoint_reply_receive", server.join(), Some(Err(Error::Interrupted)));
    process.kill()
}

/// Threads that run, are ready, have ended or never began.
fn who_does_not_wait_is_left_alone() -> Result<(), Error> {
    let stop = AtomicBool::new(false);
    // SAFETY: joined before the flag goes.
    let busy = unsafe {
        scoped(|| {
            while !stop.load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
            // Nothing of what came before counts.
            let word = AtomicU32::new(0);
            let moment = Duration::from_micros(100);
            calls::address_wait_for(&word, 0, WaitFlags::NONE, moment)
        })
    }?;
    for _ in 0..100 {
        check!("one that runs", calls::thread_interrupt(busy.handle()), Ok(false));
    }
    stop.store(true, Ordering::Relaxed);
    check!("its next wait", busy.join(), Some(Err(Error::TimedOut)));
    let process = Process::new()?;
    let thread = process.thread()?;
    check!("one that never began", thread.interrupt(), Ok(false));
    process.kill()?;
    check!("one of a process that is gone", thread.interrupt(), Ok(false));
    let ended = spawn(|| ())?;
    while !ended.has_ended() {
        calls::yield_now();
    }
    check!("one that has ended", calls::thread_interrupt(ended.handle()), Ok(false));
    let bare =
        calls::handle_copy(Handle::SELF, thread.handle(), vellum_user::abi::Rights::INSPECT)?;
    check!("without MANAGE", calls::thread_interrupt(bare), Err(Error::MissingRight));
    calls::handle_close(bare)
}

/// Locks, conditions and sleep of the runtime wait on.
fn who_must_wait_waits_on() -> Result<(), Error> {
    let (value, changed) = (Mutex::new(0), Condition::new());
    let mut guard = value.lock();
    // SAFETY: joined before the lock goes.
    let waiter = unsafe {
        scoped(|| {
            let mut guard = value.lock();
            while *guard != 2 {
                changed.wait(&mut guard);
            }
        })
    }?;
    interrupt(&waiter);
    *guard = 1;
    drop(guard);
    interrupt(&waiter);
    check!("it waits on", !waiter.has_ended());
    *value.lock() = 2;
    changed.tell_all();
    check!("until it is told", waiter.join(), Some(()));
    let begun = calls::clock();
    let sleeper = spawn(|| sleep(Duration::from_millis(30)))?;
    while !sleeper.has_ended() {
        let _ = calls::thread_interrupt(sleeper.handle());
        calls::yield_now();
    }
    check!("sleep is as long", calls::clock() - begun >= 30_000_000);
    Ok(())
}

/// Spans of time that look random, below a moment.
struct Spans(u64);

impl Spans {
    fn next(&mut self) -> Duration {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_nanos((self.0 >> 33) % MOMENT)
    }

    /// Passes a span without waiting.
    fn pass(&mut self) {
        let until = calls::clock() + self.next().as_nanos() as u64;
        while calls::clock() < until {
            core::hint::spin_loop();
        }
    }
}

/// A wake-up against the end of the time.
fn bits_come_in_time_or_stay() -> Result<(), Error> {
    let (notification, next) = (Notification::new()?, Notification::new()?);
    // SAFETY: joined before the notifications go.
    let raiser = unsafe {
        scoped(|| {
            let mut spans = Spans(1);
            for _ in 0..ROUNDS {
                next.wait()?;
                spans.pass();
                notification.raise(1)?;
            }
            Ok::<(), Error>(())
        })
    }?;
    let (mut spans, mut in_time) = (Spans(2), 0);
    for _ in 0..ROUNDS {
        next.raise(1)?;
        match notification.wait_for(spans.next()) {
            Ok(bits) => {
                check!("the bit", bits, 1);
                in_time += 1;
            }
            Err(error) => {
                check!("else", error, Error::TimedOut);
                check!("the bit comes later", notification.wait(), Ok(1));
            }
        }
    }
    check!("the other", raiser.join(), Some(Ok(())));
    check!("no bit is left", notification.wait_for(Duration::ZERO), Err(Error::TimedOut));
    check!("rounds", in_time <= ROUNDS);
    Ok(())
}

/// An answer against the end of the caller's time, wherever its call is.
fn an_answer_is_taken_or_refused() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let given = AtomicU64::new(0);
    // SAFETY: joined before the endpoint goes.
    let server = unsafe {
        scoped(|| {
            let mut spans = Spans(3);
            loop {
                // Times of both sides are over now and then.
                let received = match endpoint.receive_for(spans.next()) {
                    Err(Error::TimedOut) => continue,
                    other => other?,
                };
                if received.words[0] == u64::MAX {
                    return calls::endpoint_reply(None, [0; 4]);
                }
                spans.pass();
                match calls::endpoint_reply(None, received.words) {
                    Ok(()) => _ = given.fetch_add(1, Ordering::Relaxed),
                    Err(error) => _ = check!("too late", error, Error::InvalidState),
                }
            }
        })
    }?;
    let (mut spans, mut taken) = (Spans(4), 0);
    for round in 0..ROUNDS {
        match endpoint.call_for([round; 4], 2 * spans.next()) {
            Ok(answer) => {
                check!("the call's own answer", answer.words, [round; 4]);
                taken += 1;
            }
            Err(error) => _ = check!("else", error, Error::TimedOut),
        }
    }
    check!("stop", endpoint.call([u64::MAX; 4]).is_ok());
    check!("the server", server.join(), Some(Ok(())));
    check!("answers taken and given", taken, given.load(Ordering::Relaxed));
    Ok(())
}

/// Two interrupters, a waker and a time against each other.
fn interrupters_know_what_they_did() -> Result<(), Error> {
    let notification = Notification::new()?;
    let (stop, heard) = (AtomicBool::new(false), AtomicU64::new(0));
    // SAFETY: joined before the notification goes.
    let waiter = unsafe {
        scoped(|| {
            let (mut spans, mut interrupted) = (Spans(5), 0);
            for round in 0..ROUNDS {
                let time = if round % 2 == 0 { Duration::MAX } else { spans.next() };
                match notification.wait_for(time) {
                    Ok(_) | Err(Error::TimedOut) => {}
                    Err(error) => {
                        check!("else", error, Error::Interrupted);
                        interrupted += 1;
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
            interrupted
        })
    }?;
    let handle = waiter.handle();
    let interrupter = |seed: u64| {
        let (stop, heard) = (&stop, &heard);
        move || {
            let mut spans = Spans(seed);
            while !stop.load(Ordering::Relaxed) {
                spans.pass();
                match calls::thread_interrupt(handle) {
                    Ok(ended) => _ = heard.fetch_add(u64::from(ended), Ordering::Relaxed),
                    Err(error) => _ = check!("interrupt", Err(error), Ok(true)),
                }
                // Where there is one CPU, nobody keeps it for a whole slice.
                calls::yield_now();
            }
        }
    };
    // SAFETY: joined before what they use goes.
    let first = unsafe { scoped(interrupter(6)) }?;
    // SAFETY: likewise.
    let second = unsafe { scoped(interrupter(7)) }?;
    let mut spans = Spans(8);
    while !stop.load(Ordering::Relaxed) {
        spans.pass();
        notification.raise(1)?;
        calls::yield_now();
    }
    drop((first, second));
    check!("interrupts heard and had", waiter.join(), Some(heard.load(Ordering::Relaxed)));
    Ok(())
}

/// Clients and servers with times, and somebody who interrupts them all: nobody hangs.
fn everybody_at_once() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let (left, answers) = (AtomicU64::new(4), AtomicU64::new(0));
    let client = |seed: u64| {
        let (endpoint, left, answers) = (&endpoint, &left, &answers);
        move || {
            let mut spans = Spans(seed);
            for round in 0..ROUNDS / 5 {
                let words = [seed, round, 0, 0];
                match endpoint.call_for(words, 4 * spans.next()) {
                    Ok(answer) => {
                        check!("the call's own answer", answer.words, words);
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(Error::TimedOut | Error::Interrupted | Error::PartnerGone) => {}
                    Err(error) => _ = check!("else", error, Error::TimedOut),
                }
            }
            left.fetch_sub(1, Ordering::Relaxed);
        }
    };
    let server = || {
        let mut given = 0;
        while left.load(Ordering::Relaxed) != 0 {
            let mut received = endpoint.receive_for(Duration::from_micros(50));
            while let Ok(call) = received {
                given += u64::from(calls::endpoint_reply(None, call.words).is_ok());
                received = endpoint.receive_for(Duration::from_micros(50));
            }
        }
        given
    };
    let mut clients: Vec<Joined<'_, ()>> = Vec::new();
    let mut servers: Vec<Joined<'_, u64>> = Vec::new();
    for seed in 10..14 {
        // SAFETY: joined before the endpoint goes.
        clients.push(unsafe { scoped(client(seed)) }?);
        if seed % 2 == 0 {
            // SAFETY: likewise.
            servers.push(unsafe { scoped(server) }?);
        }
    }
    let mut spans = Spans(14);
    while left.load(Ordering::Relaxed) != 0 {
        let handles = clients.iter().map(Joined::handle).chain(servers.iter().map(Joined::handle));
        for handle in handles {
            check!("interrupt", calls::thread_interrupt(handle).is_ok());
        }
        sleep(4 * spans.next());
    }
    drop(clients);
    let given: u64 = servers.into_iter().map(|server| server.join().unwrap_or(0)).sum();
    check!("answers had and given", answers.load(Ordering::Relaxed), given);
    Ok(())
}
