//! Do programs see the same under every policy: contents, tags and errors, whatever they do?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Policy, Protection};
use vellum_user::mapping::PAGE;
use vellum_user::testing::Sample;
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

const PAGES: usize = 12;
/// Policies that can show every reference object.
const POLICIES: [Policy; 5] = [
    Policy::ReferencePage,
    Policy::Eager,
    Policy::PatternOnAnyFault,
    Policy::InMapping,
    Policy::Object,
];

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let first = run(&sample, more, POLICIES[0])?;
            for policy in POLICIES {
                let seen = run(&sample, more, policy)?;
                check!(format_args!("{}, {policy:?}", sample.name), seen, first);
            }
        }
    }
    Ok(())
}

/// Does something of every kind to the pages. Returns a hash of all that it saw.
fn run(sample: &Sample, more: Protection, policy: Policy) -> Result<u64, Error> {
    let pages = sample.request(PAGES * PAGE, more).under(policy).map()?;
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
    pages.decommit(2 * PAGE..5 * PAGE)?;
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
    let writes = (0..PAGES).filter(|page| pages.page_state(page * PAGE) == PageState::Private);
    check!(format_args!("{}, {policy:?}: private", sample.name), writes.count(), PAGES);
    Ok(hash.0)
}

/// FNV-1a, byte by byte.
struct Hash(u64);

impl Hash {
    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}
