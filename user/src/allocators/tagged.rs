//! A heap of tagged memory: a pointer reaches its own block, and neighbours and freed blocks only
//! by the luck of an equal tag.
//!
//! Small blocks are tagged by hand, and retagged 0 when they come back, because the inner allocator
//! keeps its records in free memory and reaches them without a tag. Live blocks never have tag 0.
//! Large blocks are mappings of one of 16 reference objects of tagged zeros.

use super::{is_large, map_large, unmap_large};
use crate::heap::{Grow, Heap};
use crate::lock::Mutex;
use crate::{MemoryObject, memory, tags};
use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicU8, Ordering};
use vellum_abi::{Error, Handle, Protection};

/// How many tags there are.
const TAGS: usize = 16;

/// An allocator of tagged blocks. On a machine without memory tagging it gives none.
pub struct TaggedHeap {
    small: Heap,
    /// One object a tag, made when a large block of the tag is first asked for.
    objects: Mutex<[Option<MemoryObject>; TAGS]>,
    /// Blocks handed out so far, modulo 15.
    turn: AtomicU8,
}

impl Default for TaggedHeap {
    fn default() -> TaggedHeap {
        TaggedHeap::new()
    }
}

impl TaggedHeap {
    /// Returns an empty heap.
    #[must_use]
    pub const fn new() -> TaggedHeap {
        TaggedHeap {
            small: Heap::new(Grow::new(Protection::TAGGED)),
            objects: Mutex::new([const { None }; TAGS]),
            turn: AtomicU8::new(0),
        }
    }

    /// Makes all 16 reference objects, so that their creation is counted here and not later.
    ///
    /// # Errors
    /// Those of [`MemoryObject::tagged`].
    pub fn prepare(&self) -> Result<(), Error> {
        (0..TAGS as u8).try_for_each(|tag| self.object(tag).map(|_| ()))
    }

    fn object(&self, tag: u8) -> Result<Handle, Error> {
        let mut objects = self.objects.lock();
        let slot = &mut objects[usize::from(tag) % TAGS];
        match slot {
            Some(object) => Ok(object.handle()),
            None => Ok(slot.insert(MemoryObject::tagged(tag)?).handle()),
        }
    }

    /// Returns the next tag of 1 to 15 in turn: successive blocks differ, and runs repeat.
    fn next_tag(&self) -> u8 {
        let next_fn = |turn: u8| Some((turn + 1) % 15);
        let turn = self.turn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next_fn);
        turn.unwrap_or(0) + 1
    }

    fn alloc_large(&self, layout: Layout) -> *mut u8 {
        let tag = self.next_tag();
        let Ok(object) = self.object(tag) else { return core::ptr::null_mut() };
        let block = map_large(object, layout, Protection::TAGGED);
        if block.is_null() { block } else { tags::with_tag(block, tag) }
    }
}

/// Returns the layout in whole tag granules, so that no two blocks and no record of the inner
/// allocator share one; `None` where that overflows.
fn granular(layout: Layout) -> Option<Layout> {
    let size = layout.size().checked_next_multiple_of(tags::GRANULE)?;
    Layout::from_size_align(size, layout.align().max(tags::GRANULE)).ok()
}

// SAFETY: small blocks are the inner allocator's, of at least the layout that was asked for; large
// blocks are page-aligned mappings that nobody else knows. Tags change no address.
unsafe impl GlobalAlloc for TaggedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return self.alloc_large(layout);
        }
        let Some(layout) = granular(layout) else { return core::ptr::null_mut() };
        // SAFETY: the caller's duties are the inner allocator's.
        let block = unsafe { self.small.alloc(layout) };
        if block.is_null() {
            return block;
        }
        let block = tags::with_tag(block, self.next_tag());
        // SAFETY: the block is whole granules of tagged memory and belongs to nobody yet.
        unsafe { tags::store_range(block, layout.size()) }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duties are those of `alloc`.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && !is_large(layout) {
            // SAFETY: the block has this size. Large ones are zeros already and stay untouched.
            unsafe { memory::set(block, 0, layout.size()) }
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let block = tags::with_tag(block, 0);
        if is_large(layout) {
            // SAFETY: the caller gives a block back that `alloc` made with this layout.
            unsafe { unmap_large(block, layout) }
        } else if let Some(layout) = granular(layout) {
            // SAFETY: as above; from here on nobody reaches the block by its old tag.
            unsafe { tags::store_range(block, layout.size()) }
            // SAFETY: the block came from the inner allocator with the same granular layout.
            unsafe { self.small.dealloc(block, layout) }
        }
    }
}
