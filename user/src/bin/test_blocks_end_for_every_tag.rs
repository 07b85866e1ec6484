//! Does a block that was used through pointers of one tag alone end for these pointers too, so that
//! what is mapped there next shows its own pages and the old frames are left alone?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const BLOCK: usize = 512 * PAGE;
const PLACE: usize = 0x40_0000_0000;
const TAG: u8 = 9;

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(0x11)?;
    // Whole, and by its two ends.
    for parts in [&[(0, BLOCK)][..], &[(0, 3 * PAGE), (3 * PAGE, BLOCK - 3 * PAGE)]] {
        for way in [first_pages_again, every_page_again] {
            let free = testing::stat().free_frames;
            let used = map(&object)?;
            (0..512).for_each(|page| used.write_as(TAG, page * PAGE, 0x22));
            check!("one block", testing::stat().blocks, 1);
            let whole = used.address();
            _ = used.leak();
            for (start, length) in parts {
                // SAFETY: no Rust value lives in the mapping, whose owner is gone.
                let part =
                    unsafe { calls::unmap(Handle::SELF, (whole + start) as u64, *length as u64) };
                check!("unmapped", part, Ok(()));
            }
            let next = map(&object)?;
            way(&next);
            next.unmap()?;
            check!("frames", testing::stat().free_frames, free);
        }
    }
    Ok(())
}

fn map(object: &MemoryObject) -> Result<Mapping, Error> {
    let switches = Switches::HUGE | Switches::HUGE_WRITES;
    MapRequest::of(object.handle(), BLOCK).with(switches).at(PLACE).map()
}

/// Another block comes by one store.
fn first_pages_again(next: &Mapping) {
    next.write_as(TAG, 1, 0x33);
    let wrong = (0..512).find(|page| next.read_as(TAG, page * PAGE) != 0x11);
    check!("pages of another block", wrong, None);
}

/// Every page is stored to; the frames of before are free, and would be written to.
fn every_page_again(next: &Mapping) {
    (0..512).rev().for_each(|page| next.write_as(TAG, page * PAGE + 1, 0x33));
    let wrong = (0..512).find(|page| {
        (next.read_as(TAG, page * PAGE), next.read_as(TAG, page * PAGE + 1)) != (0x11, 0x33)
    });
    check!("pages of another block", wrong, None);
}
