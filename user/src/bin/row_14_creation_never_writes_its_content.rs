//! Row 14: does making an object leave its content, and the page around it, exactly as it was?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, system, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(0x5a)?;
    // Read-only content that shares a frame, in three ways of being there.
    let read_only = MapRequest::of(pattern.handle(), PAGE).read_only().map()?;
    let writable = Mapping::private(&pattern, PAGE)?;
    check!("present", writable.read(0), 0x5a);
    let untouched = Mapping::private(&pattern, PAGE)?;
    for content in [&read_only, &writable, &untouched] {
        for size in [1, 16, PAGE] {
            create(content, 0, size, PageState::ReadShared)?;
            check!("content", content.first_other(0..PAGE, 0x5a), None);
        }
    }
    // Private content between 4095 other bytes, made read-only afterwards.
    let own = Mapping::anonymous(PAGE)?;
    testing::write_bytes(&own, 0..PAGE, testing::mixed);
    for protection in [Protection::READ | Protection::WRITE, Protection::READ] {
        own.protect(protection)?;
        for (offset, size) in [(1001, 1), (0, 1), (4095, 1), (1008, 16), (0, PAGE)] {
            create(&own, offset, size, PageState::Private)?;
            check!("the page", testing::wrong_byte(&own, 0..PAGE, testing::mixed), None);
        }
    }
    if system::tags_supported() {
        tagged()?;
    }
    Ok(())
}

/// Makes an object, which takes one frame and none of the content's process.
fn create(content: &Mapping, offset: usize, size: usize, state: PageState) -> Result<(), Error> {
    let name = format_args!("{size} bytes at {offset}");
    let (object, change) = testing::measure_value(|| testing::reference(content, offset, size));
    let object = object?;
    check!(name, change.private_frames, 0);
    check!(name, change.faults_write_cow + change.faults_write_fresh, 0);
    check!(name, change.free_frames + change.pt_frames, -1);
    check!(name, change.kernel_bytes_written(), 0);
    check!(name, content.page_state(offset), state);
    let page = Mapping::private(&object, PAGE)?;
    check!(name, page.read(PAGE - 1), content.read(offset + size - 1));
    Ok(())
}

/// The tags of tagged content stay too.
fn tagged() -> Result<(), Error> {
    let content = MapRequest::anonymous(PAGE).tagged().map()?;
    content.set_tags(6);
    content.set_tag(32, 11);
    for (offset, size) in [(32, 1), (32, 16), (0, PAGE)] {
        drop(testing::reference(&content, offset, size)?);
        let tag_fn = |offset| if offset == 32 { 11 } else { 6 };
        check!("tags", testing::wrong_tag(&content, 0..PAGE, tag_fn), None);
        check!("bytes", testing::wrong_byte(&content, 0..PAGE, |_| 0), None);
    }
    Ok(())
}
