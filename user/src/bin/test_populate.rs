//! Do populate and the eager policy make every page present at once, and do they say so when frames run
//! out, with nothing half done where nothing may be?
#![no_std]
#![no_main]

use vellum_user::abi::{Advice, Error, PageState, Policy, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

/// More than a table, and no multiple of a step.
const PAGES: usize = 1003;

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(0x77)?;
    let request = MapRequest::of(object.handle(), PAGES * PAGE);
    advised(&request.map()?)?;
    eager(request)?;
    protected(request)?;
    exhausted(&object)
}

fn states(pages: &Mapping, wanted: PageState) -> bool {
    let mut states = [0xff; 512];
    (0..PAGES).step_by(512).all(|page| {
        let count = (PAGES - page).min(512);
        let asked = pages.page_states(page * PAGE, &mut states[..count]);
        asked.is_ok() && states[..count].iter().all(|state| *state == wanted as u8)
    })
}

fn advised(pages: &Mapping) -> Result<(), Error> {
    let all = 0..PAGES * PAGE;
    check!("untouched", states(pages, PageState::Untouched));
    let mut result = Ok(());
    let change = testing::measure(|| result = pages.populate(all.clone(), Advice::PopulateRead));
    result?;
    check!("shared", states(pages, PageState::ReadShared));
    check!("as loads", (change.faults_read_map, change.pages_populated), (1003, 1003));
    check!("no frame", change.private_frames, 0);
    let reads = testing::measure(|| (0..PAGES).for_each(|page| _ = pages.read(page * PAGE)));
    check!("no fault is left", reads, testing::Change::default());
    pages.write(9 * PAGE, 1);
    let change = testing::measure(|| result = pages.populate(all, Advice::PopulateWrite));
    result?;
    check!("private", states(pages, PageState::Private));
    check!("as stores", (change.faults_write_cow, change.pages_populated), (1002, 1002));
    check!("what was written", (pages.read(9 * PAGE), pages.read(9 * PAGE + 1)), (1, 0x77));
    let again = testing::measure(|| result = pages.populate(0..PAGE, Advice::PopulateWrite));
    check!("nothing to do", again, testing::Change::default());
    result
}

fn eager(request: MapRequest) -> Result<(), Error> {
    let (pages, change) = testing::measure_value(|| request.under(Policy::Eager).map());
    let pages = pages?;
    check!("every page", (change.private_frames, change.pages_populated), (1003, 1003));
    check!("private", states(&pages, PageState::Private));
    let used = testing::measure(|| (0..PAGES).for_each(|page| pages.write(page * PAGE, 1)));
    check!("no fault", used, testing::Change::default());
    check!("contents", pages.first_other(PAGE + 8..2 * PAGE, 0x77), None);
    pages.decommit(0..PAGE)?;
    let change = testing::measure(|| _ = check!("given back", pages.read(0), 0x77));
    check!("private again", (change.faults_write_fresh, change.private_frames), (1, 1));
    let none = MapRequest { protection: Protection::NONE, ..request }.under(Policy::Eager);
    let (none, change) = testing::measure_value(|| none.map());
    drop(none?);
    check!("nothing may touch it", change.private_frames, 0);
    Ok(())
}

/// A refused populate has touched nothing.
fn protected(request: MapRequest) -> Result<(), Error> {
    let pages = request.map()?;
    let (head, tail) = pages.split(500 * PAGE);
    tail.protect(Protection::READ)?;
    let whole = |advice| {
        // SAFETY: populating changes no contents.
        unsafe {
            let length = (PAGES * PAGE) as u64;
            let start = head.address() as u64;
            vellum_user::calls::advise(vellum_user::abi::Handle::SELF, start, length, advice)
        }
    };
    let mut result = Ok(());
    let change = testing::measure(|| result = whole(Advice::PopulateWrite));
    check!("half can be written", result, Err(Error::MissingRight));
    check!("nothing was", change, testing::Change::default());
    check!("all can be read", whole(Advice::PopulateRead), Ok(()));
    Ok(())
}

/// More than there is.
fn exhausted(object: &MemoryObject) -> Result<(), Error> {
    let before = testing::stat();
    let length = (before.free_frames as usize + 1) * PAGE;
    let request = MapRequest::of(object.handle(), length);
    let refused = request.under(Policy::Eager).map();
    check!("eagerly", refused.err(), Some(Error::OutOfFrames));
    let change = testing::Change::between(&before, &testing::stat());
    check!("the mapping is gone", (change.mappings, change.private_frames), (0, 0));
    check!("every frame is back", (change.free_frames, change.account_frames), (0, 0));
    let pages = request.map()?;
    let refused = pages.populate(0..length, Advice::PopulateWrite);
    check!("by advice", refused, Err(Error::OutOfFrames));
    let present = testing::stat().private_frames - before.private_frames;
    check!("what was made stays", present > 1000);
    check!("the first page", pages.page_state(0), PageState::Private);
    check!("the last page", pages.page_state(length - PAGE), PageState::Untouched);
    pages.unmap()?;
    let change = testing::Change::between(&before, &testing::stat());
    check!("every frame is back", change.free_frames, 0);
    Ok(())
}
