//! Row 5: must content be aligned to its size, whatever tag its pointer carries?
#![no_std]
#![no_main]

use vellum_user::abi::{Errno, Error, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, tags, testing};

vellum_user::test!(main);

const TAG: u8 = 7;

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(2 * PAGE)?;
    testing::write_bytes(&content, 0..2 * PAGE, testing::mixed);
    let create = |offset: usize, size: usize, tag| {
        calls::refpage_create(content.tagged_pointer(tag, offset), size as u64, 0)
    };
    let change = testing::measure(|| {
        for size in (1..=12).map(|shift| 1_usize << shift) {
            let halves = (0..12).map(|shift| 1_usize << shift).take_while(|part| *part < size);
            for offset in halves.flat_map(|part| [part, size - part, PAGE - part, PAGE + part]) {
                for tag in [0, TAG, 15] {
                    let name = format_args!("size {size} at {offset}, pointer tag {tag}");
                    check!(name, create(offset, size, tag), Err(Error::Misaligned));
                }
            }
        }
    });
    check!("what refusals changed", change, testing::Change::default());
    check!("EINVAL", Error::Misaligned.errno() == Errno::Einval);
    for size in (0..=12).map(|shift| 1 << shift) {
        for offset in [0, size % PAGE, PAGE - size, PAGE] {
            show(&content, offset, size)?;
        }
    }
    for more in testing::attributes() {
        tagged_pointer(more)?;
    }
    Ok(())
}

/// Aligned content is taken from where it is.
fn show(content: &Mapping, offset: usize, size: usize) -> Result<(), Error> {
    let page = Mapping::private(&testing::reference(content, offset, size)?, PAGE)?;
    let wrong = testing::wrong_byte(&page, 0..PAGE, |at| testing::mixed(offset + at % size));
    check!(format_args!("size {size} at {offset}"), wrong, None);
    Ok(())
}

/// The tag is no part of the address: not for the alignment, and not for what is read.
fn tagged_pointer(more: Protection) -> Result<(), Error> {
    let request = MapRequest::anonymous(PAGE);
    let content = MapRequest { protection: request.protection | more, ..request }.map()?;
    testing::write_bytes(&content, 0..32, testing::mixed);
    if more == Protection::TAGGED {
        content.set_tags(TAG);
    }
    let pointer = content.tagged_pointer(TAG, 16);
    check!("the pointer's tag", tags::logical(pointer), TAG);
    let object = MemoryObject::from_handle(calls::refpage_create(pointer, 16, 0)?);
    let page = Mapping::private(&object, PAGE)?;
    let wrong = testing::wrong_byte(&page, 0..PAGE, |at| testing::mixed(16 + at % 16));
    check!("through a tagged pointer", wrong, None);
    Ok(())
}
