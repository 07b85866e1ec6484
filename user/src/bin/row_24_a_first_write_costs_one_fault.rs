//! Row 24: does a write to a page that was never touched cost one fault and one frame?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Protection};
use vellum_user::{Arguments, check, mapping::PAGE, testing};

vellum_user::test!(main);

const PAGES: usize = 50;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            fresh(&sample, more)?;
        }
    }
    Ok(())
}

fn fresh(sample: &testing::Sample, more: Protection) -> Result<(), Error> {
    let name = format_args!("{}, {more:?}", sample.name);
    let pages = sample.request(PAGES * PAGE, more).map()?;
    for page in 0..PAGES {
        let written = page * PAGE + page * 83 % PAGE;
        let change = testing::measure(|| sample.write(&pages, written, 0x11));
        check!(name, change.faults_write_fresh, 1);
        check!(name, change.faults(), 1);
        check!(name, change.private_frames, 1);
        check!(name, change.free_frames, -1 - change.pt_frames);
        check!(name, change.kernel_bytes_written(), PAGE as i64);
        check!(name, change.bytes_copied, if sample.is_copied { PAGE as i64 } else { 0 });
        check!(name, change.tlbi_count, 0);
        check!(name, pages.page_state(written), PageState::Private);
        let byte_fn = |offset| if offset == written { 0x11 } else { sample.byte(offset) };
        let range = page * PAGE..(page + 1) * PAGE;
        check!(name, testing::wrong_byte(&pages, range.clone(), byte_fn), None);
        if more == Protection::TAGGED {
            check!(name, pages.first_other_tag(range, sample.tag), None);
        }
        if page + 1 < PAGES {
            check!(name, pages.page_state(written + PAGE), PageState::Untouched);
        }
    }
    Ok(())
}
