//! Moving and resizing mappings.

use super::call;
use vellum_abi::{Call, Error, Handle, RemapFlags};

/// Makes a mapping, or part of one, larger or smaller and moves it; returns the address.
///
/// # Errors
/// `InvalidFlags`, `Misaligned`, `InvalidSize`, `OutOfRange`, `Overlap`, `NotMapped`,
/// `SeveralMappings`, `Sealed`, `NotPermitted`, `BeyondEnd`, `OutOfAddresses`, `OutOfFrames`,
/// `OutOfKernelMemory`, `LimitReached` and those of the handle.
///
/// # Safety
/// 1. In this process: nothing in the old range is in use, and with FIXED nothing in the new one.
pub unsafe fn remap(
    process: Handle,
    old: (u64, u64),
    new_length: u64,
    flags: RemapFlags,
    new: u64,
) -> Result<u64, Error> {
    let arguments = [process.to_word(), old.0, old.1, new_length, flags.bits(), new];
    // SAFETY: duty 1.
    unsafe { call(Call::Remap, arguments) }
}
