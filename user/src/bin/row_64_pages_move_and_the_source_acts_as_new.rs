//! Row 64: do pages move with RETAIN, and does the source act as if it was just mapped?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

const PAGES: usize = 5;
const HERE: usize = 0x30_0000_0000;

fn main(_: &Arguments) -> Result<(), Error> {
    // Far from where the destination goes: equal neighbours would become one mapping.
    let source = MapRequest::anonymous(PAGES * PAGE).at(HERE).map()?;
    source.fill(b'a');
    let (moved, change) = testing::measure_value(|| source.retain(PAGES * PAGE));
    let target = moved?;
    check!("bytes copied", (change.bytes_copied, change.bytes_filled), (0, 0));
    check!("leaves moved", change.leaves_moved, PAGES as i64);
    check!("private frames", change.private_frames, 0);
    check!(
        "the source is mapped",
        (source.query(0).start, source.query(0).length),
        (HERE as u64, 5 << 12)
    );
    check!("another place", target.address() != source.address());
    let read = testing::measure(|| {
        check!("the destination", target.first_other(0..PAGES * PAGE, b'a'), None);
    });
    check!("reading the destination", read.faults(), 0);
    check!("the source's page", source.page_state(0), PageState::Untouched);
    let read = testing::measure(|| {
        check!("the source", source.first_other(0..PAGES * PAGE, 0), None);
    });
    check!("reading the source", (read.faults_read_map, read.private_frames), (5, 0));
    let write = testing::measure(|| source.write(0, b'b'));
    check!("writing the source", (write.faults(), write.private_frames), (1, 1));
    check!("apart", (source.read(0), target.read(0)), (b'b', b'a'));
    Ok(())
}
