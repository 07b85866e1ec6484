//! What a test may ask of a machine, and how it lets the machine fail or pause.

use crate::family::Family;
use crate::machine::Model;
use crate::options::Acts;
use crate::violation::Violation;
use std::sync::atomic::Ordering;
use vellum_vm::addr::FrameAddress;

impl<F: Family> Model<F> {
    /// Returns how many frames the allocator has.
    #[must_use]
    pub fn free_frames(&self) -> usize {
        self.world().frames.free_count()
    }

    /// Returns how many pool objects are alive.
    #[must_use]
    pub fn pool_objects(&self) -> u64 {
        self.pools().objects()
    }

    /// Returns the first frame that the allocator never had.
    #[must_use]
    pub fn first_fixed(&self) -> FrameAddress {
        self.world().frames.first_fixed()
    }

    /// Lets the allocation fail, of a frame or a pool object, that comes as number `allocations`
    /// from now; zero for none.
    pub fn fail_in(&self, allocations: u64) {
        self.pools().fail_in(allocations);
    }

    /// Returns how many allocations failed because of [`Self::fail_in`].
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.pools().injected()
    }

    /// Sets what [`vellum_vm::machine::Machine::should_pause`] answers.
    pub fn set_pause(&self, pause: bool) {
        self.pause().store(pause, Ordering::Relaxed);
    }

    /// Returns what the machine did since it was made.
    #[must_use]
    pub fn acts(&self) -> Acts {
        self.world().acts
    }

    /// Returns what was violated, first to last.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.world().violations.clone()
    }
}
