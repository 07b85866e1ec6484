//! Row 60: does the thread's benchmark come out in its shape: reference pages better in all three
//! rows, less so the more is touched, and the same again when it is measured again?
//!
//! Two boots give identical numbers, which the host's tests look at. Within one boot the frame
//! caches are left elsewhere in their cycle, which is less than one instruction in a hundred, and
//! with an optimised kernel in ten thousand.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, check, counter, memory, println, system, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
const MAP_BYTES: usize = 1000 * PAGE;
const TOUCHES: [usize; 3] = [1, 500, 1000];
const ITERATIONS: usize = 10;

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require(system::instruction_counter(), "no instruction counter: needs --icount");
    let pattern = MemoryObject::pattern(PATTERN)?;
    let first = table(&pattern)?;
    let second = table(&pattern)?;
    for (row, again) in first.iter().flatten().zip(second.iter().flatten()) {
        let same = row.abs_diff(*again) <= row / 100;
        check!(format_args!("{row} instructions, {again} again"), same);
    }
    let better =
        first.map(|[memset, reference]| (memset as i64 - reference as i64) * 1000 / memset as i64);
    println!("better by {better:?} thousandths");
    check!("better in every row", better.iter().all(|better| *better > 0));
    check!("less, the more is touched", better[0] > better[1] && better[1] > better[2]);
    check!("nearly all of it where one page is touched", better[0] > 950);
    let memset = first.map(|[memset, _]| memset);
    check!(
        "memset costs more, the more is touched",
        memset[0] < memset[1] && memset[1] < memset[2]
    );
    Ok(())
}

/// Returns the instructions of memset and of a reference page in each row.
fn table(pattern: &MemoryObject) -> Result<[[u64; 2]; 3], Error> {
    let mut rows = [[0; 2]; 3];
    for (row, touch) in rows.iter_mut().zip(TOUCHES) {
        *row = [measure(None, touch)?, measure(Some(pattern), touch)?];
    }
    Ok(rows)
}

/// Returns the instructions of all iterations, after one that fills caches.
fn measure(object: Option<&MemoryObject>, touch: usize) -> Result<u64, Error> {
    iterate(object, touch)?;
    let mut result = Ok(());
    let instructions = counter::instructions(|| {
        for _ in 0..ITERATIONS {
            result = result.and(iterate(object, touch));
        }
    });
    result?;
    instructions.ok_or(Error::InvalidState)
}

fn iterate(object: Option<&MemoryObject>, touch: usize) -> Result<(), Error> {
    let handle = object.map_or(Handle::ANONYMOUS, MemoryObject::handle);
    let mapping = MapRequest::of(handle, MAP_BYTES).map()?;
    if object.is_none() {
        // SAFETY: the mapping is this long, and no Rust value lives in it.
        unsafe { memory::set_pairs(mapping.pointer(0), PATTERN, MAP_BYTES) }
    }
    (0..touch).for_each(|page| mapping.write(page * PAGE, 0));
    mapping.unmap()
}
