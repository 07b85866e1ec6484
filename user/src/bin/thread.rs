//! The demonstration: one fault of each kind in plain words, then the thread's own benchmark.
//!
//! With the argument `figures` every number is also printed for the host tool. With `mismatch` the
//! program is the victim of its own demonstration.
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::benchmark::{self, Output};
use vellum_user::{Arguments, println, testing};

vellum_user::entry!(main);

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.has("mismatch") {
        return benchmark::mismatch();
    }
    testing::warm();
    benchmark::show_faults(arguments)?;
    println!();
    let figures = arguments.has("figures");
    benchmark::show_table(if figures { Output::TableAndFigures } else { Output::Table })
}
