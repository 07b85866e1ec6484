//! Row 44: does a page that one thread writes to appear to the others with all its bytes, and never half
//! filled, whether it was untouched or showed its object before?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Protection};
use vellum_user::mapping::PAGE;
use vellum_user::testing::{Contended, Runner, Sample, race, samples, stat};
use vellum_user::{Arguments, Mapping, check, system, testing};

vellum_user::test!(main);

const PAGES: usize = 256;
/// Pages that are watched while they appear, of all samples.
const ROUNDS: usize = 100_000;
/// What is stored to the first byte of a page; no sample has it there.
const MARK: u8 = 0x51;
/// How many bytes of a page a thread looks at, each time round.
const LOOKS: usize = 3;

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    let before = stat();
    let kinds = if system::tags_supported() { 4 } else { 3 };
    let batches = ROUNDS.div_ceil(PAGES * kinds);
    for sample in samples()? {
        let more = if sample.tag == 0 { Protection::NONE } else { Protection::TAGGED };
        // SAFETY: the threads load and store single bytes of it.
        let pages = unsafe { Contended::new(sample.request(PAGES * PAGE, more).map()?) };
        let begun = stat();
        race(|runner| (0..batches).for_each(|batch| stretch(runner, &sample, &pages, batch)));
        let change = testing::Change::between(&begun, &stat());
        let made = change.faults_write_fresh + change.faults_write_cow;
        check!(format_args!("{}: pages made", sample.name), made >= (batches * PAGES) as i64);
        check!(format_args!("{}: of shown ones", sample.name), change.faults_write_cow > 0);
        check!(format_args!("{}: of untouched ones", sample.name), change.faults_write_fresh > 0);
    }
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// The first thread stores to every page, the others look at it meanwhile.
fn stretch(runner: &Runner<'_>, sample: &Sample, pages: &Mapping, batch: usize) {
    runner.meet();
    let mut wrong = None;
    for page in 0..PAGES {
        let found = if runner.index == 0 {
            store(runner, sample, pages, page, batch);
            None
        } else {
            runner.keep_pace(page + 1);
            look(runner, sample, pages, page)
        };
        wrong = wrong.or(found);
    }
    check!(format_args!("{}: a byte of no page", sample.name), wrong, None);
    runner.meet();
    if runner.index == 0 {
        let last = |page: usize| sample.read(pages, page * PAGE);
        check!("all stored", (0..PAGES).find(|page| last(*page) != MARK), None);
        check!("decommit", pages.decommit(0..pages.length()), Ok(()));
    }
}

/// Stores to a page: untouched, or on every other page and batch after a load.
fn store(runner: &Runner<'_>, sample: &Sample, pages: &Mapping, page: usize, batch: usize) {
    if (page + batch).is_multiple_of(2) {
        _ = sample.read(pages, page * PAGE);
        runner.keep_pace(page + 1);
    } else {
        runner.reach(page + 1);
    }
    sample.write(pages, page * PAGE, MARK);
}

/// Loads bytes all over a page; returns the first that is not the page's. The mark stays once seen.
fn look(runner: &Runner<'_>, sample: &Sample, pages: &Mapping, page: usize) -> Option<(usize, u8)> {
    let start = page * PAGE;
    let mut marked = false;
    for turn in 0..LOOKS {
        // The end of the page and places that differ from page to page and from thread to thread.
        let place = match turn {
            0 => PAGE - 1,
            _ => 1 + (turn * 677 + page * 131 + runner.index * 29) % (PAGE - 1),
        };
        let byte = sample.read(pages, start + place);
        if byte != sample.byte(place) {
            return Some((place, byte));
        }
        let first = sample.read(pages, start);
        if first != MARK && (marked || first != sample.byte(0)) {
            return Some((0, first));
        }
        marked = first == MARK;
    }
    None
}
