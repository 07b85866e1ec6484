//! How a program finds its arguments.
//!
//! The first program starts with x0 = [`Handle`](crate::Handle) of the archive, x1 = the archive's
//! length in bytes and x2 = handle of the real-time clock's registers, 0 without one. Every other program starts with x0 = address of a start block and
//! x1 = its length in bytes; whoever starts it maps the block read-only and places the stack.
//!
//! ```text
//! block   words: MAGIC, archive handle or 0, archive length, argument count,
//!         handle of the clock's registers or 0,
//!         then (offset, length) of each argument from the start of the block, then UTF-8 bytes
//! ```

/// The first word of a start block.
pub const MAGIC: u64 = u64::from_le_bytes(*b"START\0\0\x01");
/// Words before the argument records.
pub const HEADER_WORDS: usize = 5;
/// Index of the archive handle.
pub const ARCHIVE_HANDLE: usize = 1;
/// Index of the archive length.
pub const ARCHIVE_LENGTH: usize = 2;
/// Index of the argument count.
pub const ARGUMENT_COUNT: usize = 3;
/// Index of the handle of the real-time clock's registers: an example of a device.
pub const DEVICE_HANDLE: usize = 4;
