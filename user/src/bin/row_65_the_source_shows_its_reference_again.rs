//! Row 65: does the source of a reference mapping show its content again, tags included?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, system, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const TAG: u8 = 6;
const BYTES: usize = 6 * PAGE;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(PATTERN)?;
    let source = MapRequest::of(pattern.handle(), BYTES).map()?;
    source.fill(b'x');
    let (target, change) = testing::measure_value(|| source.retain(BYTES));
    let target = target?;
    check!("private frames", change.private_frames, 0);
    check!("the destination", target.first_other(0..BYTES, b'x'), None);
    let read = testing::measure(|| {
        check!("the source", source.first_other(0..BYTES, PATTERN), None);
    });
    check!("frames for it", read.private_frames, 0);
    source.write(PAGE + 8, 1);
    check!("a new write", (source.read(PAGE + 7), source.read(PAGE + 8)), (PATTERN, 1));
    if system::tags_supported() {
        let tagged = MemoryObject::tagged(TAG)?;
        let source = MapRequest::of(tagged.handle(), BYTES).tagged().map()?;
        source.write_as(TAG, 0, b'x');
        source.set_tag(16, TAG + 1);
        let target = source.retain(BYTES)?;
        check!("the byte", target.read_as(TAG, 0), b'x');
        check!("the tags", (target.tag(0), target.tag(16), target.tag(32)), (TAG, TAG + 1, TAG));
        check!("the source's bytes", source.read_as(TAG, 0), 0);
        check!("the source's tags", source.first_other_tag(0..BYTES, TAG), None);
    }
    Ok(())
}
