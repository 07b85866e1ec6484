//! Row 41: are tags kept and checked in mappings that ask for it, and nowhere else?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ExitKind, Handle};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

const TAG: u8 = 9;
const OTHER: u8 = 3;

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require_tags();
    let object = MemoryObject::tagged(TAG)?;
    if arguments.has("mismatch") {
        let page = MapRequest::of(object.handle(), PAGE).tagged().map()?;
        _ = page.read_as(OTHER, 0);
        return Ok(());
    }
    for handle in [object.handle(), Handle::ANONYMOUS] {
        without_tags(handle)?;
    }
    with_tags(&object)?;
    let report = testing::run_self(&["mismatch"]);
    check!("a mismatch where tags are checked", report.kind, ExitKind::TagCheck as u64);
    check!("its tags", (report.logical_tag, report.allocation_tag), (3, 9));
    Ok(())
}

fn without_tags(object: Handle) -> Result<(), Error> {
    let page = MapRequest::of(object, PAGE).map()?;
    check!("no tags on an untouched page", page.first_other_tag(0..PAGE, 0), None);
    check!("any tag may read", page.read_as(OTHER, 5), 0);
    page.write_as(TAG, 6, 1);
    check!("no tags on a private page", page.first_other_tag(0..PAGE, 0), None);
    page.set_tag(16, TAG);
    check!("a tag that is set is not kept", page.tag(16), 0);
    check!("any tag may read what was written", page.read_as(OTHER, 6), 1);
    page.write_as(OTHER, 16, 2);
    check!("any tag may write", page.read(16), 2);
    Ok(())
}

fn with_tags(object: &MemoryObject) -> Result<(), Error> {
    let page = MapRequest::of(object.handle(), PAGE).tagged().map()?;
    check!("tags of an untouched page", page.first_other_tag(0..PAGE, TAG), None);
    page.write_as(TAG, 0, 1);
    check!("tags of a private page", page.first_other_tag(0..PAGE, TAG), None);
    page.set_tag(16, OTHER);
    check!("a tag that is set is kept", page.tag(16), OTHER);
    check!("its neighbours stay", (page.tag(0), page.tag(32)), (TAG, TAG));
    check!("the byte behind it", page.read_as(OTHER, 16), 0);
    Ok(())
}
