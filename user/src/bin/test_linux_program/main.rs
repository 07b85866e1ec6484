//! An unmodified Linux program, linked statically, under a handler in user space: does it print, allocate,
//! fork, wait and exit as on Linux, and is nothing left of it?
//!
//! The program is `tests/linux-program`. It travels as data; where it could not be built, for want of a
//! library for its target, the test is skipped.
#![no_std]
#![no_main]

extern crate alloc;

mod calls;
mod start;
mod tasks;

use vellum_user::abi::Error;
use vellum_user::loader::BootArchive;
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

/// The name of the program in the archive.
const PROGRAM: &str = "linux-program";
/// What it prints.
const OUTPUT: &str = "hello from Linux, 2 arguments\n\
                      small: 7890 bytes\n\
                      large: 1024 pages\n\
                      child: 42 1\n\
                      parent: 5 true status 42\n\
                      identity: true\n";
/// The status that it exits with.
const STATUS: u64 = 23;

fn main(arguments: &Arguments) -> Result<(), Error> {
    let (handle, length) = arguments.archive().expect("every program gets the archive");
    let archive = BootArchive::open(handle, length);
    let file = archive.ok().and_then(|archive| archive.find(PROGRAM));
    testing::require(file.is_some(), "no library for Linux programs");
    let Some(file) = file else { return Ok(()) };
    let mut before = (0, 0, 0);
    // What the heap takes once stays.
    for round in 0..3 {
        let (status, output) = run(file.data)?;
        check!("output", output.as_str(), OUTPUT);
        check!("status", status, tasks::exited(STATUS));
        check!("calls that it makes and the handler does not know", calls::unknown(), 0);
        if round == 0 {
            before = testing::at_rest();
        }
    }
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(())
}

/// Runs the program to its end; returns its status, as a parent would see it, and what it printed.
fn run(file: &[u8]) -> Result<(u64, alloc::string::String), Error> {
    let first = tasks::Task::first(start::load(file, &["linux-program", "argument"])?)?;
    first.serve();
    Ok((tasks::take_status(tasks::FIRST), tasks::take_output()))
}
