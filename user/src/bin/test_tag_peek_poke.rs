//! Do `tags_read` and `tags_write` move exact tags of another process's memory, make clean pages
//! private first, and refuse memory without tags?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, MapFlags, MapOptions, Protection, Rights};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, calls, check, system, testing};

vellum_user::test!(main);

/// Where the other process has its pages.
const THERE: u64 = 0x52_0000_0000;
/// Tags of a page, and of three.
const GRANULES: usize = PAGE / 16;
const PAGES: usize = 3;
const ALL: usize = PAGES * GRANULES;

fn main(_: &Arguments) -> Result<(), Error> {
    if !system::tags_supported() {
        check_without_tags();
    }
    testing::require_tags();
    let object = MemoryObject::tagged(6)?;
    let other = Process::new()?;
    let protection = Protection::READ | Protection::WRITE | Protection::TAGGED;
    let options = MapOptions { protection, flags: MapFlags::FIXED, ..MapOptions::default() };
    other.map(object.handle(), THERE, (PAGES * PAGE) as u64, options, 0)?;
    check_clean_pages(&other)?;
    check_exact_tags(&other)?;
    check_reference_is_untouched(&object)?;
    check_ends(&other, &object)?;
    check_rights(&other)
}

/// On a machine without tags there are none to move.
fn check_without_tags() {
    let mut tags = [0];
    let page = Mapping::anonymous(PAGE).expect("a page");
    let read = calls::tags_read(Handle::SELF, page.address() as u64, &mut tags);
    check!("read without tags", read, (0, Err(Error::TagsUnsupported)));
    // SAFETY: no Rust value lives in the mapping.
    let written = unsafe { calls::tags_write(Handle::SELF, page.address() as u64, &tags) };
    check!("written without tags", written, (0, Err(Error::TagsUnsupported)));
}

fn read(process: &Process, address: u64, count: usize) -> ([u8; ALL], (usize, Result<(), Error>)) {
    let mut tags = [0xff; ALL];
    let answer = calls::tags_read(process.handle(), address, &mut tags[..count]);
    (tags, answer)
}

fn write(process: &Process, address: u64, tags: &[u8]) -> (usize, Result<(), Error>) {
    // SAFETY: the memory belongs to another process.
    unsafe { calls::tags_write(process.handle(), address, tags) }
}

/// Reads of untouched pages show the reference page and take no frame.
fn check_clean_pages(other: &Process) -> Result<(), Error> {
    let before = other.stat()?.private_frames;
    let (tags, answer) = read(other, THERE, ALL);
    check!("clean pages", answer, (ALL, Ok(())));
    check!("their tags", tags.iter().all(|tag| *tag == 6));
    check!("frames of reads", other.stat()?.private_frames - before, 0);
    Ok(())
}

/// Writes over page borders; what is outside the range stays.
fn check_exact_tags(other: &Process) -> Result<(), Error> {
    let before = other.stat()?.private_frames;
    let tags: [u8; GRANULES + 2] = core::array::from_fn(testing::mixed_tag);
    let start = THERE + PAGE as u64 - 16;
    check!("written", write(other, start, &tags), (tags.len(), Ok(())));
    check!("frames of writes", other.stat()?.private_frames - before, PAGES as u64);
    let (got, answer) = read(other, THERE, ALL);
    check!("read back", answer, (ALL, Ok(())));
    let first = GRANULES - 1;
    let wrong = (0..ALL).find(|index| {
        let inside = index.checked_sub(first).and_then(|index| tags.get(index));
        got[*index] != inside.copied().unwrap_or(6)
    });
    check!("the first wrong tag", wrong, None);
    let mut bytes = [1; 64];
    check!("bytes", other.read(start, &mut bytes).0, 64);
    check!("bytes stay", bytes, [0; 64]);
    Ok(())
}

/// What was written there is not to be seen in another mapping of the object.
fn check_reference_is_untouched(object: &MemoryObject) -> Result<(), Error> {
    let pages = MapRequest::of(object.handle(), PAGE).tagged().map()?;
    check!("tags of the reference page", pages.first_other_tag(0..PAGE, 6), None);
    Ok(())
}

/// Counts are exact where something stops the call.
fn check_ends(other: &Process, object: &MemoryObject) -> Result<(), Error> {
    let end = THERE + (PAGES * PAGE) as u64;
    check!("past the end", read(other, end - 32, 5).1, (2, Err(Error::BadAddress)));
    check!("past the end, written", write(other, end - 32, &[1; 5]), (2, Err(Error::BadAddress)));
    check!("no tag", write(other, THERE, &[1, 15, 16, 1]), (2, Err(Error::InvalidContent)));
    let [first, second, third, ..] = read(other, THERE, 3).0;
    check!("up to it", [first, second, third], [1, 15, 6]);
    check!("nothing", write(other, THERE, &[]), (0, Ok(())));
    check!("half a granule", read(other, THERE + 8, 1).1, (0, Err(Error::Misaligned)));
    check!("a tagged address", read(other, THERE | 9 << 56, 1).1, (1, Ok(())));
    // Memory that can be read only, and memory without tags, behind a page with them.
    let protection = Protection::READ | Protection::TAGGED;
    other.protect(THERE + PAGE as u64, PAGE as u64, protection)?;
    let border = THERE + PAGE as u64 - 16;
    check!("read-only", write(other, border, &[1; 3]), (1, Err(Error::BadAddress)));
    check!("read-only, read", read(other, border, 3).1, (3, Ok(())));
    let plain = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: MapFlags::FIXED,
        ..MapOptions::default()
    };
    other.map(object.handle(), end, PAGE as u64, plain, 0)?;
    let before = other.stat()?.private_frames;
    check!("untagged", read(other, end - 16, 3).1, (1, Err(Error::NotTagged)));
    check!("untagged, written", write(other, end - 16, &[1; 3]), (1, Err(Error::NotTagged)));
    check!("frames of refusals", other.stat()?.private_frames - before, 0);
    Ok(())
}

/// INSPECT reads, MANAGE writes.
fn check_rights(other: &Process) -> Result<(), Error> {
    let inspect = calls::handle_copy(Handle::SELF, other.handle(), Rights::INSPECT)?;
    let manage = calls::handle_copy(Handle::SELF, other.handle(), Rights::MANAGE)?;
    let (inspect, manage) = (Process::from_handle(inspect), Process::from_handle(manage));
    check!("INSPECT reads", read(&inspect, THERE, 1).1, (1, Ok(())));
    check!("INSPECT writes", write(&inspect, THERE, &[1]), (0, Err(Error::MissingRight)));
    check!("MANAGE writes", write(&manage, THERE, &[2]), (1, Ok(())));
    check!("MANAGE reads", read(&manage, THERE, 1).1, (0, Err(Error::MissingRight)));
    Ok(())
}
