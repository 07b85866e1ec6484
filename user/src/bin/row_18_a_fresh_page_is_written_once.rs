//! Row 18: is every byte of a fresh page written, and none of them twice?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::Sample;
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

/// What a previous owner leaves in its frames. Checked kernels poison free frames besides.
const BYTE: u8 = 0xee;
const TAG: u8 = 0xe;
/// Pages that it leaves, more than are used below.
const DIRTY_PAGES: usize = 2048;
/// Pages of each sample: more than the frame cache of a CPU is refilled with.
const PAGES: usize = 100;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.has("owner") {
        return leave_dirt();
    }
    for sample in testing::samples()? {
        for more in testing::attributes() {
            check!("the previous owner", testing::exited_with(&testing::run_self(&["owner"]), 0));
            fresh(&sample, more)?;
        }
    }
    memory_object()
}

fn leave_dirt() -> Result<(), Error> {
    let tagged = system::tags_supported();
    let request = MapRequest::anonymous(DIRTY_PAGES * PAGE);
    let pages = if tagged { request.tagged() } else { request }.map()?;
    pages.fill(BYTE);
    if tagged {
        pages.set_tags(TAG);
    }
    _ = pages.leak();
    Ok(())
}

/// Writes to untouched pages, by stores and by the kernel, and to pages that were read.
fn fresh(sample: &Sample, more: Protection) -> Result<(), Error> {
    let name = format_args!("{}, {more:?}", sample.name);
    let pages = sample.request(PAGES * PAGE, more).map()?;
    let tag_bytes = if more == Protection::TAGGED { 128 } else { 0 };
    for page in 0..PAGES {
        let start = page * PAGE;
        let place = start + page * 41 % PAGE;
        if page % 3 == 1 {
            check!(name, sample.read(&pages, start), sample.byte(0));
        }
        let change = testing::measure(|| store(sample, &pages, place, page % 3 == 2));
        check!(name, change.kernel_bytes_written(), PAGE as i64);
        check!(name, if sample.is_copied { change.bytes_filled } else { change.bytes_copied }, 0);
        check!(name, change.tag_bytes_written, tag_bytes);
        check!(name, change.private_frames, 1);
        let byte_fn = |offset| if offset == place { 1 } else { sample.byte(offset) };
        check!(name, testing::wrong_byte(&pages, start..start + PAGE, byte_fn), None);
        if more == Protection::TAGGED {
            check!(name, pages.first_other_tag(start..start + PAGE, sample.tag), None);
        }
    }
    Ok(())
}

fn store(sample: &Sample, pages: &Mapping, place: usize, by_kernel: bool) {
    if !by_kernel {
        return sample.write(pages, place, 1);
    }
    let address = pages.pointer(place).addr() as u64;
    // SAFETY: the byte is in the mapping, where no Rust value lives.
    let written = unsafe { calls::memory_write(Handle::SELF, address, &[1]) };
    check!("by the kernel", written, (1, Ok(())));
}

/// Pages of a memory object are fresh when they are first used, in whatever way.
fn memory_object() -> Result<(), Error> {
    check!("the previous owner", testing::exited_with(&testing::run_self(&["owner"]), 0));
    let object = MemoryObject::new((PAGES * PAGE) as u64)?;
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).shared().map()?;
    for page in 0..PAGES {
        let change = testing::measure(|| pages.write(page * PAGE, 1));
        check!("an object's page", change.bytes_filled, PAGE as i64);
        check!("an object's page", change.bytes_copied, 0);
        let byte_fn = |offset| u8::from(offset == page * PAGE);
        let wrong = testing::wrong_byte(&pages, page * PAGE..(page + 1) * PAGE, byte_fn);
        check!("an object's page", wrong, None);
    }
    Ok(())
}
