//! Row 1: does a mapping that is made by the address of a page alone show for ever what the page held
//! then, and is its reference page gone with it?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, MapFlags};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, system, testing};

vellum_user::test!(main);

/// Returns a request for three pages that show the page of `content`.
fn request(content: &Mapping) -> MapRequest {
    let offset = content.address() as u64;
    MapRequest { flags: MapFlags::REFPAGE, offset, ..MapRequest::anonymous(3 * PAGE) }
}

fn main(_: &Arguments) -> Result<(), Error> {
    let byte = |offset: usize| testing::mixed(offset % PAGE);
    let content = Mapping::anonymous(PAGE)?;
    testing::write_bytes(&content, 0..PAGE, byte);
    let (mapping, change) = testing::measure_value(|| request(&content).map());
    let mapping = mapping?;
    check!("one reference page", change.refpages_live, 1);
    check!("no handle", change.handles, 0);
    check!("no frame but its own", change.account_frames, 1);
    content.fill(0x33);
    check!(
        "after the original was written",
        testing::wrong_byte(&mapping, 0..3 * PAGE, byte),
        None
    );
    content.unmap()?;
    mapping.write(PAGE + 7, 0);
    check!("the page that was written", mapping.read(PAGE + 7), 0);
    check!("its rest", testing::wrong_byte(&mapping, PAGE + 8..3 * PAGE, byte), None);
    check!("the page before it", testing::wrong_byte(&mapping, 0..PAGE + 7, byte), None);
    let mut result = Ok(());
    let change = testing::measure(|| result = mapping.unmap());
    result?;
    check!("gone with its mapping", change.refpages_live, -1);
    refused()?;
    if system::tags_supported() { tagged() } else { Ok(()) }
}

/// What is refused has made nothing that stays.
fn refused() -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    content.write(0, 1);
    let taken = request(&content).at(content.address());
    let change = testing::measure(|| {
        check!("over what is mapped", taken.map().err(), Some(Error::Overlap));
        let shifted = MapRequest { offset: content.address() as u64 + 16, ..request(&content) };
        check!("not a page", shifted.map().err(), Some(Error::Misaligned));
        let shared = request(&content).shared();
        check!("shared for writing", shared.map().err(), Some(Error::SharedWritable));
    });
    check!("objects left", change.refpages_live, 0);
    check!("frames left", change.free_frames, 0);
    Ok(())
}

/// The snapshot has the tags too.
fn tagged() -> Result<(), Error> {
    let content = MapRequest::anonymous(PAGE).tagged().map()?;
    for granule in 0..PAGE / 16 {
        content.set_tag(granule * 16, testing::mixed_tag(granule));
    }
    let mapping = request(&content).tagged().map()?;
    content.set_tags(0);
    let tag = |offset: usize| testing::mixed_tag(offset % PAGE / 16);
    check!("tags", testing::wrong_tag(&mapping, 0..3 * PAGE, tag), None);
    Ok(())
}
