//! Demonstration allocators: what reference objects give an allocator.
//!
//! [`TaggedHeap`] hands out memory under tags, [`PatternHeap`] memory that reads as a pattern until
//! it is written. Both leave small blocks to an allocator crate and prepare them by hand, as
//! allocators do today. A large block is a private mapping of a reference object instead: it costs
//! nothing up front, and each page is prepared by the kernel when it is first written.
//!
//! Both implement `GlobalAlloc`, so a program can also make one its own heap.

mod pattern;
mod tagged;

pub use pattern::PatternHeap;
pub use tagged::TaggedHeap;

use crate::calls;
use crate::mapping::{MapRequest, PAGE};
use core::alloc::Layout;
use vellum_abi::{Handle, Protection};

/// From this size on a block is a mapping of its own.
pub const LARGE_BYTES: usize = 64 * 1024;

/// Returns whether a block is a mapping of its own.
const fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE_BYTES && layout.align() <= PAGE
}

/// Returns the length of a large block's mapping.
const fn mapped_length(layout: Layout) -> usize {
    layout.size().next_multiple_of(PAGE)
}

/// Maps a large block; null if the kernel refuses.
fn map_large(object: Handle, layout: Layout, more: Protection) -> *mut u8 {
    let request = MapRequest::of(object, mapped_length(layout));
    let protection = request.protection | more;
    match (MapRequest { protection, ..request }).map() {
        Ok(mapping) => core::ptr::with_exposed_provenance_mut(mapping.leak()),
        Err(_) => core::ptr::null_mut(),
    }
}

/// Unmaps a large block.
///
/// # Safety
/// 1. `pointer`, without a tag, comes from [`map_large`] with this layout and is not used again.
unsafe fn unmap_large(pointer: *mut u8, layout: Layout) {
    let length = mapped_length(layout) as u64;
    // SAFETY: duty 1. `dealloc` has no way to report an error, and a whole mapping has none.
    let _ = unsafe { calls::unmap(Handle::SELF, pointer.addr() as u64, length) };
}
