//! Do programs see the same under every policy, and under every pager: contents, tags and errors, whatever they
//! do?
#![no_std]
#![no_main]

use core::ops::Range;
use vellum_user::abi::{PageState, Protection};
use vellum_user::mapping::PAGE;
use vellum_user::services::Trouble;
use vellum_user::services::pager::Pager;
use vellum_user::testing::Sample;
use vellum_user::ways::{Content, Way};
use vellum_user::{Arguments, MapRequest, check, testing};

vellum_user::test!(main);

const PAGES: usize = 12;
/// What is given back under way.
const GIVEN_BACK: Range<usize> = 2 * PAGE..5 * PAGE;

fn main(_: &Arguments) -> Result<(), Trouble> {
    let pager = Pager::start(&testing::archive())?;
    for sample in testing::samples()? {
        for more in testing::attributes() {
            // Where stores reach the object, there is nothing to come back to.
            let given_back = |way: Way| if way.is_private() { GIVEN_BACK } else { 0..0 };
            let first = [GIVEN_BACK, 0..0]
                .map(|range| run(&sample, more, Way::ReferencePage, &pager, range));
            for way in Way::ALL.iter().copied().filter(|way| shows_all(*way)) {
                let seen = run(&sample, more, way, &pager, given_back(way))?;
                let want = first[usize::from(!way.is_private())]?;
                check!(format_args!("{}, {way:?}", sample.name), seen, want);
            }
        }
    }
    pager.stop()
}

/// Returns whether a way can show every reference object.
fn shows_all(way: Way) -> bool {
    way != Way::Wrap
}

/// Does something of every kind to the pages. Returns a hash of all that it saw.
fn run(
    sample: &Sample,
    more: Protection,
    way: Way,
    pager: &Pager,
    given_back: Range<usize>,
) -> Result<u64, Trouble> {
    let content = Content::of(way, sample.handle(), pager)?;
    let shown = content.begin(PAGES * PAGE)?;
    let request = shown.request();
    let request = MapRequest { protection: request.protection | more, ..request };
    let pages = request.map()?;
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    let look = |hash: &mut Hash| {
        for offset in (0..PAGES * PAGE).step_by(48) {
            let tag = if more == Protection::NONE { 0 } else { pages.tag(offset) };
            hash.add(tag);
            hash.add(pages.read_as(tag, offset));
        }
    };
    (0..PAGES).step_by(3).for_each(|page| hash.add(sample.read(&pages, page * PAGE + 5)));
    (0..PAGES).step_by(2).for_each(|page| sample.write(&pages, page * PAGE + 96, page as u8 + 1));
    look(&mut hash);
    if !given_back.is_empty() {
        pages.decommit(given_back)?;
    }
    look(&mut hash);
    if more != Protection::NONE {
        pages.set_tag(6 * PAGE + 48, 12);
        pages.set_tag(7 * PAGE + 96, 3);
    }
    pages.protect(Protection::READ | more)?;
    look(&mut hash);
    pages.protect(Protection::READ | Protection::WRITE | more)?;
    for page in 0..PAGES {
        let offset = page * PAGE + 144;
        sample.write(&pages, offset, !sample.byte(offset));
    }
    look(&mut hash);
    let state = if way.is_private() { PageState::Private } else { PageState::Object };
    let writes = (0..PAGES).filter(|page| pages.page_state(page * PAGE) == state);
    check!(format_args!("{}, {way:?}: written", sample.name), writes.count(), PAGES);
    drop(pages);
    shown.end()?;
    Ok(hash.0)
}

/// FNV-1a, byte by byte.
struct Hash(u64);

impl Hash {
    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}
