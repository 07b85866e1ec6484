//! Batched first writes: when do they begin, how far do they go, and are the pages the same?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Protection, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Change, Sample};
use vellum_user::{Arguments, Mapping, check, testing};

vellum_user::test!(main);

const PAGES: usize = 1040;
/// Untouched frames ahead in one mapping, at most.
const AHEAD: i64 = 15;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            for read_before in [false, true] {
                run(&sample, more, read_before)?;
            }
            strides(&sample, more)?;
            same(&sample, more)?;
        }
    }
    Ok(())
}

fn batched(sample: &Sample, more: Protection) -> MapRequest {
    MapRequest { switches: Switches::BATCH, ..sample.request(PAGES * PAGE, more) }
}

/// Stores to pages in order.
fn store(sample: &Sample, pages: &Mapping, numbers: impl Iterator<Item = usize>) -> Change {
    testing::measure(|| numbers.for_each(|number| sample.write(pages, number * PAGE + 5, 1)))
}

fn run(sample: &Sample, more: Protection, read_before: bool) -> Result<(), Error> {
    let name = format_args!("{}, {more:?}, read before: {read_before}", sample.name);
    let pages = batched(sample, more).map()?;
    if read_before {
        (0..PAGES).for_each(|page| _ = sample.read(&pages, page * PAGE));
    }
    let first = store(sample, &pages, 0..4);
    check!(name, (first.faults(), first.speculative_frames), (4, 0));
    let fifth = store(sample, &pages, 4..5);
    check!(name, (fifth.faults(), fifth.speculative_frames), (1, AHEAD));
    check!(name, fifth.private_frames, 1 + AHEAD);
    check!(name, fifth.kernel_bytes_written(), (1 + AHEAD) * PAGE as i64);
    check!(name, fifth.tlbi_count, if read_before { 1 + AHEAD } else { 0 });
    let ahead = store(sample, &pages, 5..20);
    check!(name, (ahead.faults(), ahead.private_frames), (0, 0));
    let rest = store(sample, &pages, 20..PAGES);
    check!(name, rest.private_frames, PAGES as i64 - 20);
    check!(name, rest.faults() <= (PAGES as i64 - 20) / 16 + 4);
    for page in [0, 4, 5, 19, 20, 511, 512, PAGES - 1] {
        shows(sample, more, &pages, page, Some(5));
    }
    Ok(())
}

/// Checks a page's bytes and tags; one byte was stored.
fn shows(sample: &Sample, more: Protection, pages: &Mapping, page: usize, stored: Option<usize>) {
    let name = format_args!("{}, {more:?}, page {page}", sample.name);
    let range = page * PAGE..(page + 1) * PAGE;
    let byte_fn = |offset: usize| {
        if Some(offset % PAGE) == stored { 1 } else { sample.byte(offset) }
    };
    check!(name, testing::wrong_byte(pages, range.clone(), byte_fn), None);
    if more == Protection::TAGGED {
        check!(name, pages.first_other_tag(range, sample.tag), None);
    }
}

fn strides(sample: &Sample, more: Protection) -> Result<(), Error> {
    let name = format_args!("strides, {}, {more:?}", sample.name);
    for step in [2, 3, 16] {
        let pages = batched(sample, more).map()?;
        let change = store(sample, &pages, (0..PAGES).step_by(step));
        let stored = PAGES.div_ceil(step) as i64;
        check!(name, (change.speculative_frames, change.private_frames), (0, stored));
        check!(name, change.faults_write_fresh, stored);
    }
    let pages = batched(sample, more).map()?;
    let down = store(sample, &pages, (0..200).rev());
    check!(name, (down.speculative_frames, down.private_frames), (0, 200));
    // Jumps over all that was made ahead, although the run seems to go on.
    let jumps = store(sample, &pages, (200..205).chain((220..1000).step_by(16)));
    check!(name, jumps.speculative_frames, AHEAD);
    // Runs that are given up leave no more than the budget behind.
    let pages = batched(sample, more).map()?;
    let runs = store(sample, &pages, (0..10).flat_map(|run| run * 100..run * 100 + 5));
    check!(name, (runs.speculative_frames, runs.private_frames), (AHEAD, 50 + AHEAD));
    shows(sample, more, &pages, 19, None);
    Ok(())
}

/// Stores, loads and decommits in a random order leave what they leave without batches.
fn same(sample: &Sample, more: Protection) -> Result<(), Error> {
    let both = [batched(sample, more).map()?, sample.request(PAGES * PAGE, more).map()?];
    let (mut seed, mut page) = (1_u32, 0);
    for turn in 0..1500 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = (seed >> 8) as usize;
        page = if number.is_multiple_of(16) { number / 16 % PAGES } else { (page + 1) % PAGES };
        let place = page * PAGE + number % PAGE;
        for pages in &both {
            match number / PAGE % 16 {
                0 => _ = sample.read(pages, place),
                1 if turn % 8 == 0 => pages.decommit(page * PAGE..(page + 1) * PAGE)?,
                _ => sample.write(pages, place, turn as u8),
            }
        }
    }
    let name = format_args!("the same, {}, {more:?}", sample.name);
    let [one, other] = &both;
    let differs = (0..PAGES * PAGE).step_by(61).find(|offset| {
        sample.read(one, *offset) != sample.read(other, *offset)
            || one.tag_if(more, *offset) != other.tag_if(more, *offset)
    });
    check!(name, differs, None);
    Ok(())
}

/// Tags where there are some.
trait TagIf {
    fn tag_if(&self, more: Protection, offset: usize) -> u8;
}

impl TagIf for Mapping {
    fn tag_if(&self, more: Protection, offset: usize) -> u8 {
        if more == Protection::TAGGED { self.tag(offset) } else { 0 }
    }
}
