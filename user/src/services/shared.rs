//! Bytes that go through a memory object.
//!
//! Owns: the object on the side that asks, and the careful look at it on the side that answers. Whoever asks may
//! hand over anything and change it at any time: so a service accepts memory objects alone, and moves their
//! bytes by calls that answer with an error where an access of its own would be its end.

use super::Trouble;
use crate::mapping::{MapRequest, Mapping, PAGE};
use crate::{MemoryObject, calls};
use alloc::vec;
use alloc::vec::Vec;
use vellum_abi::{Error, Handle, ObjectKind, Rights};

/// The most bytes that go with one question.
pub const MOST: usize = 16 * PAGE;

/// What a service needs to look, and to fill.
pub const TO_READ: Rights = Rights::READ.union(Rights::MAP).union(Rights::INSPECT);
/// See [`TO_READ`].
pub const TO_WRITE: Rights = TO_READ.union(Rights::WRITE);

/// An object to send bytes through, seen by whoever asks.
#[derive(Debug)]
pub struct Shared {
    object: MemoryObject,
    window: Mapping,
}

impl Shared {
    /// Makes an object of some pages.
    ///
    /// # Errors
    /// Those of [`MemoryObject::new`] and [`MapRequest::map`].
    pub fn new(pages: usize) -> Result<Shared, Error> {
        let object = MemoryObject::new((pages * PAGE) as u64)?;
        let window = MapRequest::of(object.handle(), pages * PAGE).shared().map()?;
        Ok(Shared { object, window })
    }

    /// Returns the object's handle, to send.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.object.handle()
    }

    /// Returns how many bytes fit.
    #[must_use]
    pub fn length(&self) -> usize {
        self.window.length()
    }

    /// Writes bytes, as many as fit. Returns how many.
    pub fn put(&self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.length());
        bytes[..count]
            .iter()
            .enumerate()
            .for_each(|(offset, byte)| self.window.write(offset, *byte));
        count
    }

    /// Returns the first bytes.
    #[must_use]
    pub fn bytes(&self, count: usize) -> Vec<u8> {
        (0..count.min(self.length())).map(|offset| self.window.read(offset)).collect()
    }
}

/// Maps an object that somebody handed over.
fn window(
    handle: Handle,
    length: usize,
    access: Access,
) -> Result<(MemoryObject, Mapping), Trouble> {
    let object = MemoryObject::from_handle(handle);
    if object.query()?.kind != ObjectKind::Memory as u64 || length > MOST || length == 0 {
        return Err(Trouble::Unknown);
    }
    let request = MapRequest::of(object.handle(), length.next_multiple_of(PAGE)).shared();
    let request = if access == Access::Read { request.read_only() } else { request };
    let window = request.map()?;
    Ok((object, window))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Returns the first bytes of an object that somebody handed over, and closes the handle.
///
/// # Errors
/// `Unknown` for what is no memory object or too long; those of the kernel.
pub fn take_bytes(handle: Handle, length: usize) -> Result<Vec<u8>, Trouble> {
    let (_object, window) = window(handle, length, Access::Read)?;
    let mut bytes = vec![0; length];
    calls::memory_read(Handle::SELF, window.address() as u64, &mut bytes).1?;
    Ok(bytes)
}

/// Writes bytes into an object that somebody handed over, `length` bytes long at least, and closes the handle.
/// Returns how many bytes there were to write.
///
/// # Errors
/// As for [`take_bytes`].
pub fn give_bytes(handle: Handle, length: usize, bytes: &[u8]) -> Result<usize, Trouble> {
    let (_object, window) = window(handle, length, Access::Write)?;
    let count = bytes.len().min(length);
    // SAFETY: no Rust value lives in the window.
    unsafe { calls::memory_write(Handle::SELF, window.address() as u64, &bytes[..count]) }.1?;
    Ok(bytes.len())
}
