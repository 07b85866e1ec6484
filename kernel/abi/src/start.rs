//! How a program finds its arguments.
//!
//! The first program starts with x0 = [`Handle`](crate::Handle) of the archive, x1 = the archive's
//! length in bytes and x2 to x5 = what it has of devices, in the order of [`Device`]. Every other program
//! starts with x0 = address of a start block and x1 = its length in bytes; whoever starts it maps the
//! block read-only and places the stack.
//!
//! ```text
//! block   words: MAGIC, archive handle or 0, archive length, argument count,
//!         handle or 0 for each Device, another handle or 0,
//!         then (offset, length) of each argument from the start of the block, then UTF-8 bytes
//! ```

/// The first word of a start block.
pub const MAGIC: u64 = u64::from_le_bytes(*b"START\0\0\x01");
/// Words before the argument records.
pub const HEADER_WORDS: usize = PARCEL_HANDLE + 1;
/// Index of the archive handle.
pub const ARCHIVE_HANDLE: usize = 1;
/// Index of the archive length.
pub const ARCHIVE_LENGTH: usize = 2;
/// Index of the argument count.
pub const ARGUMENT_COUNT: usize = 3;
/// Index of the first of what a program has of devices.
pub const FIRST_DEVICE: usize = 4;

/// Index of a handle that whoever starts the program and the program know the meaning of.
pub const PARCEL_HANDLE: usize = FIRST_DEVICE + Device::ALL.len();

/// What a program may have of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Device {
    /// The registers of the real-time clock.
    Clock = 0,
    /// Its interrupt.
    ClockInterrupt = 1,
    /// The registers of the console.
    Console = 2,
    /// Its interrupt.
    ConsoleInterrupt = 3,
}

impl Device {
    /// Every one, in this order.
    pub const ALL: [Device; 4] =
        [Device::Clock, Device::ClockInterrupt, Device::Console, Device::ConsoleInterrupt];

    /// Returns whether it is a line to the interrupt controller, and not registers.
    #[must_use]
    pub const fn is_interrupt(self) -> bool {
        matches!(self, Device::ClockInterrupt | Device::ConsoleInterrupt)
    }
}
