//! Several threads in one process: they share its memory, wait for each other without losing a
//! wake-up, have registers of their own, and leave nothing behind however they end.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vellum_user::abi::{Error, ExitKind, Handle, WaitFlags};
use vellum_user::lock::{Condition, Mutex};
use vellum_user::threads::{Joined, scoped, spawn};
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

/// How often each thread takes the lock, or has its turn.
const ROUNDS: u64 = 2000;
const THREADS: u64 = 4;

fn main(arguments: &Arguments) -> Result<u64, Error> {
    match arguments.at(0) {
        Some("exit_with_others") => return exit_with_others(),
        Some("fault_with_others") => return fault_with_others(),
        Some("last_thread") => last_thread(),
        Some("sleepers") => return sleepers(),
        _ => {}
    }
    results_come_back()?;
    a_lock_excludes()?;
    turns_alternate()?;
    everybody_is_told()?;
    registers_are_a_threads_own()?;
    a_killed_thread_leaves_nothing()?;
    a_process_ends_with_all_its_threads();
    Ok(0)
}

/// Frees what the runtime keeps, and returns what the kernel has free.
fn at_rest() -> (u64, u64) {
    let stat = testing::stat();
    (stat.free_frames, stat.pool_bytes)
}

fn results_come_back() -> Result<(), Error> {
    // What the heap and the tables take once stays.
    drop(spawn(|| 0)?);
    let before = at_rest();
    for round in 0..20_u64 {
        let threads: Result<Vec<_>, _> = (0..THREADS).map(|n| spawn(move || round * n)).collect();
        for (number, thread) in threads?.into_iter().enumerate() {
            check!("a result", thread.join(), Some(round * number as u64));
        }
    }
    check!("free frames and kernel memory afterwards", at_rest(), before);
    Ok(())
}

fn a_lock_excludes() -> Result<(), Error> {
    static SUM: Mutex<(u64, u64)> = Mutex::new((0, 0));
    let add = || {
        for _ in 0..ROUNDS {
            let mut sum = SUM.lock();
            // Two fields that only a holder of the lock sees apart.
            sum.0 += 1;
            if sum.0.is_multiple_of(64) {
                calls::yield_now();
            }
            sum.1 += 1;
            check!("both fields", sum.0, sum.1);
        }
    };
    let threads: Vec<Joined<'_, ()>> =
        (0..THREADS).map(|_| spawn(add)).collect::<Result<_, _>>()?;
    drop(threads);
    check!("every turn counted", SUM.lock().0, ROUNDS * THREADS);
    Ok(())
}

/// Two threads hand a number to and fro: one lost wake-up and both sleep for ever.
fn turns_alternate() -> Result<(), Error> {
    static TURN: Mutex<u64> = Mutex::new(0);
    static CHANGED: Condition = Condition::new();
    let play = |own: u64| {
        move || {
            for _ in 0..ROUNDS {
                let mut turn = TURN.lock();
                while *turn % 2 != own {
                    CHANGED.wait(&mut turn);
                }
                *turn += 1;
                CHANGED.tell_one();
            }
        }
    };
    let threads = [spawn(play(0))?, spawn(play(1))?];
    drop(threads);
    check!("turns", *TURN.lock(), 2 * ROUNDS);
    Ok(())
}

/// More threads wait than one call wakes.
fn everybody_is_told() -> Result<(), Error> {
    static GATE: Mutex<bool> = Mutex::new(false);
    static OPENED: Condition = Condition::new();
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    const CROWD: u64 = 150;
    let enter = || {
        let mut open = GATE.lock();
        INSIDE.fetch_add(1, Ordering::Relaxed);
        while !*open {
            OPENED.wait(&mut open);
        }
    };
    let threads: Vec<Joined<'_, ()>> =
        (0..CROWD).map(|_| spawn(enter)).collect::<Result<_, _>>()?;
    while INSIDE.load(Ordering::Relaxed) != CROWD {
        calls::yield_now();
    }
    *GATE.lock() = true;
    OPENED.tell_all();
    let ended = threads.into_iter().map(Joined::join).filter(Option::is_some).count();
    check!("threads that came through", ended as u64, CROWD);
    Ok(())
}

/// TPIDR_EL0 and a callee-saved vector register survive switches.
fn registers_are_a_threads_own() -> Result<(), Error> {
    static READY: AtomicU64 = AtomicU64::new(0);
    let look = |number: u64| {
        move || {
            let mut wrong = 0;
            READY.fetch_add(1, Ordering::Relaxed);
            while READY.load(Ordering::Relaxed) < THREADS {
                calls::yield_now();
            }
            for round in 0..200 {
                let (tpidr, kept): (u64, u64);
                // SAFETY: the registers are this thread's own, and the clobbered ones are named.
                unsafe {
                    asm!(
                        "msr tpidr_el0, {number}",
                        "fmov d9, {number}",
                        "svc #0",
                        "mrs {tpidr}, tpidr_el0",
                        "fmov {kept}, d9",
                        number = in(reg) number + round,
                        tpidr = out(reg) tpidr,
                        kept = out(reg) kept,
                        in("x8") vellum_user::abi::Call::Yield as u64,
                        out("x0") _,
                        out("x1") _,
                        out("v9") _,
                        options(nostack),
                    );
                }
                wrong += u64::from(tpidr != number + round) + u64::from(kept != number + round);
            }
            wrong
        }
    };
    let threads: Result<Vec<_>, _> = (0..THREADS).map(|n| spawn(look(1000 * n + 1))).collect();
    for thread in threads? {
        check!("registers of another thread", thread.join(), Some(0));
    }
    Ok(())
}

fn a_killed_thread_leaves_nothing() -> Result<(), Error> {
    let before = at_rest();
    let (word, inside) = (AtomicU32::new(1), AtomicU32::new(0));
    let waiting = || {
        inside.fetch_add(1, Ordering::Relaxed);
        while word.load(Ordering::Relaxed) == 1 {
            calls::address_wait(&word, 1, WaitFlags::NONE);
        }
    };
    let spinning = || {
        inside.fetch_add(1, Ordering::Relaxed);
        while word.load(Ordering::Relaxed) == 1 {
            core::hint::spin_loop();
        }
    };
    for round in 0..50 {
        // SAFETY: dropped before `word` goes.
        let waiter = unsafe { scoped(waiting) }?;
        // SAFETY: likewise.
        let spinner = unsafe { scoped(spinning) }?;
        // A thread that is ended while it begins keeps the lock of the heap.
        while inside.load(Ordering::Relaxed) != 2 * (round + 1) {
            calls::yield_now();
        }
        for _ in 0..round % 5 {
            calls::yield_now();
        }
        for thread in [&waiter, &spinner] {
            check!("kill", calls::thread_kill(thread.handle()), Ok(()));
            let again = calls::thread_kill(thread.handle());
            check!("kill again", again, Err(Error::InvalidState));
        }
        check!("no result", (waiter.join(), spinner.join()), (None, None));
    }
    check!("nobody waits there any more", calls::address_wake(&word, 64, WaitFlags::NONE), 0);
    check!("free frames and kernel memory afterwards", at_rest(), before);
    Ok(())
}

fn a_process_ends_with_all_its_threads() {
    for (name, kind, status) in [
        ("exit_with_others", ExitKind::Exited, 7),
        ("last_thread", ExitKind::Exited, 0),
        ("sleepers", ExitKind::Exited, 9),
    ] {
        for _ in 0..10 {
            let report = testing::run_self(&[name]);
            check!(name, (report.kind, report.status), (kind as u64, status));
        }
    }
    let report = testing::run_self(&["fault_with_others"]);
    check!("a fault", report.kind, ExitKind::NotMapped as u64);
}

/// Starts threads of every kind: that run, that wait, that make calls.
fn start_others() -> Result<(), Error> {
    static WORD: AtomicU32 = AtomicU32::new(0);
    core::mem::forget(spawn(|| {
        loop {
            core::hint::spin_loop();
        }
    })?);
    for _ in 0..3 {
        core::mem::forget(spawn(|| {
            loop {
                calls::address_wait(&WORD, 0, WaitFlags::NONE);
            }
        })?);
        core::mem::forget(spawn(|| {
            loop {
                drop(vellum_user::Mapping::anonymous(1 << 20));
            }
        })?);
    }
    Ok(())
}

fn exit_with_others() -> Result<u64, Error> {
    start_others()?;
    calls::yield_now();
    calls::exit(7)
}

fn fault_with_others() -> Result<u64, Error> {
    start_others()?;
    let nowhere: *const u64 = core::ptr::with_exposed_provenance(0x8);
    // SAFETY: it faults, which is the point.
    Ok(unsafe { nowhere.read_volatile() })
}

/// The first thread goes, the others go one by one: with the last one the process ends.
fn last_thread() -> ! {
    for _ in 0..3 {
        core::mem::forget(spawn(calls::yield_now));
    }
    calls::thread_exit()
}

/// A child in which everybody waits, ended by its parent, which is another thread's child here.
fn sleepers() -> Result<u64, Error> {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let threads: Result<Vec<_>, _> =
        (0..THREADS).map(|_| spawn(|| calls::address_wait(&WORD, 0, WaitFlags::NONE))).collect();
    let threads = threads?;
    calls::yield_now();
    check!(
        "the priority of the first program's children",
        { calls::thread_set_priority(Handle::SELF, 3) },
        Ok(())
    );
    core::mem::forget(threads);
    calls::exit(9)
}
