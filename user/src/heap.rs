//! The heap of a program: an allocator crate that grows by mapping anonymous memory.
//!
//! Memory that was mapped stays with the program: chunks are reused, never unmapped.

use crate::lock::WordLock;
use crate::mapping::{MapRequest, PAGE};
use core::alloc::Layout;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;
use talc::{DefaultBinning, TalcLock};
use vellum_abi::Protection;

/// The least that is mapped at a time.
const CHUNK: usize = 64 * 1024;

/// An allocator whose memory comes from a [`Grow`].
pub type Heap = TalcLock<WordLock, Grow>;

#[global_allocator]
static HEAP: Heap = Heap::new(Grow::new(Protection::NONE));

/// Gives an allocator more anonymous memory when it runs out.
#[derive(Debug)]
pub struct Grow {
    /// Protection bits beside READ and WRITE.
    more: Protection,
}

impl Grow {
    /// Returns a source of readable and writable memory that has the bits of `more` besides.
    #[must_use]
    pub const fn new(more: Protection) -> Grow {
        Grow { more }
    }
}

/// Returns how much to map for an allocation that did not fit: with room for the allocator's own
/// records, in whole pages, or `None` where that overflows.
fn chunk_bytes(layout: Layout) -> Option<usize> {
    let records = talc::min_first_heap_size::<DefaultBinning>();
    let bytes = layout.size().checked_add(layout.align())?.checked_add(records)?;
    bytes.checked_next_multiple_of(PAGE).map(|bytes| bytes.max(CHUNK))
}

// SAFETY: `acquire` maps memory with a system call and touches no allocator but the one it is given.
unsafe impl Source for Grow {
    fn acquire<B: Binning>(talc: &mut Talc<Grow, B>, layout: Layout) -> Result<(), ()> {
        let request = MapRequest::anonymous(chunk_bytes(layout).ok_or(())?);
        let protection = request.protection | talc.source.more;
        let mapping = MapRequest { protection, ..request }.map().map_err(|_| ())?;
        let length = mapping.length();
        let start = core::ptr::with_exposed_provenance_mut(mapping.leak());
        // SAFETY: the range was just mapped, nobody else knows it, and it is never unmapped.
        unsafe { talc.claim(start, length) }.map(|_| ()).ok_or(())
    }
}
