//! Row 22: does a read of an untouched page map the object's frame, read-only, and nothing more?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Protection};
use vellum_user::{Arguments, check, mapping::PAGE, testing};

vellum_user::test!(main);

const PAGES: usize = 1000;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let pages = sample.request(PAGES * PAGE, more).map()?;
            let read = || {
                for page in 0..PAGES {
                    let offset = page * PAGE + page % PAGE;
                    check!(sample.name, sample.read(&pages, offset), sample.byte(offset));
                }
            };
            let change = testing::measure(read);
            check!(sample.name, change.faults_read_map, PAGES as i64);
            check!(sample.name, change.faults(), PAGES as i64);
            check!(sample.name, change.private_frames, 0);
            check!(sample.name, change.kernel_bytes_written(), 0);
            check!(sample.name, change.tag_bytes_written, 0);
            check!(sample.name, change.tlbi_count, 0);
            check!(sample.name, change.free_frames, -change.pt_frames);
            let again = testing::measure(read);
            check!(sample.name, again, testing::Change::default());
            let shared =
                (0..PAGES).all(|page| pages.page_state(page * PAGE) == PageState::ReadShared);
            check!(sample.name, shared);
            read_only(&sample, more)?;
        }
    }
    Ok(())
}

/// A store to a page that was read faults even where the mapping allows it, whatever the CPU
/// would do to the leaf by itself: the other page of the object still shows what it did.
fn read_only(sample: &testing::Sample, more: Protection) -> Result<(), Error> {
    let pages = sample.request(2 * PAGE, more).map()?;
    check!(sample.name, sample.read(&pages, 8), sample.byte(8));
    check!(sample.name, sample.read(&pages, PAGE + 8), sample.byte(8));
    let change = testing::measure(|| sample.write(&pages, 8, !sample.byte(8)));
    check!(sample.name, change.faults_write_cow, 1);
    check!(sample.name, sample.read(&pages, 8), !sample.byte(8));
    check!(sample.name, sample.read(&pages, PAGE + 8), sample.byte(8));
    Ok(())
}
