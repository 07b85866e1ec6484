//! Row 40: must an offset be page-aligned, and has it no other effect on a reference object?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check};

vellum_user::test!(main);

/// The largest page-aligned offset.
const LAST: u64 = (PAGE as u64).wrapping_neg();

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    (0..PAGE).step_by(8).for_each(|offset| content.write_word(offset, offset as u64 * 0x9e37));
    // A program reads its own page through a slice made of a copy of it.
    let bytes = Content(core::array::from_fn(|offset| content.read(offset)));
    let object = MemoryObject::reference(&bytes.0)?;
    for offset in [0, PAGE as u64, 7 * PAGE as u64, (1 << 40) * PAGE as u64, LAST] {
        let pages = MapRequest { offset, ..MapRequest::of(object.handle(), 3 * PAGE) }.map()?;
        for place in (0..3 * PAGE).step_by(8) {
            let want = (place % PAGE) as u64 * 0x9e37;
            if !check!(format_args!("offset {offset:#x}"), pages.read_word(place), want) {
                break;
            }
        }
        pages.write(PAGE, 0xff);
        check!("a written page", pages.read_word(PAGE + 8), 8 * 0x9e37);
    }
    for offset in [1, 8, PAGE as u64 - 1, PAGE as u64 + 1, u64::MAX] {
        let refused = MapRequest { offset, ..MapRequest::of(object.handle(), PAGE) }.map();
        let error = refused.err();
        check!(format_args!("offset {offset:#x}"), error, Some(Error::Misaligned));
    }
    Ok(())
}

#[repr(align(4096))]
struct Content([u8; PAGE]);
