//! Rows 32 and 33, K13: does a page that was never written still show its object, bytes and tags,
//! after the 511 pages around it were written and all were made one block?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Protection, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Sample, measure_value, wrong_byte, wrong_tag};
use vellum_user::{Arguments, Mapping, check, system, testing};

vellum_user::test!(main);

const BLOCK: usize = 512 * PAGE;
/// The mapping begins a page before a block and ends a page behind it.
const PLACE: usize = 0x40_0000_0000 - PAGE;
const LENGTH: usize = BLOCK + 2 * PAGE;
/// The page that stays clean.
const CLEAN: usize = 300 * PAGE;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            promoted(&sample, more)?;
        }
        let plain = sample.request(LENGTH, Protection::NONE).at(PLACE).map()?;
        check!("without the switch", plain.promote(), Err(Error::WrongPolicy));
        drop(plain);
        let huge = sample.request(LENGTH, Protection::NONE).with(Switches::HUGE);
        let read_only = MapRequest { protection: Protection::READ, ..huge }.at(PLACE).map()?;
        check!("without WRITE", read_only.promote(), Err(Error::NotPermitted));
    }
    Ok(())
}

fn promoted(sample: &Sample, more: Protection) -> Result<(), Error> {
    let name = sample.name;
    let request = sample.request(LENGTH, more).with(Switches::HUGE).at(PLACE);
    let mapping = request.map()?;
    for page in (0..LENGTH).step_by(PAGE).filter(|page| *page != CLEAN) {
        sample.write(&mapping, page + 8, page_byte(page));
    }
    let tagged = more == Protection::TAGGED && system::tags_supported();
    if tagged {
        mapping.set_tag(7 * PAGE + 64, 5);
    }
    let (made, change) = measure_value(|| mapping.promote());
    check!(name, made, Ok(1));
    check!(name, (change.blocks, change.block_promotions), (1, 1));
    check!(name, (change.private_frames, change.free_frames), (1, -1));
    check!(name, mapping.page_state(CLEAN), PageState::Private);
    check!(name, wrong_byte(&mapping, CLEAN..CLEAN + PAGE, |offset| sample.byte(offset)), None);
    let wanted = |offset: usize| {
        let page = offset / PAGE * PAGE;
        if offset % PAGE == 8 && page != CLEAN { page_byte(page) } else { sample.byte(offset) }
    };
    check!(name, wrong_byte(&mapping, 0..LENGTH, wanted), None);
    if tagged {
        let tag = |offset| if offset == 7 * PAGE + 64 { 5 } else { sample.tag };
        check!(name, wrong_tag(&mapping, 0..LENGTH, tag), None);
    }
    check!(name, mapping.promote(), Ok(0));
    splits(sample, mapping)
}

/// A part that goes leaves the rest as it was.
fn splits(sample: &Sample, mapping: Mapping) -> Result<(), Error> {
    let (part, change) = measure_value(|| mapping.decommit(CLEAN - PAGE..CLEAN));
    check!(sample.name, part, Ok(()));
    check!(sample.name, (change.blocks, change.block_splits), (-1, 1));
    check!(sample.name, (change.private_frames, change.free_frames), (-1, 1));
    check!(sample.name, sample.read(&mapping, CLEAN - PAGE + 8), sample.byte(8));
    check!(sample.name, sample.read(&mapping, CLEAN - 2 * PAGE + 8), page_byte(CLEAN - 2 * PAGE));
    check!(sample.name, sample.read(&mapping, CLEAN + 8), sample.byte(8));
    mapping.unmap()
}

/// What was written to a page.
fn page_byte(page: usize) -> u8 {
    testing::mixed(page / PAGE) | 1
}
