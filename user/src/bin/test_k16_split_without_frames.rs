//! K16: is a block split, with everything in it, while no frame is free or only one?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use vellum_user::abi::{Error, Handle, Protection, Switches};
use vellum_user::mapping::PAGE;
use vellum_user::testing::{Change, Sample, stat, wrong_byte};
use vellum_user::{Arguments, Mapping, calls, check, system, testing};

vellum_user::test!(main);

const BLOCK: usize = 512 * PAGE;
const PLACE: usize = 0x40_0000_0000;
/// What is done to a block: the pages from 100 to 110.
const PART: core::ops::Range<usize> = 100 * PAGE..110 * PAGE;

/// A block that the process wrote, and one that it only read.
struct Blocks<'a> {
    sample: &'a Sample,
    private: Mapping,
    shown: Mapping,
}

fn main(_: &Arguments) -> Result<(), Error> {
    let samples: Vec<_> = testing::samples()?.collect();
    let mut place = PLACE;
    let mut rounds = [Vec::with_capacity(samples.len()), Vec::with_capacity(samples.len())];
    for blocks in &mut rounds {
        for sample in &samples {
            blocks.push(Blocks::new(sample, place)?);
            place += 4 * BLOCK;
        }
    }
    let [none, one] = &rounds;
    let hog = exhaust()?;
    check!("no frame", stat().free_frames, 0);
    none.iter().for_each(Blocks::split);
    check!("a frame", hog.decommit(0..PAGE), Ok(()));
    check!("one frame", stat().free_frames, 1);
    one.iter().for_each(Blocks::split);
    hog.unmap()?;
    rounds.iter().flatten().for_each(Blocks::intact);
    Ok(())
}

/// Takes every frame.
fn exhaust() -> Result<Mapping, Error> {
    let hog = Mapping::anonymous(usize::try_from(stat().total_frames).unwrap_or(0) * PAGE)?;
    let refused = (0..hog.pages()).any(|page| {
        let place = hog.pointer(page * PAGE).addr() as u64;
        // SAFETY: no Rust value lives in the mapping.
        let (_, result) = unsafe { calls::memory_write(Handle::SELF, place, &[1]) };
        result == Err(Error::OutOfFrames)
    });
    check!("frames end", refused);
    Ok(hog)
}

impl Blocks<'_> {
    fn new(sample: &Sample, place: usize) -> Result<Blocks<'_>, Error> {
        let request = sample.request(BLOCK, attribute()).with(Switches::HUGE);
        let private = request.with(Switches::HUGE_WRITES).at(place).map()?;
        let shown = request.at(place + 2 * BLOCK).map()?;
        let before = stat();
        sample.write(&private, 0, 1);
        check!(sample.name, stat().blocks - before.blocks, 1);
        check!(sample.name, sample.read(&shown, 8), sample.byte(8));
        check!(sample.name, stat().faults_block - before.faults_block, 2);
        Ok(Blocks { sample, private, shown })
    }

    /// Takes writing away from a part of the private block, and fails to write to the other.
    fn split(&self) {
        let (name, before) = (self.sample.name, stat());
        let start = (self.private.address() + PART.start) as u64;
        let protection = Protection::READ | attribute();
        // SAFETY: no Rust value lives in the mapping.
        let result = unsafe { calls::protect(Handle::SELF, start, PART.len() as u64, protection) };
        check!(name, result, Ok(()));
        let change = Change::between(&before, &stat());
        check!(name, (change.blocks, change.block_splits), (-1, 1));
        check!(name, (change.private_frames, change.pt_frames, change.free_frames), (0, 0, 0));
        self.sample.write(&self.private, PART.start - PAGE, 2);
        let place = self.shown.pointer(PART.start).addr() as u64;
        // SAFETY: no Rust value lives in the mapping.
        let (_, result) = unsafe { calls::memory_write(Handle::SELF, place, &[1]) };
        check!(name, result, Err(Error::OutOfFrames));
        check!(name, stat().free_frames, before.free_frames);
        check!(name, self.sample.read(&self.shown, PART.start), self.sample.byte(0));
    }

    /// Nothing is lost that was in the blocks.
    fn intact(&self) {
        let wanted = |offset: usize| match offset {
            0 => 1,
            _ if offset == PART.start - PAGE => 2,
            _ => self.sample.byte(offset),
        };
        check!(self.sample.name, wrong_byte(&self.private, 0..BLOCK, wanted), None);
        let shown = |offset: usize| self.sample.byte(offset);
        check!(self.sample.name, wrong_byte(&self.shown, 0..BLOCK, shown), None);
    }
}

fn attribute() -> Protection {
    if system::tags_supported() { Protection::TAGGED } else { Protection::NONE }
}
