//! K12: do tags last exactly as long as their owner has the page: through protection, shared views
//! and copies, and not a moment longer, whatever the frame is used for next?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, MapFlags, MapOptions, Protection};
use vellum_user::fork::fork;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, calls, check, testing};

vellum_user::test!(main);

/// Pages that are tagged and given back: what is freed last is given out first.
const PAGES: usize = 64;
const TAG: u8 = 0xb;
const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
const TAGGED: Protection = READ_WRITE.union(Protection::TAGGED);

/// Uses frames that had tags; returns how many granules show one.
type Use = fn() -> Result<usize, Error>;

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_tags();
    tags_survive_protection()?;
    tags_survive_a_clone()?;
    tags_of_shared_pages_are_one()?;
    let uses: [(&str, Use); 6] = [
        ("pages that were decommitted", decommitted),
        ("an object that was first touched without tags", object_without_tags),
        ("copies of an object's pages", copies_of_object),
        ("copies of a pattern", copies_of_pattern),
        ("pages that become tagged", become_tagged),
        ("pages in the place of tables", behind_tables),
    ];
    for (name, use_fn) in uses {
        leave_tags()?;
        check!(name, use_fn()?, 0);
    }
    Ok(())
}

/// Tags pages and gives them back.
fn leave_tags() -> Result<(), Error> {
    let pages = MapRequest::anonymous(PAGES * PAGE).tagged().map()?;
    pages.set_tags(TAG);
    pages.unmap()
}

/// Returns how many granules have a tag.
fn stale(pages: &Mapping) -> usize {
    (0..pages.length()).step_by(16).filter(|offset| pages.tag(*offset) != 0).count()
}

/// Touches every page by stores.
fn touch(pages: &Mapping) {
    (0..pages.pages()).for_each(|page| pages.write(page * PAGE + 8, 1));
}

fn tags_survive_protection() -> Result<(), Error> {
    let pages = MapRequest::anonymous(2 * PAGE).tagged().map()?;
    for offset in (0..2 * PAGE).step_by(16) {
        pages.set_tag(offset, testing::mixed_tag(offset / 16));
    }
    let no_access = Protection::TAGGED;
    for protection in [Protection::READ | Protection::TAGGED, no_access, TAGGED] {
        pages.protect(protection)?;
    }
    let wrong = testing::wrong_tag(&pages, 0..2 * PAGE, |offset| testing::mixed_tag(offset / 16));
    check!("tags after changes of protection", wrong, None);
    Ok(())
}

/// Both sides get copies with the tags, and then each has its own.
fn tags_survive_a_clone() -> Result<(), Error> {
    let pages = MapRequest::anonymous(2 * PAGE).tagged().map()?;
    let mixed = |offset: usize| testing::mixed_tag(offset / 16);
    (0..2 * PAGE).step_by(16).for_each(|offset| pages.set_tag(offset, mixed(offset)));
    let clone = fork(|| {
        pages.write_as(mixed(0), 0, 1);
        pages.set_tag(PAGE, mixed(PAGE) ^ 1);
        let first = testing::wrong_tag(&pages, 0..PAGE, mixed).is_none();
        let second = testing::wrong_tag(&pages, PAGE + 16..2 * PAGE, mixed).is_none();
        u64::from(!(first && second && pages.tag(PAGE) == mixed(PAGE) ^ 1))
    })?;
    check!("tags in a clone", testing::exited_with(&clone.wait()?, 0));
    check!("tags beside a clone", testing::wrong_tag(&pages, 0..2 * PAGE, mixed), None);
    pages.write_as(mixed(0), 0, 1);
    check!("tags of a copy", testing::wrong_tag(&pages, 0..2 * PAGE, mixed), None);
    Ok(())
}

/// Two views of this process and one of another, which the kernel touches in its place.
fn tags_of_shared_pages_are_one() -> Result<(), Error> {
    const THERE: u64 = 0x53_0000_0000;
    let object = MemoryObject::new(2 * PAGE as u64)?;
    let view = || MapRequest::of(object.handle(), 2 * PAGE).shared().tagged().map();
    let (first, second) = (view()?, view()?);
    let other = Process::new()?;
    let flags = MapFlags::FIXED | MapFlags::SHARED;
    let options = MapOptions { protection: TAGGED, flags, ..MapOptions::default() };
    other.map(object.handle(), THERE, 2 * PAGE as u64, options, 0)?;
    // Each touches a page that the others have touched or not.
    first.set_tag(0, 1);
    second.set_tag(16, 2);
    // SAFETY: the memory is the other process's, and here no Rust value lives in it.
    let written = unsafe { calls::tags_write(other.handle(), THERE + 32, &[3]) };
    check!("a tag by another process", written, (1, Ok(())));
    // SAFETY: as above.
    let written = unsafe { calls::tags_write(other.handle(), THERE + PAGE as u64, &[4]) };
    check!("a tag of an untouched page", written, (1, Ok(())));
    second.set_tag(PAGE + 16, 5);
    for pages in [&first, &second] {
        let tags = [0, 16, 32, 48, PAGE, PAGE + 16, PAGE + 32].map(|offset| pages.tag(offset));
        check!("tags in a view", tags, [1, 2, 3, 0, 4, 5, 0]);
    }
    let mut tags = [0xff; 4];
    let read = calls::tags_read(other.handle(), THERE, &mut tags);
    check!("tags there", (read, tags), ((4, Ok(())), [1, 2, 3, 0]));
    Ok(())
}

fn decommitted() -> Result<usize, Error> {
    let pages = MapRequest::anonymous(PAGES * PAGE).tagged().map()?;
    pages.set_tags(TAG);
    pages.decommit(0..PAGES * PAGE)?;
    let clean = stale(&pages);
    touch(&pages);
    Ok(clean + stale(&pages))
}

fn object_without_tags() -> Result<usize, Error> {
    let object = MemoryObject::new((PAGES * PAGE) as u64)?;
    touch(&MapRequest::of(object.handle(), PAGES * PAGE).shared().map()?);
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).shared().tagged().map()?;
    Ok(stale(&pages))
}

fn copies_of_object() -> Result<usize, Error> {
    let object = MemoryObject::new((PAGES * PAGE) as u64)?;
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).tagged().map()?;
    touch(&pages);
    Ok(stale(&pages))
}

fn copies_of_pattern() -> Result<usize, Error> {
    let object = MemoryObject::pattern(0x55)?;
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).tagged().map()?;
    touch(&pages);
    Ok(stale(&pages))
}

fn become_tagged() -> Result<usize, Error> {
    let pages = Mapping::anonymous(PAGES * PAGE)?;
    touch(&pages);
    pages.protect(TAGGED)?;
    Ok(stale(&pages))
}

/// Frames that were tables, and had tags before.
fn behind_tables() -> Result<usize, Error> {
    for page in 0..8 {
        let far = MapRequest::anonymous(PAGE).at(0x54_0000_0000 + (page << 30)).map()?;
        far.write(0, 1);
    }
    let pages = MapRequest::anonymous(PAGES * PAGE).tagged().map()?;
    touch(&pages);
    Ok(stale(&pages))
}
