//! Blocks: 512 frames side by side, aligned to their size, by what is known of them.
//!
//! Owns: the way of a block from the allocator through a fill, which may take long and is done in
//! bounded steps, to a descriptor. Refuses to know: who wants it. The invariant that others rely
//! on: as for single frames, a block whose bytes and tags were not all written cannot be mapped.

use crate::account::Account;
use crate::addr::FrameAddress;
use crate::error::VmError;
use crate::fill::{Fill, Written};
use crate::frame::{SharedFrame, UninitFrame};
use crate::machine::Machine;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::{PAGE_SIZE, Protection};

/// Frames of a block.
pub const BLOCK_PAGES: u64 = 512;
/// Pages that one step of a fill writes, unless the whole block is one loop: 256 KiB.
const STEP_PAGES: u64 = 64;

/// A block that belongs to the holder and to nobody else, with contents that nobody may see. Each
/// of its frames has a count of one.
#[derive(Debug)]
#[must_use = "a block that is dropped is lost: fill it or free it"]
pub struct UninitBlock(FrameAddress);

impl UninitBlock {
    /// Takes a block out of an allocator. For implementations of the machine only: the caller
    /// vouches that nobody else has any of the frames, and that the first is aligned to 2 MiB.
    pub fn from_allocator(first: FrameAddress) -> UninitBlock {
        UninitBlock(first)
    }

    /// Returns the first frame.
    #[must_use]
    pub fn first(&self) -> FrameAddress {
        self.0
    }

    /// Gives the block up to whoever now accounts for it by address.
    #[must_use]
    pub fn into_first(self) -> FrameAddress {
        self.0
    }

    fn frame(&self, index: u64) -> FrameAddress {
        FrameAddress::containing(self.0.to_physical() + index % BLOCK_PAGES * PAGE_SIZE)
    }
}

/// A block whose every byte was written since it left the allocator, and every tag too if it was
/// made for Tagged memory.
#[derive(Debug)]
#[must_use = "a block that is dropped is lost: map it or free it"]
pub struct OwnedBlock(FrameAddress);

impl OwnedBlock {
    /// Returns the first frame.
    #[must_use]
    pub fn first(&self) -> FrameAddress {
        self.0
    }

    /// Gives the block up to a slot that now owns it.
    #[must_use]
    pub(crate) fn into_slot(self) -> FrameAddress {
        self.0
    }
}

/// Takes a block that `account` pays for.
///
/// # Errors
/// `OutOfFrames`, `LimitReached`.
pub(crate) fn allocate<M: Machine>(machine: &M, account: &Account) -> Result<UninitBlock, VmError> {
    account.charge_frames(BLOCK_PAGES)?;
    machine.allocate_block().ok_or_else(|| {
        account.credit_frames(BLOCK_PAGES);
        VmError::OutOfFrames
    })
}

/// Gives back a block that `account` paid for and that starts at `first`.
pub(crate) fn free<M: Machine>(machine: &M, account: &Account, first: FrameAddress) {
    machine.free_block(UninitBlock(first));
    account.credit_frames(BLOCK_PAGES);
}

/// A block on its way from the allocator to a descriptor. Dropped half way, it goes back.
pub(crate) struct Filling<M: Machine> {
    machine: M,
    account: M::Shared<Account>,
    /// Always there until the block is taken out.
    block: Option<UninitBlock>,
    next: u64,
    written: Written,
}

impl<M: Machine> Filling<M> {
    /// Takes a block that `account` pays for.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub(crate) fn new(machine: &M, account: &M::Shared<Account>) -> Result<Filling<M>, VmError> {
        let block = Some(allocate(machine, account)?);
        let (machine, account) = (machine.clone(), account.clone());
        Ok(Filling { machine, account, block, next: 0, written: Written::default() })
    }

    /// Writes a bounded number of pages, each as `fill_fn` says of its index; with one loop the
    /// whole block where `uniform` says that all its pages are zeros. Returns whether it is full.
    pub(crate) fn step(
        &mut self,
        uniform: Option<Fill>,
        fill_fn: impl Fn(u64) -> Fill,
        protection: Protection,
    ) -> bool {
        let Some(block) = &self.block else { return true };
        if let (0, Some(Fill::Zero(tag))) = (self.next, uniform) {
            let tagged = protection.contains(Protection::TAGGED);
            if tagged {
                self.machine.zero_block_with_tag(block, tag);
            } else {
                self.machine.zero_block(block);
            }
            self.written = Fill::Zero(tag).written(tagged).times(BLOCK_PAGES);
            self.next = BLOCK_PAGES;
            return true;
        }
        let end = (self.next + STEP_PAGES).min(BLOCK_PAGES);
        for index in self.next..end {
            let frame = UninitFrame::from_allocator(block.frame(index));
            let (page, written) = fill_fn(index).apply(&self.machine, frame, protection);
            // The block goes on owning it.
            let _ = page.into_slot();
            self.written = self.written.and(written);
        }
        self.next = end;
        end == BLOCK_PAGES
    }

    /// Takes the block out if it is full, with what was written.
    pub(crate) fn take(&mut self) -> Option<(OwnedBlock, Written)> {
        let block = self.block.take_if(|_| self.next == BLOCK_PAGES)?;
        Some((OwnedBlock(block.into_first()), self.written))
    }
}

impl<M: Machine> Drop for Filling<M> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            free(&self.machine, &self.account, block.into_first());
        }
    }
}

/// The block of a reference object: 512 times its page. Zero until one is made.
#[derive(Debug, Default)]
pub(crate) struct SharedBlock(AtomicU64);

impl SharedBlock {
    /// Returns the first frame.
    pub(crate) fn first(&self) -> Option<SharedFrame> {
        // Acquire: the contents are seen by whoever maps the block.
        let word = self.0.load(Ordering::Acquire);
        (word != 0).then(|| SharedFrame::of_object(FrameAddress::containing(word)))
    }

    /// Keeps a block unless there is one. Returns the one that is not wanted.
    pub(crate) fn keep(&self, block: OwnedBlock) -> Option<FrameAddress> {
        let first = block.into_slot();
        let word = first.to_physical();
        let kept = self.0.compare_exchange(0, word, Ordering::AcqRel, Ordering::Acquire);
        kept.is_err().then_some(first)
    }

    /// Takes the block out. No mapping of the object is left.
    pub(crate) fn take(&mut self) -> Option<FrameAddress> {
        let word = core::mem::take(self.0.get_mut());
        (word != 0).then(|| FrameAddress::containing(word))
    }
}
