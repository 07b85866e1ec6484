//! Row 62: does a page of a reference object cost one write of the page, and with memset two?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, memory, system, testing};

vellum_user::test!(main);

const PAGES: usize = 1000;
const BYTES: u64 = (PAGES * PAGE) as u64;
/// Bytes of tag storage behind all pages.
const TAG_BYTES: u64 = BYTES / 32;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(0xaa)?;
    let reference = MapRequest::of(pattern.handle(), PAGES * PAGE);
    let anonymous = MapRequest::anonymous(PAGES * PAGE);
    let touch = |pages: &Mapping| (0..PAGES).for_each(|page| pages.write(page * PAGE, 0));
    check!("pattern", traffic(reference, touch)?, Traffic { kernel: BYTES, ..NONE });
    let twice = Traffic { kernel: BYTES, user: BYTES, ..NONE };
    check!("memset", traffic(anonymous, |pages| pages.fill(0xaa))?, twice);
    if system::tags_supported() {
        let tagged = MemoryObject::tagged(0)?;
        let request = MapRequest::of(tagged.handle(), PAGES * PAGE).tagged();
        let once = Traffic { kernel: BYTES, kernel_tags: TAG_BYTES, ..NONE };
        check!("tagged", traffic(request, touch)?, once);
        let twice = Traffic { user_tags: TAG_BYTES, ..once };
        check!("stg loop", traffic(anonymous.tagged(), |pages| pages.set_tags(0))?, twice);
    }
    Ok(())
}

/// Bytes that were written, by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Traffic {
    kernel: u64,
    kernel_tags: u64,
    user: u64,
    user_tags: u64,
}

const NONE: Traffic = Traffic { kernel: 0, kernel_tags: 0, user: 0, user_tags: 0 };

fn traffic(request: MapRequest, work_fn: impl FnOnce(&Mapping)) -> Result<Traffic, Error> {
    let pages = request.map()?;
    let declared = (memory::user_bytes_declared(), memory::user_tag_bytes_declared());
    let change = testing::measure(|| work_fn(&pages));
    Ok(Traffic {
        kernel: change.kernel_bytes_written().unsigned_abs(),
        kernel_tags: change.tag_bytes_written.unsigned_abs(),
        user: memory::user_bytes_declared() - declared.0,
        user_tags: memory::user_tag_bytes_declared() - declared.1,
    })
}
