//! Row 55: what does it cost if the reference page belongs to the mapping? A thousand mappings, a
//! thousand pages.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use vellum_user::abi::{Error, Policy};
use vellum_user::fork::fork;
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, Mapping, check, testing};

vellum_user::test!(main);

const MAPPINGS: usize = 1000;

fn main(_: &Arguments) -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let mut mappings: Vec<Mapping> = Vec::with_capacity(MAPPINGS);
            for (policy, pages) in [(Policy::InMapping, MAPPINGS), (Policy::ReferencePage, 0)] {
                let request = sample.request(2 * PAGE, more).under(policy);
                let mut result = Ok(());
                let change = testing::measure(|| {
                    for _ in 0..MAPPINGS {
                        match request.map() {
                            Ok(mapping) => mappings.push(mapping),
                            Err(error) => result = Err(error),
                        }
                    }
                });
                result?;
                check!(sample.name, change.refpages_live, pages as i64);
                check!(sample.name, change.account_frames, pages as i64);
                let last = mappings.last().ok_or(Error::InvalidState)?;
                check!(sample.name, sample.read(last, PAGE + 3), sample.byte(3));
                let change = testing::measure(|| sample.write(last, PAGE + 3, 1));
                check!(sample.name, change.private_frames, 1);
                let copied = sample.is_copied || policy == Policy::InMapping;
                check!(sample.name, change.bytes_copied, if copied { PAGE as i64 } else { 0 });
                check!(sample.name, sample.read(last, 3), sample.byte(3));
                let gone = testing::measure(|| mappings.clear());
                check!(sample.name, gone.refpages_live, -(pages as i64));
            }
        }
    }
    cloned()
}

/// A clone has pages of its own, one for each mapping.
fn cloned() -> Result<(), Error> {
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let request = sample.request(2 * PAGE, more).under(Policy::InMapping);
            let mappings = [request.map()?, request.map()?, request.map()?];
            // One was read, one written, one left alone.
            check!(sample.name, sample.read(&mappings[0], 5), sample.byte(5));
            sample.write(&mappings[1], 5, 1);
            let before = testing::stat();
            let clone = fork(|| {
                let more = testing::stat().refpages_live - before.refpages_live;
                let written = |offset| if offset == 5 { 1 } else { sample.byte(offset) };
                let all = 0..2 * PAGE;
                let same = [0, 2].iter().all(|index| {
                    testing::wrong_byte(&mappings[*index], all.clone(), |at| sample.byte(at))
                        .is_none()
                }) && testing::wrong_byte(&mappings[1], all.clone(), written).is_none();
                if same { more } else { 99 }
            })?;
            check!(sample.name, clone.wait()?.status, 3);
            drop(clone);
            check!(sample.name, testing::stat().refpages_live, before.refpages_live);
        }
    }
    Ok(())
}
