//! Row 68: the program of the MREMAP_RETAIN thread. A parent writes 5 MiB and forks; the clone writes 1 KiB
//! of each again and moves it to a range 128 times as large with RETAIN. Does each side see its own?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::fork::fork;
use vellum_user::mapping::{Mapping, PAGE};
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

const COUNT: usize = 5;
const BYTES: usize = 1 << 20;
const FACTOR: usize = 128;
const WRITTEN: usize = 1024;

fn main(_: &Arguments) -> Result<(), Error> {
    // The pools of a clone are there from the first one on.
    fork(|| 0)?.wait()?;
    let before = testing::stat();
    let sources: [Mapping; COUNT] = core::array::from_fn(|index| {
        let source = Mapping::anonymous(BYTES).expect("address space");
        source.fill(b'A' + index as u8);
        source
    });
    let own = testing::stat().private_frames;
    let status =
        fork(|| child(&sources).unwrap_or_else(|error| 1000 + error as u64))?.wait()?.status;
    check!("first wrong thing in the clone", status, 0);
    for (index, source) in sources.iter().enumerate() {
        let byte = b'A' + index as u8;
        check!("what the parent wrote", source.first_other(0..BYTES, byte), None);
    }
    check!("private frames of the parent", testing::stat().private_frames, own);
    drop(sources);
    let change = testing::Change::between(&before, &testing::stat());
    check!("free frames", change.free_frames, 0);
    check!("processes", change.processes_live, 0);
    Ok(())
}

/// Returns the number of the first thing that is not as it should be, 0 if all is well.
fn child(sources: &[Mapping; COUNT]) -> Result<u64, Error> {
    for (index, source) in sources.iter().enumerate() {
        let byte = b'A' + index as u8;
        (0..WRITTEN).for_each(|offset| source.write(offset, b'z'));
        // Once without the move: the stack is shared with the parent too, until it is written.
        let [_, (target, change)] = [false, true]
            .map(|moves| testing::measure_value(|| moves.then(|| source.retain(FACTOR * BYTES))));
        let target = target.ok_or(Error::NotMapped)??;
        let facts = [
            // The page that was written is the clone's own, the others are the parent's too.
            change.leaves_moved == (BYTES / PAGE) as i64,
            change.kernel_bytes_written() == 0,
            target.first_other(0..WRITTEN, b'z').is_none(),
            target.first_other(WRITTEN..BYTES, byte).is_none(),
            target.first_other(BYTES..BYTES + 16 * PAGE, 0).is_none(),
            target.read(FACTOR * BYTES - 1) == 0,
            source.first_other(0..BYTES, 0).is_none(),
        ];
        if let Some(wrong) = facts.iter().position(|fact| !fact) {
            return Ok(1 + wrong as u64 + 10 * index as u64);
        }
        // Stores on either side of the move stay apart, and from the parent.
        source.write(0, b's');
        target.write(BYTES - 1, b't');
        if (source.read(0), target.read(0), target.read(BYTES - 1)) != (b's', b'z', b't') {
            return Ok(100);
        }
        target.unmap()?;
    }
    Ok(0)
}
