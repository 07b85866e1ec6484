//! Memory routines whose instruction counts are known, and the account of what they wrote.
//!
//! The kernel counts the bytes that it writes itself; what a program writes, only the program
//! knows. So these routines, and loops that say so with [`declare`], add it up here, and figures
//! show it as "user bytes declared". The compiler's own `memset` and `memcpy` come from
//! `compiler_builtins` and are not counted.

mod set;

pub use set::{set_mops, set_pairs, set_vectors};

use crate::system;
use core::sync::atomic::{AtomicU64, Ordering};

static DECLARED: AtomicU64 = AtomicU64::new(0);
static DECLARED_TAGS: AtomicU64 = AtomicU64::new(0);

/// Adds `bytes` to the bytes that this program says it wrote.
#[inline]
pub fn declare(bytes: usize) {
    DECLARED.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// Adds `bytes` to the bytes of tag storage that this program says it wrote (two granules share
/// one; a single granule counts as one).
#[inline]
pub fn declare_tags(bytes: usize) {
    DECLARED_TAGS.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// Returns the bytes declared since the program started.
#[must_use]
pub fn user_bytes_declared() -> u64 {
    DECLARED.load(Ordering::Relaxed)
}

/// Returns the bytes of tag storage declared since the program started.
#[must_use]
pub fn user_tag_bytes_declared() -> u64 {
    DECLARED_TAGS.load(Ordering::Relaxed)
}

/// Fills `length` bytes with the machine's memory set instructions where they are in use, and with
/// 16-byte stores of general registers elsewhere.
///
/// # Safety
/// 1. `pointer` is valid for writes of `length` bytes.
pub unsafe fn set(pointer: *mut u8, byte: u8, length: usize) {
    if system::mops_in_use() {
        // SAFETY: duty 1; the instructions exist.
        unsafe { set_mops(pointer, byte, length) }
    } else {
        // SAFETY: duty 1.
        unsafe { set_pairs(pointer, byte, length) }
    }
}

/// Copies `length` bytes between ranges that do not overlap.
///
/// # Safety
/// 1. `source` is valid for reads and `target` for writes of `length` bytes.
/// 2. The ranges do not overlap.
pub unsafe fn copy(target: *mut u8, source: *const u8, length: usize) {
    declare(length);
    // SAFETY: duties 1 and 2.
    unsafe { core::ptr::copy_nonoverlapping(source, target, length) }
}
