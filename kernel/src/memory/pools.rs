//! Typed kernel objects: one owner, or a count of owners. Making one can fail, dropping never.
//!
//! Owns: [`PoolBox`] and [`PoolArc`]. Refuses to know: sizes and slabs (`slabs`), and who pays
//! (accounts are the callers').

use crate::memory::slabs;
use core::alloc::Layout;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use vellum_vm::machine::PoolExhausted;

pub use slabs::live_bytes;

/// A value in a pool with one owner.
pub struct PoolBox<T>(NonNull<T>);

// SAFETY: A box owns its value as the value itself would.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: A shared box gives out shared references to the value and nothing else.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

/// Makes a value in fresh pool memory, in its place.
#[inline]
fn store<T>(value_fn: impl FnOnce() -> T) -> Result<NonNull<T>, PoolExhausted> {
    let memory = slabs::allocate(Layout::new::<T>()).ok_or(PoolExhausted)?.cast::<T>();
    // SAFETY: Fresh memory of the type's layout.
    unsafe { memory.write(value_fn()) };
    Ok(memory)
}

/// Gives the memory of a value back that was dropped.
///
/// # Safety
/// `memory` came from [`store`] for this type and is not used any more.
unsafe fn discard<T>(memory: NonNull<T>) {
    // SAFETY: The caller's duty.
    unsafe { slabs::free(memory.cast(), Layout::new::<T>()) };
}

impl<T> PoolBox<T> {
    /// Puts a value into a pool.
    ///
    /// # Errors
    /// `PoolExhausted`; the value is dropped.
    pub fn new(value: T) -> Result<PoolBox<T>, PoolExhausted> {
        store(|| value).map(PoolBox)
    }

    /// Makes a value in a pool. Nothing is moved.
    ///
    /// # Errors
    /// `PoolExhausted`; no value is made.
    #[inline]
    pub fn make(value_fn: impl FnOnce() -> T) -> Result<PoolBox<T>, PoolExhausted> {
        store(value_fn).map(PoolBox)
    }
}

impl<T> Drop for PoolBox<T> {
    // Out of line, so that whoever may have a box asks whether it does and saves nothing for it.
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: The box owns the value, and nobody sees it afterwards.
        unsafe { self.0.drop_in_place() };
        // SAFETY: The memory came from `store`; the value is dropped.
        unsafe { discard(self.0) };
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: The box owns a live value.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The box owns a live value, and is borrowed for itself.
        unsafe { self.0.as_mut() }
    }
}

/// A value and how many owners it has.
struct Counted<T> {
    /// 64 bits do not overflow.
    owners: AtomicU64,
    value: T,
}

/// A value in a pool with a count of owners; the last one drops it.
pub struct PoolArc<T>(NonNull<Counted<T>>);

// SAFETY: Owners on several CPUs share the value, and the last one, anywhere, drops it.
unsafe impl<T: Send + Sync> Send for PoolArc<T> {}
// SAFETY: As for `Send`: a shared owner can be cloned into another.
unsafe impl<T: Send + Sync> Sync for PoolArc<T> {}

impl<T> PoolArc<T> {
    /// Puts a value with one owner into a pool.
    ///
    /// # Errors
    /// `PoolExhausted`; the value is dropped.
    pub fn new(value: T) -> Result<PoolArc<T>, PoolExhausted> {
        store(|| Counted { owners: AtomicU64::new(1), value }).map(PoolArc)
    }

    /// Returns how many owners there are.
    pub fn owners(&self) -> u64 {
        self.counted().owners.load(Ordering::Relaxed)
    }

    #[inline]
    fn counted(&self) -> &Counted<T> {
        // SAFETY: An owner keeps the value alive.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for PoolArc<T> {
    #[inline]
    fn clone(&self) -> PoolArc<T> {
        // Another owner exists, so nothing needs to be ordered.
        self.counted().owners.fetch_add(1, Ordering::Relaxed);
        PoolArc(self.0)
    }
}

impl<T> Drop for PoolArc<T> {
    #[inline]
    fn drop(&mut self) {
        // What this owner did to the value comes before the drop by the last one.
        if self.counted().owners.fetch_sub(1, Ordering::Release) == 1 {
            // SAFETY: This was the last owner: nobody sees the value afterwards.
            unsafe { end(self.0) };
        }
    }
}

/// Drops a value whose last owner is gone, and gives its memory back. Apart, so that an owner that is not the
/// last saves no registers for it.
///
/// # Safety
/// `memory` came from [`store`], and nobody uses it any more.
#[cold]
#[inline(never)]
unsafe fn end<T>(memory: NonNull<Counted<T>>) {
    // What all other owners did comes before what follows.
    fence(Ordering::Acquire);
    // SAFETY: The caller's duty.
    unsafe { memory.drop_in_place() };
    // SAFETY: The caller's duty; the value is dropped.
    unsafe { discard(memory) };
}

impl<T> Deref for PoolArc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.counted().value
    }
}
