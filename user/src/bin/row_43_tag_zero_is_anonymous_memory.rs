//! Row 43: is a reference object of zeros under tag 0 the same thing as anonymous memory?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, ObjectKind};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::Change;
use vellum_user::{Arguments, Mapping, MemoryObject, check, system, testing};

vellum_user::test!(main);

const PAGES: usize = 6;

fn main(_: &Arguments) -> Result<(), Error> {
    let content = Zeros([0; 16]);
    let detected = MemoryObject::reference(&content.0)?;
    let explicit = MemoryObject::tagged(0)?;
    let pattern = MemoryObject::pattern(0)?;
    for object in [&detected, &explicit, &pattern] {
        let info = object.query()?;
        check!("kind", (info.kind, info.detail), (ObjectKind::Tagged as u64, 0));
        compare(object, false)?;
        if system::tags_supported() {
            compare(object, true)?;
        }
    }
    Ok(())
}

#[repr(align(16))]
struct Zeros([u8; 16]);

/// Does the same to both kinds of memory and compares every counter.
fn compare(object: &MemoryObject, tagged: bool) -> Result<(), Error> {
    let map = |handle: Handle| {
        let request = MapRequest::of(handle, PAGES * PAGE);
        if tagged { request.tagged() } else { request }.map()
    };
    // The first use of each finds its tables, the second is compared.
    let mut changes = [Change::default(); 2];
    for (change, handle) in changes.iter_mut().zip([Handle::ANONYMOUS, object.handle()]) {
        let mapping = map(handle)?;
        mapping.write(0, 1);
        *change = testing::measure(|| use_pages(&mapping));
        check!("zeros", mapping.first_other(2 * PAGE + 8..3 * PAGE, 0), None);
        check!("zeros that were read first", mapping.first_other(3 * PAGE + 8..4 * PAGE, 0), None);
        check!("zeros after decommit", mapping.first_other(4 * PAGE..5 * PAGE, 0), None);
        if tagged {
            check!("tags", mapping.first_other_tag(0..5 * PAGE, 0), None);
        }
    }
    check!("counters", changes[1], changes[0]);
    check!("fresh writes", changes[0].faults_write_fresh, 2);
    check!("copies", changes[0].bytes_copied, 0);
    Ok(())
}

/// Reads, writes, writes after reading and decommits a page each.
fn use_pages(mapping: &Mapping) {
    _ = mapping.read(PAGE);
    mapping.write(2 * PAGE, 1);
    _ = mapping.read(3 * PAGE);
    mapping.write(3 * PAGE, 1);
    mapping.write(4 * PAGE, 1);
    check!("decommit", mapping.decommit(4 * PAGE..5 * PAGE), Ok(()));
}
