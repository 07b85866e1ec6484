//! Fault-around: does a read fault map the aligned window that the mapping asks for, without a frame
//! and without another result?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, PageState};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

const PAGES: usize = 1024;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(0xaa)?;
    for width in 0..=9 {
        reads(pattern.handle(), width, 0xaa)?;
        reads(Handle::ANONYMOUS, width, 0)?;
    }
    writes(&pattern)?;
    memory_object()
}

/// Reads every page once, from the first to the last.
fn reads(object: Handle, width: u8, byte: u8) -> Result<(), Error> {
    let pages = MapRequest { around: width, ..MapRequest::of(object, PAGES * PAGE) }.map()?;
    let mut wrong = 0;
    let change = testing::measure(|| {
        wrong = (0..PAGES).filter(|page| pages.read(page * PAGE + page) != byte).count();
    });
    // Where the kernel puts it, the mapping need not start with a window.
    let first = (pages.address() / PAGE) >> width;
    let windows = ((pages.address() / PAGE + PAGES - 1) >> width) - first + 1;
    check!(format_args!("bytes, width {width}"), wrong, 0);
    check!(format_args!("faults, width {width}"), change.faults(), windows as i64);
    check!(format_args!("others, width {width}"), change.pages_around, (PAGES - windows) as i64);
    check!(format_args!("frames, width {width}"), change.private_frames, 0);
    check!(format_args!("all frames, width {width}"), change.free_frames, -change.pt_frames);
    Ok(())
}

/// Pages that were written stay, and those that were mapped by the way can be written.
fn writes(pattern: &MemoryObject) -> Result<(), Error> {
    let pages = MapRequest {
        around: 4,
        address: Some(0x7000_0000),
        ..MapRequest::of(pattern.handle(), 16 * PAGE)
    }
    .map()?;
    let first = testing::measure(|| pages.write(3 * PAGE, 1));
    check!("a write maps nothing around it", (first.faults(), first.pages_around), (1, 0));
    let read = testing::measure(|| _ = pages.read(8 * PAGE));
    check!("a read maps all the others", (read.faults(), read.pages_around), (1, 14));
    let write = testing::measure(|| pages.write(9 * PAGE, 2));
    check!("a write to one of them copies", (write.faults_write_cow, write.faults()), (1, 1));
    check!("bytes", [3, 8, 9].map(|page| pages.read(page * PAGE)), [1, 0xaa, 2]);
    pages.decommit(0..16 * PAGE)?;
    check!("bytes after decommit", [3, 8, 9].map(|page| pages.read(page * PAGE)), [0xaa; 3]);
    Ok(())
}

/// Only pages that the object has already are mapped.
fn memory_object() -> Result<(), Error> {
    let object = MemoryObject::new(16 * PAGE as u64)?;
    let all = MapRequest::of(object.handle(), 16 * PAGE).shared().map()?;
    [2, 5, 11].iter().for_each(|page| all.write(page * PAGE, *page as u8));
    let request = MapRequest {
        around: 4,
        address: Some(0x7000_0000),
        ..MapRequest::of(object.handle(), 16 * PAGE)
    };
    for request in [request, request.shared()] {
        let pages = request.map()?;
        let change = testing::measure(|| _ = pages.read(5 * PAGE));
        check!("committed neighbours", (change.faults(), change.pages_around), (1, 2));
        check!("their bytes", [2, 5, 11].map(|page| pages.read(page * PAGE)), [2, 5, 11]);
        check!("an uncommitted one", pages.page_state(6 * PAGE), PageState::Untouched);
        check!("frames of the object", object.query()?.frames, 3);
    }
    Ok(())
}
