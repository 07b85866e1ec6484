//! Does each of many processes see its own memory and nobody else's, at the same addresses, however often
//! they take turns on the CPUs? With an argument, also: do identifiers have so many bits?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::fork::fork;
use vellum_user::mapping::PAGE;
use vellum_user::testing::{Contended, stat};
use vellum_user::threads::scoped;
use vellum_user::{Arguments, Mapping, Process, calls, check, testing};

vellum_user::test!(main);

const PROCESSES: usize = 20;
const TURNS: usize = 300;
const PAGES: usize = 8;
const DONE: u64 = 42;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let Some(bits) = arguments.at(0).and_then(|bits| bits.parse::<u64>().ok()) {
        check!("bits of an identifier", calls::system_query().asid_bits, bits);
    }
    let before = stat();
    // SAFETY: the threads of a process load and store single bytes of it.
    let pages = unsafe { Contended::new(Mapping::anonymous(PAGES * PAGE)?) };
    let mut processes = [const { None::<Process> }; PROCESSES];
    for (number, process) in processes.iter_mut().enumerate() {
        *process = Some(fork(|| live(&pages, number as u8 + 1))?);
    }
    for process in processes.into_iter().flatten() {
        let report = process.wait()?;
        check!("a process", (report.status, testing::exited_with(&report, DONE)), (DONE, true));
    }
    drop(pages);
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Two threads of a process, so that it may run on two CPUs at once, each with half of the pages.
fn live(pages: &Contended<Mapping>, own: u8) -> u64 {
    let half = PAGES / 2;
    // SAFETY: joined below, before what is borrowed goes.
    let other = unsafe { scoped(|| take_turns(pages, own, half..PAGES)) };
    let wrong = take_turns(pages, own, 0..half);
    match other.map(|other| other.join()) {
        Ok(Some(0)) if wrong == 0 => DONE,
        _ => 1000 + wrong as u64,
    }
}

/// Stores, lets others run, looks at what is there, and gives a page back; returns how often it was
/// somebody else's.
fn take_turns(pages: &Mapping, own: u8, range: core::ops::Range<usize>) -> usize {
    let mut wrong = 0;
    for turn in 0..TURNS {
        range.clone().for_each(|page| pages.write(page * PAGE + turn, own));
        calls::yield_now();
        wrong += range.clone().filter(|page| pages.read(page * PAGE + turn) != own).count();
        let given = range.start + turn % range.len();
        wrong += usize::from(pages.decommit(given * PAGE..(given + 1) * PAGE).is_err());
        calls::yield_now();
        wrong += usize::from(pages.read(given * PAGE + turn) != 0);
    }
    wrong
}
