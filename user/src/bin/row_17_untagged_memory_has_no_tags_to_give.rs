//! Row 17: are tags left alone wherever memory is not mapped as tagged memory?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ObjectKind, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, system, testing};

vellum_user::test!(main);

const TAG: u8 = 0xb;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        let pages = sample.request(2 * PAGE, Protection::NONE).map()?;
        check!(sample.name, pages.read(PAGE), sample.byte(0));
        for page in 0..2 {
            let change = testing::measure(|| pages.write(page * PAGE, 1));
            check!(sample.name, change.faults(), 1);
            check!(sample.name, change.tag_bytes_written, 0);
        }
    }
    if system::tags_supported() { tagged() } else { Ok(()) }
}

/// The frames of the content have tags all the time; what counts is how they are mapped.
fn tagged() -> Result<(), Error> {
    let content = MapRequest::anonymous(PAGE).tagged().map()?;
    testing::write_bytes(&content, 0..PAGE, testing::mixed);
    content.set_tags(TAG);
    for size in [16, 256, PAGE] {
        let object = testing::reference(&content, 0, size)?;
        let page = MapRequest::of(object.handle(), PAGE).tagged().map()?;
        check!("tags of tagged content", page.first_other_tag(0..PAGE, TAG), None);
    }
    content.protect(Protection::READ | Protection::WRITE)?;
    check!("tags of untagged memory", content.first_other_tag(0..PAGE, 0), None);
    content.set_tags(TAG);
    for size in [16, 256, PAGE] {
        let object = testing::reference(&content, 0, size)?;
        let page = MapRequest::of(object.handle(), PAGE).tagged().map()?;
        check!("tags of untagged content", page.first_other_tag(0..PAGE, 0), None);
        page.write(0, 1);
        check!("tags of a copy", page.first_other_tag(0..PAGE, 0), None);
    }
    zeros(&content)?;
    checks(&content);
    Ok(())
}

/// Zeros under a tag that nobody can see are zeros under none.
fn zeros(content: &Mapping) -> Result<(), Error> {
    content.fill(0);
    let info = testing::reference(content, 0, 16)?.query()?;
    check!("kind", (info.kind, info.detail), (ObjectKind::Tagged as u64, 0));
    Ok(())
}

/// Without tags any pointer will do.
fn checks(content: &Mapping) {
    content.write_as(3, 100, 0x77);
    check!("through another tag", content.read_as(4, 100), 0x77);
}
