//! Stores to private frames that a clone left with several owners.
//!
//! Owns: the copy and the change of owner. The copy is made without a lock, so the frame is held
//! meanwhile: with the hold there are two owners at least, and nobody stores to such a frame. One
//! private frame takes the place of another, so the account is not touched.
//!
//! A leaf changes here under the shared lock, beside others who may have read it and not yet come to
//! their own hold or copy. The old frame's other owner may go at any moment, so the hold outlives all who
//! had the lock when the leaf changed.

use crate::addr::{FrameAddress, Page};
use crate::address_space::{AddressSpace, State};
use crate::counters::Counter;
use crate::error::VmError;
use crate::fill::Fill;
use crate::flush::break_leaf;
use crate::frame::{OwnedFrame, UninitFrame};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::page_table::{Descriptor, Slot};
use crate::task::Attempt;
use vellum_abi::Protection;

/// A page whose frame has several owners, held: what was seen of it under the lock.
#[must_use = "the frame is held until `unshare` lets it go"]
pub(crate) struct Unshared {
    page: Page,
    slot: Slot,
    seen: Descriptor,
    generation: u64,
    protection: Protection,
}

impl Unshared {
    /// Holds the frame of a private leaf.
    pub(crate) fn hold<M: Machine>(
        space: &AddressSpace<M>,
        state: &State<M>,
        mapping: &Mapping<M>,
        page: Page,
        slot: Slot,
        seen: Descriptor,
    ) -> Unshared {
        space.machine.hold_frame(seen.frame());
        let (generation, protection) = (state.generation, mapping.protection);
        Unshared { page, slot, seen, generation, protection }
    }
}

impl<M: Machine> AddressSpace<M> {
    /// Gives a page a copy of its frame that nobody else has. No lock is held.
    pub(crate) fn unshare(&self, old: Unshared) -> Result<Attempt, VmError> {
        let copied = match self.machine.allocate_frame() {
            Some(frame) => self.publish_copy(&old, frame),
            None => Err(VmError::OutOfFrames),
        };
        if matches!(copied, Ok(Attempt::Done)) {
            self.outlast_readers();
        }
        self.release(old.seen.frame());
        copied
    }

    #[inline]
    fn publish_copy(&self, old: &Unshared, frame: UninitFrame) -> Result<Attempt, VmError> {
        // The tags are copied only if the leaf shows them: otherwise they are others'.
        let source = old.seen.frame();
        let tagged = old.seen.protection().contains(Protection::TAGGED);
        let fill = if tagged { Fill::Copy(source) } else { Fill::CopyBytes(source) };
        let (frame, written) = fill.apply(&self.machine, frame, old.protection);
        if old.protection.contains(Protection::EXECUTE) {
            self.machine.sync_executable(frame.address());
        }
        let leaf = Descriptor::private(frame, old.protection);
        let state = self.shared();
        let broken = (state.generation == old.generation)
            .then(|| break_leaf(self, old.slot, old.page, old.seen))
            .flatten();
        let Some(broken) = broken else {
            drop(state);
            self.machine.free_frame(OwnedFrame::from_slot(leaf.frame()).discard());
            return Ok(Attempt::Again);
        };
        broken.make(&self.machine, leaf);
        // The leaf's part of the old frame's count; the hold is still there.
        self.release(source);
        written.count(&self.counters);
        self.counters.add(Counter::WriteCopy, 1);
        Ok(Attempt::Done)
    }

    /// Takes one from a private frame's count, and gives the frame back if that was the last.
    fn release(&self, frame: FrameAddress) {
        if let Some(frame) = self.machine.release_frame(frame) {
            self.machine.free_frame(frame);
        }
    }
}
