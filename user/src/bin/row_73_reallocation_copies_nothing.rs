//! Row 73: does a reallocation by moving pages copy nothing, and are the moved pages ready?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::mapping::{Mapping, PAGE};
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

const FIRST: usize = 16 * PAGE;
const DOUBLINGS: usize = 8;

fn main(_: &Arguments) -> Result<(), Error> {
    let free = testing::stat().free_frames;
    let mut buffer = Mapping::anonymous(FIRST)?;
    buffer.fill(1);
    for doubling in 1..=DOUBLINGS {
        let length = buffer.length();
        // An allocator keeps the source for its next allocation.
        let (target, change) = testing::measure_value(|| buffer.retain(2 * length));
        let target = target?;
        check!("bytes", change.kernel_bytes_written(), 0);
        check!("private frames", change.private_frames, 0);
        let tables = change.tables_moved * 512;
        check!("every page moved", tables + change.leaves_moved, (length / PAGE) as i64);
        let writes = testing::measure(|| {
            (0..length).step_by(PAGE).for_each(|offset| target.write(offset, 2));
        });
        check!("first writes of the destination", writes.faults(), 0);
        (length..2 * length).step_by(PAGE).for_each(|offset| target.write(offset, 2));
        check!(format_args!("doubling {doubling}"), target.read(length - 1), 1);
        target.fill(1);
        buffer = target;
    }
    drop(buffer);
    check!("free frames", testing::stat().free_frames, free);
    Ok(())
}
