//! Row 45: does a page that one thread writes to have all its tags before another sees it, whether its
//! tags are made by a fill or copied, and whether it was untouched or showed its object before?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::tags::GRANULE;
use vellum_user::testing::{
    Contended, Runner, mixed, mixed_tag, race, reference, stat, write_bytes,
};
use vellum_user::{Arguments, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

const PAGES: usize = 256;
/// Pages that are watched while they appear, of both objects.
const ROUNDS: usize = 100_000;
const TAG: u8 = 9;
/// The tag that frames have when they are given back.
const STALE: u8 = 3;
const GRANULES: usize = PAGE / GRANULE;
/// How many granules of a page a thread looks at.
const LOOKS: usize = 3;

/// Bytes and tags that the pages of an object have.
struct Content {
    name: &'static str,
    byte_fn: fn(usize) -> u8,
    tag_fn: fn(usize) -> u8,
}

const FILLED: Content = Content { name: "filled", byte_fn: |_| 0, tag_fn: |_| TAG };
const COPIED: Content = Content { name: "copied", byte_fn: mixed, tag_fn: mixed_tag };

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    testing::require_tags();
    let before = stat();
    watch(&MemoryObject::tagged(TAG)?, &FILLED)?;
    watch(&copied()?, &COPIED)?;
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Makes an object whose bytes and tags no fill can make.
fn copied() -> Result<MemoryObject, Error> {
    let page = MapRequest::anonymous(PAGE).tagged().map()?;
    write_bytes(&page, 0..PAGE, mixed);
    (0..GRANULES).for_each(|granule| page.set_tag(granule * GRANULE, mixed_tag(granule)));
    reference(&page, 0, PAGE)
}

fn watch(object: &MemoryObject, content: &Content) -> Result<(), Error> {
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).tagged().map()?;
    // SAFETY: the threads load and store single bytes and tags of it.
    let pages = unsafe { Contended::new(pages) };
    let begun = stat();
    let batches = ROUNDS.div_ceil(2 * PAGES);
    race(|runner| (0..batches).for_each(|batch| stretch(runner, content, &pages, batch)));
    let change = testing::Change::between(&begun, &stat());
    let made = change.faults_write_fresh + change.faults_write_cow;
    check!(format_args!("{}: pages made", content.name), made >= (batches * PAGES) as i64);
    check!(format_args!("{}: of shown ones", content.name), change.faults_write_cow > 0);
    check!(format_args!("{}: of untouched ones", content.name), change.faults_write_fresh > 0);
    Ok(())
}

/// The first thread stores to every page, the others look at it meanwhile.
fn stretch(runner: &Runner<'_>, content: &Content, pages: &Mapping, batch: usize) {
    runner.meet();
    let mut wrong = None;
    for page in 0..PAGES {
        let found = if runner.index == 0 {
            store(runner, content, pages, page, batch);
            None
        } else {
            runner.keep_pace(page + 1);
            look(runner, content, pages, page)
        };
        wrong = wrong.or(found);
    }
    check!(format_args!("{}: a tag or byte of no page", content.name), wrong, None);
    runner.meet();
    if runner.index == 0 {
        // The next pages are made of these frames.
        for page in 0..PAGES {
            [0, GRANULES / 2, GRANULES - 1]
                .iter()
                .for_each(|granule| pages.set_tag(page * PAGE + granule * GRANULE, STALE));
        }
        check!("decommit", pages.decommit(0..pages.length()), Ok(()));
    }
}

/// Stores to a page, a byte or a tag: untouched, or on every other page and batch after a load.
fn store(runner: &Runner<'_>, content: &Content, pages: &Mapping, page: usize, batch: usize) {
    let (start, tag) = (page * PAGE, (content.tag_fn)(0));
    if (page + batch).is_multiple_of(2) {
        _ = pages.read_as(tag, start);
        runner.keep_pace(page + 1);
    } else {
        runner.reach(page + 1);
    }
    if page.is_multiple_of(3) {
        pages.set_tag(start, tag);
    } else {
        pages.write_as(tag, start, (content.byte_fn)(0));
    }
}

/// Loads tags, and bytes under them, all over a page; returns the first place that is wrong. A load
/// under a tag that the memory does not have ends the program.
fn look(
    runner: &Runner<'_>,
    content: &Content,
    pages: &Mapping,
    page: usize,
) -> Option<(usize, u8, u8)> {
    (0..LOOKS).find_map(|turn| {
        let granule = match turn {
            0 => GRANULES - 1,
            1 => GRANULES / 2,
            _ => (turn * 53 + page * 31 + runner.index * 7) % GRANULES,
        };
        let (place, want) = (granule * GRANULE + turn, (content.tag_fn)(granule));
        let byte = pages.read_as(want, page * PAGE + place);
        let tag = pages.tag(page * PAGE + place);
        (tag != want || byte != (content.byte_fn)(place)).then_some((place, tag, byte))
    })
}
