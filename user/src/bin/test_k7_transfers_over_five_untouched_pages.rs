//! Does one call move bytes over five untouched pages, on either side, and give each its frame?
#![no_std]
#![no_main]

use vellum_user::abi::{Call, Error, Handle, MapOptions};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, check, raw, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const PAGES: usize = 5;
/// From the middle of the first page to the middle of the last.
const START: usize = 100;
const LENGTH: usize = (PAGES - 1) * PAGE + 56;

fn main(_: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(PATTERN)?;
    read(&object)?;
    write(&object)?;
    other_process(&object)
}

/// Moves bytes by a call, from address to address, and returns its answer.
fn transfer(call: Call, process: u64, theirs: u64, ours: u64) -> (u64, u64) {
    // SAFETY: both ranges are mappings that no Rust value lives in.
    unsafe { raw::call(call as u64, [process, theirs, ours, LENGTH as u64, 0, 0]) }
}

fn start(mapping: &Mapping) -> u64 {
    mapping.pointer(START).addr() as u64
}

/// Checks that a mapping has the pattern where bytes were moved to, and zeros around them.
fn check_moved(target: &Mapping) {
    let end = START + LENGTH;
    check!("before", (target.read(START - 1), target.read(START)), (0, PATTERN));
    check!("moved", target.first_other(START + 4..end - 4, PATTERN), None);
    check!("behind", (target.read(end - 1), target.read(end)), (PATTERN, 0));
}

fn read(object: &MemoryObject) -> Result<(), Error> {
    let source = Mapping::private(object, PAGES * PAGE)?;
    let target = Mapping::anonymous(PAGES * PAGE)?;
    let own = Handle::SELF.to_word();
    let mut answer = (1, 0);
    let change = testing::measure(|| {
        answer = transfer(Call::MemoryRead, own, start(&source), start(&target));
    });
    check!("read", answer, (0, LENGTH as u64));
    check!("frames of the target", change.private_frames, PAGES as i64);
    check!("pages of the source", change.faults_read_map, PAGES as i64);
    check_moved(&target);
    Ok(())
}

fn write(object: &MemoryObject) -> Result<(), Error> {
    let source = Mapping::private(object, PAGES * PAGE)?;
    let target = Mapping::anonymous(PAGES * PAGE)?;
    let own = Handle::SELF.to_word();
    let mut answer = (1, 0);
    let change = testing::measure(|| {
        answer = transfer(Call::MemoryWrite, own, start(&target), start(&source));
    });
    check!("written", answer, (0, LENGTH as u64));
    check!("frames of the target", change.private_frames, PAGES as i64);
    check!("pages of the source", change.faults_read_map, PAGES as i64);
    check_moved(&target);
    Ok(())
}

/// The same with the other side in a process that never runs.
fn other_process(object: &MemoryObject) -> Result<(), Error> {
    const THERE: u64 = 0x50_0000_0000;
    let child = Process::new()?;
    let options = MapOptions::from_word(3)?;
    let place = child.map(Handle::ANONYMOUS, THERE, (PAGES * PAGE) as u64, options, 0)?;
    check!("where it was asked for", place, THERE);
    let source = Mapping::private(object, PAGES * PAGE)?;
    let handle = child.handle().to_word();
    let before = (child.stat()?, testing::stat());
    let there = THERE + START as u64;
    let answer = transfer(Call::MemoryWrite, handle, there, start(&source));
    let after = (child.stat()?, testing::stat());
    check!("written there", answer, (0, LENGTH as u64));
    let frames = after.0.private_frames - before.0.private_frames;
    check!("their frames", frames, PAGES as u64);
    check!("none of ours", after.1.private_frames, before.1.private_frames);
    let back = MapRequest::anonymous(PAGES * PAGE).map()?;
    let answer = transfer(Call::MemoryRead, handle, there, start(&back));
    check!("read from there", answer, (0, LENGTH as u64));
    check_moved(&back);
    Ok(())
}
