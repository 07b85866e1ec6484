//! The kernel's layer of single frames over the buddy allocator, on the host: where frames are taken
//! from, what stays whole, and that none is lost.

// The kernel builds for bare metal alone; this part of it needs none.
#[path = "../../kernel/src/memory/blocks.rs"]
mod blocks;

use blocks::{BLOCK_FRAMES, Block, Blocks, Links};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A link for each frame.
struct Table(RefCell<Vec<u32>>);

impl Links for Table {
    fn link(&self, frame: u32) -> u32 {
        self.0.borrow()[frame as usize]
    }

    fn set_link(&self, frame: u32, link: u32) {
        self.0.borrow_mut()[frame as usize] = link;
    }
}

/// The allocator with so many blocks, all free, and who has which frame.
struct Rig {
    table: Table,
    blocks: Blocks,
    out: BTreeSet<u32>,
    frames: usize,
}

impl Rig {
    fn new(count: usize) -> Rig {
        let frames = count * BLOCK_FRAMES;
        let mut blocks = Blocks::empty();
        blocks.set_room((0..count).map(|_| Block::OUT).collect::<Vec<_>>().leak());
        let table = Table(RefCell::new(vec![0; frames]));
        blocks.add(&table, 0, frames);
        Rig { table, blocks, out: BTreeSet::new(), frames }
    }

    fn take(&mut self, count: usize) -> Vec<u32> {
        let mut taken = Vec::new();
        let number = self.blocks.take(&self.table, count, |frame| taken.push(frame));
        assert_eq!(number, taken.len());
        self.note(&taken);
        taken
    }

    fn take_block(&mut self) -> Option<u32> {
        let first = self.blocks.take_block()?;
        assert!((first as usize).is_multiple_of(BLOCK_FRAMES));
        self.note(&(first..first + BLOCK_FRAMES as u32).collect::<Vec<_>>());
        Some(first)
    }

    /// Notes frames that came out: nobody else has them.
    fn note(&mut self, taken: &[u32]) {
        for frame in taken {
            assert!(self.out.insert(*frame), "frame {frame} is out already");
        }
        assert_eq!(self.blocks.free() + self.out.len(), self.frames);
    }

    fn give(&mut self, frames: impl IntoIterator<Item = u32>) {
        for frame in frames {
            assert!(self.out.remove(&frame), "frame {frame} is not out");
            self.blocks.give(&self.table, frame);
        }
        assert_eq!(self.blocks.free() + self.out.len(), self.frames);
    }
}

fn block_of(frame: &u32) -> u32 {
    frame / BLOCK_FRAMES as u32
}

#[test]
fn frames_of_a_broken_block_come_before_those_of_a_whole_one() {
    let mut rig = Rig::new(3);
    let all = rig.take(3 * BLOCK_FRAMES);
    let whole = block_of(&all[0]);
    let broken = block_of(&all[BLOCK_FRAMES]);
    rig.give(all.iter().copied().filter(|frame| block_of(frame) == broken).take(100));
    // It comes back last, and is free as a whole.
    rig.give(all.iter().copied().filter(|frame| block_of(frame) == whole));
    let taken = rig.take(60);
    assert!(taken.iter().all(|frame| block_of(frame) == broken), "a whole block was broken up");
    assert_eq!(rig.take_block().map(|first| block_of(&first)), Some(whole));
    assert_eq!(rig.take_block(), None, "only frames of a broken block are left");
    assert_eq!(rig.take(41).len(), 40);
}

#[test]
fn whole_blocks_are_found_however_many_broken_ones_there_are() {
    let mut rig = Rig::new(40);
    let all = rig.take(40 * BLOCK_FRAMES);
    // A frame of each block is free, but all of those whose number is a multiple of 10.
    let (whole, broken): (Vec<_>, Vec<_>) =
        all.iter().partition(|frame| block_of(frame).is_multiple_of(10));
    rig.give(whole);
    rig.give(broken.into_iter().filter(|frame| (*frame as usize).is_multiple_of(BLOCK_FRAMES)));
    let mut found: Vec<_> = (0..4).filter_map(|_| rig.take_block()).collect();
    found.sort_unstable();
    assert_eq!(found, [0, 10, 20, 30].map(|block| block * BLOCK_FRAMES as u32));
    assert_eq!(rig.take_block(), None);
    assert_eq!(rig.take(100).len(), 36);
}

#[test]
fn no_frame_is_lost_or_given_out_twice() {
    let mut rig = Rig::new(12);
    let mut seed = 11_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (mut singles, mut wholes) = (Vec::new(), Vec::new());
    for _ in 0..3000 {
        match next(5) {
            0 | 1 => singles.extend(rig.take(1 + next(300))),
            2 => wholes.extend(rig.take_block()),
            3 => {
                let count = singles.len().min(1 + next(700));
                let from = next(singles.len() - count + 1);
                let some: Vec<_> = singles.drain(from..from + count).collect();
                rig.give(some);
            }
            _ if wholes.is_empty() => {}
            // A block comes back whole or by the frame.
            _ => {
                let first = wholes.swap_remove(next(wholes.len()));
                let frames = first..first + BLOCK_FRAMES as u32;
                if next(2) == 0 {
                    frames.for_each(|frame| assert!(rig.out.remove(&frame)));
                    rig.blocks.give_whole_block(first);
                } else {
                    rig.give(frames);
                }
            }
        }
        assert_eq!(rig.blocks.free() + rig.out.len(), rig.frames);
    }
    rig.give(singles);
    rig.give(wholes.into_iter().flat_map(|first| first..first + BLOCK_FRAMES as u32));
    assert_eq!(rig.take(usize::MAX).len(), rig.frames);
}
