//! Row 12: is an object of an explicit kind the same as one whose kind was found in its content?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Change, measure_value, wrong_byte};
use vellum_user::{Arguments, Mapping, MemoryObject, check, system, testing};

vellum_user::test!(main);

/// The objects of a pair are mapped here, one after the other, so that tables cost the same.
const PLACE: usize = 0x40_0000_0000;

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    for byte in [0xaa, 0, 1, 0xff] {
        content.write(0, byte);
        let detect = || testing::reference(&content, 0, 1);
        compare("pattern", || MemoryObject::pattern(byte), detect, byte, 0)?;
    }
    content.write(0, 0);
    compare("tag 0", || MemoryObject::tagged(0), || testing::reference(&content, 0, 16), 0, 0)?;
    if system::tags_supported() {
        let content = MapRequest::anonymous(PAGE).tagged().map()?;
        for tag in [0, 5, 15] {
            content.set_tags(tag);
            let detect = || testing::reference(&content, 32, 16);
            compare("tag", || MemoryObject::tagged(tag), detect, 0, tag)?;
        }
    } else {
        let answer = MemoryObject::tagged(5).map(drop);
        check!("a tag without tags", answer, Err(Error::TagsUnsupported));
    }
    Ok(())
}

/// Does the same with both objects and compares every counter.
fn compare(
    name: &str,
    explicit_fn: impl FnOnce() -> Result<MemoryObject, Error>,
    detect_fn: impl FnOnce() -> Result<MemoryObject, Error>,
    byte: u8,
    tag: u8,
) -> Result<(), Error> {
    let before = testing::stat().free_frames;
    let (explicit, made) = measure_value(explicit_fn);
    let (detected, found) = measure_value(detect_fn);
    let (explicit, detected) = (explicit?, detected?);
    check!(name, explicit.query(), detected.query());
    check!(name, made, found);
    check!(name, made.free_frames, -1);
    for more in testing::attributes() {
        check!(name, journey(&explicit, more, byte, tag)?, journey(&detected, more, byte, tag)?);
    }
    drop((explicit, detected));
    check!(name, testing::stat().free_frames, before);
    Ok(())
}

/// Reads a page, writes to it, writes to an untouched one, gives one back, reads and unmaps.
fn journey(
    object: &MemoryObject,
    more: Protection,
    byte: u8,
    tag: u8,
) -> Result<[Change; 6], Error> {
    let request = MapRequest::of(object.handle(), 2 * PAGE).at(PLACE);
    let request = MapRequest { protection: request.protection | more, ..request };
    let (pages, map) = measure_value(|| request.map());
    let pages = pages?;
    let read = testing::measure(|| _ = pages.read_as(tag, 0));
    let copy = testing::measure(|| pages.write_as(tag, 0, byte));
    let fresh = testing::measure(|| pages.write_as(tag, PAGE, byte));
    check!("contents", wrong_byte(&pages, 0..2 * PAGE, |_| byte), None);
    if more == Protection::TAGGED {
        check!("tags", pages.first_other_tag(0..2 * PAGE, tag), None);
    }
    let (given, back) = measure_value(|| pages.decommit(0..PAGE));
    given?;
    check!("contents again", wrong_byte(&pages, 0..PAGE, |_| byte), None);
    let (unmapped, unmap) = measure_value(|| pages.unmap());
    unmapped?;
    check!("one fault each", (read.faults(), copy.faults(), fresh.faults()), (1, 1, 1));
    Ok([map, read, copy, fresh, back, unmap])
}
