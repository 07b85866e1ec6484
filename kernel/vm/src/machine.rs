//! The one seam between the VM subsystem and a machine.
//!
//! Owns: the list of single architectural acts that the subsystem needs. Refuses to know in which
//! order they happen: the order is the subsystem's, so that the model machine can check it. Each
//! act is one instruction or one loop over a page on hardware; on the model it is one step that
//! other virtual CPUs may come between.
//!
//! Contents of frames are reached through the kernel's own view of RAM, which is Normal Tagged
//! memory: a tag written through an untagged view would be dropped without a word.

use crate::addr::{FrameAddress, Page};
use crate::block::UninitBlock;
use crate::counters::SystemCounters;
use crate::frame::UninitFrame;
use crate::page_table::{Descriptor, Slot, Table};
use crate::remains::Remains;
use crate::tag::Tag;
use crate::tag_pages::TagPages;
use core::ops::{Deref, DerefMut};

/// An address space identifier as TLB maintenance names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asid(pub u16);

/// No memory is left for an object of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolExhausted;

/// Kernel memory for objects: fallible, counted, never hidden.
pub trait Pools {
    /// A value in a pool with one owner.
    type Owned<T: Send + Sync + 'static>: DerefMut<Target = T> + Send + Sync;
    /// A value in a pool with a 64-bit count of owners; the last one drops it.
    type Shared<T: Send + Sync + 'static>: Deref<Target = T> + Clone + Send + Sync;

    /// Puts a value into a pool.
    ///
    /// # Errors
    /// `PoolExhausted`; the value is dropped.
    fn own<T: Send + Sync + 'static>(&self, value: T) -> Result<Self::Owned<T>, PoolExhausted>;

    /// Makes a value in a pool, in its place where that can be.
    ///
    /// # Errors
    /// `PoolExhausted`.
    #[inline]
    fn make<T: Send + Sync + 'static>(
        &self,
        value_fn: impl FnOnce() -> T,
    ) -> Result<Self::Owned<T>, PoolExhausted> {
        self.own(value_fn())
    }

    /// Puts a value with a count of one into a pool.
    ///
    /// # Errors
    /// `PoolExhausted`; the value is dropped.
    fn share<T: Send + Sync + 'static>(&self, value: T) -> Result<Self::Shared<T>, PoolExhausted>;

    /// Returns how many owners a shared value has.
    fn owners<T: Send + Sync + 'static>(&self, shared: &Self::Shared<T>) -> u64;
}

/// A machine that address spaces live on. Cloning it names the same machine.
pub trait Machine: Pools + Clone + Send + Sync + 'static {
    /// Whom a paged object's pages come from: nothing but something to hold, here.
    type Pager: Send + Sync + 'static;
    /// The lock of short critical sections.
    type Mutex: lock_api::RawMutex + Send + Sync;
    /// The lock of an address space: shared by faults, exclusive for changes.
    type RwLock: lock_api::RawRwLock + Send + Sync;

    // ---- frames ----

    /// Takes a frame from the allocator. Its count is one.
    fn allocate_frame(&self) -> Option<UninitFrame>;
    /// Gives a frame back whose count is one. No translation of it may be left in any TLB.
    fn free_frame(&self, frame: UninitFrame);
    /// Adds one to the count of a frame that has one already.
    fn hold_frame(&self, frame: FrameAddress);
    /// Takes one from a frame's count and returns the frame if that was the last.
    fn release_frame(&self, frame: FrameAddress) -> Option<UninitFrame>;
    /// Returns a frame's count: private leaves and kernel holds.
    fn frame_count(&self, frame: FrameAddress) -> u32;

    /// Takes 512 frames side by side, aligned to their size. Each has a count of one.
    fn allocate_block(&self) -> Option<UninitBlock>;
    /// Gives a block back, each of whose frames has a count of one. No translation may be left.
    fn free_block(&self, block: UninitBlock);

    // ---- descriptors: words of translation tables and page stores, single-copy atomic ----

    /// Reads a slot. What was published through it with [`Self::exchange`] is seen (acquire).
    fn read(&self, slot: Slot) -> Descriptor;
    /// Writes a slot (release).
    fn write(&self, slot: Slot, descriptor: Descriptor);
    /// Writes `new` if the slot still holds `current` (acquire and release).
    ///
    /// # Errors
    /// What the slot holds instead.
    fn exchange(&self, slot: Slot, current: Descriptor, new: Descriptor) -> Result<(), Descriptor>;

    /// Copies a table's words into a frame that no descriptor names yet.
    fn copy_table(&self, from: Table, to: &UninitFrame);

    // ---- barriers and TLB maintenance, all broadcast to the Inner Shareable domain ----

    /// `DSB ISHST`: descriptor stores before it are seen by table walks after it.
    fn dsb_ishst(&self);
    /// `DSB ISH`: TLB maintenance before it is complete on every CPU after it.
    fn dsb_ish(&self);
    /// `ISB`: what follows is fetched under the new translations.
    fn isb(&self);
    /// `TLBI VALE1IS`: removes leaves of a page.
    fn tlbi_leaf(&self, asid: Asid, page: Page);
    /// `TLBI VAE1IS`: removes leaves of a page and table descriptors on the way to it.
    fn tlbi_page(&self, asid: Asid, page: Page);
    /// `TLBI ASIDE1IS`: removes everything of an address space.
    fn tlbi_asid(&self, asid: Asid);
    /// `TLBI VMALLE1IS`: removes everything.
    fn tlbi_all(&self);

    // ---- contents of frames; every one writes the whole page once ----

    /// Writes zeros; tags stay as they are.
    fn zero_page(&self, frame: &UninitFrame);
    /// Writes zeros and one tag on every tag granule.
    fn zero_page_with_tag(&self, frame: &UninitFrame, tag: Tag);
    /// Writes zeros to a block; tags stay as they are.
    fn zero_block(&self, block: &UninitBlock);
    /// Writes zeros and one tag on every tag granule of a block.
    fn zero_block_with_tag(&self, block: &UninitBlock, tag: Tag);
    /// Writes one byte throughout; tags stay as they are.
    fn fill_page(&self, frame: &UninitFrame, byte: u8);
    /// Writes tag zero on every tag granule; bytes stay as they are. Any frame, as `protect` to
    /// Tagged memory needs it for pages in use.
    fn clear_tags(&self, frame: FrameAddress);
    /// Copies a page; tags of the target stay as they are.
    fn copy_page(&self, from: FrameAddress, to: &UninitFrame);
    /// Copies a page and all its tags.
    fn copy_page_with_tags(&self, from: FrameAddress, to: &UninitFrame);
    /// Returns the tag of the granule that holds byte `offset`. Zero on a machine without tags.
    fn read_tag(&self, frame: FrameAddress, offset: usize) -> Tag;
    /// Writes the tag of the granule that holds byte `offset`. Nothing on a machine without tags.
    fn write_tag(&self, frame: FrameAddress, offset: usize, tag: Tag);
    /// Copies bytes out of a frame. The range lies in the page.
    fn read_bytes(&self, frame: FrameAddress, offset: usize, bytes: &mut [u8]);
    /// Copies bytes into a frame. The range lies in the page.
    fn write_bytes(&self, frame: FrameAddress, offset: usize, bytes: &[u8]);
    /// Makes what was written to the frame visible to instruction fetch on every CPU
    /// (clean to the point of unification, invalidate instruction caches, synchronise).
    fn sync_executable(&self, frame: FrameAddress);

    // ---- what the machine is ----

    /// Returns the counters that no address space has.
    fn system(&self) -> &SystemCounters;

    /// Returns the reference pages that `map` with a tag hint shows.
    fn tag_pages(&self) -> &TagPages<Self>;

    /// Takes the pages of a dropped memory object, to step them away ([`Remains::step`]) at once or
    /// when it can afford to.
    fn bury(&self, remains: Self::Owned<Remains<Self>>);

    /// Returns whether allocation tags are kept and checked.
    fn has_tags(&self) -> bool;
    /// Returns whether hardware sets the access flag of a leaf when it is first used. Where CPUs are
    /// unlike, the answer is one of them's; another that does not set it faults, and is helped.
    fn sets_access_flags(&self) -> bool;
    /// Returns whether something waits that a long operation should let pass (an interrupt).
    fn should_pause(&self) -> bool;
}
