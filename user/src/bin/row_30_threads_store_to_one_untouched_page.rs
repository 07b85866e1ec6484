//! Row 30: do threads that store to one untouched page at once, while they load from it, get one private
//! frame with all their bytes?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Protection};
use vellum_user::mapping::PAGE;
use vellum_user::tags::GRANULE;
use vellum_user::testing::{Change, Contended, Runner, Sample, race, samples, stat};
use vellum_user::{Arguments, Mapping, check, testing};

vellum_user::test!(main);

const PAGES: usize = 100;
const BATCHES: usize = 26;
/// What the first thread stores; the next ones store the next numbers.
const MARK: u8 = 0x51;
/// Where the first thread stores; the next ones store to the next bytes.
const PLACE: usize = 2040;

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    let before = stat();
    let mut rounds = 0;
    for sample in samples()? {
        let more = if sample.tag == 0 { Protection::NONE } else { Protection::TAGGED };
        // SAFETY: the threads load and store single bytes of it.
        let pages = unsafe { Contended::new(sample.request(PAGES * PAGE, more).map()?) };
        // What the first batch makes once, tables and threads' stacks, is not the batches'.
        race(|runner| (0..=BATCHES).for_each(|batch| stretch(runner, &sample, &pages, batch)));
        rounds += BATCHES * PAGES;
    }
    let least = if vellum_user::system::tags_supported() { 10_000 } else { 7_500 };
    check!("rounds", rounds >= least);
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Lets all store to every page, and looks at what came of it.
fn stretch(runner: &Runner<'_>, sample: &Sample, pages: &Mapping, batch: usize) {
    runner.meet();
    let before = stat();
    runner.meet();
    let wrong = (0..PAGES).filter(|page| !touch(runner, sample, pages, *page, batch)).count();
    check!(format_args!("{}: loads that saw neither old nor new", sample.name), wrong, 0);
    runner.meet();
    if runner.index == 0 {
        let change = Change::between(&before, &stat());
        if batch > 0 {
            counted(sample, &change);
        }
        whole(runner, sample, pages);
        check!("decommit", pages.decommit(0..pages.length()), Ok(()));
    }
}

/// Stores this thread's byte. On every other page and batch it loads first, so that the page shows its
/// object when somebody stores. Returns whether what it saw of others was their byte or the object's.
fn touch(runner: &Runner<'_>, sample: &Sample, pages: &Mapping, page: usize, batch: usize) -> bool {
    let (own, start) = (runner.index, page * PAGE);
    let other = (own + 1) % runner.all;
    let place = |index: usize| start + PLACE + index;
    runner.keep_pace(page + 1);
    let first = (page + batch).is_multiple_of(2).then(|| sample.read(pages, place(other)));
    sample.write(pages, place(own), MARK + own as u8);
    let last = sample.read(pages, place(other));
    let (old, new) = (sample.byte(place(other)), MARK + other as u8);
    let seen = [first.unwrap_or(last), last];
    // What was new stays new.
    seen.iter().all(|byte| [old, new].contains(byte))
        && !(seen[0] == new && last == old)
        && sample.read(pages, place(own)) == MARK + own as u8
}

fn counted(sample: &Sample, change: &Change) {
    let name = sample.name;
    check!(format_args!("{name}: private frames"), change.private_frames, PAGES as i64);
    let made = change.faults_write_fresh + change.faults_write_cow;
    check!(format_args!("{name}: pages made"), made, PAGES as i64);
    let bytes = (PAGES * PAGE) as i64;
    check!(format_args!("{name}: bytes written"), change.kernel_bytes_written(), bytes);
    check!(format_args!("{name}: denied"), (change.faults_denied, change.faults_tag), (0, 0));
}

/// Checks a byte of every tag granule of every page, and all around the threads' own.
fn whole(runner: &Runner<'_>, sample: &Sample, pages: &Mapping) {
    let byte = |place: usize| match place.checked_sub(PLACE) {
        Some(index) if index < runner.all => MARK + index as u8,
        _ => sample.byte(place),
    };
    let is_right =
        |page: usize, place: usize| sample.read(pages, page * PAGE + place) == byte(place);
    let wrong = (0..PAGES).find_map(|page| {
        let all_over = (page % GRANULE..PAGE).step_by(GRANULE);
        let mut places = all_over.chain(PLACE - GRANULE..PLACE + GRANULE);
        places.find(|place| !is_right(page, *place)).map(|place| (page, place))
    });
    check!(format_args!("{}: a byte that is not the page's", sample.name), wrong, None);
}
