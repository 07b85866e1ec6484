//! Moving and resizing mappings: ownership follows the pages.

use super::Mapping;
use crate::calls;
use core::marker::PhantomData;
use vellum_abi::{Error, Handle, RemapFlags};

impl Mapping {
    /// Makes the mapping longer or shorter, in place or elsewhere. What is added is as new.
    ///
    /// # Errors
    /// Those of [`calls::remap`], and the mapping as it is.
    pub fn resize(self, length: usize) -> Result<Mapping, (Mapping, Error)> {
        match self.remap(length, RemapFlags::MAYMOVE, 0) {
            Ok(start) => {
                core::mem::forget(self);
                Ok(Mapping { start: start as usize, length, not_sync: PhantomData })
            }
            Err(error) => Err((self, error)),
        }
    }

    /// Moves the mapping in the place of another. Its first pages are those of this one.
    ///
    /// # Errors
    /// Those of [`calls::remap`]; both mappings stay as they are.
    pub fn move_onto(self, target: Mapping) -> Result<Mapping, ([Mapping; 2], Error)> {
        let (start, length) = (target.start as u64, target.length);
        match self.remap(length, RemapFlags::MAYMOVE | RemapFlags::FIXED, start) {
            Ok(_) => {
                core::mem::forget(self);
                Ok(target)
            }
            Err(error) => Err(([self, target], error)),
        }
    }

    /// Moves the pages to a new mapping of `length` bytes and leaves this one as if just made.
    ///
    /// # Errors
    /// Those of [`calls::remap`].
    pub fn retain(&self, length: usize) -> Result<Mapping, Error> {
        let start = self.remap(length, RemapFlags::MAYMOVE | RemapFlags::RETAIN, 0)?;
        Ok(Mapping { start: start as usize, length, not_sync: PhantomData })
    }

    /// As [`Self::retain`], in the place of another mapping.
    ///
    /// # Errors
    /// Those of [`calls::remap`]; both mappings stay as they are.
    pub fn retain_onto(&self, target: &Mapping) -> Result<(), Error> {
        let flags = RemapFlags::MAYMOVE | RemapFlags::FIXED | RemapFlags::RETAIN;
        self.remap(target.length, flags, target.start as u64).map(|_| ())
    }

    /// Every caller owns both ranges, or leaves the new one to the kernel.
    fn remap(&self, length: usize, flags: RemapFlags, new: u64) -> Result<u64, Error> {
        let old = (self.start as u64, self.length as u64);
        // SAFETY: no Rust value lives in a mapping.
        unsafe { calls::remap(Handle::SELF, old, length as u64, flags, new) }
    }
}
