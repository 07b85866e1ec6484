//! Row 66: may the destination be larger than the source, as in the thread's test (128 times)?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0x55;
const BYTES: usize = 5 * PAGE;

fn main(_: &Arguments) -> Result<(), Error> {
    let pattern = MemoryObject::pattern(PATTERN)?;
    for (request, clean) in
        [(MapRequest::anonymous(BYTES), 0), (MapRequest::of(pattern.handle(), BYTES), PATTERN)]
    {
        let source = request.map()?;
        source.fill(b'a');
        let (target, change) = testing::measure_value(|| source.retain(128 * BYTES));
        let target = target?;
        check!("bytes", change.kernel_bytes_written(), 0);
        check!("private frames", change.private_frames, 0);
        check!("old bytes", target.first_other(0..BYTES, b'a'), None);
        check!("new bytes", target.first_other(BYTES..128 * BYTES, clean), None);
        check!("the source", source.first_other(0..BYTES, clean), None);
        check!("one mapping", target.query(0).length, 128 * BYTES as u64);
    }
    Ok(())
}
