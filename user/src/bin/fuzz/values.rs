//! Values of each kind of argument.
//!
//! Owns: what may be drawn, so that nothing of it reaches memory that Rust code relies on: what a call may
//! write to, unmap or move lies in the ranges that are named here, or is refused. Refuses to know: the calls.

use crate::arguments::{Kind, Slot};
use crate::board::{GIVEN, board};
use crate::dice::Dice;
use crate::records::{BUFFER, BUFFERS};
use crate::{records, slots};
use core::sync::atomic::{AtomicU32, Ordering};
use vellum_user::abi::{
    Advice, FOR_EVER, Handle, MAX_PIECES, MapFlags, MapOptions, PAGE_SIZE, PRIORITIES, Policy,
    Protection, Rights, Switches, USER_END, USER_START,
};

const SELF: u64 = Handle::SELF.to_word();
/// Where the ranges begin that calls change, how many each driver and all have, and how far apart they are.
pub(crate) const ARENA: u64 = 0x40_0000_0000;
const OWN_RANGES: u64 = 2;
const RANGES: u64 = 10;
const APART: u64 = 8 << 20;
/// Memory that all workers share, to wait at.
pub(crate) const PLAYGROUND: u64 = 0xc_0000_0000;
/// Bytes of it.
pub(crate) const PLAYGROUND_BYTES: u64 = 4 * PAGE_SIZE;

/// Words of a worker's own to wait at.
static WORDS: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
/// What may be printed.
static TEXT: [u8; 1] = *b".";

/// Draws arguments for one driver.
pub(crate) struct Values {
    pub(crate) dice: Dice,
    /// Numbers of its worker, and of itself among the drivers of that.
    worker: usize,
    driver: u64,
    /// Ranges that were mapped: addresses and bytes.
    mapped: [(u64, u64); 8],
    /// The end of the range that was drawn last, and what is left to it from what was drawn.
    left: u64,
}

impl Values {
    pub(crate) fn new(seed: u64, worker: usize, driver: u64) -> Values {
        Values { dice: Dice::new(seed), worker, driver, mapped: [(0, 0); 8], left: 0 }
    }

    /// Notes that a range was mapped.
    pub(crate) fn note(&mut self, start: u64, bytes: u64) {
        let index = self.dice.below(self.mapped.len() as u64) as usize;
        // Others are of no use: they may lie next to what the runtime has mapped.
        if start >= ARENA {
            self.mapped[index] = (start, bytes);
        }
    }

    /// An argument.
    pub(crate) fn draw(&mut self, kind: Kind) -> u64 {
        // Elsewhere a list could say anything.
        let is_fixed = matches!(kind, Kind::Text | Kind::TextLength | Kind::PieceList);
        if self.dice.once_in(24) && !is_fixed {
            return self.hostile();
        }
        match kind {
            Kind::AnyHandle
            | Kind::Sent
            | Kind::Process
            | Kind::ProcessOrOwn
            | Kind::AccountOrOwn
            | Kind::ThreadOrOwn
            | Kind::Thread
            | Kind::Memory
            | Kind::Paged
            | Kind::ObjectOrAnonymous
            | Kind::Endpoint
            | Kind::Notification => self.handle(kind),
            Kind::Place
            | Kind::Length
            | Kind::NewLength
            | Kind::Offset
            | Kind::Record
            | Kind::Content
            | Kind::RegistersRecord
            | Kind::LimitsRecord
            | Kind::PieceList
            | Kind::Text
            | Kind::WaitWord => self.address(kind),
            _ => self.number(kind),
        }
    }

    /// Something that is bad for most.
    fn hostile(&mut self) -> u64 {
        let values = [
            0,
            1,
            3,
            8,
            PAGE_SIZE - 1,
            PAGE_SIZE + 8,
            1 << 21,
            1 << 30,
            1 << 47,
            1 << 63,
            u64::MAX,
            PAGE_SIZE.wrapping_neg(),
            USER_START,
            USER_START - PAGE_SIZE,
            USER_END,
            USER_END - PAGE_SIZE,
            0xffff_0000_4000_0000,
            0xffff_8000_0000_0000,
            ARENA | 5 << 56,
            ARENA + 1,
            SELF,
            SELF - 1,
            1 << 32 | 1 << 20,
        ];
        if self.dice.once_in(8) { self.dice.word() } else { self.dice.of(&values) }
    }

    fn handle(&mut self, kind: Kind) -> u64 {
        let (slot, constant, often) = match kind {
            Kind::ProcessOrOwn => (Slot::Process, SELF, 6),
            Kind::Process => (Slot::Process, 0, 0),
            Kind::AccountOrOwn => (Slot::Account, SELF, 5),
            Kind::ThreadOrOwn => (Slot::Thread, SELF, 3),
            Kind::ObjectOrAnonymous if self.dice.once_in(6) => (Slot::Paged, 0, 0),
            Kind::ObjectOrAnonymous => (Slot::Memory, Handle::ANONYMOUS.to_word(), 6),
            Kind::Thread => (Slot::Thread, 0, 0),
            Kind::Memory => (Slot::Memory, 0, 0),
            Kind::Paged => (Slot::Paged, 0, 0),
            Kind::Endpoint => (Slot::Endpoint, 0, 0),
            Kind::Notification => (Slot::Notification, 0, 0),
            Kind::Sent if self.dice.below(4) != 0 => return 0,
            Kind::Sent => {
                let rights =
                    if self.dice.once_in(2) { Rights::READ | Rights::WRITE } else { Rights::ALL };
                return slots::whatever(&mut self.dice) | rights.bits() << 32;
            }
            _ => return slots::whatever(&mut self.dice),
        };
        if self.dice.below(10) < often {
            return constant;
        }
        match self.dice.below(16) {
            0 => slots::whatever(&mut self.dice),
            1 => slots::closed(&mut self.dice),
            2 => 1 << 20 | self.dice.below(64),
            3 if self.dice.once_in(2) => slots::any(&mut self.dice, Slot::Received),
            4 => self.given(slot),
            _ => slots::any(&mut self.dice, slot),
        }
    }

    /// A handle that the keeper has given to the worker.
    fn given(&mut self, slot: Slot) -> u64 {
        let index = (slot as usize).min(GIVEN - 1);
        board().given[self.worker][index].load(Ordering::Relaxed)
    }

    /// The start of a range, mostly of the driver's own.
    fn range(&mut self) -> u64 {
        let own = self.driver * OWN_RANGES + self.dice.below(OWN_RANGES);
        let range = if self.dice.below(4) == 0 { self.dice.below(RANGES) } else { own };
        ARENA + range * APART
    }

    /// A page of a range that was mapped.
    fn mapped(&mut self) -> Option<u64> {
        let all = self.mapped.len();
        let first = self.dice.below(all as u64) as usize;
        let mut ranges = (0..all).map(|index| self.mapped[(first + index) % all]);
        let (start, bytes) = ranges.find(|(start, _)| *start != 0)?;
        let pages = bytes / PAGE_SIZE;
        if pages == 0 || self.dice.once_in(6) {
            return None;
        }
        let page = if self.dice.once_in(2) { 0 } else { self.dice.below(pages) };
        self.left = pages - page;
        Some(start + page * PAGE_SIZE)
    }

    fn address(&mut self, kind: Kind) -> u64 {
        if kind == Kind::Place
            && let Some(address) = self.mapped()
        {
            return address;
        }
        let left = if kind == Kind::Length { core::mem::take(&mut self.left) } else { 0 };
        let dice = &mut self.dice;
        if matches!(kind, Kind::Record | Kind::Content) && !dice.once_in(6) {
            let inside = if kind == Kind::Record { dice.below(1024) * 8 } else { 0 };
            return BUFFERS + self.driver * BUFFER + inside;
        }
        match kind {
            Kind::Length if left != 0 && dice.below(4) != 0 => {
                (if dice.once_in(2) { left } else { dice.below(left) + 1 }) * PAGE_SIZE
            }
            Kind::Length => {
                let pages = match dice.below(16) {
                    0 => 512,
                    1 | 2 => dice.below(700) + 1,
                    3..=7 => dice.below(40) + 1,
                    _ => dice.below(8) + 1,
                };
                pages * PAGE_SIZE
            }
            Kind::NewLength => {
                (if dice.once_in(8) { dice.below(600) } else { dice.below(24) } + 1) * PAGE_SIZE
            }
            Kind::Offset => {
                if dice.once_in(4) {
                    dice.below(16) * PAGE_SIZE
                } else {
                    0
                }
            }
            Kind::RegistersRecord => {
                // Mostly such by which a thread can run.
                let end = if dice.once_in(12) { 6 } else { 3 };
                records::registers(dice.below(end))
            }
            Kind::LimitsRecord => records::limits(dice.below(5)),
            Kind::PieceList => records::pieces(dice.below(MAX_PIECES + 1)),
            Kind::Text => TEXT.as_ptr().expose_provenance() as u64,
            Kind::WaitWord => self.word(),
            _ => {
                let offset = match dice.below(8) {
                    0..=3 => 0,
                    4 => 512 - dice.below(4),
                    5 => dice.below(600),
                    _ => dice.below(40),
                };
                let inside = match kind {
                    Kind::Place | Kind::Content => 0,
                    _ => dice.below(600) * 8,
                };
                self.range() + offset * PAGE_SIZE + inside
            }
        }
    }

    /// A word to wait at.
    pub(crate) fn word(&mut self) -> u64 {
        match self.dice.below(8) {
            0..=3 => own_word(self.dice.below(4)),
            4..=6 => PLAYGROUND + self.dice.below(4) * 4,
            _ if self.dice.once_in(2) => PLAYGROUND + PAGE_SIZE,
            _ => self.range(),
        }
    }

    fn number(&mut self, kind: Kind) -> u64 {
        let dice = &mut self.dice;
        match kind {
            Kind::Rights => {
                if dice.once_in(2) {
                    Rights::ALL.bits()
                } else {
                    dice.below(128)
                }
            }
            Kind::Bytes => {
                if dice.once_in(8) {
                    dice.below(20_000)
                } else {
                    dice.below(600)
                }
            }
            Kind::Size => 1 << dice.below(13),
            Kind::TextLength | Kind::MemoryFlags | Kind::WaitFlags => dice.below(2),
            Kind::Expected | Kind::Flags => u64::from(dice.once_in(8)),
            Kind::Count => dice.of(&[0, 1, 1, 2, 64, 1000]),
            Kind::RemapFlags => dice.of(&[0, 1, 3, 3, 3, 5, 7, 7]),
            Kind::MapOptions => options(dice),
            Kind::Protection => dice.of(&[0, 1, 3, 3, 3, 3, 9, 11, 11, 5, 1]),
            Kind::Advice => dice.below(Advice::ALL.len() as u64),
            Kind::Priority => dice.below(PRIORITIES / 2 + 1),
            Kind::Timeout => dice.of(&[FOR_EVER, FOR_EVER, FOR_EVER, 0, 1000, 2_000_000]),
            Kind::Supply => dice.below(5) | u64::from(dice.once_in(6)) << 8,
            Kind::Tag => dice.below(16),
            Kind::Byte => dice.below(256),
            Kind::TagSet => dice.below(1 << 16),
            Kind::TagMode => dice.below(4),
            Kind::TestOperation => dice.of(&[0, 0, 0, 0, 1, 2]),
            Kind::TestArgument => {
                if dice.once_in(3) {
                    SELF
                } else {
                    dice.below(30)
                }
            }
            _ => dice.word(),
        }
    }
}

/// The options word of `map`.
fn options(dice: &mut Dice) -> u64 {
    let protection = match dice.below(8) {
        0 => Protection::READ,
        1 => Protection::NONE,
        2 | 3 => Protection::READ | Protection::WRITE | Protection::TAGGED,
        _ => Protection::READ | Protection::WRITE,
    };
    let mut flags = match dice.below(8) {
        0 => MapFlags::NONE,
        1 => MapFlags::FIXED,
        _ => MapFlags::FIXED | MapFlags::REPLACE,
    };
    let odd = dice.below(400);
    let tag = if odd < 20 { dice.below(16) as u8 } else { 0 };
    flags = flags
        | match odd {
            0 => MapFlags::SEALED,
            1..4 => MapFlags::GUARD,
            4..20 => MapFlags::TAG_HINT,
            20..40 => MapFlags::REFPAGE,
            40..130 => MapFlags::SHARED,
            _ => MapFlags::NONE,
        };
    let policy = if dice.once_in(5) { dice.of(Policy::ALL) } else { Policy::default() };
    let switches = dice.of(&[
        Switches::NONE,
        Switches::NONE,
        Switches::NONE,
        Switches::NONE,
        Switches::NONE,
        Switches::BATCH,
        Switches::SHARED_TABLES,
        Switches::HUGE,
        Switches::HUGE | Switches::HUGE_WRITES,
        Switches::TAG_AWARE | Switches::ATOMIC_AWARE,
        Switches::BATCH | Switches::SHARED_TABLES,
    ]);
    let around = if dice.once_in(6) { dice.below(10) as u8 } else { 0 };
    MapOptions { protection, flags, policy, switches, around, tag }.to_word()
}

/// The address of a word of the worker's own.
fn own_word(number: u64) -> u64 {
    WORDS[number as usize % WORDS.len()].as_ptr().expose_provenance() as u64
}

/// Calls `visit_fn` with the address of every word that threads wait at, but for those in ranges.
pub(crate) fn each_word(visit_fn: impl Fn(u64)) {
    (0..4).for_each(|number| visit_fn(own_word(number)));
    (0..4).for_each(|number| visit_fn(PLAYGROUND + number * 4));
}
