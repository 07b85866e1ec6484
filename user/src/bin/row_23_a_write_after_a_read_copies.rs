//! Row 23: does a write to a page that was read keep everything but what it writes?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Protection};
use vellum_user::{Arguments, check, mapping::PAGE, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            for (read, written) in [(5, 7), (0, 4095), (4095, 0), (2048, 2048)] {
                copy(&sample, more, read, written)?;
            }
        }
    }
    Ok(())
}

fn copy(
    sample: &testing::Sample,
    more: Protection,
    read: usize,
    written: usize,
) -> Result<(), Error> {
    let name = format_args!("{}, {more:?}", sample.name);
    // Pages 0 and 2 are there so that the tables are, and to see that they stay as they are.
    let pages = sample.request(3 * PAGE, more).map()?;
    let other = sample.request(PAGE, more).map()?;
    for offset in [0, 2 * PAGE] {
        check!(name, sample.read(&pages, offset), sample.byte(0));
    }
    check!(name, sample.read(&other, 0), sample.byte(0));
    let (read, written) = (PAGE + read, PAGE + written);
    let change = testing::measure(|| {
        check!(name, sample.read(&pages, read), sample.byte(read));
        sample.write(&pages, written, 0x11);
    });
    check!(name, change.private_frames, 1);
    check!(name, change.free_frames, -1);
    check!(name, change.faults_read_map, 1);
    check!(name, change.faults_write_cow, 1);
    check!(name, change.faults(), 2);
    check!(name, change.kernel_bytes_written(), PAGE as i64);
    // The one that takes the shared leaf out before the private one goes in.
    check!(name, change.tlbi_count, 1);
    let byte_fn = |offset| if offset == written { 0x11 } else { sample.byte(offset) };
    check!(name, testing::wrong_byte(&pages, 0..3 * PAGE, byte_fn), None);
    if more == Protection::TAGGED {
        check!(name, pages.first_other_tag(0..3 * PAGE, sample.tag), None);
    }
    check!(name, testing::wrong_byte(&other, 0..PAGE, |offset| sample.byte(offset)), None);
    let states = [0, PAGE, 2 * PAGE].map(|offset| pages.page_state(offset));
    let shared = PageState::ReadShared;
    check!(name, states, [shared, PageState::Private, shared]);
    let again = testing::measure(|| sample.write(&pages, read, 0x22));
    check!(name, again, testing::Change::default());
    Ok(())
}
