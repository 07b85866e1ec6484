//! The monitor: what one sits at. It lists processes, mappings and counters, runs programs, and walks a page
//! fault under any policy, by commands on the console.
//!
//! It starts the console's service and the process server, speaks with both by messages, and stops them when it
//! ends. What it tells is what it asked the kernel for: nothing is known beforehand.
//!
//! `./qemu-run.sh monitor` opens it.
#![no_std]
#![no_main]

extern crate alloc;

mod commands;
mod fault;
mod input;
mod look;
mod run;
mod session;

use session::Session;
use vellum_user::Arguments;
use vellum_user::services::Trouble;

vellum_user::entry!(main);

fn main(arguments: &Arguments) -> Result<(), Trouble> {
    let mut session = Session::start(arguments)?;
    let end = session.talk();
    session.stop()?;
    end
}
