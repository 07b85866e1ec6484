//! Allocation tags of the kernel's own heap.
//!
//! Owns: which tag memory of the heap has. Refuses to know: who asks for memory and where it comes
//! from (`heap`, `slabs`). Live memory has a tag from 1 to 14 and so has its pointer; everything else
//! of the heap has tag 0, but for the first tag granule of a free piece, which keeps the tag that the
//! piece's next life will have. Pointers of the direct map have tag 0xf, which is never checked
//! (TCR_EL1.TCMA1): the allocators themselves go by those.
//!
//! Invariants: a live pointer's tag differs from that of the granules right before and right behind
//! its memory, the padding up to the size of its class included, and from the one that the memory had
//! in its last life. So a use after free and an overflow by a granule are synchronous faults, in
//! every build. On a machine without tags nothing happens here.

use crate::arch::mte::{load_tag, set_tags, store_tag, with_tag};
use crate::arch::page_fill::{self, has_tags};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};
use vellum_abi::{PAGE_SIZE, TAG_GRANULE};

/// Bytes that share a tag.
pub(super) const GRANULE: usize = TAG_GRANULE as usize;
/// Tags that live memory may have: 1 to this.
const LAST: u8 = 14;
/// The tag of pointers that are not checked.
const UNCHECKED: u8 = 0xf;

/// Where the search for the tag of the next large piece starts.
static ROTATION: AtomicU8 = AtomicU8::new(0);

/// Returns the bytes of whole granules that a size takes: at least one.
pub(super) const fn granules(bytes: usize) -> usize {
    if bytes == 0 { GRANULE } else { bytes.next_multiple_of(GRANULE) }
}

fn retagged(pointer: NonNull<u8>, tag: u8) -> NonNull<u8> {
    NonNull::new(with_tag(pointer.as_ptr(), tag)).unwrap_or(pointer)
}

/// Clears every tag of whole pages, which are free memory now.
///
/// # Safety
/// `start` is the start of a page in the direct map, as are all of `bytes`, and nobody uses any.
pub(super) unsafe fn clear(start: *mut u8, bytes: usize) {
    for offset in (0..bytes).step_by(PAGE_SIZE as usize) {
        // SAFETY: The caller's duty.
        unsafe { page_fill::set_tags(start.wrapping_add(offset), 0) };
    }
}

/// Begins the life of a piece of a slab and returns its pointer. `index_fn` gives the piece's number
/// in the slab: neighbours, whose numbers differ by one, never have the same tag. `bytes` are whole
/// granules.
///
/// # Safety
/// `pointer` is an unchecked pointer to a free piece of at least `bytes`.
#[inline]
pub(super) unsafe fn begin_piece(
    pointer: NonNull<u8>,
    index_fn: impl FnOnce() -> usize,
    bytes: usize,
) -> NonNull<u8> {
    if !has_tags() {
        return pointer;
    }
    // SAFETY: Tags exist, and the piece is memory of the heap.
    let kept = unsafe { load_tag(pointer.as_ptr()) };
    let tag = if kept == 0 { (index_fn() % LAST as usize) as u8 + 1 } else { kept };
    // SAFETY: Likewise; the piece is free, so nobody relies on its tags.
    unsafe { set_tags(pointer.as_ptr(), bytes, tag) };
    retagged(pointer, tag)
}

/// Ends the life of a piece of a slab and returns the unchecked pointer to it. `bytes` are whole
/// granules.
///
/// # Panics
/// If the pointer's tag is not the memory's: the piece was given back before.
///
/// # Safety
/// `pointer` came from [`begin_piece`] with `bytes` and is not used any more.
#[inline]
pub(super) unsafe fn end_piece(pointer: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    if !has_tags() {
        return pointer;
    }
    let tag = check(pointer);
    let piece = retagged(pointer, UNCHECKED);
    // SAFETY: Tags exist, and the memory is the caller's to give back.
    unsafe { set_tags(piece.as_ptr(), bytes, 0) };
    // Two on: another one than before, and as odd or even as before.
    let next = if tag + 2 > LAST { tag + 2 - LAST } else { tag + 2 };
    // SAFETY: Likewise.
    unsafe { store_tag(piece.as_ptr(), next) };
    piece
}

/// Begins the life of memory that is no piece of a slab and returns its pointer.
///
/// # Safety
/// `pointer` is an unchecked pointer to `bytes` of free memory with a granule of the heap on each
/// side.
pub(super) unsafe fn begin_block(pointer: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    if !has_tags() {
        return pointer;
    }
    let start = pointer.as_ptr();
    // SAFETY: Tags exist, and the heap has a granule there.
    let before = unsafe { load_tag(start.wrapping_sub(GRANULE)) };
    // SAFETY: Likewise.
    let behind = unsafe { load_tag(start.wrapping_add(granules(bytes))) };
    let mut tag = ROTATION.fetch_add(1, Ordering::Relaxed) % LAST + 1;
    while tag == before || tag == behind {
        tag = tag % LAST + 1;
    }
    // SAFETY: Tags exist, and nobody relies on the tags of free memory.
    unsafe { set_tags(start, granules(bytes), tag) };
    retagged(pointer, tag)
}

/// Ends the life of memory that is no piece of a slab and returns the unchecked pointer to it.
///
/// # Panics
/// As [`end_piece`].
///
/// # Safety
/// `pointer` came from [`begin_block`] with `bytes` and is not used any more.
pub(super) unsafe fn end_block(pointer: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    if !has_tags() {
        return pointer;
    }
    check(pointer);
    let block = retagged(pointer, UNCHECKED);
    // SAFETY: Tags exist, and the memory is the caller's to give back.
    unsafe { set_tags(block.as_ptr(), granules(bytes), 0) };
    block
}

/// Returns the tag that pointer and memory agree on.
#[inline]
fn check(pointer: NonNull<u8>) -> u8 {
    let logical = (pointer.as_ptr().addr() >> 56 & 0xf) as u8;
    // SAFETY: Tags exist, and pointers that are given back are of the heap.
    let tag = unsafe { load_tag(pointer.as_ptr()) };
    assert!(tag == logical, "memory of the kernel heap is given back twice: {pointer:p}");
    tag
}
