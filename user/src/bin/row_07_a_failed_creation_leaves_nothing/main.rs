//! Row 7: does making an object fail without a trace where frames, handles or kernel memory end?
#![no_std]
#![no_main]

mod frames;

use vellum_user::abi::{Error, Handle, Protection, Rights};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const ROUNDS: usize = 10_000;
/// Content that is copied.
static CONTENT: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("handles") => return without_handles(),
        Some("kernel") => return without_kernel_memory(),
        Some("nothing") => return Ok(()),
        _ => {}
    }
    // Maps the archive, which stays.
    check!("a child", testing::exited_with(&testing::run_self(&["nothing"]), 0));
    frames::exhaust()?;
    for what in ["handles", "kernel"] {
        let before = testing::stat().free_frames;
        check!(what, testing::exited_with(&testing::run_self(&[what]), 0));
        check!(what, testing::stat().free_frames, before);
    }
    Ok(())
}

/// Makes an object in one of the three ways.
fn create(round: usize) -> Result<MemoryObject, Error> {
    let handle = match round % 3 {
        0 => calls::refpage_create((&raw const CONTENT).cast(), 16, 0),
        1 => calls::refpage_create_pattern(0xaa, 0),
        _ => calls::refpage_create_tag(0, 0),
    };
    handle.map(MemoryObject::from_handle)
}

/// Is refused `ROUNDS` times, then gets one object `ROUNDS` times after `release_fn` gave back
/// what one takes.
fn rounds(name: &str, error: Error, release_fn: impl FnOnce()) {
    let refused = testing::measure(|| {
        for round in 0..ROUNDS {
            check!(name, create(round).err(), Some(error));
        }
    });
    check!(format_args!("{name}: after refusals"), quiet(refused), testing::Change::default());
    release_fn();
    let made = testing::measure(|| {
        for round in 0..ROUNDS {
            let object = create(round);
            check!(name, object.is_ok());
            check!(name, create(round).err(), Some(error));
        }
    });
    check!(format_args!("{name}: after objects"), quiet(made), testing::Change::default());
}

/// Leaves out what may change: how much was written to make objects that are gone.
fn quiet(change: testing::Change) -> testing::Change {
    testing::Change { create_bytes_written: 0, create_tag_bytes_written: 0, ..change }
}

fn without_handles() -> Result<(), Error> {
    let object = create(1)?;
    let copy = || calls::handle_copy(Handle::SELF, object.handle(), Rights::READ);
    let mut last = copy()?;
    let refusal = loop {
        match copy() {
            Ok(handle) => last = handle,
            Err(error) => break error,
        }
    };
    check!("a handle is refused", refusal, Error::OutOfHandles);
    rounds("handles", Error::OutOfHandles, || calls::handle_close(last).expect("it is open"));
    Ok(())
}

/// Uses kernel memory up by mappings that cannot be merged, then by processes, then by objects.
fn without_kernel_memory() -> Result<(), Error> {
    let request = |page: usize| MapRequest {
        protection: if page.is_multiple_of(2) { Protection::READ } else { Protection::NONE },
        ..MapRequest::anonymous(PAGE).at(0x20_0000_0000 + page * PAGE)
    };
    let refusal = (0..).find_map(|page| match request(page).map() {
        Ok(mapping) => {
            _ = mapping.leak();
            None
        }
        Err(error) => Some(error),
    });
    check!("a mapping is refused", refusal, Some(Error::LimitReached));
    // Processes may leave no room for even one object.
    let mut last = create(0)?.into_handle();
    let refusal = (0..).find_map(|_| calls::process_create(Handle::SELF).err());
    check!("a process is refused", refusal, Some(Error::OutOfKernelMemory));
    while let Ok(object) = create(0) {
        last = object.into_handle();
    }
    let close = || calls::handle_close(last).expect("it is open");
    rounds("kernel memory", Error::OutOfKernelMemory, close);
    Ok(())
}
