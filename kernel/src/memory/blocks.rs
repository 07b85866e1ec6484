//! Free frames of the whole machine.
//!
//! Owns: the buddy allocator, which deals in blocks of 2 MiB, and over it a layer of single frames
//! in constant time, because the buddy's own free allocates and searches. A block in the layer has
//! a list of its free frames, linked through the frame table, and a mark above which it was never
//! given out. A block that is wholly free goes back to the buddy, except for a few that wait for
//! the next taker, apart from those in use, so that single frames break up no whole block while
//! another has any. Refuses to know: caches, counts, contents.
//!
//! Invariants: every managed frame is in exactly one place: the buddy, the layer, or out. A block of
//! the layer is listed if some of its frames are free, spare if all are.

use buddy_system_allocator::FrameAllocator;

/// Frames in a block.
pub(super) const BLOCK_FRAMES: usize = 512;
/// One above the largest order of blocks: 2^13 blocks are 16 GiB.
const ORDERS: usize = 14;
/// Wholly free blocks that the layer keeps.
const SPARE_BLOCKS: usize = 4;
/// No block, or no frame.
const NONE: u32 = u32::MAX;

/// A block's part in the layer.
pub(super) struct Block {
    /// Free frames, listed and fresh.
    free: u16,
    /// Frames from here on were never given out since the block left the buddy.
    fresh: u16,
    /// First frame of the list of free ones.
    head: u32,
    /// Neighbours in the list of blocks of which some frames are free.
    previous: u32,
    next: u32,
}

impl Block {
    /// A block that is not in the layer.
    pub(super) const OUT: Block =
        Block { free: 0, fresh: BLOCK_FRAMES as u16, head: NONE, previous: NONE, next: NONE };
}

impl Block {
    /// Takes `batch` frames of block number `index`, which has as many.
    #[inline]
    fn take(
        &mut self,
        links: &impl Links,
        index: u32,
        batch: usize,
        frame_fn: &mut impl FnMut(u32),
    ) {
        let mut left = batch as u16;
        self.free -= left;
        while left != 0 && self.head != NONE {
            frame_fn(self.head);
            self.head = links.link(self.head);
            left -= 1;
        }
        let fresh = index * BLOCK_FRAMES as u32 + u32::from(self.fresh);
        self.fresh += left;
        (fresh..fresh + u32::from(left)).for_each(frame_fn);
    }
}

/// Where the layer keeps the links of its lists: one word a frame, free frames' words are its own.
pub(super) trait Links {
    /// Returns a free frame's word.
    fn link(&self, frame: u32) -> u32;
    /// Sets a free frame's word.
    fn set_link(&self, frame: u32, link: u32);
}

/// The allocator behind the caches. Frames and blocks are numbers from the start of RAM.
pub(super) struct Blocks {
    buddy: FrameAllocator<ORDERS>,
    blocks: &'static mut [Block],
    /// First block of which some frames are free.
    first: u32,
    /// Free frames in the buddy and in the layer.
    free: usize,
    /// Wholly free blocks of the layer, `spare` of them.
    spares: [u32; SPARE_BLOCKS],
    spare: usize,
}

impl Blocks {
    /// Returns an allocator that manages nothing.
    pub(super) const fn empty() -> Blocks {
        Blocks {
            buddy: FrameAllocator::new(),
            blocks: &mut [],
            first: NONE,
            free: 0,
            spares: [NONE; SPARE_BLOCKS],
            spare: 0,
        }
    }

    /// Gives the allocator room for its blocks, each of them [`Block::OUT`].
    pub(super) fn set_room(&mut self, blocks: &'static mut [Block]) {
        self.blocks = blocks;
    }

    /// Adds the frames from `start` up to `end`.
    pub(super) fn add(&mut self, links: &impl Links, start: usize, end: usize) {
        let first_block = start.next_multiple_of(BLOCK_FRAMES);
        let last_block = end / BLOCK_FRAMES * BLOCK_FRAMES;
        if first_block < last_block {
            self.buddy.add_frame(first_block / BLOCK_FRAMES, last_block / BLOCK_FRAMES);
            self.free += last_block - first_block;
        }
        // What is left of a block at either end never makes a whole one again.
        let (low, high) = (first_block.min(end), last_block.max(first_block).min(end));
        for frame in (start..low).chain(high..end) {
            self.give(links, frame as u32);
        }
    }

    /// Returns how many frames are free here.
    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// Takes up to `count` frames, each of which goes to `frame_fn`. Returns how many it were.
    ///
    /// Whole batches come out of one block after the other, so that a frame costs a few
    /// instructions and only a block costs more.
    pub(super) fn take(
        &mut self,
        links: &impl Links,
        count: usize,
        mut frame_fn: impl FnMut(u32),
    ) -> usize {
        let mut taken = 0;
        while taken < count {
            let Some(index) = self.first_block() else {
                break;
            };
            let block = &mut self.blocks[index as usize];
            let batch = usize::from(block.free).min(count - taken);
            block.take(links, index, batch, &mut frame_fn);
            if block.free == 0 {
                self.unlist(index);
            }
            self.free -= batch;
            taken += batch;
        }
        taken
    }

    /// Takes a whole block and returns its first frame: from the buddy, or one that waits in the layer.
    pub(super) fn take_block(&mut self) -> Option<u32> {
        let index = match self.buddy.alloc(1) {
            Some(index) => index as u32,
            None => {
                let index = self.take_spare()?;
                self.blocks[index as usize] = Block::OUT;
                index
            }
        };
        self.free -= BLOCK_FRAMES;
        Some(index * BLOCK_FRAMES as u32)
    }

    /// Takes the spare block that came last.
    fn take_spare(&mut self) -> Option<u32> {
        self.spare = self.spare.checked_sub(1)?;
        Some(self.spares[self.spare])
    }

    /// Gives back a whole block that starts at a frame.
    pub(super) fn give_whole_block(&mut self, first: u32) {
        self.free += BLOCK_FRAMES;
        self.buddy.dealloc(first as usize / BLOCK_FRAMES, 1);
    }

    /// Returns a block that has a free frame: one that is broken up already, or else a spare one, or
    /// one of the buddy's.
    fn first_block(&mut self) -> Option<u32> {
        if self.first == NONE {
            let index = match self.take_spare() {
                Some(index) => index,
                None => self.break_up()?,
            };
            self.list(index);
        }
        Some(self.first)
    }

    /// Takes a block from the buddy into the layer.
    fn break_up(&mut self) -> Option<u32> {
        let index = self.buddy.alloc(1)?;
        self.blocks[index] = Block { free: BLOCK_FRAMES as u16, fresh: 0, ..Block::OUT };
        Some(index as u32)
    }

    /// Gives a frame back.
    pub(super) fn give(&mut self, links: &impl Links, frame: u32) {
        let index = frame / BLOCK_FRAMES as u32;
        let block = &mut self.blocks[index as usize];
        links.set_link(frame, block.head);
        block.head = frame;
        block.free += 1;
        self.free += 1;
        match usize::from(block.free) {
            1 => self.list(index),
            BLOCK_FRAMES => self.retire(index),
            _ => {}
        }
    }

    /// Keeps a block that became wholly free, or gives it to the buddy.
    fn retire(&mut self, index: u32) {
        self.unlist(index);
        match self.spares.get_mut(self.spare) {
            Some(spare) => {
                *spare = index;
                self.spare += 1;
            }
            None => {
                self.blocks[index as usize] = Block::OUT;
                self.buddy.dealloc(index as usize, 1);
            }
        }
    }

    fn list(&mut self, index: u32) {
        let next = self.first;
        self.blocks[index as usize].previous = NONE;
        self.blocks[index as usize].next = next;
        if let Some(next) = self.blocks.get_mut(next as usize) {
            next.previous = index;
        }
        self.first = index;
    }

    fn unlist(&mut self, index: u32) {
        let Block { previous, next, .. } = self.blocks[index as usize];
        match self.blocks.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => self.first = next,
        }
        if let Some(next) = self.blocks.get_mut(next as usize) {
            next.previous = previous;
        }
    }
}
