//! Row 13: is content of one byte, or of zeros under one tag, seen as such whatever its size?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ObjectKind};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, system, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    content.fill(0x55);
    for size in (0..=12).map(|shift| 1 << shift) {
        kind(&content, 0, size, ObjectKind::Pattern, 0x55)?;
    }
    // One other byte anywhere in the content is enough; one behind it is not.
    for odd in [0, 1, 15, 255, 256, 2047, 4095] {
        content.write(odd, 0x54);
        kind(&content, 0, PAGE, ObjectKind::Bytes, 0)?;
        let size = (odd + 1).next_power_of_two() / 2;
        if size > 0 {
            kind(&content, 0, size, ObjectKind::Pattern, 0x55)?;
        }
        content.write(odd, 0x55);
    }
    content.fill(0);
    for size in [1, 8, 16, 512, PAGE] {
        kind(&content, 0, size, ObjectKind::Tagged, 0)?;
    }
    content.write(PAGE - 1, 1);
    kind(&content, 0, PAGE, ObjectKind::Bytes, 0)?;
    if system::tags_supported() { tagged() } else { Ok(()) }
}

/// Zeros under one tag are a kind; another byte, or another tag, under a tag is not.
fn tagged() -> Result<(), Error> {
    let content = MapRequest::anonymous(PAGE).tagged().map()?;
    content.set_tags(3);
    for size in [16, 32, 1024, PAGE] {
        kind(&content, 0, size, ObjectKind::Tagged, 3)?;
    }
    // Less than a granule has no tag.
    kind(&content, 0, 8, ObjectKind::Tagged, 0)?;
    for odd in [0, 16, 2048, PAGE - 16] {
        content.set_tag(odd, 4);
        kind(&content, 0, PAGE, ObjectKind::Bytes, 0)?;
        kind(&content, odd, 16, ObjectKind::Tagged, 4)?;
        content.set_tag(odd, 3);
    }
    content.set_tags(0);
    content.fill(0x55);
    kind(&content, 0, PAGE, ObjectKind::Pattern, 0x55)?;
    content.set_tags(3);
    kind(&content, 0, PAGE, ObjectKind::Bytes, 0)?;
    kind(&content, 0, 8, ObjectKind::Pattern, 0x55)
}

fn kind(
    content: &Mapping,
    offset: usize,
    size: usize,
    kind: ObjectKind,
    detail: u64,
) -> Result<(), Error> {
    let info = testing::reference(content, offset, size)?.query()?;
    let name = format_args!("{size} bytes at {offset}");
    check!(name, (info.kind, info.detail), (kind as u64, detail));
    Ok(())
}
