//! Is what a program sees the same with shared tables and huge pages as without, whatever it does?
//!
//! Two mappings of one object, one with the switches and one without, get the same random stores,
//! tags, protections, decommits and replacements; a page at random is compared after each.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{vec, vec::Vec};
use vellum_user::abi::{Error, Handle, MapFlags, MapOptions, Protection, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::Sample;
use vellum_user::{Arguments, Mapping, calls, check, system, testing};

vellum_user::test!(main);

const TABLE: usize = 512;
/// A whole block and two edges, from some pages before a boundary.
const PAGES: usize = TABLE + 40;
const PLACES: [usize; 2] = [0x40_0000_0000 - 20 * PAGE, 0x50_0000_0000 - 20 * PAGE];
const ROUNDS: usize = 400;

fn main(_: &Arguments) -> Result<(), Error> {
    let huge = Switches::HUGE;
    for switches in [Switches::SHARED_TABLES, huge, huge | Switches::HUGE_WRITES] {
        for (seed, sample) in (1..).zip(testing::samples()?) {
            Pair::new(&sample, switches)?.run(seed)?;
        }
    }
    Ok(())
}

/// A generator of pseudo-random numbers: xorshift of 64 bits.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

struct Pair<'a> {
    sample: &'a Sample,
    switches: [Switches; 2],
    mappings: [Mapping; 2],
    /// What each page allows.
    allowed: Vec<Protection>,
}

impl Pair<'_> {
    fn new(sample: &Sample, switches: Switches) -> Result<Pair<'_>, Error> {
        let request = sample.request(PAGES * PAGE, attribute());
        let [plain, other] = PLACES;
        let mappings = [request.at(plain).map()?, request.with(switches).at(other).map()?];
        let allowed = vec![request.protection; PAGES];
        Ok(Pair { sample, switches: [Switches::NONE, switches], mappings, allowed })
    }

    fn run(mut self, seed: u64) -> Result<(), Error> {
        let mut random = Random(seed * 0x9e37_79b9_7f4a_7c15);
        for _ in 0..ROUNDS {
            let page = random.below(PAGES);
            let most = if random.below(8) == 0 { PAGES } else { 6 };
            let pages = 1 + random.below(most);
            let part = page..(page + pages).min(PAGES);
            match random.below(12) {
                0 => self.protect(part, random.below(3))?,
                1 => {
                    let bytes = part.start * PAGE..part.end * PAGE;
                    for mapping in &self.mappings {
                        mapping.decommit(bytes.clone())?;
                    }
                }
                2 => self.replace(part)?,
                3..8 => self.store(page, random.below(PAGE), random.below(16) as u8),
                _ => {}
            }
            let seen = random.below(PAGES);
            if !self.compare(seen) || !self.compare(page) {
                break;
            }
        }
        (0..PAGES).all(|page| self.compare(page));
        Ok(())
    }

    fn is_tagged(&self, page: usize) -> bool {
        self.allowed[page].contains(Protection::TAGGED)
    }

    fn store(&self, page: usize, offset: usize, byte: u8) {
        if self.allowed[page].contains(Protection::WRITE) {
            for mapping in &self.mappings {
                let place = page * PAGE + offset;
                if self.is_tagged(page) && byte.is_multiple_of(3) {
                    mapping.set_tag(place, byte);
                }
                let tag = if self.is_tagged(page) { mapping.tag(place) } else { 0 };
                mapping.write_as(tag, place, byte);
            }
        }
    }

    fn protect(&mut self, part: core::ops::Range<usize>, which: usize) -> Result<(), Error> {
        let read_write = Protection::READ | Protection::WRITE;
        let protection = [Protection::READ, read_write, read_write | attribute()][which];
        for mapping in &self.mappings {
            let address = (mapping.address() + part.start * PAGE) as u64;
            let length = (part.len() * PAGE) as u64;
            // SAFETY: no Rust value lives in the mapping.
            unsafe { calls::protect(Handle::SELF, address, length, protection) }?;
        }
        self.allowed[part].fill(protection);
        Ok(())
    }

    /// Maps the object anew over a part.
    fn replace(&mut self, part: core::ops::Range<usize>) -> Result<(), Error> {
        let request: MapRequest = self.sample.request(part.len() * PAGE, attribute());
        for (mapping, switches) in self.mappings.iter().zip(self.switches) {
            let address = (mapping.address() + part.start * PAGE) as u64;
            let options = MapOptions {
                protection: request.protection,
                flags: MapFlags::FIXED | MapFlags::REPLACE,
                switches,
                ..MapOptions::default()
            };
            let length = request.length as u64;
            // SAFETY: no Rust value lives in the mapping.
            unsafe { calls::map(Handle::SELF, request.object, address, length, options, 0) }?;
        }
        self.allowed[part].fill(request.protection);
        Ok(())
    }

    /// Compares a page of both mappings: bytes at some places, and the tags there.
    fn compare(&self, page: usize) -> bool {
        let places = (0..PAGE).step_by(272).map(|offset| page * PAGE + offset);
        let name = self.sample.name;
        places.into_iter().all(|place| {
            let seen = self.mappings.each_ref().map(|mapping| {
                let tag = if self.is_tagged(page) { mapping.tag(place) } else { 0 };
                (mapping.read_as(tag, place), tag)
            });
            check!(name, seen[0], seen[1])
        })
    }
}

fn attribute() -> Protection {
    if system::tags_supported() { Protection::TAGGED } else { Protection::NONE }
}
