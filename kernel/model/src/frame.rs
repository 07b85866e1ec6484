//! Frames: bytes, tags, and who may touch them.
//!
//! Storage comes on first write; until then a frame reads as poison. Every granule knows whether
//! anybody wrote its bytes and its tag since the frame left the allocator.

use std::collections::HashSet;
use vellum_abi::PAGE_SIZE;
use vellum_vm::addr::FrameAddress;
use vellum_vm::tag::GRANULES_PER_PAGE;

/// What a frame that nobody wrote is full of.
pub const POISON_BYTE: u8 = 0xdb;
/// The tag that a frame has everywhere before anybody tagged it.
pub const POISON_TAG: u8 = 0xd;
/// The physical address of the first frame.
const BASE: u64 = 0x4000_0000;
/// Frames of a block. [`BASE`] is a multiple of its size.
const BLOCK: usize = 512;
const WORDS: usize = PAGE_SIZE as usize / 8;
const GRANULE: usize = PAGE_SIZE as usize / GRANULES_PER_PAGE;

/// Which granules were written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Granules([u64; GRANULES_PER_PAGE / 64]);

impl Granules {
    const ALL: Granules = Granules([u64::MAX; GRANULES_PER_PAGE / 64]);

    fn set(&mut self, granule: usize) {
        self.0[granule / 64] |= 1 << (granule % 64);
    }

    fn has(&self, granule: usize) -> bool {
        self.0[granule / 64] >> (granule % 64) & 1 != 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0 == Granules::ALL.0
    }
}

/// What a frame is used for since it left the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Fresh,
    Table,
    Contents,
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Private leaves and kernel holds; `None` while the allocator has the frame.
    pub(crate) count: Option<u32>,
    pub(crate) role: Role,
    /// Whether a whole-page fill has happened.
    pub(crate) filled: bool,
    /// Whether something was written that instruction fetch may not see yet.
    pub(crate) unsynced: bool,
    /// Whether a descriptor named the frame, or a CPU ran with it: walks may be in it.
    pub(crate) linked: bool,
    /// Physical addresses of slots that walks found to name this frame.
    pub(crate) named_by: HashSet<u64>,
    words: Option<Box<[u64; WORDS]>>,
    tags: Option<Box<[u8; GRANULES_PER_PAGE]>>,
    written: Granules,
    tagged: Granules,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame::new(None)
    }
}

impl Frame {
    fn new(count: Option<u32>) -> Frame {
        Frame {
            count,
            role: Role::Fresh,
            filled: false,
            unsynced: false,
            linked: false,
            named_by: HashSet::new(),
            words: None,
            tags: None,
            written: Granules::default(),
            tagged: Granules::default(),
        }
    }

    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words.as_ref().map_or(u64::from_ne_bytes([POISON_BYTE; 8]), |words| words[index])
    }

    fn words_mut(&mut self) -> &mut [u64; WORDS] {
        self.words.get_or_insert_with(|| Box::new([u64::from_ne_bytes([POISON_BYTE; 8]); WORDS]))
    }

    pub(crate) fn set_word(&mut self, index: usize, word: u64) {
        self.words_mut()[index] = word;
    }

    pub(crate) fn byte(&self, offset: usize) -> u8 {
        self.word(offset / 8).to_le_bytes()[offset % 8]
    }

    pub(crate) fn set_byte(&mut self, offset: usize, byte: u8) {
        let word = &mut self.words_mut()[offset / 8];
        let mut bytes = word.to_le_bytes();
        bytes[offset % 8] = byte;
        *word = u64::from_le_bytes(bytes);
        self.unsynced = true;
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            self.set_byte(offset + index, *byte);
        }
        let first = offset.div_ceil(GRANULE);
        (first..(offset + bytes.len()) / GRANULE).for_each(|granule| self.written.set(granule));
    }

    pub(crate) fn fill(&mut self, byte: u8) {
        *self.words_mut() = [u64::from_ne_bytes([byte; 8]); WORDS];
        self.written = Granules::ALL;
        self.unsynced = true;
    }

    pub(crate) fn copy_from(&mut self, source: &FrameContents) {
        *self.words_mut() = source.words;
        self.written = Granules::ALL;
        self.unsynced = true;
    }

    pub(crate) fn is_written(&self, offset: usize) -> bool {
        self.written.has(offset / GRANULE)
    }

    pub(crate) fn tag(&self, offset: usize) -> u8 {
        self.tags.as_ref().map_or(POISON_TAG, |tags| tags[offset / GRANULE])
    }

    pub(crate) fn set_tag(&mut self, offset: usize, tag: u8) {
        let tags = self.tags.get_or_insert_with(|| Box::new([POISON_TAG; GRANULES_PER_PAGE]));
        tags[offset / GRANULE] = tag;
        self.tagged.set(offset / GRANULE);
    }

    pub(crate) fn set_tags(&mut self, all: [u8; GRANULES_PER_PAGE]) {
        self.tags = Some(Box::new(all));
        self.tagged = Granules::ALL;
    }

    pub(crate) fn is_tagged(&self, offset: usize) -> bool {
        self.tagged.has(offset / GRANULE)
    }

    /// Returns a copy of everything in the frame.
    pub(crate) fn contents(&self) -> FrameContents {
        FrameContents {
            words: core::array::from_fn(|index| self.word(index)),
            tags: self.tags.as_deref().copied().unwrap_or([POISON_TAG; GRANULES_PER_PAGE]),
            written: self.written,
            tagged: self.tagged,
        }
    }
}

/// What a copy reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameContents {
    words: [u64; WORDS],
    pub(crate) tags: [u8; GRANULES_PER_PAGE],
    pub(crate) written: Granules,
    pub(crate) tagged: Granules,
}

/// All frames: those of the allocator first, then those it never had.
#[derive(Debug)]
pub(crate) struct Frames {
    frames: Vec<Frame>,
    /// The frame freed last is given out first.
    free: Vec<usize>,
    managed: usize,
}

impl Frames {
    pub(crate) fn new(managed: usize, fixed: usize) -> Frames {
        let mut frames: Vec<Frame> = (0..managed).map(|_| Frame::new(None)).collect();
        frames.extend((0..fixed).map(|_| Frame::new(Some(1))));
        Frames { frames, free: (0..managed).rev().collect(), managed }
    }

    pub(crate) fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Returns the first frame that the allocator never had.
    pub(crate) fn first_fixed(&self) -> FrameAddress {
        Self::address(self.managed)
    }

    fn address(index: usize) -> FrameAddress {
        FrameAddress::containing(BASE + index as u64 * PAGE_SIZE)
    }

    fn index(address: FrameAddress) -> Option<usize> {
        address.to_physical().checked_sub(BASE).map(|offset| (offset / PAGE_SIZE) as usize)
    }

    /// Returns a frame that somebody has.
    pub(crate) fn live(&mut self, address: FrameAddress) -> Option<&mut Frame> {
        let frame = self.frames.get_mut(Self::index(address)?)?;
        frame.count.is_some().then_some(frame)
    }

    pub(crate) fn allocate(&mut self) -> Option<FrameAddress> {
        let index = self.free.pop()?;
        self.frames[index] = Frame::new(Some(1));
        Some(Self::address(index))
    }

    /// Takes 512 free frames that are aligned to their size.
    pub(crate) fn allocate_block(&mut self) -> Option<FrameAddress> {
        let is_free = |index: &usize| self.frames[*index].count.is_none();
        let starts = (0..self.managed / BLOCK * BLOCK).step_by(BLOCK);
        let start =
            starts.rev().find(|start| (*start..start + BLOCK).all(|index| is_free(&index)))?;
        self.free.retain(|index| !(start..start + BLOCK).contains(index));
        self.frames[start..start + BLOCK].fill_with(|| Frame::new(Some(1)));
        Some(Self::address(start))
    }

    /// Takes a frame back. Returns whether it was one that the allocator had given out.
    pub(crate) fn free(&mut self, address: FrameAddress) -> bool {
        let Some(index) = Self::index(address).filter(|index| *index < self.managed) else {
            return false;
        };
        let was_live = self.frames[index].count.is_some();
        if was_live {
            self.frames[index] = Frame::new(None);
            self.free.push(index);
        }
        was_live
    }
}
