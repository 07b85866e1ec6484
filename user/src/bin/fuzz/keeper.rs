//! A process in an account of its own that keeps two workers alive: whatever ends one, another begins.
//!
//! It is nobody's target, has all its pages, and makes nothing that needs the heap once it runs: what fails
//! is tried again. A worker begins as a clone of one that was loaded and never runs, so that a life costs
//! little.

use crate::arguments::Slot;
use crate::board::{self, GIVEN, board};
use crate::values::{PLAYGROUND, PLAYGROUND_BYTES};
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Error, Handle, MapFlags, Registers, Rights};
use vellum_user::loader::Child;
use vellum_user::threads::{Joined, spawn};
use vellum_user::{Process, Thread, calls, testing};

/// How many there are.
pub(crate) const KEEPERS: usize = 2;
/// How many workers each has.
pub(crate) const EACH: usize = 2;
/// The status by which a worker ends whose drivers all waited.
pub(crate) const STUCK: u64 = 50;
/// The place of the handle to the page of words among those of a keeper: no worker gets it.
pub(crate) const BOARD: usize = Slot::Thread as usize;
/// Bytes of a stack that a thread uses here at most.
const STACK: usize = 16 * 1024;

/// The workers' processes: each gets a handle to the other.
static WORKERS: [AtomicU64; EACH] = [const { AtomicU64::new(0) }; EACH];

/// Keeps workers until the round is over.
///
/// # Errors
/// What fails before they run.
pub(crate) fn keep(number: usize) -> Result<(), Error> {
    let templates: Vec<_> = (0..EACH).map(|index| template(number, index)).collect();
    let tend = |(index, template)| spawn(move || tend(number, index, &template));
    let threads: Result<Vec<_>, _> = templates.into_iter().enumerate().map(tend).collect();
    let threads = threads?;
    board().wait_for_end();
    // Some may be at work for longer than anybody has time for, and the others wait.
    while !threads.iter().all(Joined::has_ended) {
        for worker in &WORKERS {
            let worker = Handle::from_word(worker.load(Ordering::Relaxed));
            _ = worker.map(calls::process_kill);
        }
        calls::yield_now();
    }
    threads.into_iter().for_each(|thread| _ = thread.join());
    Ok(())
}

fn kept(number: usize, index: usize) -> Option<Handle> {
    Handle::from_word(board().kept[number][index].load(Ordering::Relaxed))
        .filter(|h| h.to_word() != 0)
}

/// Loads a worker that will never run.
fn template(number: usize, index: usize) -> (Child, Registers) {
    let child = testing::load_self(&[&format!("worker={}", number * EACH + index)]);
    let process = child.process.handle();
    let handle = |index| kept(number, index).expect("given before the keeper runs");
    board::map_into(process, handle(BOARD)).expect("a page of words");
    let playground = handle(Slot::Memory as usize);
    board::share(process, playground, PLAYGROUND, PLAYGROUND_BYTES, MapFlags::NONE)
        .expect("a playground");
    let registers = child.thread.registers().expect("a stopped thread");
    (child, registers)
}

/// Lets one worker live after the other.
fn tend(number: usize, index: usize, (template, registers): &(Child, Registers)) {
    core::hint::black_box([0_u8; STACK]);
    // From now on any allocation may fail: nobody may need one who is no worker.
    board().ready.fetch_add(1, Ordering::Relaxed);
    while board().ready.load(Ordering::Relaxed) < (KEEPERS * EACH) as u64 {
        calls::yield_now();
    }
    while !board().is_over() {
        if life(number, index, &template.process, registers).is_err() {
            calls::yield_now();
        }
    }
    // Perhaps no driver came to say so.
    board().end();
}

/// Lets a worker live, until it ends by itself or by another's hand.
fn life(
    number: usize,
    index: usize,
    template: &Process,
    registers: &Registers,
) -> Result<(), Error> {
    let worker = Process::from_handle(calls::process_clone(template.handle())?);
    let thread: Thread = worker.thread()?;
    thread.write_registers(registers)?;
    let given = &board().given[number * EACH + index];
    given.iter().for_each(|handle| handle.store(0, Ordering::Relaxed));
    thread.start()?;
    WORKERS[index].store(worker.handle().to_word(), Ordering::Relaxed);
    for slot in (0..GIVEN).filter(|slot| *slot != BOARD) {
        let other = || Handle::from_word(WORKERS[1 - index].load(Ordering::Relaxed));
        let handle = if slot == Slot::Process as usize { other() } else { kept(number, slot) };
        let rights = rights(slot);
        let copy =
            handle.and_then(|handle| calls::handle_copy(worker.handle(), handle, rights).ok());
        given[slot].store(copy.map_or(0, Handle::to_word), Ordering::Relaxed);
    }
    let report = loop {
        if let Ok(report) = worker.wait() {
            break report;
        }
    };
    let ends = &board().ends;
    let end = if report.status == STUCK { ends.len() - 1 } else { report.kind as usize };
    ends[end].fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Every right that a handle of this kind has when it is made.
pub(crate) const fn rights(slot: usize) -> Rights {
    let none = if slot == Slot::Memory as usize || slot == BOARD {
        Rights::MANAGE.bits()
    } else if slot == Slot::Endpoint as usize || slot == Slot::Notification as usize {
        Rights::MAP.bits() | Rights::EXECUTE.bits()
    } else {
        0
    };
    match Rights::from_bits(Rights::ALL.bits() & !none) {
        Some(rights) => rights,
        None => Rights::NONE,
    }
}
