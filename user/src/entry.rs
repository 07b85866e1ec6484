//! Where a program starts and how it ends.
//!
//! [`crate::entry!`] defines `_start`, which the loader jumps to with an aligned stack and the
//! address and length of the start block in x0 and x1. The end is the value that `main` returns,
//! turned into an exit status by [`Termination`].

use crate::start_block::StartBlock;
use crate::{calls, console, println, testing};
use core::fmt::Debug;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::start::Device;
use vellum_abi::{Error, Handle};

/// The exit status of a program that reports a failure without a number of its own.
pub const FAILED: u64 = 1;
/// The exit status of a program whose start block makes no sense.
const BAD_START: u64 = 98;

/// Where this program's start block is, for code that `main` did not hand it to.
static START: AtomicU64 = AtomicU64::new(0);
static START_LENGTH: AtomicU64 = AtomicU64::new(0);
/// What the first program was given of devices, in its registers.
static DEVICES: [AtomicU64; Device::ALL.len()] = [const { AtomicU64::new(0) }; Device::ALL.len()];

/// What a program was started with.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    block: StartBlock<'static>,
}

impl Arguments {
    /// Returns this program's arguments, or `None` in the first program, which has none.
    #[must_use]
    pub fn current() -> Option<Arguments> {
        let length = START_LENGTH.load(Ordering::Acquire);
        if length == 0 {
            return None;
        }
        // SAFETY: both words are stored together by `run_program`, whose duty 1 covers them.
        let bytes = unsafe { block(START.load(Ordering::Relaxed), length) };
        StartBlock::parse(bytes).map(|block| Arguments { block })
    }

    /// Returns the name under which the program was started.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.block.argument(0).unwrap_or("")
    }

    /// Returns the arguments, the program's name not counted.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + Clone {
        let block = self.block;
        (1..block.argument_count()).filter_map(move |index| block.argument(index))
    }

    /// Returns an argument; 0 is the first one behind the program's name.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&'static str> {
        self.block.argument(index.checked_add(1)?)
    }

    /// Returns whether one of the arguments is `word`.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.iter().any(|argument| argument == word)
    }

    /// Returns the text behind `key=` in the first argument that has it.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&'static str> {
        self.iter().find_map(|argument| argument.strip_prefix(key)?.strip_prefix('='))
    }

    /// Returns the handle of the real-time clock's registers, if the machine has one.
    #[must_use]
    pub fn device(&self) -> Option<Handle> {
        self.block.device(Device::Clock)
    }

    /// Returns the handle that whoever started this program gave it beside those that all get.
    #[must_use]
    pub fn parcel(&self) -> Option<Handle> {
        self.block.parcel()
    }

    /// Returns the archive's handle and length, if this program was given it.
    #[must_use]
    pub fn archive(&self) -> Option<(Handle, u64)> {
        self.block.archive()
    }
}

/// Returns the handle of what this program was given of a device.
pub(crate) fn device(device: Device) -> Option<Handle> {
    match (Arguments::current(), DEVICES[device as usize].load(Ordering::Relaxed)) {
        (Some(arguments), _) => arguments.block.device(device),
        (None, 0) => None,
        (None, word) => Handle::from_word(word),
    }
}

/// What `main` may return, and the exit status it means.
pub trait Termination {
    /// Returns the exit status.
    fn status(self) -> u64;
}

impl Termination for () {
    fn status(self) -> u64 {
        0
    }
}

impl Termination for u8 {
    fn status(self) -> u64 {
        u64::from(self)
    }
}

impl Termination for u64 {
    fn status(self) -> u64 {
        self
    }
}

impl<T: Termination, E: Debug> Termination for Result<T, E> {
    /// An error is printed and means [`FAILED`].
    fn status(self) -> u64 {
        self.map_or_else(
            |error| {
                println!("error: {error:?}");
                FAILED
            },
            T::status,
        )
    }
}

/// Ends the program: prints what is still in the line, and what the checks of [`testing`] found.
///
/// A status of 0 becomes 1 if a check failed.
pub fn exit(status: u64) -> ! {
    let status = if status == 0 { testing::verdict() } else { status };
    console::flush();
    calls::exit(status)
}

/// Returns the start block that was passed in registers.
///
/// # Safety
/// 1. The range is readable and never changes or goes away.
unsafe fn block(address: u64, length: u64) -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: duty 1.
    unsafe { core::slice::from_raw_parts(start, length as usize) }
}

/// The registers that a program starts with.
#[doc(hidden)]
pub type Given = [u64; 2 + Device::ALL.len()];

/// Runs a program; [`crate::entry!`] calls it with the registers.
///
/// # Safety
/// 1. The registers are those that the loader set: address and length of a read-only start block.
#[doc(hidden)]
pub unsafe fn run_program(given: Given, main_fn: fn(&Arguments) -> u64) -> ! {
    START.store(given[0], Ordering::Relaxed);
    START_LENGTH.store(given[1], Ordering::Release);
    let status = match Arguments::current() {
        Some(arguments) => main_fn(&arguments),
        None => BAD_START,
    };
    exit(status)
}

/// Runs a test: a program whose pages are all present before `main`; see [`testing::warm`].
///
/// # Safety
/// 1. As for [`run_program`].
#[doc(hidden)]
pub unsafe fn run_test(given: Given, main_fn: fn(&Arguments) -> u64) -> ! {
    testing::begin();
    // SAFETY: duty 1.
    unsafe { run_program(given, main_fn) }
}

/// Runs the first program, which gets the archive instead of a start block.
///
/// # Safety
/// 1. The registers are those that the kernel set.
#[doc(hidden)]
pub unsafe fn run_first(given: Given, main_fn: fn(Result<(Handle, u64), Error>) -> u64) -> ! {
    for (device, word) in DEVICES.iter().zip(&given[2..]) {
        device.store(*word, Ordering::Relaxed);
    }
    let handle = Handle::from_word(given[0]).ok_or(Error::BadHandle);
    exit(main_fn(handle.map(|handle| (handle, given[1]))))
}

/// Makes `main` the program's entry: a function of `&Arguments` that returns a [`Termination`].
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        $crate::start_with!(run_program, |arguments| $crate::entry::Termination::status($main(
            arguments
        )));
    };
}

/// Makes `main` the entry of a test: like [`entry!`](crate::entry!), with every page of the program
/// and its stack present beforehand, so that counters in it are exact, and with a closing line.
#[macro_export]
macro_rules! test {
    ($main:path) => {
        $crate::start_with!(run_test, |arguments| $crate::entry::Termination::status($main(
            arguments
        )));
    };
}

/// Makes `main` the entry of the first program: a function of the archive's handle and length that
/// returns an exit status.
#[macro_export]
macro_rules! first_program {
    ($main:path) => {
        $crate::start_with!(run_first, $main);
    };
}

/// Defines `_start` for the macros above.
#[doc(hidden)]
#[macro_export]
macro_rules! start_with {
    ($run:ident, $main:expr) => {
        const _: () = {
            /// Ends the chain of frames for a backtrace and goes on in Rust.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn _start() -> ! {
                core::arch::naked_asm!(
                    "mov x29, xzr",
                    "mov x30, xzr",
                    "b {begin}",
                    begin = sym begin,
                )
            }

            extern "C" fn begin(x0: u64, x1: u64, x2: u64, x3: u64, x4: u64, x5: u64) -> ! {
                // SAFETY: `_start` passes the registers on as they were at the first instruction.
                unsafe { $crate::entry::$run([x0, x1, x2, x3, x4, x5], $main) }
            }
        };
    };
}
