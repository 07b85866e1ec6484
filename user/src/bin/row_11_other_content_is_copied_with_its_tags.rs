//! Row 11: are all other bytes copied, with their tags where the content has whole tag granules?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ObjectKind, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, system, tags, testing};

vellum_user::test!(main);

/// What page 0 of a mapping is for: to be written first. Page 1 is read first.
const PAGES: usize = 2;

fn main(_: &Arguments) -> Result<(), Error> {
    let plain = Mapping::anonymous(PAGE)?;
    testing::write_bytes(&plain, 0..PAGE, testing::mixed);
    for size in [2, 8, 16, 64, 2048, 4096] {
        let object = testing::reference(&plain, 0, size)?;
        for more in testing::attributes() {
            show(&object, size, more, |_| 0)?;
        }
    }
    if !system::tags_supported() {
        return Ok(());
    }
    let tagged = MapRequest::anonymous(PAGE).tagged().map()?;
    testing::write_bytes(&tagged, 0..PAGE, testing::mixed);
    for offset in (0..PAGE).step_by(tags::GRANULE) {
        tagged.set_tag(offset, testing::mixed_tag(offset / tags::GRANULE));
    }
    for size in [2, 8, 16, 32, 256, 2048, 4096] {
        let object = testing::reference(&tagged, 0, size)?;
        let whole = size >= tags::GRANULE;
        let tag_fn = |offset| if whole { testing::mixed_tag(offset % size / 16) } else { 0 };
        show(&object, size, Protection::TAGGED, tag_fn)?;
        show(&object, size, Protection::NONE, |_| 0)?;
    }
    Ok(())
}

/// Looks at a page before a write, and at copies made by a first write and by a write after it.
fn show(
    object: &MemoryObject,
    size: usize,
    more: Protection,
    tag_fn: impl Fn(usize) -> u8,
) -> Result<(), Error> {
    let name = format_args!("{size} bytes, {more:?}");
    check!(name, object.query()?.kind, ObjectKind::Bytes as u64);
    let request = MapRequest::of(object.handle(), PAGES * PAGE);
    let pages = MapRequest { protection: request.protection | more, ..request }.map()?;
    let byte_fn = |offset: usize| testing::mixed(offset % PAGE % size);
    let look = |page: usize| {
        let range = page * PAGE..(page + 1) * PAGE;
        check!(name, testing::wrong_byte(&pages, range.clone(), byte_fn), None);
        if system::tags_supported() {
            check!(name, testing::wrong_tag(&pages, range, |offset| tag_fn(offset % PAGE)), None);
        }
    };
    look(1);
    let tag_bytes = if more == Protection::TAGGED { 128 } else { 0 };
    for page in 0..PAGES {
        // The store leaves the byte that is there.
        let place = page * PAGE + 3000;
        let (tag, byte) = (tag_fn(place % PAGE), byte_fn(place));
        let change = testing::measure(|| pages.write_as(tag, place, byte));
        check!(name, change.bytes_copied, PAGE as i64);
        check!(name, change.bytes_filled, 0);
        check!(name, change.tag_bytes_written, tag_bytes);
        check!(name, change.faults_write_fresh, i64::from(page == 0));
        check!(name, change.faults_write_cow, i64::from(page == 1));
        check!(name, change.faults(), 1);
        look(page);
    }
    Ok(())
}
