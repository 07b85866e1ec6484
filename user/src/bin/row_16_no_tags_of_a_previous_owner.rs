//! Row 16: can a program ever load a tag that a previous owner of a frame stored?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, testing};

vellum_user::test!(main);

/// The tag that the previous owner leaves everywhere.
const TAG: u8 = 0xb;
/// Pages that the previous owner tags: what it frees last is what is given out next, and all of
/// the pages below are fewer.
const TAGGED_PAGES: usize = 2048;
/// Pages of content.
const PAGES: usize = 256;

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require_tags();
    if arguments.has("owner") {
        return own();
    }
    check!("the previous owner", testing::exited_with(&testing::run_self(&["owner"]), 0));
    let contents = Mapping::anonymous(PAGES * PAGE)?;
    let change = testing::measure(|| {
        (0..PAGES).for_each(|page| contents.write(page * PAGE + page % PAGE, 1));
    });
    check!("pages without tags cost no tags", change.tag_bytes_written, 0);
    for (page, size) in (0..PAGES).zip((4..=12).map(|shift| 1 << shift).cycle()) {
        object_of(&contents, page * PAGE, size)?;
    }
    // The pages themselves, once they are mapped as tagged memory.
    contents.protect(Protection::READ | Protection::WRITE | Protection::TAGGED)?;
    check!("pages that become tagged", contents.first_other_tag(0..PAGES * PAGE, 0), None);
    for sample in testing::samples()? {
        let fresh = sample.request(32 * PAGE, Protection::TAGGED).map()?;
        (0..32).for_each(|page| sample.write(&fresh, page * PAGE, 1));
        let stale = fresh.first_other_tag(0..fresh.length(), sample.tag);
        check!(format_args!("fresh pages: {}", sample.name), stale, None);
    }
    let shared = vellum_user::MemoryObject::new(64 * PAGE as u64)?;
    let object = MapRequest::of(shared.handle(), 64 * PAGE).tagged().shared().map()?;
    check!("a memory object", object.first_other_tag(0..64 * PAGE, 0), None);
    Ok(())
}

/// Tags every page and exits.
fn own() -> Result<(), Error> {
    let pages = MapRequest::anonymous(TAGGED_PAGES * PAGE).tagged().map()?;
    pages.set_tags(TAG);
    check!("tagged", pages.first_other_tag(0..TAGGED_PAGES * PAGE, TAG), None);
    _ = pages.leak();
    Ok(())
}

/// Makes an object of content without tags and looks at the tags of its page, and of a copy of it.
fn object_of(contents: &Mapping, offset: usize, size: usize) -> Result<(), Error> {
    let object = testing::reference(contents, offset, size)?;
    let pages = MapRequest::of(object.handle(), 2 * PAGE).tagged().map()?;
    check!("tags of the object", pages.first_other_tag(0..PAGE, 0), None);
    pages.write(0, 1);
    pages.write(PAGE, 1);
    check!("tags of copies", pages.first_other_tag(0..2 * PAGE, 0), None);
    Ok(())
}
