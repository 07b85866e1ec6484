//! What test programs share. A test is one program that answers one question:
//!
//! ```ignore
//! //! Row 24: does the first write to an untouched page cost exactly one fault?
//! #![no_std]
//! #![no_main]
//! use vellum_user::{Arguments, MemoryObject, Mapping, abi::Error, check, mapping::PAGE, testing};
//!
//! vellum_user::test!(main);
//!
//! fn main(_: &Arguments) -> Result<(), Error> {
//!     let object = MemoryObject::pattern(0xaa)?;
//!     let pages = Mapping::private(&object, 10 * PAGE)?;
//!     let change = testing::measure(|| pages.write(7, 1));
//!     check!("fresh faults", change.faults_write_fresh, 1);
//!     check!("all faults", change.faults(), 1);
//!     check!("private frames", change.private_frames, 1);
//!     check!("bytes written", change.kernel_bytes_written(), 4096);
//!     check!("neighbour", pages.read(8) == 0xaa);
//!     Ok(())
//! }
//! ```
//!
//! * [`test!`](crate::test!) instead of [`entry!`](crate::entry!) makes every page of the program,
//!   64 KiB of heap and its whole stack present before `main`, so that a measured closure faults
//!   only where it is meant to. Inside a measured closure do not print, do not allocate more than a
//!   few KiB in all, and start no programs.
//! * [`check!`](crate::check!) compares and goes on; any failure makes the exit status 1.
//! * [`race`] runs a closure on several threads that keep side by side.
//! * [`skip`] ends the program with status 77, which the harness reports as skipped.
//! * [`measure`] gives what a closure changed in every counter, [`Change`].
//! * [`run`] runs another program of the archive, [`run_self`] this one with other arguments (a
//!   test that needs a victim looks at its arguments first); both return its
//!   [`ExitReport`](vellum_abi::ExitReport).
//! * `main` may return `Result<(), Error>`: an error is printed and makes the status 1.
//! * [`Paged`] is an object whose pages another thread of the test supplies.
//! * [`samples`] makes an object of each kind; [`wrong_byte`] and [`wrong_tag`] find what a page
//!   should not show.
//! * [`Vectors`] fills FP and SIMD registers and looks what calls left of them.
//! * [`Mapping`](crate::Mapping) is memory to poke at; tags are reached through it too.
//! * [`crate::raw::call`] makes a call from any numbers, for bad input; [`refusal`] reads its answer.

mod change;
mod checks;
mod child;
mod contents;
mod paging;
mod race;
mod repeat;
mod vectors;
mod warm;

pub use change::{Change, at_rest, measure, measure_value, stat};
pub use checks::{report, require, require_cpus, require_tags, skip};
pub use child::{archive, exited_with, load, load_self, load_self_paid_by, run, run_self};
pub use contents::{
    Sample, attributes, mixed, mixed_tag, reference, samples, write_bytes, wrong_byte, wrong_tag,
};
pub use paging::Paged;
pub use race::{Contended, Meeting, Runner, race, race_of};
pub use repeat::{repeat_address, repeat_call, repeating, try_call};
pub use vectors::Vectors;
pub use warm::warm;

pub(crate) use checks::{begin, verdict};

use vellum_abi::Error;

/// Returns the error that a raw call answered with, or `None` where it succeeded.
///
/// # Panics
/// If the status names no error.
#[must_use]
pub fn refusal(answer: (u64, u64)) -> Option<Error> {
    crate::calls::result(answer).err()
}
