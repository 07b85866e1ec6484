//! Row 49: do private mappings that share an object's frame and copy it on the first write show what
//! reference pages show, with other counters?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Policy, Protection};
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

/// Read, read and then written, written first.
const PAGES: usize = 300;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let measure = |policy| -> Result<testing::Change, Error> {
                let pages = sample.request(PAGES * PAGE, more).under(policy).map()?;
                let change = testing::measure(|| {
                    for page in 0..PAGES {
                        let offset = page * PAGE + 16;
                        if page < 200 {
                            check!(sample.name, sample.read(&pages, offset), sample.byte(16));
                        }
                        if page >= 100 {
                            sample.write(&pages, offset, page as u8);
                        }
                    }
                });
                for page in 0..PAGES {
                    let offset = page * PAGE;
                    let first = sample.read(&pages, offset + 16);
                    let want = if page >= 100 { page as u8 } else { sample.byte(16) };
                    check!(sample.name, first, want);
                    check!(sample.name, sample.read(&pages, offset + 17), sample.byte(17));
                    if more != Protection::NONE {
                        check!(sample.name, pages.tag(offset + 4080), sample.tag);
                    }
                }
                Ok(change)
            };
            let (reference, object) = (measure(Policy::ReferencePage)?, measure(Policy::Object)?);
            check!(sample.name, object.faults_read_map, reference.faults_read_map);
            check!(sample.name, object.faults_write_fresh, reference.faults_write_fresh);
            check!(sample.name, object.faults_write_cow, reference.faults_write_cow);
            check!(sample.name, object.private_frames, 200);
            check!(sample.name, object.bytes_copied, 200 * PAGE as i64);
            check!(sample.name, object.bytes_filled, 0);
            let filled = if sample.is_copied { 0 } else { 200 * PAGE as i64 };
            check!(sample.name, reference.bytes_filled, filled);
        }
    }
    Ok(())
}
