//! Row 37: does a decommitted page show its object again, tags included, and give its frame back?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, PageState};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, system, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const TAG: u8 = 6;
const PAGES: usize = 8;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(PATTERN)?;
    decommits(&MapRequest::of(pattern.handle(), PAGES * PAGE).map()?, "pattern", PATTERN, 0);
    decommits(&Mapping::anonymous(PAGES * PAGE)?, "zeros", 0, 0);
    let content = Mapping::anonymous(PAGE)?;
    content.fill(0x11);
    content.write(100, 0x22);
    let bytes = MemoryObject::reference(&content_of(&content))?;
    let page = MapRequest::of(bytes.handle(), PAGE).map()?;
    page.fill(1);
    page.decommit(0..PAGE)?;
    check!("bytes", (page.read(99), page.read(100), page.read(101)), (0x11, 0x22, 0x11));
    if system::tags_supported() {
        let tagged = MemoryObject::tagged(TAG)?;
        let request = MapRequest::of(tagged.handle(), PAGES * PAGE).tagged();
        decommits(&request.map()?, "tagged", 0, TAG);
        let zeros = MapRequest::of(Handle::ANONYMOUS, PAGES * PAGE).tagged().map()?;
        decommits(&zeros, "tagged zeros", 0, 0);
    }
    Ok(())
}

#[repr(align(4096))]
struct Content([u8; PAGE]);

impl core::ops::Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

fn content_of(page: &Mapping) -> Content {
    Content(core::array::from_fn(|offset| page.read(offset)))
}

/// Writes the middle pages of a mapping, in different ways, and decommits some of them.
fn decommits(pages: &Mapping, name: &str, byte: u8, tag: u8) {
    let name = |what| Name(name, what);
    pages.write_as(tag, PAGE, 1);
    _ = pages.read_as(tag, 2 * PAGE);
    pages.write_as(tag, 2 * PAGE, 2);
    _ = pages.read_as(tag, 3 * PAGE);
    pages.write_as(tag, 5 * PAGE, 5);
    if tag != 0 {
        (PAGE..3 * PAGE).step_by(16).for_each(|offset| pages.set_tag(offset, tag ^ 1));
    }
    let change = testing::measure(|| {
        check!(name("decommit"), pages.decommit(PAGE..4 * PAGE), Ok(()));
    });
    check!(name("private frames"), change.private_frames, -2);
    check!(name("free frames"), change.free_frames, 2);
    check!(name("mappings"), change.mappings, 0);
    check!(name("state of a written page"), pages.page_state(PAGE), PageState::Untouched);
    check!(name("state of another"), pages.page_state(5 * PAGE), PageState::Private);
    for page in 1..4 {
        let (start, end) = (page * PAGE, (page + 1) * PAGE);
        check!(name("byte"), pages.read_as(tag, start), byte);
        if tag != 0 {
            check!(name("tags"), pages.first_other_tag(start..end, tag), None);
        }
    }
    check!(name("what was not decommitted"), pages.read_as(tag, 5 * PAGE), 5);
    // Written again, it is a fresh copy of the object and not what it was.
    let change = testing::measure(|| pages.write_as(tag, PAGE + 8, 9));
    check!(name("private again"), (change.private_frames, change.faults()), (1, 1));
    check!(name("the byte before"), pages.read_as(tag, PAGE), byte);
    if tag == 0 {
        check!(name("bytes before"), pages.first_other(PAGE..PAGE + 8, byte), None);
        check!(name("bytes behind"), pages.first_other(PAGE + 16..2 * PAGE, byte), None);
    }
}

/// A name in two parts.
struct Name<'a>(&'a str, &'a str);

impl core::fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        write!(formatter, "{}: {}", self.0, self.1)
    }
}
