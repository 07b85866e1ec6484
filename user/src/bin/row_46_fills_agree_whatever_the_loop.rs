//! Row 46: do fast and plain fills make the same pages, byte for byte and tag for tag?
//!
//! Run with and without the option `plain_fills`: the expectations are the same numbers.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

/// Frames that are dirtied first, so that a fill that leaves something out is seen.
const DIRTY: usize = 600;

fn main(_: &Arguments) -> Result<(), Error> {
    dirty_frames()?;
    zeros_and_patterns(false)?;
    bytes(false)?;
    if system::tags_supported() {
        zeros_and_patterns(true)?;
        bytes(true)?;
        for tag in 0..16 {
            let object = MemoryObject::tagged(tag)?;
            fill(object.handle(), true, &|_| (0, tag), "tagged", [PAGE as i64, 0])?;
            fill(object.handle(), false, &|_| (0, 0), "tagged object", [PAGE as i64, 0])?;
        }
    }
    Ok(())
}

/// Leaves frames behind that are full of bytes and tags that nothing here has.
fn dirty_frames() -> Result<(), Error> {
    let request = MapRequest::anonymous(DIRTY * PAGE);
    let dirty = if system::tags_supported() { request.tagged() } else { request }.map()?;
    dirty.fill(0xe7);
    if system::tags_supported() {
        dirty.set_tags(0xd);
    }
    dirty.unmap()
}

fn zeros_and_patterns(tagged: bool) -> Result<(), Error> {
    let filled = [PAGE as i64, 0];
    fill(Handle::ANONYMOUS, tagged, &|_| (0, 0), "zeros", filled)?;
    for byte in [1, 0x55, 0xaa, 0xff] {
        let object = MemoryObject::pattern(byte)?;
        fill(object.handle(), tagged, &|_| (byte, 0), "pattern", filled)?;
    }
    Ok(())
}

/// A page that no fill can make: every word and, in tagged memory, every granule is different.
fn bytes(tagged: bool) -> Result<(), Error> {
    let request = MapRequest::anonymous(PAGE);
    let source = if tagged { request.tagged() } else { request }.map()?;
    let tag_fn = |offset: usize| (offset / 16 * 7 % 16) as u8;
    for offset in (0..PAGE).step_by(8) {
        source.write_word(offset, word(offset));
    }
    if tagged {
        (0..PAGE).step_by(16).for_each(|offset| source.set_tag(offset, tag_fn(offset)));
    }
    let handle = calls::refpage_create(source.pointer(0), PAGE as u64, 0)?;
    let object = MemoryObject::from_handle(handle);
    let byte_fn = |offset: usize| word(offset & !7).to_ne_bytes()[offset % 8];
    let copied = [0, PAGE as i64];
    if tagged {
        fill(object.handle(), true, &|offset| (byte_fn(offset), tag_fn(offset)), "bytes", copied)?;
    }
    fill(object.handle(), false, &|offset| (byte_fn(offset), 0), "bytes", copied)
}

fn word(offset: usize) -> u64 {
    (offset as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Checks a page written fresh and one written after it was read: every byte and tag, and what the
/// kernel says it wrote, as `[filled, copied]` bytes.
fn fill(
    object: Handle,
    tagged: bool,
    want_fn: &dyn Fn(usize) -> (u8, u8),
    name: &str,
    written: [i64; 2],
) -> Result<(), Error> {
    let request = MapRequest::of(object, 3 * PAGE);
    let pages = if tagged { request.tagged() } else { request }.map()?;
    let (byte, tag) = want_fn(0);
    // The first page finds the tables. Each store writes the byte that is there already.
    pages.write_as(tag, 0, byte);
    _ = pages.read_as(tag, 2 * PAGE);
    for start in [PAGE, 2 * PAGE] {
        let change = testing::measure(|| pages.write_as(tag, start, byte));
        check!(name, [change.bytes_filled, change.bytes_copied], written);
        check!(name, change.tag_bytes_written, if tagged { 128 } else { 0 });
    }
    for offset in 0..3 * PAGE {
        let (byte, tag) = want_fn(offset % PAGE);
        if !check_byte(&pages, name, tagged, offset, byte, tag) {
            break;
        }
    }
    Ok(())
}

fn check_byte(pages: &Mapping, name: &str, tagged: bool, offset: usize, byte: u8, tag: u8) -> bool {
    let at = format_args!("{name}, tagged {tagged}, byte {offset}");
    let tag_there = !system::tags_supported() || !offset.is_multiple_of(16) || {
        check!(format_args!("{at}: tag"), pages.tag(offset), tag)
    };
    tag_there && check!(at, pages.read_as(tag, offset), byte)
}
