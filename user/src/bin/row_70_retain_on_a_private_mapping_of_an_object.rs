//! Row 70: with RETAIN on a private mapping of an object, where are the modifications?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::new(8 * PAGE as u64)?;
    let window = MapRequest::of(object.handle(), 8 * PAGE).shared().map()?;
    window.fill(b'o');
    let source =
        MapRequest { offset: 2 * PAGE as u64, ..MapRequest::of(object.handle(), 4 * PAGE) };
    let source = source.map()?;
    source.write(PAGE, b'm');
    check!("before", (source.read(PAGE), source.read(2 * PAGE)), (b'm', b'o'));
    let (target, change) = testing::measure_value(|| source.retain(6 * PAGE));
    let target = target?;
    check!("bytes", (change.kernel_bytes_written(), change.private_frames), (0, 0));
    check!("kept at the destination", target.read(PAGE), b'm');
    check!("the rest of its page", target.first_other(PAGE + 8..2 * PAGE, b'o'), None);
    check!("gone at the source", source.first_other(0..4 * PAGE, b'o'), None);
    // The destination shows the same part of the object.
    window.write(4 * PAGE, b'w');
    window.write(7 * PAGE, b'w');
    check!("the object", (source.read(2 * PAGE), target.read(2 * PAGE)), (b'w', b'w'));
    check!("behind the source", target.read(5 * PAGE), b'w');
    check!("the object is as it was", window.read(3 * PAGE), b'o');
    Ok(())
}
