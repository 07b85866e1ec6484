//! Row 39: does a shared mapping of a reference object read as a private one does, and is it never
//! writable?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, PageState, Protection};
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

const PAGES: usize = 20;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let request = sample.request(PAGES * PAGE, more);
            let refused = request.shared().map();
            check!(sample.name, refused.err(), Some(Error::SharedWritable));
            let read_only = Protection::READ | more;
            let shared = vellum_user::mapping::MapRequest { protection: read_only, ..request };
            let mapping = shared.shared().map()?;
            let change = testing::measure(|| {
                for page in 0..PAGES {
                    let offset = page * PAGE + 99 * page;
                    check!(sample.name, sample.read(&mapping, offset), sample.byte(offset));
                }
            });
            check!(sample.name, change.faults_read_map, PAGES as i64);
            check!(sample.name, change.faults(), PAGES as i64);
            check!(sample.name, change.private_frames, 0);
            check!(sample.name, mapping.page_state(0), PageState::ReadShared);
            let writable = read_only | Protection::WRITE;
            check!(sample.name, mapping.protect(writable), Err(Error::SharedWritable));
            check!(sample.name, sample.read(&mapping, 0), sample.byte(0));
        }
    }
    Ok(())
}
