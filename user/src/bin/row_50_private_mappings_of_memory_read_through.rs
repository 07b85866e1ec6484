//! Row 50: does a private page of a memory object show what is stored through a shared mapping until it
//! is written itself, and never after?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Policy};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, testing};

vellum_user::test!(main);

fn main(_: &Arguments) -> Result<(), Error> {
    for policy in [Policy::Object, Policy::ReferencePage] {
        let object = MemoryObject::new(3 * PAGE as u64)?;
        let request = MapRequest::of(object.handle(), 3 * PAGE);
        let shared = request.shared().map()?;
        shared.fill(0x11);
        let private = request.under(policy).map()?;
        // The first is left alone, the second only read, the third written.
        check!("before", (private.read(PAGE), private.read(2 * PAGE)), (0x11, 0x11));
        let change = testing::measure(|| private.write(2 * PAGE + 1, 0x22));
        check!("one copy", (change.faults_write_cow, change.bytes_copied), (1, PAGE as i64));
        shared.fill(0x33);
        check!("untouched", private.first_other(0..PAGE, 0x33), None);
        check!("only read", private.first_other(PAGE..2 * PAGE, 0x33), None);
        check!("copied", private.read(2 * PAGE), 0x11);
        check!("written", private.read(2 * PAGE + 1), 0x22);
        check!("not through to the object", shared.first_other(0..3 * PAGE, 0x33), None);
        private.decommit(0..3 * PAGE)?;
        check!("given back", private.first_other(0..3 * PAGE, 0x33), None);
    }
    Ok(())
}
