//! Stubs of the calls of pagers.

use super::{call, handle};
use crate::raw;
use vellum_abi::{Call, Error, Handle, PagerFlags, SupplyOptions};

/// Makes a memory object whose pages are asked for at an endpoint, under the badge of this handle.
///
/// # Errors
/// `InvalidState` where somebody received at the endpoint before it had such an object; `InvalidSize`,
/// `Misaligned`; `OutOfFrames`, `OutOfKernelMemory`, `LimitReached`, `OutOfHandles`; those of the handle.
pub fn pager_create(endpoint: Handle, length: u64, flags: PagerFlags) -> Result<Handle, Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::PagerCreate, [endpoint.to_word(), length, flags.bits()]) }.map(handle)
}

/// Supplies pages of an object. Returns how many bytes, and why not all.
///
/// # Safety
/// 1. Pages that move hold no Rust value: they show their object again afterwards.
pub unsafe fn pager_supply(
    object: Handle,
    offset: u64,
    length: u64,
    source: u64,
    options: SupplyOptions,
) -> (u64, Result<(), Error>) {
    let arguments = [object.to_word(), offset, length, source, options.to_word(), 0];
    // SAFETY: the caller's duty.
    let (status, value) = unsafe { raw::call(Call::PagerSupply as u64, arguments) };
    (value, super::result((status, value)).map(|_| ()))
}
