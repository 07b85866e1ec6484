//! The machine's acts, one by one.

use crate::family::Family;
use crate::frame::Frame;
use crate::lock::{SpinMutex, SpinRwLock};
use crate::options::{Acts, ModelOptions};
use crate::pool::{PoolState, PooledShared};
use crate::tlb::{Key, Tlb};
use crate::violation::Violation;
use crate::world::World;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vellum_vm::account::Account;
use vellum_vm::addr::{FrameAddress, Page};
use vellum_vm::block::{BLOCK_PAGES, UninitBlock};
use vellum_vm::counters::SystemCounters;
use vellum_vm::frame::UninitFrame;
use vellum_vm::machine::{Asid, Machine};
use vellum_vm::page_table::{Descriptor, Slot, Table};
use vellum_vm::remains::Remains;
use vellum_vm::tag::{GRANULES_PER_PAGE, Tag};
use vellum_vm::tag_pages::TagPages;

/// Returns the frames of a block.
fn pages_of(first: &FrameAddress) -> impl Iterator<Item = FrameAddress> + use<> {
    let start = first.to_physical();
    let frames = (0..BLOCK_PAGES).map(move |index| start + index * vellum_abi::PAGE_SIZE);
    frames.map(FrameAddress::containing)
}

struct Shared<F: Family> {
    world: Mutex<World>,
    pools: Arc<PoolState>,
    system: SystemCounters,
    tags: bool,
    access_flags: bool,
    pause: AtomicBool,
    tag_pages: TagPages<Model<F>>,
}

/// A model machine. Cloning it names the same machine.
pub struct Model<F: Family>(Arc<Shared<F>>, PhantomData<F>);

impl<F: Family> Clone for Model<F> {
    fn clone(&self) -> Model<F> {
        Model(self.0.clone(), PhantomData)
    }
}

impl<F: Family> std::fmt::Debug for Model<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Model")
    }
}

impl<F: Family> Model<F> {
    /// Returns a machine whose frames are all free.
    #[must_use]
    pub fn new(options: ModelOptions) -> Model<F> {
        let mut world = World {
            frames: crate::frame::Frames::new(options.frames, options.fixed_frames),
            tlb: Tlb::default(),
            pending: BTreeMap::new(),
            contexts: vec![None; options.cpus],
            violations: Vec::new(),
            acts: Acts::default(),
            has_tags: options.tags,
            sets_access_flags: options.access_flags,
            flagless_cpus: options.flagless_cpus,
            limbo: crate::frame::Frame::default(),
        };
        let first = world.frames.first_fixed().to_physical();
        for number in 0..options.fixed_frames {
            let address = first + number as u64 * vellum_abi::PAGE_SIZE;
            world.contents(FrameAddress::containing(address)).fill(number as u8);
        }
        let shared = Shared {
            world: Mutex::new(world),
            pools: Arc::default(),
            system: SystemCounters::new(),
            tags: options.tags,
            access_flags: options.access_flags,
            pause: AtomicBool::new(false),
            // The account is no object that a test made: no count is kept of it.
            tag_pages: TagPages::new(PooledShared::new(
                &Arc::default(),
                Account::new(u64::MAX / 2, u64::MAX / 2),
            )),
        };
        Model(Arc::new(shared), PhantomData)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A violation panics with the world in hand; what unwinds then may still look at it.
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comes before every act.
    fn act(&self) -> MutexGuard<'_, World> {
        F::step();
        self.world()
    }

    pub(crate) fn pause(&self) -> &AtomicBool {
        &self.0.pause
    }

    pub(crate) fn pools(&self) -> &Arc<PoolState> {
        &self.0.pools
    }

    fn invalidate(&self, keys_fn: impl FnOnce(&World) -> Vec<Key>) {
        let mut world = self.act();
        world.acts.tlbi += 1;
        let keys = keys_fn(&world);
        world.invalidate(F::cpu(), keys);
    }

    fn fill(&self, frame: &UninitFrame, fill_fn: impl FnOnce(&mut Frame)) {
        fill_fn(self.act().fresh::<F>(frame.address()));
    }

    fn copy(&self, from: FrameAddress, to: &UninitFrame, with_tags: bool) {
        let mut world = self.act();
        let source = world.contents(from).contents();
        if !source.written.is_full() {
            world.violate(Violation::UninitialisedBytes(from));
        }
        if with_tags && !source.tagged.is_full() {
            world.violate(Violation::UninitialisedTags(from));
        }
        let target = world.fresh::<F>(to.address());
        target.copy_from(&source);
        if with_tags {
            target.set_tags(source.tags);
        }
    }
}

impl<F: Family> Machine for Model<F> {
    type Pager = u64;
    type Mutex = SpinMutex<F>;
    type RwLock = SpinRwLock<F>;

    fn allocate_frame(&self) -> Option<UninitFrame> {
        let mut world = self.act();
        if self.0.pools.fails_now() {
            return None;
        }
        world.acts.allocations += 1;
        world.frames.allocate().map(UninitFrame::from_allocator)
    }

    fn free_frame(&self, frame: UninitFrame) {
        self.act().free(frame.into_address());
    }

    fn hold_frame(&self, frame: FrameAddress) {
        if let Some(count) = &mut self.act().frame(frame).count {
            *count += 1;
        }
    }

    fn release_frame(&self, frame: FrameAddress) -> Option<UninitFrame> {
        let mut world = self.act();
        let count = &mut world.frame(frame).count;
        match count {
            // Whoever gets the frame has the one count that is left.
            Some(1) => Some(UninitFrame::from_allocator(frame)),
            Some(more) => {
                *more -= 1;
                None
            }
            None => None,
        }
    }

    fn frame_count(&self, frame: FrameAddress) -> u32 {
        self.act().frame(frame).count.unwrap_or(0)
    }

    fn allocate_block(&self) -> Option<UninitBlock> {
        let mut world = self.act();
        if self.0.pools.fails_now() {
            return None;
        }
        world.acts.allocations += 1;
        world.frames.allocate_block().map(UninitBlock::from_allocator)
    }

    fn free_block(&self, block: UninitBlock) {
        let mut world = self.act();
        pages_of(&block.into_first()).for_each(|frame| world.free(frame));
    }

    fn read(&self, slot: Slot) -> Descriptor {
        let descriptor = Descriptor::from_word(self.act().load(F::cpu(), slot));
        if descriptor == Descriptor::BUSY {
            F::busy();
        }
        descriptor
    }

    fn write(&self, slot: Slot, descriptor: Descriptor) {
        self.act().store(F::cpu(), slot, descriptor.to_word());
    }

    fn exchange(&self, slot: Slot, current: Descriptor, new: Descriptor) -> Result<(), Descriptor> {
        let mut world = self.act();
        let held = world.load(F::cpu(), slot);
        if held != current.to_word() {
            return Err(Descriptor::from_word(held));
        }
        world.store(F::cpu(), slot, new.to_word());
        Ok(())
    }

    fn copy_table(&self, from: Table, to: &UninitFrame) {
        self.act().copy_table(F::cpu(), from, to.address());
    }

    fn dsb_ishst(&self) {
        let mut world = self.act();
        world.acts.dsb_ishst += 1;
        world.publish(F::cpu());
    }

    fn dsb_ish(&self) {
        let mut world = self.act();
        world.acts.dsb_ish += 1;
        world.publish(F::cpu());
        world.tlb.complete(F::cpu());
    }

    fn isb(&self) {
        self.act().acts.isb += 1;
    }

    fn tlbi_leaf(&self, asid: Asid, page: Page) {
        self.invalidate(|world| {
            let keys = [3, 2].map(|level| Key::new(asid.0, level, page.number()));
            keys.into_iter().filter(|key| world.tlb.is_last_level(*key)).collect()
        });
    }

    fn tlbi_page(&self, asid: Asid, page: Page) {
        self.invalidate(|_| (0..4).map(|level| Key::new(asid.0, level, page.number())).collect());
    }

    fn tlbi_asid(&self, asid: Asid) {
        self.invalidate(|world| world.tlb.keys_of(Some(asid.0)).into_iter().collect());
    }

    fn tlbi_all(&self) {
        self.invalidate(|world| world.tlb.keys_of(None).into_iter().collect());
    }

    fn zero_page(&self, frame: &UninitFrame) {
        self.fill(frame, |frame| frame.fill(0));
    }

    fn zero_page_with_tag(&self, frame: &UninitFrame, tag: Tag) {
        self.fill(frame, |frame| {
            frame.fill(0);
            frame.set_tags([tag.value(); GRANULES_PER_PAGE]);
        });
    }

    fn zero_block(&self, block: &UninitBlock) {
        let mut world = self.act();
        pages_of(&block.first()).for_each(|frame| world.fresh::<F>(frame).fill(0));
    }

    fn zero_block_with_tag(&self, block: &UninitBlock, tag: Tag) {
        let mut world = self.act();
        pages_of(&block.first()).for_each(|frame| {
            let frame = world.fresh::<F>(frame);
            frame.fill(0);
            frame.set_tags([tag.value(); GRANULES_PER_PAGE]);
        });
    }

    fn fill_page(&self, frame: &UninitFrame, byte: u8) {
        self.fill(frame, |frame| frame.fill(byte));
    }

    fn clear_tags(&self, frame: FrameAddress) {
        let mut world = self.act();
        if world.tlb.naming(frame.to_physical()).next().is_some() {
            world.violate(Violation::FilledWhileMapped(frame));
        }
        world.contents(frame).set_tags([0; GRANULES_PER_PAGE]);
    }

    fn copy_page(&self, from: FrameAddress, to: &UninitFrame) {
        self.copy(from, to, false);
    }

    fn copy_page_with_tags(&self, from: FrameAddress, to: &UninitFrame) {
        self.copy(from, to, true);
    }

    fn read_tag(&self, frame: FrameAddress, offset: usize) -> Tag {
        let mut world = self.act();
        if !world.has_tags {
            return Tag::ZERO;
        }
        if !world.contents(frame).is_tagged(offset) {
            world.violate(Violation::UninitialisedTags(frame));
        }
        Tag::new(u64::from(world.frame(frame).tag(offset))).unwrap_or(Tag::ZERO)
    }

    fn write_tag(&self, frame: FrameAddress, offset: usize, tag: Tag) {
        let mut world = self.act();
        if world.has_tags {
            world.contents(frame).set_tag(offset, tag.value());
        }
    }

    fn read_bytes(&self, frame: FrameAddress, offset: usize, bytes: &mut [u8]) {
        let mut world = self.act();
        let last = offset + bytes.len().max(1) - 1;
        let contents = world.contents(frame);
        if !(contents.is_written(offset) && contents.is_written(last)) {
            world.violate(Violation::UninitialisedBytes(frame));
        }
        let contents = world.contents(frame);
        (0..bytes.len()).for_each(|index| bytes[index] = contents.byte(offset + index));
    }

    fn write_bytes(&self, frame: FrameAddress, offset: usize, bytes: &[u8]) {
        self.act().contents(frame).write(offset, bytes);
    }

    fn sync_executable(&self, frame: FrameAddress) {
        self.act().contents(frame).unsynced = false;
    }

    fn bury(&self, mut remains: Self::Owned<Remains<Self>>) {
        while !remains.step() {}
    }

    fn system(&self) -> &SystemCounters {
        &self.0.system
    }

    fn tag_pages(&self) -> &TagPages<Self> {
        &self.0.tag_pages
    }

    fn has_tags(&self) -> bool {
        self.0.tags
    }

    fn sets_access_flags(&self) -> bool {
        self.0.access_flags
    }

    fn should_pause(&self) -> bool {
        F::step();
        self.0.pause.load(Ordering::Relaxed)
    }
}
