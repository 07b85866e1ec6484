//! Frames: the table of all of them, the caches of the CPUs, and the way between the two.
//!
//! Owns: one entry for each frame of RAM (count, link) and allocation of single frames. A frame
//! comes from this CPU's cache, without a lock; only an empty cache is refilled, and only a full
//! one spilled, by batches under the lock of `blocks`. When frames become scarce on several CPUs, none
//! keeps any at hand, so that an allocation fails only where hardly any frame is free anywhere. Refuses
//! to know: what frames are for.
//!
//! Invariant: a frame's count is 0 while it is free, and 1 when it leaves the allocator. In debug
//! builds a freed frame is poisoned and its count says so.

use crate::memory::blocks::{BLOCK_FRAMES, Block, Blocks, Links};
use crate::memory::frame_cache::{CACHE_FRAMES, FrameCache};
use crate::memory::injection;
use crate::memory::layout::{RAM_BASE, direct};
use crate::memory::poison;
use crate::memory::ranges::FreeRanges;
use crate::percpu;
use crate::platform::{self, interrupts};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use spin::mutex::SpinMutex;
use vellum_abi::PAGE_SIZE;
use vellum_vm::addr::{FrameAddress, PAGE_SHIFT};

/// Frames that an empty cache takes at once.
const REFILL: usize = 64;
/// Frames that a full cache gives back at once.
const SPILL: usize = 128;
/// Frames that [`hide`] always leaves.
const LEAST_LEFT: usize = 1024;
/// The count of a frame that was poisoned when it was freed.
const POISONED: u32 = 1 << 31;

/// What is known of a frame.
struct Entry {
    count: AtomicU32,
    /// The allocator's while the frame is free.
    link: AtomicU32,
}

static TABLE: AtomicPtr<Entry> = AtomicPtr::new(null_mut());
/// Frames of RAM; entries in the table.
static RAM_FRAMES: AtomicUsize = AtomicUsize::new(0);
/// Frames that were free when the allocator started.
static MANAGED: AtomicUsize = AtomicUsize::new(0);
/// See [`are_scarce`].
static SCARCE: AtomicBool = AtomicBool::new(false);
static BLOCKS: SpinMutex<Blocks> = SpinMutex::new(Blocks::empty());

/// The table as the allocator's place for links.
struct Table;

impl Links for Table {
    #[inline]
    fn link(&self, frame: u32) -> u32 {
        entry(frame).link.load(Ordering::Relaxed)
    }

    #[inline]
    fn set_link(&self, frame: u32, link: u32) {
        entry(frame).link.store(link, Ordering::Relaxed);
    }
}

/// Returns the bytes that [`start`] needs for its tables.
pub fn table_bytes(ram_bytes: u64) -> u64 {
    let frames = ram_bytes / PAGE_SIZE;
    frames * size_of::<Entry>() as u64 + frames / BLOCK_FRAMES as u64 * size_of::<Block>() as u64
}

/// Starts the allocator with everything in `free`.
///
/// # Safety
/// `tables` is the physical address of [`table_bytes`] bytes in the direct map, for good, which
/// nobody else uses. Called once.
pub unsafe fn start(free: &FreeRanges, ram_bytes: u64, tables: u64) {
    let frames = (ram_bytes / PAGE_SIZE) as usize;
    let table: *mut Entry = core::ptr::with_exposed_provenance_mut(direct(tables) as usize);
    // SAFETY: The caller gave the memory; zero is a valid entry and means a free frame.
    unsafe { table.write_bytes(0, frames) };
    TABLE.store(table, Ordering::Relaxed);
    RAM_FRAMES.store(frames, Ordering::Relaxed);

    let block_count = frames / BLOCK_FRAMES;
    // SAFETY: The caller gave room for the blocks behind the entries.
    let room = unsafe { table.add(frames) }.cast::<Block>();
    for index in 0..block_count {
        // SAFETY: Inside the room for blocks.
        unsafe { room.wrapping_add(index).write(Block::OUT) };
    }
    // SAFETY: All blocks were just written, and nobody else has the memory.
    let blocks = unsafe { core::slice::from_raw_parts_mut(room, block_count) };
    let mut allocator = BLOCKS.lock();
    allocator.set_room(blocks);
    for (start, end) in free.iter() {
        allocator.add(&Table, number(start) as usize, number(end) as usize);
    }
    MANAGED.store(allocator.free(), Ordering::Relaxed);
}

/// Returns how many frames the allocator manages.
pub fn total() -> u64 {
    MANAGED.load(Ordering::Relaxed) as u64
}

/// Returns how many frames nobody has: buddy, layer and all caches. Exact at rest.
pub fn free() -> u64 {
    (BLOCKS.lock().free() + percpu::frames_at_hand()) as u64
}

/// Takes a frame; its count is one and its contents are anything.
#[inline]
pub fn allocate() -> Option<FrameAddress> {
    if injection::fails_now() {
        return None;
    }
    let cache = &percpu::this().frames;
    let frame = match cache.pop() {
        Some(frame) => frame,
        None => refill(cache)?,
    };
    let count = &entry(frame).count;
    if cfg!(debug_assertions) {
        check_free(frame, count);
    }
    count.store(1, Ordering::Relaxed);
    Some(address(frame))
}

/// Gives a frame back. Its count is one.
#[inline]
pub fn give_back(frame: FrameAddress) {
    let number = number(frame.to_physical());
    let count = &entry(number).count;
    let mut free = 0;
    if cfg!(debug_assertions) {
        assert!(count.load(Ordering::Relaxed) == 1, "{frame:?} freed while its count is not one");
        poison::write(frame);
        free = POISONED;
    }
    count.store(free, Ordering::Relaxed);
    let cache = &percpu::this().frames;
    if !cache.push(number) {
        spill(cache, number);
    }
}

/// Takes a block of 512 frames, aligned to its size; each has a count of one and contents that are
/// anything.
pub fn allocate_block() -> Option<FrameAddress> {
    if injection::fails_now() {
        return None;
    }
    let first = BLOCKS.lock().take_block()?;
    if cfg!(debug_assertions) {
        (first..first + BLOCK_FRAMES as u32)
            .for_each(|frame| check_free(frame, &entry(frame).count));
    }
    set_counts(first, 1);
    Some(address(first))
}

/// Gives a block back. The count of each of its frames is one.
pub fn give_back_block(first: FrameAddress) {
    let first = number(first.to_physical());
    if cfg!(debug_assertions) {
        for frame in first..first + BLOCK_FRAMES as u32 {
            let count = entry(frame).count.load(Ordering::Relaxed);
            assert!(count == 1, "a block freed while a count is not one");
            poison::write(address(frame));
        }
    }
    set_counts(first, if cfg!(debug_assertions) { POISONED } else { 0 });
    BLOCKS.lock().give_whole_block(first);
}

/// Sets the counts of a block's frames.
fn set_counts(first: u32, count: u32) {
    let start: *const Entry = entry(first);
    // SAFETY: A block's frames are frames of RAM, whose entries lie side by side.
    let entries = unsafe { core::slice::from_raw_parts(start, BLOCK_FRAMES) };
    // By eights, so that loop control is a small part of it.
    for some in entries.as_chunks::<8>().0 {
        some.iter().for_each(|entry| entry.count.store(count, Ordering::Relaxed));
    }
}

/// Checks that a free frame is as it was left.
fn check_free(frame: u32, count: &AtomicU32) {
    if count.load(Ordering::Relaxed) == POISONED {
        poison::check(address(frame));
    } else {
        assert!(count.load(Ordering::Relaxed) == 0, "a free frame has a count");
    }
}

/// Returns a frame's count: private leaves and kernel holds.
#[inline]
pub fn count(frame: FrameAddress) -> u32 {
    // Acquire: who finds itself alone may write, after everything the others did.
    entry(number(frame.to_physical())).count.load(Ordering::Acquire)
}

/// Adds one to the count of a frame that has one already. It cannot overflow: a leaf is a word of
/// RAM, and RAM has no 2^31 words for leaves.
#[inline]
pub fn hold(frame: FrameAddress) {
    // Relaxed: the count that is there already keeps the frame, and whoever counts looks later.
    let before = entry(number(frame.to_physical())).count.fetch_add(1, Ordering::Relaxed);
    debug_assert!(before != 0 && before < POISONED, "{frame:?} held that nobody has");
}

/// Takes one from a frame's count. Returns whether that was the last: then the count stays one and
/// the frame is the caller's to give back.
#[inline]
pub fn release(frame: FrameAddress) -> bool {
    let count = &entry(number(frame.to_physical())).count;
    // Alone is alone: nobody else has the frame to raise the count.
    if count.load(Ordering::Acquire) == 1 {
        return true;
    }
    // The one that takes the last but one leaves a count that only the last holder sees.
    let before = count.fetch_sub(1, Ordering::AcqRel);
    debug_assert!(before != 0, "{frame:?} released more often than held");
    if before == 1 {
        count.store(1, Ordering::Relaxed);
    }
    before == 1
}

/// Looks at `most` frames from number `first` on. Returns how many of them have a count of a free one, as those
/// have that were never the allocator's, and the first that was not looked at, 0 after the last; `None` where
/// there is no such frame.
pub fn audit(first: usize, most: usize) -> Option<(u64, usize)> {
    let all = RAM_FRAMES.load(Ordering::Relaxed);
    let end = all.min(first.checked_add(most)?);
    let is_free =
        |frame: &usize| matches!(entry(*frame as u32).count.load(Ordering::Relaxed), 0 | POISONED);
    let free = (first < all).then(|| (first..end).filter(is_free).count())?;
    Some((free as u64, if end == all { 0 } else { end }))
}

/// Takes `frames` frames and forgets them, so that few are left. Returns how many it were.
pub fn hide(frames: usize) -> usize {
    let mut allocator = BLOCKS.lock();
    let frames = frames.min(allocator.free().saturating_sub(LEAST_LEFT));
    allocator.take(&Table, frames, |_| {})
}

/// Fills an empty cache and takes a frame out of it.
#[cold]
#[inline(never)]
fn refill(cache: &FrameCache) -> Option<u32> {
    let mut allocator = BLOCKS.lock();
    let scarce = allocator.free() < least_free() + REFILL;
    let batch = if scarce { 1 } else { REFILL };
    cache.fill(|frame_fn| allocator.take(&Table, batch, frame_fn));
    drop(allocator);
    if scarce {
        begin_scarcity();
    }
    cache.pop()
}

/// Gives a frame back that has no place in a full cache, and makes place for more.
#[cold]
#[inline(never)]
fn spill(cache: &FrameCache, frame: u32) {
    let mut allocator = BLOCKS.lock();
    allocator.give(&Table, frame);
    let kept = if cache.len() == CACHE_FRAMES { CACHE_FRAMES - SPILL } else { 0 };
    while cache.len() > kept
        && let Some(frame) = cache.pop()
    {
        allocator.give(&Table, frame);
    }
    if allocator.free() >= 2 * (least_free() + REFILL) {
        SCARCE.store(false, Ordering::Relaxed);
    }
    cache.keep(!are_scarce());
}

/// Returns how many frames must be free for every CPU to keep some at hand. With one CPU that is none:
/// nobody else could miss them.
fn least_free() -> usize {
    let cpus = platform::cpus();
    if cpus > 1 { cpus * CACHE_FRAMES } else { 0 }
}

/// Returns whether so few frames are free that no CPU keeps any at hand.
#[inline]
pub fn are_scarce() -> bool {
    SCARCE.load(Ordering::Relaxed)
}

/// From now on no CPU keeps frames at hand: the others are interrupted to give theirs back.
fn begin_scarcity() {
    let others = least_free() != 0;
    percpu::this().frames.keep(!others);
    if others && !SCARCE.swap(true, Ordering::Relaxed) {
        let this = percpu::id();
        (0..platform::cpus()).filter(|cpu| *cpu != this).for_each(interrupts::send);
    }
}

/// Gives back what this CPU has at hand.
#[cold]
pub fn give_up_cache() {
    let cache = &percpu::this().frames;
    cache.keep(false);
    let mut allocator = BLOCKS.lock();
    while let Some(frame) = cache.pop() {
        allocator.give(&Table, frame);
    }
}

/// Returns the entry of a frame.
#[inline]
fn entry(frame: u32) -> &'static Entry {
    debug_assert!((frame as usize) < RAM_FRAMES.load(Ordering::Relaxed), "not a frame of RAM");
    // SAFETY: Frame numbers come from the allocator or from addresses of its frames, and the table
    // has an entry for each frame of RAM, written before any number was given out.
    unsafe { &*TABLE.load(Ordering::Relaxed).wrapping_add(frame as usize) }
}

#[inline]
fn number(physical: u64) -> u32 {
    ((physical - RAM_BASE) >> PAGE_SHIFT) as u32
}

#[inline]
fn address(frame: u32) -> FrameAddress {
    FrameAddress::containing(RAM_BASE + (u64::from(frame) << PAGE_SHIFT))
}

const _: () = assert!(REFILL <= CACHE_FRAMES && SPILL <= CACHE_FRAMES);
