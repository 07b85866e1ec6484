//! Row 69: with RETAIN, do both ranges of a shared mapping show the one object?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::new(8 * PAGE as u64)?;
    let source = MapRequest::of(object.handle(), 4 * PAGE).shared().map()?;
    source.fill(b's');
    let (target, change) = testing::measure_value(|| source.retain(8 * PAGE));
    let target = target?;
    check!("bytes", change.kernel_bytes_written(), 0);
    check!("the source is intact", source.first_other(0..4 * PAGE, b's'), None);
    check!("the destination", target.first_other(0..4 * PAGE, b's'), None);
    check!("extended", target.first_other(4 * PAGE..8 * PAGE, 0), None);
    target.write(PAGE, b't');
    check!("written there, seen here", source.read(PAGE), b't');
    source.write(2 * PAGE, b'u');
    check!("written here, seen there", target.read(2 * PAGE), b'u');
    let refused = source.retain(9 * PAGE).err();
    check!("past the end of the object", refused, Some(Error::BeyondEnd));
    Ok(())
}
