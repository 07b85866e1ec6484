//! Row 9: is a page of one repeated byte made by a fill, without a copy?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ObjectKind, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    content.write(77, 0xaa);
    let object = testing::reference(&content, 77, 1)?;
    let info = object.query()?;
    check!("kind", info.kind, ObjectKind::Pattern as u64);
    check!("byte", info.detail, 0xaa);
    for more in testing::attributes() {
        fresh_and_copy(&object, more)?;
    }
    Ok(())
}

/// Writes to an untouched page, and to one that was read.
fn fresh_and_copy(object: &MemoryObject, more: Protection) -> Result<(), Error> {
    let request = MapRequest::of(object.handle(), 3 * PAGE);
    let pages = MapRequest { protection: request.protection | more, ..request }.map()?;
    check!("the page that is read", pages.read(PAGE), 0xaa);
    for (name, page) in [("untouched", 0), ("read before", 1)] {
        let change = testing::measure(|| pages.write(page * PAGE + 9, 1));
        check!(name, change.bytes_filled, PAGE as i64);
        check!(name, change.bytes_copied, 0);
        check!(name, change.private_frames, 1);
        check!(name, change.faults(), 1);
        let tag_bytes = if more == Protection::TAGGED { 128 } else { 0 };
        check!(name, change.tag_bytes_written, tag_bytes);
        let byte_fn = |offset| if offset % PAGE == 9 { 1 } else { 0xaa };
        let wrong = testing::wrong_byte(&pages, page * PAGE..(page + 1) * PAGE, byte_fn);
        check!(name, wrong, None);
        if more == Protection::TAGGED {
            check!(name, pages.first_other_tag(page * PAGE..(page + 1) * PAGE, 0), None);
        }
    }
    Ok(())
}
