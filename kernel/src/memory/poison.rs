//! Free frames that show their misuse, in debug builds.
//!
//! Owns: the bytes and the tag that a free frame has. Refuses to know: which frames are free.

use crate::arch::{mte, page_fill};
use crate::memory::layout::frame_pointer;
use vellum_abi::{PAGE_SIZE, TAG_GRANULE};
use vellum_vm::addr::FrameAddress;

/// The byte throughout a free frame.
const BYTE: u8 = 0xdf;
/// The tag of its granules. Zero and fifteen are common by accident.
const TAG: u8 = 0xd;

/// Makes a frame useless to whoever still uses it.
pub(super) fn write(frame: FrameAddress) {
    let page = frame_pointer(frame);
    // SAFETY: The allocator was just given the frame; whoever else has it has a bug to find.
    unsafe { page_fill::fill(page, BYTE) };
    // SAFETY: Likewise.
    unsafe { page_fill::set_tags(page, TAG) };
}

/// Checks that nobody wrote to a frame while it was free.
///
/// # Panics
/// If a word or a tag is not the poison.
pub(super) fn check(frame: FrameAddress) {
    let page = frame_pointer(frame);
    let words = (0..PAGE_SIZE as usize / 8).fold(0, |difference, index| {
        // SAFETY: Inside the frame, which nobody else has.
        let word = unsafe { page.cast::<u64>().wrapping_add(index).read() };
        difference | word ^ u64::from_ne_bytes([BYTE; 8])
    });
    assert!(words == 0, "{frame:?} was written to while it was free");
    if !page_fill::has_tags() {
        return;
    }
    let tags =
        (0..PAGE_SIZE as usize).step_by(TAG_GRANULE as usize).fold(0, |difference, offset| {
            // SAFETY: Tags exist, and the granule is inside the frame.
            let tag = unsafe { mte::load_tag(page.wrapping_add(offset)) };
            difference | tag ^ TAG
        });
    assert!(tags == 0, "a tag of {frame:?} was written to while it was free");
}
