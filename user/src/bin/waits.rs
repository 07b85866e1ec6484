//! Maps a page of each kind, touches some, and waits until it is ended: something to look at. It prints nothing:
//! it runs beside the monitor, whose own text comes by the console's service, and would be written into that.
//!
//! With the argument `spin` it does not wait but computes, as a program does that is stuck; with `eat` it takes
//! memory until it gets no more.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Policy};
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, MapRequest, Mapping, MemoryObject, Notification};

vellum_user::entry!(main);

/// Pages of each mapping.
const PAGES: usize = 4;
/// Bytes that are taken at a time.
const MEAL: usize = 1 << 20;

fn main(arguments: &Arguments) -> Result<(), Error> {
    let object = MemoryObject::pattern(0xa5)?;
    let map = |policy| MapRequest::of(object.handle(), PAGES * PAGE).under(policy).map();
    let shared = map(Policy::ReferencePage)?;
    let eager = map(Policy::Eager)?;
    let zeros = Mapping::anonymous(PAGES * PAGE)?;
    let sum = shared.read(0) ^ eager.read(0) ^ zeros.read(PAGE);
    shared.write(PAGE, sum);
    if arguments.has("eat") {
        eat()?;
    }
    while arguments.has("spin") {
        core::hint::spin_loop();
    }
    // Nobody raises a bit: it is ended from outside.
    Notification::new()?.wait().map(|_| ())
}

/// Touches pages until there is none: the last touch ends the program.
fn eat() -> Result<(), Error> {
    loop {
        let pages = Mapping::anonymous(MEAL)?;
        (0..MEAL).step_by(PAGE).for_each(|offset| pages.write(offset, 1));
        let _ = pages.leak();
    }
}
