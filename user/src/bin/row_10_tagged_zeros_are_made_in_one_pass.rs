//! Row 10: are 16 zero bytes under one tag enough to get pages of zeros under it, without a copy?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ObjectKind};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, system, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    if !system::tags_supported() {
        return untagged();
    }
    for tag in [9, 0, 1, 15] {
        tagged(tag)?;
    }
    Ok(())
}

fn tagged(tag: u8) -> Result<(), Error> {
    // The granules around the content have other tags and bytes.
    let content = MapRequest::anonymous(PAGE).tagged().map()?;
    content.fill(0x33);
    (160..176).for_each(|offset| content.write(offset, 0));
    content.set_tags(tag ^ 6);
    content.set_tag(160, tag);
    let object = testing::reference(&content, 160, 16)?;
    let info = object.query()?;
    check!("kind", info.kind, ObjectKind::Tagged as u64);
    check!("tag", info.detail, u64::from(tag));
    let pages = MapRequest::of(object.handle(), 3 * PAGE).tagged().map()?;
    check!("the page that is read", pages.read_as(tag, PAGE), 0);
    check!("its tags", pages.first_other_tag(PAGE..2 * PAGE, tag), None);
    for (name, page) in [("untouched", 0), ("read before", 1)] {
        let change = testing::measure(|| pages.write_as(tag, page * PAGE + 9, 1));
        check!(name, change.bytes_filled, PAGE as i64);
        check!(name, change.bytes_copied, 0);
        check!(name, change.tag_bytes_written, 128);
        check!(name, change.faults(), 1);
        check!(name, change.faults_write_fresh, i64::from(page == 0));
        check!(name, pages.first_other_tag(page * PAGE..(page + 1) * PAGE, tag), None);
        let byte_fn = |offset| u8::from(offset == page * PAGE + 9);
        check!(name, testing::wrong_byte(&pages, page * PAGE..(page + 1) * PAGE, byte_fn), None);
    }
    Ok(())
}

/// Without tags, 16 zeros are zeros.
fn untagged() -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    content.fill(0x33);
    (160..176).for_each(|offset| content.write(offset, 0));
    let object = testing::reference(&content, 160, 16)?;
    check!("kind", object.query()?.kind, ObjectKind::Tagged as u64);
    check!("tag", object.query()?.detail, 0);
    let page = Mapping::private(&object, PAGE)?;
    let change = testing::measure(|| page.write(0, 0));
    check!("filled", change.bytes_filled, PAGE as i64);
    check!("copied", change.bytes_copied, 0);
    check!("tags", change.tag_bytes_written, 0);
    check!("zeros", page.first_other(0..PAGE, 0), None);
    Ok(())
}
