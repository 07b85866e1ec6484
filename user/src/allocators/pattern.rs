//! A heap whose fresh memory reads as a pattern, to make use of uninitialised memory visible.

use super::{is_large, map_large, unmap_large};
use crate::heap::{Grow, Heap};
use crate::lock::Mutex;
use crate::{MemoryObject, memory};
use core::alloc::{GlobalAlloc, Layout};
use vellum_abi::{Handle, Protection};

/// An allocator that fills small blocks with its byte, and maps large ones from one reference
/// object of that byte.
pub struct PatternHeap {
    byte: u8,
    small: Heap,
    /// Made when the first large block is asked for.
    object: Mutex<Option<MemoryObject>>,
}

impl PatternHeap {
    /// Returns an empty heap.
    #[must_use]
    pub const fn new(byte: u8) -> PatternHeap {
        let small = Heap::new(Grow::new(Protection::NONE));
        PatternHeap { byte, small, object: Mutex::new(None) }
    }

    /// Returns the reference object, or `None` if the kernel has no room for it.
    fn object(&self) -> Option<Handle> {
        let mut object = self.object.lock();
        if object.is_none() {
            *object = MemoryObject::pattern(self.byte).ok();
        }
        object.as_ref().map(MemoryObject::handle)
    }
}

// SAFETY: small blocks are the inner allocator's, of the layout that was asked for; large blocks
// are page-aligned mappings that nobody else knows.
unsafe impl GlobalAlloc for PatternHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return self.object().map_or(core::ptr::null_mut(), |object| {
                map_large(object, layout, Protection::NONE)
            });
        }
        // SAFETY: the caller's duties are the inner allocator's.
        let block = unsafe { self.small.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has this size and belongs to nobody yet.
            unsafe { memory::set(block, self.byte, layout.size()) }
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(layout) {
            return map_large(Handle::ANONYMOUS, layout, Protection::NONE);
        }
        // SAFETY: the caller's duties are the inner allocator's.
        unsafe { self.small.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout) {
            // SAFETY: the caller gives a block back that `alloc` made with this layout.
            unsafe { unmap_large(block, layout) }
        } else {
            // SAFETY: as above, by the inner allocator.
            unsafe { self.small.dealloc(block, layout) }
        }
    }
}
