//! `print!` and `println!`: text is gathered by line, so that a line is one system call and lines
//! of several processes do not mix.

use crate::{calls, lock::Mutex};
use core::fmt::{self, Write};

/// The longest piece of text that is written with one call.
const LINE_BYTES: usize = 240;

static LINE: Mutex<Line> = Mutex::new(Line::new());

/// A line in the making. It goes out when it ends, when it is full and on [`Line::flush`].
pub(crate) struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Line {
    pub(crate) const fn new() -> Line {
        Line { bytes: [0; LINE_BYTES], length: 0 }
    }

    /// Writes what is there. A console that refuses it leaves nobody to tell: the text is dropped.
    pub(crate) fn flush(&mut self) {
        let mut rest = &self.bytes[..self.length];
        while !rest.is_empty() {
            let (written, result) = calls::console_write(rest);
            rest = rest.get(written..).unwrap_or(&[]);
            if result.is_err() {
                break;
            }
        }
        self.length = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.bytes[self.length] = byte;
            self.length += 1;
            if byte == b'\n' || self.length == LINE_BYTES {
                self.flush();
            }
        }
        Ok(())
    }
}

/// Writes formatted text; [`crate::print!`] and [`crate::println!`] end here.
pub fn print(arguments: fmt::Arguments) {
    // The writer itself never fails; an error comes from a broken `Display` and loses the rest.
    let _ = LINE.lock().write_fmt(arguments);
}

/// Writes what was printed and not yet ended by a line feed.
pub fn flush() {
    if let Some(mut line) = LINE.try_lock() {
        line.flush();
    }
}

/// Prints formatted text to the console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(format_args!($($argument)*)) };
}

/// Prints formatted text and a line feed to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::console::print(format_args!("\n")) };
    ($($argument:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($argument)*)))
    };
}
