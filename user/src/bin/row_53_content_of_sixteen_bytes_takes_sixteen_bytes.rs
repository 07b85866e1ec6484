//! Row 53: does an object without a frame cost no more than its content and a header, whatever the
//! content, and are its pages those of the object that has a frame?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Policy};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

/// More than any header, and less than the next larger content.
const HEADER: i64 = 128;

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    testing::write_bytes(&content, 0..PAGE, testing::mixed);
    for size in (0..=12).map(|log2| 1_usize << log2) {
        costs(&content, size)?;
        contents(&content, size)?;
    }
    if system::tags_supported() { tagged() } else { Ok(()) }
}

fn make(content: &Mapping, size: usize) -> Result<MemoryObject, Error> {
    calls::refpage_create_frameless(content.pointer(0), size as u64, 0)
        .map(MemoryObject::from_handle)
}

fn costs(content: &Mapping, size: usize) -> Result<(), Error> {
    // The handle table has grown to where it will be.
    drop(make(content, size)?);
    let (object, change) = testing::measure_value(|| make(content, size));
    let object = object?;
    let most = size as i64 + size as i64 / 32 + size as i64 / 32 + HEADER;
    check!(format_args!("{size}: at most"), change.account_kernel_bytes <= most);
    check!(format_args!("{size}: frames"), (change.account_frames, change.refpages_live), (0, 0));
    if size == 32 {
        let (smaller, than) = testing::measure_value(|| make(content, 16));
        drop(smaller?);
        check!("32 and 16", change.account_kernel_bytes - than.account_kernel_bytes, 16);
    }
    let gone = testing::measure(|| drop(object));
    check!(format_args!("{size}: back"), gone.account_kernel_bytes, -change.account_kernel_bytes);
    Ok(())
}

fn contents(content: &Mapping, size: usize) -> Result<(), Error> {
    let object = make(content, size)?;
    let request = MapRequest::of(object.handle(), 2 * PAGE);
    let pages = request.under(Policy::PatternOnAnyFault).map()?;
    let change = testing::measure(|| _ = pages.read(0));
    check!(format_args!("{size}: filled"), change.bytes_filled, PAGE as i64);
    check!(format_args!("{size}: copied"), change.bytes_copied, 0);
    let wrong = testing::wrong_byte(&pages, 0..2 * PAGE, |offset| testing::mixed(offset % size));
    check!(format_args!("{size}: bytes"), wrong, None);
    Ok(())
}

/// Content with tags.
fn tagged() -> Result<(), Error> {
    let content = MapRequest::anonymous(PAGE).tagged().map()?;
    for granule in 0..PAGE / 16 {
        content.set_tag(granule * 16, testing::mixed_tag(granule));
    }
    for offset in (0..PAGE).step_by(8) {
        content.write_as(content.tag(offset), offset, testing::mixed(offset) | 1);
    }
    for size in (4..=12).map(|log2| 1_usize << log2) {
        let object = make(&content, size)?;
        let request = MapRequest::of(object.handle(), 2 * PAGE).tagged();
        let pages = request.under(Policy::PatternOnAnyFault).map()?;
        let tag = |offset: usize| testing::mixed_tag(offset % size / 16);
        let change = testing::measure(|| _ = pages.read_as(tag(0), 0));
        check!(format_args!("{size}: tag bytes"), change.tag_bytes_written, 128);
        check!(format_args!("{size}: tags"), testing::wrong_tag(&pages, 0..2 * PAGE, tag), None);
        let untagged = MapRequest::of(object.handle(), PAGE).under(Policy::Eager).map()?;
        let wrong = testing::wrong_tag(&untagged, 0..PAGE, |_| 0);
        check!(format_args!("{size}: untagged"), wrong, None);
    }
    Ok(())
}
