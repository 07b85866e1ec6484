//! What does a clone cost? Instructions of cloning a process that has touched a thousand pages, and
//! of each store after that, which copies the page with its tags.
//!
//! The figures belong to the measurement "paths", beside those of other faults.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use vellum_user::abi::{Error, Handle};
use vellum_user::figures::Samples;
use vellum_user::handles::Process;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, counter, println, system, testing};

vellum_user::entry!(main);

/// Pages that the process has touched, beside the few that every program has.
const TOUCHED: usize = 1000;
/// Clones that are measured.
const CLONES: usize = 16;
/// The tag of the tagged pages.
const TAG: u8 = 9;

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    let figures = arguments.has("figures");
    println!("Instructions of clones and of the stores behind them; instructions are not cycles.");
    println!("{:<26}{:>10}{:>10}{:>8}{:>8}", "case", "mean", "median", "least", "most");
    let zeros = MapRequest::anonymous(TOUCHED * PAGE).map()?;
    print("clone_1000", &mut clones(&zeros)?, figures);
    stores("write_after_fork", &zeros, 0, figures)?;
    zeros.unmap()?;
    if system::tags_supported() {
        let object = MemoryObject::tagged(TAG)?;
        let request = MapRequest::of(object.handle(), TOUCHED * PAGE).tagged();
        stores("write_after_fork_tagged", &request.map()?, TAG, figures)?;
    }
    Ok(())
}

/// Stores to every page of a mapping.
fn touch(mapping: &Mapping, tag: u8) {
    for page in 0..TOUCHED {
        store(mapping, tag, page, 1);
    }
}

#[inline(always)]
fn store(mapping: &Mapping, tag: u8, page: usize, byte: u8) {
    // SAFETY: inside a live mapping that may be written, under the tag of its memory.
    unsafe { mapping.tagged_pointer(tag, page * PAGE).write_volatile(byte) };
}

/// Counts what clones of this process take, each with all its pages written since the last.
fn clones(mapping: &Mapping) -> Result<Vec<u64>, Error> {
    let mut samples = Vec::with_capacity(CLONES);
    for _ in 0..CLONES {
        touch(mapping, 0);
        let mut clone = Err(Error::InvalidState);
        let count = counter::instructions(|| clone = calls::process_clone(Handle::SELF));
        samples.push(count.unwrap_or(0));
        drop(Process::from_handle(clone?));
    }
    Ok(samples)
}

/// Counts each first store to a page that a clone has too.
fn stores(case: &str, mapping: &Mapping, tag: u8, figures: bool) -> Result<(), Error> {
    let mut samples = vec![0; TOUCHED];
    touch(mapping, tag);
    let clone = Process::from_handle(calls::process_clone(Handle::SELF)?);
    // The clone has this program's own pages too: what is written here is copied before anything
    // is counted.
    samples.fill(0);
    let base = counter::instructions(|| {}).unwrap_or(0);
    for (page, sample) in samples.iter_mut().enumerate() {
        let count = counter::instructions(|| store(mapping, tag, page, 2));
        *sample = count.unwrap_or(0) - base;
    }
    drop(clone);
    print(case, &mut samples, figures);
    Ok(())
}

/// Prints one case for humans and, if they were asked for, as figures.
fn print(case: &str, samples: &mut [u64], figures: bool) {
    let suffix = system::figure_suffix();
    Samples { case, samples, mean: None, suffix, figures }.print(|line| println!("{line}"));
}
