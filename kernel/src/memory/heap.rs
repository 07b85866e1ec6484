//! The kernel heap.
//!
//! Owns: one region of RAM, in two parts that cannot take from each other: the index heap behind
//! `alloc`, where allocation cannot fail, and the pool heap, where it can. Refuses to know: what is
//! stored.
//!
//! The index heap serves `boot` and the block allocator alone, whose trees have at most one entry
//! a block. It is made so large that all of them fit twice, and nothing else can eat it up: that is
//! why an allocation during `BTreeSet::insert` cannot fail after boot. Everything that user input
//! can reach takes from the pool heap, through `pools`.

use crate::memory::heap_tags::{self, GRANULE};
use crate::memory::layout::{BLOCK_SIZE, direct};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use linked_list_allocator::Heap;
use spin::mutex::SpinMutex;

/// Bytes of the index heap: for boot, and for each block. A tree node of at least five entries
/// takes 104 bytes, or 200 with children: 42 bytes an entry at worst, and at most half of all
/// blocks are entries, as two buddies become one.
const INDEX_BYTES: u64 = 64 << 10;
const INDEX_BYTES_PER_BLOCK: u64 = 64;

struct IndexHeap(SpinMutex<Heap>);

#[global_allocator]
static INDEX: IndexHeap = IndexHeap(SpinMutex::new(Heap::empty()));
static POOL: SpinMutex<Heap> = SpinMutex::new(Heap::empty());

/// Returns the bytes of the pool heap for a size of RAM.
pub fn pool_bytes_for(ram_bytes: u64) -> u64 {
    bytes_for(ram_bytes) - index_bytes_for(ram_bytes)
}

fn index_bytes_for(ram_bytes: u64) -> u64 {
    INDEX_BYTES + INDEX_BYTES_PER_BLOCK * (ram_bytes / BLOCK_SIZE)
}

/// Returns the size of the whole heap for a size of RAM.
pub fn bytes_for(ram_bytes: u64) -> u64 {
    (ram_bytes / 16).clamp(2 << 20, 64 << 20)
}

/// Starts both heaps in `bytes` of RAM.
///
/// # Safety
/// The range is in the direct map, for good, and nobody else uses it. Called once.
pub unsafe fn start(physical: u64, bytes: u64, ram_bytes: u64) {
    let index_bytes = index_bytes_for(ram_bytes);
    let start: *mut u8 = core::ptr::with_exposed_provenance_mut(direct(physical) as usize);
    // SAFETY: Whole pages of the direct map, which nobody uses yet.
    unsafe { heap_tags::clear(start, bytes as usize) };
    // SAFETY: The caller gives the range away; the index heap takes its first part.
    unsafe { init(&INDEX.0, start, index_bytes as usize) };
    let pool = start.wrapping_add(index_bytes as usize);
    // SAFETY: The pool heap takes the rest.
    unsafe { init(&POOL, pool, (bytes - index_bytes) as usize) };
}

/// Starts a heap in a range without its first and last granule, whose tags stay 0.
///
/// # Safety
/// Nobody uses the range, for good.
unsafe fn init(heap: &SpinMutex<Heap>, start: *mut u8, bytes: usize) {
    // SAFETY: The caller gives the range away.
    unsafe { heap.lock().init(start.wrapping_add(GRANULE), bytes - 2 * GRANULE) };
}

/// Returns a layout of whole granules, or `None` if there is none.
fn rounded(layout: Layout) -> Option<Layout> {
    let size = layout.size().max(1).checked_next_multiple_of(GRANULE)?;
    Layout::from_size_align(size, layout.align().max(GRANULE)).ok()
}

// SAFETY: The heap gives out memory of its region that nobody has, of the layout asked for.
unsafe impl GlobalAlloc for IndexHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(layout) = rounded(layout) else { return null_mut() };
        let Ok(memory) = self.0.lock().allocate_first_fit(layout) else { return null_mut() };
        // SAFETY: The heap just gave this memory, of whole granules and never at its edge.
        unsafe { heap_tags::begin_block(memory, layout.size()) }.as_ptr()
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let (Some(pointer), Some(layout)) = (NonNull::new(pointer), rounded(layout)) {
            // SAFETY: The caller got the pointer from `alloc` with this layout.
            let memory = unsafe { heap_tags::end_block(pointer, layout.size()) };
            // SAFETY: Likewise; `memory` is what the heap gave.
            unsafe { self.0.lock().deallocate(memory, layout) };
        }
    }
}

/// Takes memory of the pool heap by an unchecked pointer, or `None` if there is none of this size.
/// Its tags are 0.
pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    POOL.lock().allocate_first_fit(rounded(layout)?).ok()
}

/// Gives memory back to the pool heap.
///
/// # Safety
/// `pointer` came from [`allocate`] with this layout and is not used any more; its tags are 0.
pub(super) unsafe fn free(pointer: NonNull<u8>, layout: Layout) {
    if let Some(layout) = rounded(layout) {
        // SAFETY: The caller's duty.
        unsafe { POOL.lock().deallocate(pointer, layout) };
    }
}
