//! Row 25: does anonymous memory behave, count for count, as a reference object of zeros does?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, MappingInfo, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Change, measure, measure_value};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

/// Both are mapped here, one after the other, so that tables cost the same.
const PLACE: usize = 0x40_0000_0000;
const PAGES: usize = 600;

/// What each step changed, and what the kernel says about the mapping.
type Journey = ([Change; 9], MappingInfo);

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Mapping::anonymous(PAGE)?;
    let objects = [
        ("one zero", testing::reference(&content, 0, 1)?),
        ("a page of zeros", testing::reference(&content, 0, PAGE)?),
        ("pattern 0", MemoryObject::pattern(0)?),
        ("tag 0", MemoryObject::tagged(0)?),
    ];
    for more in testing::attributes() {
        let (anonymous, info) = journey(Handle::ANONYMOUS, more)?;
        for (name, object) in &objects {
            let (steps, other) = journey(object.handle(), more)?;
            for (index, step) in steps.iter().enumerate() {
                check!(format_args!("{name}: step {index}"), *step, anonymous[index]);
            }
            check!(name, other, info);
        }
        budget(&anonymous, more);
    }
    Ok(())
}

fn journey(object: Handle, more: Protection) -> Result<Journey, Error> {
    let request = MapRequest::of(object, PAGES * PAGE).at(PLACE);
    let request = MapRequest { protection: request.protection | more, ..request };
    let (pages, map) = measure_value(|| request.map());
    let pages = pages?;
    let read = measure(|| (0..PAGES).for_each(|page| _ = pages.read(page * PAGE)));
    let copy = measure(|| (0..100).for_each(|page| pages.write(page * PAGE, 1)));
    let (given, back) = measure_value(|| pages.decommit(0..50 * PAGE));
    given?;
    let fresh = measure(|| (0..50).for_each(|page| pages.write(page * PAGE + 1, 1)));
    let kernel = measure(|| {
        let address = pages.pointer(200 * PAGE).addr() as u64;
        // SAFETY: the bytes are in the mapping, where no Rust value lives.
        let written = unsafe { calls::memory_write(Handle::SELF, address, &[1; 100]) };
        check!("by the kernel", written, (100, Ok(())));
    });
    let info = pages.query(0);
    let (less, protect) = measure_value(|| pages.protect(Protection::READ | more));
    less?;
    let again = measure(|| (0..PAGES).for_each(|page| _ = pages.read(page * PAGE)));
    let byte_fn = |offset: usize| match (offset / PAGE, offset % PAGE) {
        (0..50, 1) | (50..100, 0) | (200, 0..100) => 1,
        _ => 0,
    };
    check!("contents", testing::wrong_byte(&pages, 0..201 * PAGE, byte_fn), None);
    let (unmapped, unmap) = measure_value(|| pages.unmap());
    unmapped?;
    Ok(([map, read, copy, back, fresh, kernel, protect, again, unmap], info))
}

/// The budgets of the other rows hold for zeros.
fn budget([_, read, copy, back, fresh, kernel, ..]: &[Change; 9], more: Protection) {
    check!("reads", (read.faults_read_map, read.faults()), (PAGES as i64, PAGES as i64));
    check!("reads: frames", read.private_frames, 0);
    check!("writes", (copy.faults_write_cow, copy.faults()), (100, 100));
    check!("writes: bytes", (copy.bytes_filled, copy.bytes_copied), (100 * PAGE as i64, 0));
    check!("given back", (back.private_frames, back.free_frames), (-50, 50));
    check!("fresh writes", (fresh.faults_write_fresh, fresh.faults()), (50, 50));
    check!("the kernel's write", (kernel.faults_write_cow, kernel.faults()), (1, 1));
    let tag_bytes = if more == Protection::TAGGED { 128 } else { 0 };
    check!("tags", fresh.tag_bytes_written, 50 * tag_bytes);
}
