//! Row 27: do unmap, decommit and exit leave the frame alone that a hundred thousand pages show?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, MapOptions, PageState, Protection};
use vellum_user::mapping::PAGE;
use vellum_user::testing::{Sample, measure_value};
use vellum_user::{Arguments, Mapping, calls, check, testing};

vellum_user::test!(main);

const PAGES: usize = 100_000;
/// Where a child has the pages.
const PLACE: usize = 0x40_0000_0000;
/// Frames that are dirtied afterwards: a frame freed by mistake would be among them.
const REUSED: usize = 1000;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.has("child") {
        return read_and_exit();
    }
    check!("a child", testing::run("hello", &[]).status, 0);
    for sample in testing::samples()? {
        let elsewhere = sample.request(PAGE, Protection::NONE).map()?;
        check!(sample.name, elsewhere.read(0), sample.byte(0));
        unmap_and_decommit(&sample)?;
        still_there(&sample, &elsewhere)?;
        exit(&sample)?;
        still_there(&sample, &elsewhere)?;
    }
    Ok(())
}

fn unmap_and_decommit(sample: &Sample) -> Result<(), Error> {
    let before = testing::stat();
    let pages = sample.request(PAGES * PAGE, Protection::NONE).map()?;
    let (wrong, read) = measure_value(|| touch(&pages, |_| sample.byte(0)));
    check!(sample.name, wrong, None);
    check!(sample.name, read.faults_read_map, PAGES as i64);
    let (result, change) = measure_value(|| pages.decommit(0..PAGES * PAGE));
    check!(sample.name, result, Ok(()));
    check!(sample.name, (change.free_frames, change.private_frames), (0, 0));
    let states = [0, PAGES / 2, PAGES - 1].map(|page| pages.page_state(page * PAGE));
    check!(sample.name, states, [PageState::ReadShared; 3]);
    let (result, change) = measure_value(|| pages.unmap());
    check!(sample.name, result, Ok(()));
    check!(sample.name, (change.free_frames, change.private_frames), (-change.pt_frames, 0));
    let after = testing::stat();
    check!(sample.name, after.free_frames, before.free_frames);
    check!(sample.name, after.account_frames, before.account_frames);
    check!(sample.name, after.refpages_live, before.refpages_live);
    Ok(())
}

/// A child that has mapped the object reads every page and exits.
fn exit(sample: &Sample) -> Result<(), Error> {
    let before = testing::stat();
    let child = testing::load_self(&["child"]);
    let object = sample.request(0, Protection::NONE).object;
    let options = MapOptions { protection: Protection::READ, ..MapOptions::default() };
    child.process.map(object, PLACE as u64, (PAGES * PAGE) as u64, options, 0)?;
    child.start()?;
    check!(sample.name, testing::exited_with(&child.wait()?, 0));
    let after = testing::stat();
    check!(sample.name, after.free_frames, before.free_frames);
    check!(sample.name, after.refpages_live, before.refpages_live);
    Ok(())
}

/// A test reads every page of its own before `main`, those that the parent mapped too.
fn read_and_exit() -> Result<(), Error> {
    let info = calls::query_mapping(Handle::SELF, PLACE as u64)?;
    check!(
        "the parent's mapping",
        (info.start, info.length),
        (PLACE as u64, (PAGES * PAGE) as u64)
    );
    check!("read", testing::stat().faults_read_map >= PAGES as u64);
    let last = calls::query_mapping(Handle::SELF, (PLACE + (PAGES - 1) * PAGE) as u64)?;
    check!("the last page", last.page, PageState::ReadShared as u64);
    Ok(())
}

fn touch(pages: &Mapping, byte_fn: impl Fn(usize) -> u8) -> Option<usize> {
    (0..PAGES).find(|page| pages.read(page * PAGE) != byte_fn(*page))
}

/// The object still shows what it did, also when every frame that was freed is somebody's again.
fn still_there(sample: &Sample, elsewhere: &Mapping) -> Result<(), Error> {
    let others = Mapping::anonymous(REUSED * PAGE)?;
    others.fill(0xee);
    let byte_fn = |offset| sample.byte(offset);
    check!(sample.name, testing::wrong_byte(elsewhere, 0..PAGE, byte_fn), None);
    let again = sample.request(PAGE, Protection::NONE).map()?;
    check!(sample.name, testing::wrong_byte(&again, 0..PAGE, byte_fn), None);
    Ok(())
}
