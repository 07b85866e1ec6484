//! Threads and processes that end while others start, end or wait for them, at the worst moments: each is
//! taken down once, nobody waits for ever, and nothing stays behind.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};
use vellum_user::abi::{Advice, Call, Error, ExitKind, FOR_EVER, Handle, WaitFlags};
use vellum_user::handles::{Process, Thread};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::{Joined, spawn};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const ROUNDS: u64 = 300;
/// A priority below that of this program.
const BELOW: u64 = 8;
/// Pages whose first writes take longer than a time slice.
const MANY: usize = 24 * 1024;

fn main(_: &Arguments) -> Result<(), Error> {
    a_process_that_never_started_ends_with_its_last_handle()?;
    a_thread_that_must_end_waits_for_less_urgent_ones()?;
    who_waits_at_an_object_that_is_gone_takes_no_others_wake_up()?;
    // What the kernel takes once stays.
    one_thread_ends_as_its_process_is_ended(0)?;
    let before = at_rest();
    (0..ROUNDS).try_for_each(one_thread_ends_as_its_process_is_ended)?;
    check!("free frames and kernel memory", at_rest(), before);
    (0..ROUNDS).try_for_each(one_thread_ends_as_another_starts)?;
    check!("free frames and kernel memory afterwards", at_rest(), before);
    Ok(())
}

fn at_rest() -> (u64, u64, u64) {
    let stat = testing::stat();
    (stat.free_frames, stat.pool_bytes, stat.processes_live)
}

/// Lets so many turns of a loop pass.
fn pass(turns: u64) {
    (0..turns).for_each(|_| core::hint::spin_loop());
}

/// Who waits for the end of such a process is no handle: the wait ends when nobody could start it any more.
fn a_process_that_never_started_ends_with_its_last_handle() -> Result<(), Error> {
    for round in 0..20 {
        let process = calls::process_create(Handle::SELF)?;
        let waiter = spawn(move || calls::process_wait(process))?;
        (0..round).for_each(|_| calls::yield_now());
        check!("close", calls::handle_close(process), Ok(()));
        let kind = waiter.join().map(|report| report.map(|report| report.kind));
        let expected = [Some(Ok(ExitKind::Killed as u64)), Some(Err(Error::BadHandle))];
        check!("killed, or closed too early", expected.contains(&kind));
    }
    Ok(())
}

/// A thread ends whose word lies where a less urgent one changes memory. It cannot go before that is done,
/// and must not keep the CPU from it.
fn a_thread_that_must_end_waits_for_less_urgent_ones() -> Result<(), Error> {
    static GATE: AtomicU32 = AtomicU32::new(0);
    static CHANGES: AtomicU32 = AtomicU32::new(0);
    let memory = Mapping::anonymous(MANY * PAGE)?;
    let (start, length) = (memory.address() as u64, memory.length() as u64);
    let gate = GATE.as_ptr().expose_provenance() as u64;
    let arguments = [gate, 0, WaitFlags::NONE.bits(), FOR_EVER, 0, 0];
    // SAFETY: the thread waits at a word, and its own is in memory that nobody looks at.
    let urgent =
        unsafe { testing::repeat_call(Handle::SELF, start, Call::AddressWait, arguments, 1) }?;
    let below = |thread: &Joined<'_, ()>| calls::thread_set_priority(thread.handle(), BELOW);
    let changing = spawn(move || {
        while CHANGES.load(Ordering::Relaxed) == 0 {
            calls::yield_now();
        }
        CHANGES.store(2, Ordering::Relaxed);
        let all = [Handle::SELF.to_word(), start, length, Advice::PopulateWrite as u64];
        // SAFETY: the pages are there afterwards, and hold what they held.
        check!("populate", unsafe { testing::try_call(Call::Advise, &all) }, Ok(0));
    })?;
    // Its first turn behind that is in the middle of the change, where there is one CPU.
    let waking = spawn(|| {
        while CHANGES.load(Ordering::Relaxed) != 2 {
            calls::yield_now();
        }
        GATE.store(1, Ordering::Relaxed);
        calls::address_wake(&GATE, 1, WaitFlags::NONE);
    })?;
    below(&changing)?;
    below(&waking)?;
    CHANGES.store(1, Ordering::Relaxed);
    drop((changing, waking));
    drop(Thread::from_handle(urgent));
    memory.unmap()
}

/// A thread waits at a word of an object whose last mapping then goes: objects that are made later, perhaps
/// where that one was, have nobody who waits.
fn who_waits_at_an_object_that_is_gone_takes_no_others_wake_up() -> Result<(), Error> {
    let shared = |object: &MemoryObject| MapRequest::of(object.handle(), PAGE).shared().map();
    let object = MemoryObject::new(PAGE as u64)?;
    let mapping = shared(&object)?;
    let word = mapping.address() as u64;
    let arguments = [word, 0, WaitFlags::SHARED.bits(), FOR_EVER, 0, 0];
    // SAFETY: the thread looks at a word of its own and waits, until it is ended.
    let waiter =
        unsafe { testing::repeat_call(Handle::SELF, 0, Call::AddressWait, arguments, 1 << 40) }?;
    // Until it waits, wherever it runs.
    (0..20).for_each(|_| calls::yield_now());
    pass(1 << 16);
    mapping.unmap()?;
    drop(object);
    // No later mapping comes to the address.
    let kept = MapRequest::anonymous(PAGE).at(word as usize).map()?;
    for _ in 0..64 {
        let object = MemoryObject::new(PAGE as u64)?;
        let mapping = shared(&object)?;
        let wake = [mapping.address() as u64, 1, WaitFlags::SHARED.bits()];
        // SAFETY: the call touches no memory.
        let woken = unsafe { testing::try_call(Call::AddressWake, &wake) };
        check!("threads that wait at a new object", woken, Ok(0));
        mapping.unmap()?;
    }
    kept.unmap()?;
    check!("the end of who waits still", calls::thread_kill(waiter), Ok(()));
    drop(Thread::from_handle(waiter));
    Ok(())
}

/// Makes a clone of this process with a thread that makes some calls and ends.
fn clone_with_thread(calls_made: u64) -> Result<(Process, Thread), Error> {
    let process = Process::from_handle(calls::process_clone(Handle::SELF)?);
    let thread = thread_of(&process, calls_made)?;
    Ok((process, thread))
}

fn thread_of(process: &Process, calls_made: u64) -> Result<Thread, Error> {
    // SAFETY: the call does nothing.
    let thread =
        unsafe { testing::repeating(process.handle(), 0, Call::Null, [0; 6], calls_made) }?;
    Ok(Thread::from_handle(thread))
}

/// The last thread of a process ends while somebody ends the process.
fn one_thread_ends_as_its_process_is_ended(round: u64) -> Result<(), Error> {
    let (process, thread) = clone_with_thread(round % 7)?;
    check!("start", thread.start(), Ok(()));
    pass(round * 37 % 4096);
    let killed = calls::process_kill(process.handle());
    let report = process.wait()?;
    let kind = if killed.is_ok() { ExitKind::Killed } else { ExitKind::Exited };
    check!("who was first says why", report.kind, kind as u64);
    check!("or finds it ended", killed.is_ok() || killed == Err(Error::InvalidState));
    Ok(())
}

/// The last thread of a process ends while somebody starts another: that runs or is refused.
fn one_thread_ends_as_another_starts(round: u64) -> Result<(), Error> {
    let (process, thread) = clone_with_thread(round % 7)?;
    let second = thread_of(&process, 1)?;
    check!("start", thread.start(), Ok(()));
    pass(round * 37 % 4096);
    let started = second.start();
    check!("runs or is refused", started.is_ok() || started == Err(Error::InvalidState));
    check!("the end", process.wait()?.kind, ExitKind::Exited as u64);
    Ok(())
}
