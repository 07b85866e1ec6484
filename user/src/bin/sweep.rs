//! Which policy is cheapest for which use of memory? The thread's benchmark only writes, so it cannot
//! tell reference pages from pages that are private from the first fault on; this one can.
//!
//! With the argument `figures` every number is also printed for the host tool.
#![no_std]
#![no_main]

use vellum_user::services::Trouble;
use vellum_user::{Arguments, sweep, testing};

vellum_user::entry!(main);

fn main(arguments: &Arguments) -> Result<(), Trouble> {
    testing::warm();
    sweep::show(arguments.has("figures"))
}
