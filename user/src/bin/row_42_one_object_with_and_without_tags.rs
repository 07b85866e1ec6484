//! Row 42: can mappings with and without tags share a reference object, each right by itself?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

const TAG: u8 = 9;

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_tags();
    let tagged = MemoryObject::tagged(TAG)?;
    both(&tagged, [Use::Plain, Use::Tagged])?;
    both(&tagged, [Use::Tagged, Use::Plain])?;
    mixed_content()?;
    protect_changes_the_attribute(&tagged)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Plain,
    Tagged,
}

fn request(object: &MemoryObject, kind: Use) -> MapRequest {
    let request = MapRequest::of(object.handle(), 2 * PAGE);
    if kind == Use::Tagged { request.tagged() } else { request }
}

/// Uses a mapping of each kind, in this order, and looks at both after every step.
fn both(object: &MemoryObject, order: [Use; 2]) -> Result<(), Error> {
    let [first, second] = order;
    let mappings = [request(object, first).map()?, request(object, second).map()?];
    let look = |step: &str| {
        for (mapping, kind) in mappings.iter().zip(order) {
            let want = if kind == Use::Tagged { TAG } else { 0 };
            let other = mapping.first_other_tag(0..2 * PAGE, want);
            check!(format_args!("{order:?}, {step}: tags of {kind:?}"), other, None);
        }
    };
    look("untouched");
    for (mapping, kind) in mappings.iter().zip(order) {
        let tag = if kind == Use::Tagged { TAG } else { 0 };
        check!("read", mapping.read_as(tag, 1), 0);
        look("read");
        mapping.write_as(tag, PAGE, 1);
        look("written");
        check!("read back", mapping.read_as(tag, PAGE), 1);
    }
    Ok(())
}

/// An object of bytes with a different tag on each granule.
fn mixed_content() -> Result<(), Error> {
    let source = MapRequest::anonymous(PAGE).tagged().map()?;
    for granule in 0..PAGE / 16 {
        source.write(granule * 16, granule as u8);
        source.set_tag(granule * 16, (granule % 16) as u8);
    }
    let handle = vellum_user::calls::refpage_create(source.pointer(0), PAGE as u64, 0)?;
    let object = MemoryObject::from_handle(handle);
    let (plain, tagged) =
        (request(&object, Use::Plain).map()?, request(&object, Use::Tagged).map()?);
    for page in [0, PAGE] {
        // The second page is made private first, by a store that changes nothing.
        if page != 0 {
            plain.write(page, 0);
            tagged.write_as(0, page, 0);
        }
        for granule in 0..PAGE / 16 {
            let offset = page + granule * 16;
            let tag = (granule % 16) as u8;
            let held = check!("plain byte", plain.read(offset), granule as u8)
                && check!("plain tag", plain.tag(offset), 0)
                && check!("tagged tag", tagged.tag(offset), tag)
                && check!("tagged byte", tagged.read_as(tag, offset), granule as u8);
            if !held {
                break;
            }
        }
    }
    Ok(())
}

/// A mapping that becomes tagged later shows the object's tags where it is clean, and no stale
/// ones where it is not.
fn protect_changes_the_attribute(object: &MemoryObject) -> Result<(), Error> {
    let mapping: Mapping = request(object, Use::Plain).map()?;
    _ = mapping.read(0);
    mapping.write(PAGE, 1);
    mapping.protect(Protection::READ | Protection::WRITE | Protection::TAGGED)?;
    check!("tags of the clean page", mapping.first_other_tag(0..PAGE, TAG), None);
    check!("tags of the private page", mapping.first_other_tag(PAGE..2 * PAGE, 0), None);
    check!("the private byte", mapping.read(PAGE), 1);
    Ok(())
}
