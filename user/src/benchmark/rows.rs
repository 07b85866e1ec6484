//! The iterations, and what they cost.

use crate::figures::Hundredths;
use crate::mapping::{MapRequest, PAGE};
use crate::testing::{Change, stat};
use crate::{Mapping, MemoryObject, counter, memory, tags};
use vellum_abi::{Error, Handle, Switches};

/// The bytes of a mapping, as in the thread.
const MAP_BYTES: usize = 1000 * PAGE;
/// Measured iterations. One before them is not measured, so that caches and pools are filled.
pub(super) const ITERATIONS: u64 = 10;
/// The thread's pattern byte.
pub(super) const PATTERN: u8 = 0xaa;
/// The tag of the tagged cases.
pub(super) const TAG: u8 = 9;

/// How an iteration gets prepared memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// Anonymous memory, filled by 16-byte stores.
    Memset,
    /// Anonymous memory, filled by NEON stores.
    MemsetNeon,
    /// A reference object of one byte.
    Pattern,
    /// The same, with batched first writes.
    PatternBatched,
    /// Anonymous memory, tagged granule by granule.
    StgLoop,
    /// A reference object of tagged zeros.
    Tagged,
}

impl Case {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Case::Memset => "memset",
            Case::MemsetNeon => "memset_neon",
            Case::Pattern => "pattern",
            Case::PatternBatched => "pattern_batched",
            Case::StgLoop => "stg_loop",
            Case::Tagged => "tagged",
        }
    }

    pub(super) const fn is_tagged(self) -> bool {
        matches!(self, Case::StgLoop | Case::Tagged)
    }

    /// Returns whether a reference object prepares the pages, not the program.
    pub(super) const fn is_prepared(self) -> bool {
        matches!(self, Case::Pattern | Case::PatternBatched | Case::Tagged)
    }

    /// Makes the reference object, once for all iterations, as the thread's program does.
    fn object(self) -> Result<Option<MemoryObject>, Error> {
        match self {
            Case::Memset | Case::MemsetNeon | Case::StgLoop => Ok(None),
            Case::Pattern | Case::PatternBatched => MemoryObject::pattern(PATTERN).map(Some),
            Case::Tagged => MemoryObject::tagged(TAG).map(Some),
        }
    }

    fn request(self, object: Option<&MemoryObject>) -> MapRequest {
        let object = object.map_or(Handle::ANONYMOUS, MemoryObject::handle);
        let batched = self == Case::PatternBatched;
        let switches = if batched { Switches::BATCH } else { Switches::NONE };
        let request = MapRequest { switches, ..MapRequest::of(object, MAP_BYTES) };
        if self.is_tagged() { request.tagged() } else { request }
    }

    fn prepare(self, mapping: &Mapping) {
        match self {
            Case::Memset => mapping.fill(PATTERN),
            // SAFETY: the mapping is this long, and no Rust value lives in it.
            Case::MemsetNeon => unsafe {
                memory::set_vectors(mapping.pointer(0), PATTERN, MAP_BYTES);
            },
            Case::StgLoop => mapping.set_tags(TAG),
            Case::Pattern | Case::PatternBatched | Case::Tagged => {}
        }
    }

    /// Stores a zero into the first byte of each of the first pages.
    fn touch(self, mapping: &Mapping, pages: usize) {
        let tag = if self.is_tagged() { TAG } else { 0 };
        let start = tags::with_tag(mapping.pointer(0), tag);
        for page in 0..pages {
            let place = start.wrapping_add(page * PAGE);
            // SAFETY: the mapping has at least this many pages, and no Rust value lives in it.
            unsafe { place.write_volatile(0) }
        }
        memory::declare(pages);
    }
}

/// Runs an iteration up to the unmapping, which is the drop of the mapping.
fn iterate(case: Case, request: MapRequest, touch: usize) -> Result<Mapping, Error> {
    let mapping = request.map()?;
    case.prepare(&mapping);
    case.touch(&mapping, touch);
    Ok(mapping)
}

/// One case at one number of touched pages, with what one iteration costs.
pub(super) struct Row {
    pub(super) case: Case,
    pub(super) touch: usize,
    /// Instructions of all iterations, where something counts them.
    instructions: Option<u64>,
    /// Private frames after the stores of one iteration.
    pub(super) private_frames: u64,
    user_bytes: u64,
    user_tag_bytes: u64,
    change: Change,
}

impl Row {
    /// Runs a case: once to fill caches and see the private frames, then the measured iterations.
    pub(super) fn measure(case: Case, touch: usize) -> Result<Row, Error> {
        let object = case.object()?;
        let request = case.request(object.as_ref());
        let frames = stat().private_frames;
        let mapping = iterate(case, request, touch)?;
        let private_frames = stat().private_frames - frames;
        mapping.unmap()?;

        let declared = (memory::user_bytes_declared(), memory::user_tag_bytes_declared());
        let before = stat();
        let mut result = Ok(());
        let instructions = counter::instructions(|| {
            for _ in 0..ITERATIONS {
                result = result.and(iterate(case, request, touch).map(drop));
            }
        });
        let change = Change::between(&before, &stat());
        result?;
        Ok(Row {
            case,
            touch,
            instructions,
            private_frames,
            user_bytes: memory::user_bytes_declared() - declared.0,
            user_tag_bytes: memory::user_tag_bytes_declared() - declared.1,
            change,
        })
    }

    pub(super) fn instructions(&self) -> Option<Hundredths> {
        each(self.instructions?)
    }

    pub(super) fn kernel_bytes_written(&self) -> Option<Hundredths> {
        each(self.change.kernel_bytes_written().unsigned_abs())
    }

    pub(super) fn kernel_tag_bytes_written(&self) -> Option<Hundredths> {
        each(self.change.tag_bytes_written.unsigned_abs())
    }

    pub(super) fn user_bytes_declared(&self) -> Option<Hundredths> {
        each(self.user_bytes)
    }

    pub(super) fn user_tag_bytes_declared(&self) -> Option<Hundredths> {
        each(self.user_tag_bytes)
    }

    pub(super) fn faults(&self) -> Option<Hundredths> {
        each(self.change.faults().unsigned_abs())
    }

    /// Returns by how many per cent this row takes fewer instructions than `baseline`.
    pub(super) fn improvement_percent(&self, baseline: &Row) -> Option<Hundredths> {
        Hundredths::improvement_percent(baseline.instructions?, self.instructions?)
    }
}

/// Returns the share of one iteration in the sum of all.
fn each(sum: u64) -> Option<Hundredths> {
    Hundredths::mean(sum, ITERATIONS)
}
