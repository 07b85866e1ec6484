//! Does unmapping give every frame and every translation table back, in any size, order and part?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, MapFlags, MapOptions, PAGE_SIZE, PageState, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::Change;
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

/// Bytes below one entry of each level's table.
const LEVEL_3: usize = 512 * PAGE;
const LEVEL_2: usize = 512 * LEVEL_3;
const LEVEL_1: usize = 512 * LEVEL_2;
/// A place where no tables are yet, at the start of what a root entry covers.
const PLACE: usize = 2 * LEVEL_1;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(0xaa)?;
    // The tables and pools that the first use of anything needs.
    whole(&pattern, PLACE, 8 * PAGE, PAGE)?;
    for (length, step) in [
        (PAGE, PAGE),
        (600 * PAGE, PAGE),
        (64 << 20, 64 * PAGE),
        (3 * LEVEL_2, LEVEL_2 / 4),
        (2 * LEVEL_1, LEVEL_1 / 8),
        // Most of the user half.
        (100 * LEVEL_1, LEVEL_1),
    ] {
        for start in [PLACE, PLACE + PAGE, PLACE + LEVEL_2 - PAGE] {
            let change = testing::measure_value(|| whole(&pattern, start, length, step));
            change.0?;
            check_nothing_left(&change.1, format_args!("{length:#x} bytes at {start:#x}"));
        }
    }
    let change = testing::measure_value(|| in_pieces(&pattern));
    change.0?;
    check_nothing_left(&change.1, format_args!("in pieces"));
    let change = testing::measure_value(|| over_holes(&pattern));
    change.0?;
    check_nothing_left(&change.1, format_args!("over holes"));
    let change = testing::measure_value(|| beside_others(&pattern));
    change.0?;
    check_nothing_left(&change.1, format_args!("beside others"));
    Ok(())
}

fn check_nothing_left(change: &Change, name: core::fmt::Arguments) {
    check!(format_args!("{name}: private frames"), change.private_frames, 0);
    check!(format_args!("{name}: table frames"), change.pt_frames, 0);
    check!(format_args!("{name}: free frames"), change.free_frames, 0);
    check!(format_args!("{name}: mappings"), change.mappings, 0);
    check!(format_args!("{name}: kernel memory"), change.pool_bytes, 0);
    check!(format_args!("{name}: account"), change.account_frames, 0);
}

/// Maps, reads and writes some pages, and unmaps the whole at once.
fn whole(object: &MemoryObject, start: usize, length: usize, step: usize) -> Result<(), Error> {
    let pages = MapRequest::of(object.handle(), length).at(start).map()?;
    let mut private = 0;
    let change = testing::measure(|| {
        for (index, offset) in (0..length).step_by(step).enumerate() {
            _ = pages.read(offset);
            if index.is_multiple_of(2) {
                pages.write(offset, 1);
                private += 1;
            }
        }
        pages.write(length - 1, 1);
    });
    let last = pages.page_state(length - 1) == PageState::Private;
    check!("the last page", last);
    check!("tables were needed", change.pt_frames >= 1 || start != PLACE);
    check!(
        "private frames",
        change.private_frames == private || change.private_frames == private + 1
    );
    pages.unmap()
}

/// Unmaps page by page, from both ends to the middle.
fn in_pieces(object: &MemoryObject) -> Result<(), Error> {
    const PAGES: usize = 1500;
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).at(PLACE + 100 * PAGE).map()?;
    (0..PAGES).for_each(|page| pages.write(page * PAGE, 1));
    for index in 0..PAGES / 2 {
        for page in [index, PAGES - 1 - index] {
            let address = pages.pointer(page * PAGE).addr() as u64;
            // SAFETY: no Rust value lives in the mapping.
            let unmapped = unsafe { calls::unmap(Handle::SELF, address, PAGE_SIZE) };
            if !check!(format_args!("page {page}"), unmapped, Ok(())) {
                return Err(Error::InvalidState);
            }
        }
    }
    check!("the whole again", pages.unmap(), Err(Error::NotMapped));
    // From the inside out: every second page, then the others.
    let pages = MapRequest::of(object.handle(), 100 * PAGE).at(PLACE).map()?;
    pages.fill(7);
    let before = testing::stat();
    for page in (1..100).step_by(2).chain((0..100).step_by(2)) {
        let address = pages.pointer(page * PAGE).addr() as u64;
        // SAFETY: no Rust value lives in the mapping.
        let unmapped = unsafe { calls::unmap(Handle::SELF, address, PAGE_SIZE) };
        check!(format_args!("every second page, {page}"), unmapped, Ok(()));
        if page == 49 {
            check!("mappings between the holes", testing::stat().mappings, before.mappings + 25);
            check!("neighbours", (pages.read(48 * PAGE), pages.read(50 * PAGE)), (7, 7));
        }
    }
    check!("the whole at last", pages.unmap(), Err(Error::NotMapped));
    Ok(())
}

/// Unmaps a range that mappings cover in parts.
fn over_holes(object: &MemoryObject) -> Result<(), Error> {
    for place in [PLACE, PLACE + LEVEL_3, PLACE + 3 * LEVEL_2, PLACE + LEVEL_1] {
        let pages = MapRequest::of(object.handle(), 3 * PAGE).at(place + 5 * PAGE).map()?;
        pages.write(PAGE, 1);
        _ = pages.leak();
    }
    // SAFETY: nothing but what was just mapped is there.
    let unmapped = unsafe { calls::unmap(Handle::SELF, PLACE as u64, 2 * LEVEL_1 as u64) };
    check!("a range with holes", unmapped, Ok(()));
    // SAFETY: nothing is there.
    let unmapped = unsafe { calls::unmap(Handle::SELF, PLACE as u64, 2 * LEVEL_1 as u64) };
    check!("a range of nothing", unmapped, Err(Error::NotMapped));
    Ok(())
}

/// Tables that neighbours still need stay, and go with the last of them.
fn beside_others(object: &MemoryObject) -> Result<(), Error> {
    let at = |page: usize| MapRequest::of(object.handle(), PAGE).at(PLACE + page * PAGE).map();
    let (low, middle, high) = (at(0)?, at(2)?, at(511)?);
    let tables = testing::stat().pt_frames;
    for page in [&low, &middle, &high] {
        page.write(0, 1);
    }
    let used = testing::stat().pt_frames;
    check!("three tables for all three", used, tables + 3);
    middle.unmap()?;
    check!("after the middle one", testing::stat().pt_frames, used);
    low.unmap()?;
    check!("after the lower one", testing::stat().pt_frames, used);
    check!("the upper one", (high.read(0), high.read(1)), (1, 0xaa));
    high.unmap()?;
    check!("after the last", testing::stat().pt_frames, tables);
    replaced(object)
}

/// A range that is replaced gives its frames back too.
fn replaced(object: &MemoryObject) -> Result<(), Error> {
    let pages: Mapping = MapRequest::of(object.handle(), 8 * PAGE).at(PLACE).map()?;
    pages.fill(1);
    let options = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: MapFlags::FIXED | MapFlags::REPLACE,
        ..MapOptions::default()
    };
    let change = testing::measure(|| {
        let (address, length) = ((PLACE + 2 * PAGE) as u64, 4 * PAGE_SIZE);
        // SAFETY: no Rust value lives in the mapping.
        let placed =
            unsafe { calls::map(Handle::SELF, Handle::ANONYMOUS, address, length, options, 0) };
        check!("replacing the middle", placed, Ok(address));
    });
    check!("frames of the middle", change.private_frames, -4);
    check!("mappings", change.mappings, 2);
    check!("the new middle", pages.first_other(2 * PAGE..6 * PAGE, 0), None);
    check!("what is left", pages.first_other(0..2 * PAGE, 1), None);
    check!("on both sides", pages.first_other(6 * PAGE..8 * PAGE, 1), None);
    check!("its protection", pages.query(3 * PAGE).protection, options.protection.bits());
    pages.unmap()
}
