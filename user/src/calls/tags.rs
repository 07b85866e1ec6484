//! Calls that move allocation tags.

use super::result;
use crate::raw;
use vellum_abi::{Call, Error, Handle};

/// Copies the tags of a process's memory into `tags`, a byte for each tag granule from `address` on;
/// returns how many, and why not all of them.
pub fn tags_read(process: Handle, address: u64, tags: &mut [u8]) -> (usize, Result<(), Error>) {
    let place = tags.as_mut_ptr().expose_provenance() as u64;
    let arguments = [process.to_word(), address, place, tags.len() as u64, 0, 0];
    // SAFETY: the kernel writes inside `tags` only.
    let (status, count) = unsafe { raw::call(Call::TagsRead as u64, arguments) };
    (count as usize, result((status, 0)).map(|_| ()))
}

/// Sets the tags of a process's memory, a byte for each tag granule from `address` on; returns how
/// many, and why not all of them.
///
/// # Safety
/// 1. In this process: no reference with another tag is used to reach the granules afterwards.
pub unsafe fn tags_write(process: Handle, address: u64, tags: &[u8]) -> (usize, Result<(), Error>) {
    let place = tags.as_ptr().expose_provenance() as u64;
    let arguments = [process.to_word(), address, place, tags.len() as u64, 0, 0];
    // SAFETY: duty 1.
    let (status, count) = unsafe { raw::call(Call::TagsWrite as u64, arguments) };
    (count as usize, result((status, 0)).map(|_| ()))
}
