//! Row 52: under the policy that shares no frame, does every first access give a private page, with the
//! contents of a reference page and without one?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Policy};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

const PAGES: usize = 1000;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let request = sample.request(PAGES * PAGE, more).under(Policy::PatternOnAnyFault);
            let pages = request.map()?;
            let change = testing::measure(|| {
                for page in 0..PAGES {
                    let offset = page * PAGE + page;
                    check!(sample.name, sample.read(&pages, offset), sample.byte(page));
                }
            });
            check!(sample.name, change.private_frames, PAGES as i64);
            check!(sample.name, change.faults_write_fresh, PAGES as i64);
            check!(sample.name, change.faults(), PAGES as i64);
            let again = testing::measure(|| {
                (0..PAGES).for_each(|page| sample.write(&pages, page * PAGE, 1));
            });
            check!(sample.name, again, testing::Change::default());
            check!(sample.name, pages.page_state(0), PageState::Private);
        }
    }
    frameless()
}

/// The object needs no frame for that.
fn frameless() -> Result<(), Error> {
    let (object, change) = testing::measure_value(|| MemoryObject::frameless(&[0x5a]));
    let object = object?;
    check!("reference frames", change.refpages_live, 0);
    check!("frames", change.account_frames, 0);
    check!("frames of the object", object.query()?.frames, 0);
    let request = MapRequest::of(object.handle(), PAGES * PAGE);
    let (pages, change) = testing::measure_value(|| request.under(Policy::PatternOnAnyFault).map());
    let pages = pages?;
    check!("mapping makes none", (change.refpages_live, change.account_frames), (0, 0));
    let change = testing::measure(|| _ = pages.read(5 * PAGE));
    check!("one page", (change.private_frames, change.refpages_live), (1, 0));
    check!("contents", pages.first_other(0..PAGES * PAGE, 0x5a), None);
    for policy in [Policy::ReferencePage, Policy::InMapping, Policy::Object, Policy::Wrap] {
        let refused = request.under(policy).map();
        check!("nothing to share", refused.err(), Some(Error::WrongPolicy));
    }
    Ok(())
}
