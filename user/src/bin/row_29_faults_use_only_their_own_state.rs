//! Row 29: do faults of every kind on several CPUs at once, each on a page of its own, change what the
//! same faults change one after the other, and nothing else?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use vellum_user::abi::{Error, Handle, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Change, Contended, Sample, race, samples, stat};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

/// Pages of each mapping; the threads share them out one by one.
const PAGES: usize = 96;
/// What is done to a page, in all.
const DEEDS: usize = 4;
const ROUNDS: usize = 10_000;
/// What is stored, and where.
const MARK: u8 = 0x51;
const PLACE: usize = 100;

/// A mapping and what its pages show.
struct Ground {
    sample: Sample,
    pages: Mapping,
}

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    let before = stat();
    // What tables and the runtime's heap take once is there afterwards.
    _ = alone()?;
    let want = alone()?;
    let mut rounds = 0;
    while rounds < ROUNDS {
        rounds += together(&want)?;
    }
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Maps an object of each kind, and memory, its pages there and shared.
fn grounds() -> Result<Vec<Ground>, Error> {
    let mut all = Vec::with_capacity(8);
    for sample in samples()? {
        let more = if sample.tag == 0 { Protection::NONE } else { Protection::TAGGED };
        let pages = sample.request(PAGES * PAGE, more).map()?;
        all.push(Ground { sample, pages });
    }
    for is_shared in [false, true] {
        let memory = MemoryObject::new((PAGES * PAGE) as u64)?;
        let request = MapRequest::of(memory.handle(), PAGES * PAGE);
        let pages = if is_shared { request.shared() } else { request }.map()?;
        // Anonymous zeros are what memory shows.
        let mut sample =
            samples()?.find(|sample| sample.name == "zero").expect("a sample of zeros");
        sample.name = if is_shared { "shared memory" } else { "private memory" };
        all.push(Ground { sample, pages });
    }
    Ok(all)
}

/// Returns what one thread changes that does everything.
fn alone() -> Result<Change, Error> {
    let all = grounds()?;
    let change = testing::measure(|| {
        (0..all.len() * PAGES).for_each(|turn| deed(&all, turn));
    });
    whole(&all);
    Ok(change)
}

/// Lets all threads do it at once, each its part. Returns how many pages that were.
fn together(want: &Change) -> Result<usize, Error> {
    // SAFETY: the threads load and store single bytes of the mappings.
    let all = unsafe { Contended::new(grounds()?) };
    let turns = all.len() * PAGES;
    race(|runner| {
        runner.meet();
        let before = stat();
        runner.meet();
        for step in 0..turns.div_ceil(runner.all) {
            runner.keep_pace(step + 1);
            let turn = step * runner.all + runner.index;
            if turn < turns {
                deed(&all, turn);
            }
        }
        runner.meet();
        if runner.index == 0 {
            same(&Change::between(&before, &stat()), want);
        }
    });
    whole(&all);
    Ok(turns)
}

/// Does to one page what its number says.
fn deed(all: &[Ground], turn: usize) {
    let (ground, page) = (&all[turn % all.len()], turn / all.len());
    let Ground { sample, pages } = ground;
    let place = page * PAGE + PLACE;
    let is_read = page % DEEDS != 1;
    if is_read {
        check!(sample.name, sample.read(pages, place), sample.byte(PLACE));
    }
    match page % DEEDS {
        0 => {}
        1 | 2 => sample.write(pages, place, MARK),
        _ => {
            let address = pages.pointer(place).addr() as u64;
            // SAFETY: no Rust value lives in the mapping.
            let written = unsafe { calls::memory_write(Handle::SELF, address, &[MARK]) };
            check!("the kernel's store", written, (1, Ok(())));
        }
    }
}

/// Compares what faults count. Tables are left out: which of them the stacks of threads share with the
/// mappings is a matter of places.
fn same(got: &Change, want: &Change) {
    let of = |change: &Change| {
        [
            ("private frames", change.private_frames),
            ("shown", change.faults_read_map),
            ("made at once", change.faults_write_fresh),
            ("made of shown ones", change.faults_write_cow),
            ("upgraded", change.faults_write_upgrade),
            ("of memory", change.faults_object),
            ("spurious", change.faults_spurious),
            ("of tags", change.faults_tag),
            ("denied", change.faults_denied),
            ("invalidations", change.tlbi_count),
            ("bytes filled", change.bytes_filled),
            ("bytes copied", change.bytes_copied),
            ("tag bytes written", change.tag_bytes_written),
        ]
    };
    check!("counters", of(got), of(want));
}

/// Checks pages byte by byte.
fn whole(all: &[Ground]) {
    for Ground { sample, pages } in all {
        let byte = |offset: usize| match (offset % PAGE, offset / PAGE % DEEDS) {
            (PLACE, 1..) => MARK,
            _ => sample.byte(offset),
        };
        let mut places = (PLACE..pages.length()).step_by(4);
        let wrong = places.find(|offset| sample.read(pages, *offset) != byte(*offset));
        check!(format_args!("{}: a byte that is wrong", sample.name), wrong, None);
    }
}
