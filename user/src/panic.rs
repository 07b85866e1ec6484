//! What happens when a program panics: one line, then exit status 98.

use crate::{calls, console};
use core::fmt::Write;
use core::panic::PanicInfo;

/// The exit status of a program that panicked.
const PANICKED: u64 = 98;

/// Prints through a line of its own: the shared one may be locked by the code that panicked.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    console::flush();
    let mut line = console::Line::new();
    let _ = match info.location() {
        Some(place) => {
            writeln!(line, "panic at {}:{}: {}", place.file(), place.line(), info.message())
        }
        None => writeln!(line, "panic: {}", info.message()),
    };
    line.flush();
    calls::exit(PANICKED)
}
