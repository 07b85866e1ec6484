//! Row 31: do mappings of different objects stay apart, and those of one become one?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, MappingInfo, PageState, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const PLACE: usize = 0x40_0000_0000;
/// Pages of each mapping.
const PAGES: usize = 4;
const LENGTH: usize = PAGES * PAGE;
const READ: Protection = Protection::READ;

fn main(_: &Arguments) -> Result<(), Error> {
    // Two objects of equal content are two objects.
    let (first, second) = (MemoryObject::pattern(0xaa)?, MemoryObject::pattern(0xaa)?);
    let other = MemoryObject::pattern(0xbb)?;
    apart([first.handle(), Handle::ANONYMOUS, other.handle()], [0xaa, 0, 0xbb])?;
    apart([first.handle(), other.handle(), Handle::ANONYMOUS], [0xaa, 0xbb, 0])?;
    apart([first.handle(), second.handle(), first.handle()], [0xaa; 3])?;
    one(first.handle())
}

/// Maps three objects side by side, then changes one after the other.
fn apart(objects: [Handle; 3], bytes: [u8; 3]) -> Result<(), Error> {
    for changed in 0..3 {
        for protect in [false, true] {
            let place = |index: usize| PLACE + index * LENGTH;
            let map = |index: usize| MapRequest::of(objects[index], LENGTH).at(place(index)).map();
            // The middle comes last, so that both neighbours are there.
            let (low, high, middle) = (map(0)?, map(2)?, map(1)?);
            let mut mappings = [Some(low), Some(middle), Some(high)];
            for (mapping, byte) in mappings.iter().flatten().zip(bytes) {
                check!("read", mapping.read(PAGE), byte);
                mapping.write(2 * PAGE + 5, 1);
            }
            let before = [0, 1, 2].map(|index| info(place(index)));
            check!("three mappings", list(), 3);
            if protect {
                mappings[changed].as_ref().map_or(Ok(()), |mapping| mapping.protect(READ))?;
            } else {
                mappings[changed].take().map_or(Ok(()), Mapping::unmap)?;
            }
            for index in (0..3).filter(|index| *index != changed) {
                check!("a neighbour's mapping", info(place(index)), before[index]);
            }
            let others = mappings.iter().zip(bytes).enumerate();
            for (_, (mapping, byte)) in others.filter(|(index, _)| *index != changed || protect) {
                intact(mapping.as_ref().ok_or(Error::NotMapped)?, byte);
            }
            check!("mappings", list(), if protect { 3 } else { 2 });
        }
    }
    Ok(())
}

/// Page 0 was never touched, page 1 read, page 2 written.
fn intact(mapping: &Mapping, byte: u8) {
    let states = [0, 1, 2].map(|page| mapping.page_state(page * PAGE));
    check!("pages", states, [PageState::Untouched, PageState::ReadShared, PageState::Private]);
    let byte_fn = |offset| if offset == 2 * PAGE + 5 { 1 } else { byte };
    check!("contents", testing::wrong_byte(mapping, PAGE..3 * PAGE, byte_fn), None);
}

fn info(address: usize) -> MappingInfo {
    calls::query_mapping(Handle::SELF, address as u64).expect("something is mapped there")
}

/// Counts the mappings of the test's place.
fn list() -> usize {
    let mut address = PLACE as u64;
    let mut count = 0;
    while let Ok(info) = calls::query_mapping(Handle::SELF, address) {
        if info.start >= (PLACE + 3 * LENGTH) as u64 {
            break;
        }
        count += 1;
        address = info.start + info.length;
    }
    count
}

/// Neighbours of one object are one mapping while they allow the same.
fn one(object: Handle) -> Result<(), Error> {
    let part = |index: usize| MapRequest::of(object, LENGTH).at(PLACE + index * LENGTH).map();
    let (low, high, middle) = (part(0)?, part(2)?, part(1)?);
    check!("merged", (list(), info(PLACE).length), (1, 3 * LENGTH as u64));
    for mapping in [&low, &middle, &high] {
        mapping.write(0, 1);
    }
    middle.protect(READ)?;
    check!("split", list(), 3);
    middle.protect(READ | Protection::WRITE)?;
    check!("merged again", (list(), info(PLACE).length), (1, 3 * LENGTH as u64));
    middle.unmap()?;
    check!("with a hole", list(), 2);
    check!("the rest", (low.read(0), low.read(1), high.read(0)), (1, 0xaa, 1));
    Ok(())
}
