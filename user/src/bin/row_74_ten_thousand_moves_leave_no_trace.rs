//! Row 74: do pages that move back and forth ten thousand times leave no trace in the address space?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, USER_START};
use vellum_user::mapping::{Mapping, PAGE};
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

const ROUNDS: usize = 10_000;
const BYTES: usize = 8 * PAGE;

/// Returns how many mappings there are, their bytes, and the end of the last one.
fn layout() -> (usize, u64, u64) {
    let (mut count, mut bytes, mut address) = (0, 0, USER_START);
    while let Ok(info) = calls::query_mapping(Handle::SELF, address) {
        (count, bytes, address) = (count + 1, bytes + info.length, info.start + info.length);
    }
    (count, bytes, address)
}

fn main(_: &Arguments) -> Result<(), Error> {
    let (mut here, mut there) = (Mapping::anonymous(BYTES)?, Mapping::anonymous(BYTES)?);
    here.fill(b'p');
    let before = layout();
    let change = testing::measure(|| {
        for _ in 0..ROUNDS {
            if here.retain_onto(&there).is_err() {
                check!("retain", false);
                break;
            }
            core::mem::swap(&mut here, &mut there);
        }
    });
    check!("mappings", change.mappings, 0);
    check!("layout", layout(), before);
    check!("tables", change.pt_frames, 0);
    check!("private frames", (change.private_frames, change.free_frames), (0, 0));
    check!("leaves moved", change.leaves_moved, (ROUNDS * BYTES / PAGE) as i64);
    check!("bytes", change.kernel_bytes_written(), 0);
    check!("the pages", here.first_other(0..BYTES, b'p'), None);
    check!("the source", there.first_other(0..BYTES, 0), None);
    Ok(())
}
