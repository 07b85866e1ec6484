//! Row 67: does RETAIN to a smaller length give the tail of the source back, still mapped?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0x55;
const HERE: usize = 0x30_0000_0000;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(PATTERN)?;
    // Far from where the destination goes: equal neighbours would become one mapping.
    let source = MapRequest::of(pattern.handle(), 10 * PAGE).at(HERE).map()?;
    source.fill(b'a');
    let (target, change) = testing::measure_value(|| source.retain(4 * PAGE));
    let target = target?;
    check!("private frames", change.private_frames, -6);
    check!("bytes", change.kernel_bytes_written(), 0);
    check!("moved", target.first_other(0..4 * PAGE, b'a'), None);
    check!("one mapping", (target.query(0).length, source.query(0).length), (4 << 12, 10 << 12));
    check!("the source", source.first_other(0..10 * PAGE, PATTERN), None);
    // Without RETAIN the tail is unmapped.
    source.fill(b'b');
    let source = source.resize(4 * PAGE).map_err(|(_, error)| error)?;
    check!("kept", source.first_other(0..4 * PAGE, b'b'), None);
    check!("shrunk", source.query(0).length, 4 << 12);
    Ok(())
}
