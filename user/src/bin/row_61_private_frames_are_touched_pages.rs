//! Row 61: does a mapping have as many private frames as pages were touched, and with memset all?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, system, testing};

vellum_user::test!(main);

const PAGES: usize = 1000;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(0xaa)?;
    for touch in [1, 500, 1000] {
        let reference = MapRequest::of(pattern.handle(), PAGES * PAGE);
        frames("pattern", reference, touch, touch, |_| {})?;
        let anonymous = MapRequest::anonymous(PAGES * PAGE);
        frames("memset", anonymous, touch, PAGES, |pages| pages.fill(0xaa))?;
        if system::tags_supported() {
            let tagged = MemoryObject::tagged(0)?;
            let request = MapRequest::of(tagged.handle(), PAGES * PAGE).tagged();
            frames("tagged", request, touch, touch, |_| {})?;
            let anonymous = anonymous.tagged();
            frames("stg loop", anonymous, touch, PAGES, |pages| pages.set_tags(0))?;
        }
    }
    Ok(())
}

/// Prepares pages, stores to some, and counts frames in three ways.
fn frames(
    name: &str,
    request: MapRequest,
    touch: usize,
    want: usize,
    prepare_fn: impl FnOnce(&Mapping),
) -> Result<(), Error> {
    let name = format_args!("{name}, {touch} touched");
    let pages = request.map()?;
    let change = testing::measure(|| {
        prepare_fn(&pages);
        (0..touch).for_each(|page| pages.write(page * PAGE, 0));
    });
    let want = want as i64;
    check!(name, change.private_frames, want);
    // Frames leave the system for private pages and translation tables alone.
    check!(format_args!("{name}: free"), -change.free_frames, want + change.pt_frames);
    check!(format_args!("{name}: account"), change.account_frames, want + change.pt_frames);
    check!(format_args!("{name}: faults"), change.faults(), want);
    let back = testing::measure(|| {
        check!("unmap", pages.unmap(), Ok(()));
    });
    check!(format_args!("{name}: back"), back.free_frames, -change.free_frames);
    Ok(())
}
