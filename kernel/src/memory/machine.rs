//! The hardware's side of `vellum_vm::machine::Machine`.
//!
//! Owns: which function of this kernel each act is. Refuses to know: the order of acts. Every
//! method is one instruction, one loop or one call; anything more belongs on either side of it.

use crate::arch::sysreg::ISR_EL1;
use crate::arch::{cache, cpu, features, mte, page_fill, tlb};
use crate::masked;
use crate::memory::contention;
use crate::memory::frames;
use crate::memory::graves;
use crate::memory::layout::{direct, frame_pointer};
use crate::memory::pools::{PoolArc, PoolBox};
use crate::process::paging::Pager;
use aarch64_cpu::registers::Readable;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;
use vellum_abi::{PAGE_SIZE, TAG_GRANULE};
use vellum_vm::account::Account;
use vellum_vm::addr::{FrameAddress, Page};
use vellum_vm::block::UninitBlock;
use vellum_vm::counters::SystemCounters;
use vellum_vm::frame::UninitFrame;
use vellum_vm::machine::{Asid, Machine, PoolExhausted, Pools};
use vellum_vm::page_table::{Descriptor, Slot, Table};
use vellum_vm::remains::Remains;
use vellum_vm::tag::Tag;
use vellum_vm::tag_pages::TagPages;

static SYSTEM: SystemCounters = SystemCounters::new();
static TAG_PAGES: Once<TagPages<Hardware>> = Once::new();

/// Says who pays for reference pages that belong to no process. Boot does this once.
pub fn start_tag_pages(account: PoolArc<Account>) {
    TAG_PAGES.call_once(|| TagPages::new(account));
}

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hardware;

impl Pools for Hardware {
    type Owned<T: Send + Sync + 'static> = PoolBox<T>;
    type Shared<T: Send + Sync + 'static> = PoolArc<T>;

    #[inline]
    fn make<T: Send + Sync + 'static>(
        &self,
        value_fn: impl FnOnce() -> T,
    ) -> Result<PoolBox<T>, PoolExhausted> {
        PoolBox::make(value_fn)
    }

    fn own<T: Send + Sync + 'static>(&self, value: T) -> Result<PoolBox<T>, PoolExhausted> {
        PoolBox::new(value)
    }

    fn share<T: Send + Sync + 'static>(&self, value: T) -> Result<PoolArc<T>, PoolExhausted> {
        PoolArc::new(value)
    }

    fn owners<T: Send + Sync + 'static>(&self, shared: &PoolArc<T>) -> u64 {
        shared.owners()
    }
}

/// Returns the word of a slot.
#[inline]
fn word(slot: Slot) -> &'static AtomicU64 {
    let word: *const AtomicU64 =
        core::ptr::with_exposed_provenance(direct(slot.physical()) as usize);
    // SAFETY: A slot is a word of a table, which is a frame of RAM in the direct map, aligned to
    // its size. Tables are accessed by these atomics and by table walks alone.
    unsafe { &*word }
}

/// Returns the byte at an offset of a frame.
#[inline]
fn byte(frame: FrameAddress, offset: usize) -> *mut u8 {
    debug_assert!(offset <= PAGE_SIZE as usize, "offset outside the page");
    frame_pointer(frame).wrapping_add(offset)
}

impl Machine for Hardware {
    type Mutex = contention::Mutex;
    type RwLock = contention::RwLock;
    type Pager = Pager;

    #[inline]
    fn allocate_frame(&self) -> Option<UninitFrame> {
        frames::allocate().map(UninitFrame::from_allocator)
    }

    #[inline]
    fn free_frame(&self, frame: UninitFrame) {
        frames::give_back(frame.into_address());
    }

    #[inline]
    fn hold_frame(&self, frame: FrameAddress) {
        frames::hold(frame);
    }

    #[inline]
    fn release_frame(&self, frame: FrameAddress) -> Option<UninitFrame> {
        frames::release(frame).then(|| UninitFrame::from_allocator(frame))
    }

    #[inline]
    fn frame_count(&self, frame: FrameAddress) -> u32 {
        frames::count(frame)
    }

    fn allocate_block(&self) -> Option<UninitBlock> {
        frames::allocate_block().map(UninitBlock::from_allocator)
    }

    fn free_block(&self, block: UninitBlock) {
        frames::give_back_block(block.into_first());
    }

    #[inline]
    fn read(&self, slot: Slot) -> Descriptor {
        Descriptor::from_word(word(slot).load(Ordering::Acquire))
    }

    #[inline]
    fn write(&self, slot: Slot, descriptor: Descriptor) {
        word(slot).store(descriptor.to_word(), Ordering::Release);
    }

    #[inline]
    fn exchange(&self, slot: Slot, current: Descriptor, new: Descriptor) -> Result<(), Descriptor> {
        let (current, new) = (current.to_word(), new.to_word());
        match word(slot).compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(other) => Err(Descriptor::from_word(other)),
        }
    }

    #[inline]
    fn copy_table(&self, from: Table, to: &UninitFrame) {
        // SAFETY: As in `copy_page`. A table that is copied is complete and no more written.
        unsafe { page_fill::copy(frame_pointer(from.frame()), frame_pointer(to.address())) };
    }

    #[inline]
    fn dsb_ishst(&self) {
        tlb::dsb_ishst();
    }

    #[inline]
    fn dsb_ish(&self) {
        tlb::dsb_ish();
    }

    #[inline]
    fn isb(&self) {
        cpu::isb();
    }

    #[inline]
    fn tlbi_leaf(&self, asid: Asid, page: Page) {
        tlb::leaf(asid, page);
    }

    #[inline]
    fn tlbi_page(&self, asid: Asid, page: Page) {
        tlb::page(asid, page);
    }

    #[inline]
    fn tlbi_asid(&self, asid: Asid) {
        tlb::asid(asid);
    }

    #[inline]
    fn tlbi_all(&self) {
        tlb::all();
    }

    #[inline]
    fn zero_page(&self, frame: &UninitFrame) {
        // SAFETY: An uninitialised frame is its holder's alone.
        unsafe { page_fill::zero(frame_pointer(frame.address())) };
    }

    #[inline]
    fn zero_page_with_tag(&self, frame: &UninitFrame, tag: Tag) {
        // SAFETY: As in `zero_page`.
        unsafe { page_fill::zero_with_tag(frame_pointer(frame.address()), tag.value()) };
    }

    fn zero_block(&self, block: &UninitBlock) {
        // SAFETY: An uninitialised block is its holder's alone.
        unsafe { page_fill::zero_block(frame_pointer(block.first())) };
    }

    fn zero_block_with_tag(&self, block: &UninitBlock, tag: Tag) {
        // SAFETY: As in `zero_block`.
        unsafe { page_fill::zero_block_with_tag(frame_pointer(block.first()), tag.value()) };
    }

    #[inline]
    fn fill_page(&self, frame: &UninitFrame, byte: u8) {
        // SAFETY: As in `zero_page`.
        unsafe { page_fill::fill(frame_pointer(frame.address()), byte) };
    }

    #[inline]
    fn clear_tags(&self, frame: FrameAddress) {
        // SAFETY: A frame of RAM. Who asks for cleared tags relies on no others.
        unsafe { page_fill::set_tags(frame_pointer(frame), 0) };
    }

    #[inline]
    fn copy_page(&self, from: FrameAddress, to: &UninitFrame) {
        // SAFETY: As in `zero_page`; a frame that holds something is another one.
        unsafe { page_fill::copy(frame_pointer(from), frame_pointer(to.address())) };
    }

    #[inline]
    fn copy_page_with_tags(&self, from: FrameAddress, to: &UninitFrame) {
        // SAFETY: As in `copy_page`.
        unsafe { page_fill::copy_with_tags(frame_pointer(from), frame_pointer(to.address())) };
    }

    fn read_tag(&self, frame: FrameAddress, offset: usize) -> Tag {
        if !page_fill::has_tags() {
            return Tag::ZERO;
        }
        // SAFETY: Tags exist, and the byte is in RAM.
        let tag = unsafe { mte::load_tag(byte(frame, offset)) };
        Tag::from_pointer(u64::from(tag) << 56)
    }

    fn write_tag(&self, frame: FrameAddress, offset: usize, tag: Tag) {
        if page_fill::has_tags() {
            let granule = byte(frame, offset & !(TAG_GRANULE as usize - 1));
            // SAFETY: Tags exist, and the granule is in RAM; the caller decides over its tag.
            unsafe { mte::store_tag(granule, tag.value()) };
        }
    }

    fn read_bytes(&self, frame: FrameAddress, offset: usize, bytes: &mut [u8]) {
        debug_assert!(offset + bytes.len() <= PAGE_SIZE as usize, "range leaves the page");
        let from = byte(frame, offset);
        // SAFETY: The range is in one frame of RAM, which no slice of the kernel overlaps. A
        // program that writes to the page meanwhile gets a mixture, as for any unordered access.
        unsafe { core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }

    fn write_bytes(&self, frame: FrameAddress, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= PAGE_SIZE as usize, "range leaves the page");
        let to = byte(frame, offset);
        // SAFETY: As in `read_bytes`.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    fn sync_executable(&self, frame: FrameAddress) {
        // SAFETY: A page of the direct map.
        unsafe { cache::sync_executable(frame_pointer(frame)) };
    }

    #[inline]
    fn bury(&self, remains: PoolBox<Remains<Hardware>>) {
        graves::bury(remains);
    }

    fn system(&self) -> &SystemCounters {
        &SYSTEM
    }

    fn tag_pages(&self) -> &TagPages<Hardware> {
        TAG_PAGES.get().expect("made before the first program runs")
    }

    #[inline]
    fn has_tags(&self) -> bool {
        page_fill::has_tags()
    }

    fn sets_access_flags(&self) -> bool {
        features::get().access_flags
    }

    #[inline]
    fn should_pause(&self) -> bool {
        masked::point();
        ISR_EL1.is_set(ISR_EL1::I)
    }
}
