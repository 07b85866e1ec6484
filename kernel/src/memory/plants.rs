//! Bugs on purpose, which the boot options ask for: they show that the tagged heap notices.
//!
//! Owns: a use after free and an overflow of a pool object. On a machine with tags neither returns.

use crate::memory::pools::PoolBox;
use core::ptr::null;

/// Words of the planted objects: three tag granules, in pieces of four.
const WORDS: usize = 6;

/// Reads an object of a pool that was given back.
#[inline(never)]
pub fn use_after_free() {
    let stale = PoolBox::new([1_u64; WORDS]).map_or(null(), |object| object.as_ptr());
    // SAFETY: None: this is the bug. The memory stays mapped and is only read.
    let _ = unsafe { stale.read_volatile() };
}

/// Writes a word right behind an object of a pool.
#[inline(never)]
pub fn overflow() {
    if let Ok(mut object) = PoolBox::new([1_u64; WORDS]) {
        // SAFETY: None: this is the bug. Behind the object is padding of its piece.
        unsafe { object.as_mut_ptr().wrapping_add(WORDS).write_volatile(1) };
    }
}
