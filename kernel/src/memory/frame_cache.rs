//! Free frames that a CPU has at hand.
//!
//! Owns: the frames, and how many there may be. Refuses to know: where they come from and go to
//! (`frames`).

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Frames that a cache holds.
pub const CACHE_FRAMES: usize = 256;

/// Free frames of one CPU. Only that CPU takes and gives.
pub struct FrameCache {
    /// How many; others may read it.
    length: AtomicUsize,
    /// How many at most: all there is room for, or none while frames are scarce.
    limit: Cell<usize>,
    frames: [Cell<u32>; CACHE_FRAMES],
}

impl FrameCache {
    /// Returns an empty cache.
    pub const fn new() -> FrameCache {
        FrameCache {
            length: AtomicUsize::new(0),
            limit: Cell::new(CACHE_FRAMES),
            frames: [const { Cell::new(0) }; CACHE_FRAMES],
        }
    }

    /// Returns how many frames are in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Decides whether it keeps frames that are given back.
    pub(super) fn keep(&self, keep: bool) {
        self.limit.set(if keep { CACHE_FRAMES } else { 0 });
    }

    /// Takes the frame that came last.
    #[inline]
    pub(super) fn pop(&self) -> Option<u32> {
        let length = self.len().checked_sub(1)?;
        self.length.store(length, Ordering::Relaxed);
        self.frames.get(length).map(Cell::get)
    }

    /// Adds a frame, or returns `false` if the cache is full.
    #[inline]
    pub(super) fn push(&self, frame: u32) -> bool {
        let length = self.len();
        let Some(slot) = self.frames.get(length).filter(|_| length < self.limit.get()) else {
            return false;
        };
        slot.set(frame);
        self.length.store(length + 1, Ordering::Relaxed);
        true
    }

    /// Adds frames to an empty cache by `take_fn`, which hands each over and returns how many.
    pub(super) fn fill(&self, take_fn: impl FnOnce(&mut dyn FnMut(u32)) -> usize) {
        let mut slots = self.frames.iter();
        let taken = take_fn(&mut |frame| {
            if let Some(slot) = slots.next() {
                slot.set(frame);
            }
        });
        self.length.store(taken, Ordering::Relaxed);
    }
}
