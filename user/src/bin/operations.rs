//! How long are the operations on mappings? Instructions, kernel and the `svc` itself included, of
//! `map` and `unmap` with few and with 10 000 mappings alive, of giving touched pages back, and of reading
//! pieces of memory by many calls and by one.
//!
//! The figures belong to the measurement "paths", beside those of single faults.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::arch::asm;
use vellum_user::abi::{
    Call, Error, Handle, MAX_PIECES, MapFlags, MapOptions, Piece, Protection, TransferFlags,
};
use vellum_user::calls::PieceRecord;
use vellum_user::figures::{Hundredths, Samples};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, println, system, testing};

vellum_user::entry!(main);

/// Samples of each case of single operations.
const SAMPLES: usize = 1000;
/// Pages of the case that gives touched pages back, and how often that is done.
const TOUCHED: usize = 1000;
const ROUNDS: usize = 32;
/// Pieces that are read at once.
const PIECES: usize = MAX_PIECES as usize;
/// Mappings alive in the crowded cases.
const CROWD: usize = 10_000;
/// Where they are: every other page, so that none becomes one with its neighbour.
const PLACE: usize = 0x50_0000_0000;
/// Bytes that one last-level translation table covers.
const TABLE_SPAN: usize = 512 * PAGE;

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    println!("Instructions of operations on mappings; instructions are not cycles.");
    println!("{:<26}{:>10}{:>10}{:>8}{:>8}", "case", "mean", "median", "least", "most");
    let mut bench =
        Bench { samples: Vec::with_capacity(SAMPLES), figures: arguments.has("figures") };
    bench.map_unmap("map_unmap_4k", PAGE);
    bench.map_unmap("map_unmap_4m", 1024 * PAGE);
    bench.unmap_touched()?;
    bench.read_pieces()?;
    let crowd = crowd()?;
    bench.map_unmap("map_unmap_4k_10k", PAGE);
    bench.read_faults("read_fault_10k")?;
    drop(crowd);
    Ok(())
}

/// Maps [`CROWD`] pages of an object, each a mapping of its own.
fn crowd() -> Result<Vec<Mapping>, Error> {
    let object = MemoryObject::pattern(0x55)?;
    let one = |index: usize| MapRequest::of(object.handle(), PAGE).at(PLACE + 2 * index * PAGE);
    (0..CROWD).map(|index| one(index).map()).collect()
}

/// Makes a call and returns the instructions that it took, and its value.
///
/// # Panics
/// If the call is refused.
#[inline(always)]
fn count_call(call: Call, arguments: [u64; 6]) -> (u64, u64) {
    let (before, after, status, value): (u64, u64, u64, u64);
    // SAFETY: the calls made here map new memory and unmap the same again, or write into a mapping that no
    // Rust value lives in; the counter can be read, `main` has asked.
    unsafe {
        asm!(
            "mrs {before}, pmevcntr0_el0",
            "svc #0",
            "mrs {after}, pmevcntr0_el0",
            before = out(reg) before,
            after = out(reg) after,
            in("x8") call as u64,
            inlateout("x0") arguments[0] => status,
            inlateout("x1") arguments[1] => value,
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            in("x5") arguments[5],
            options(nostack)
        );
    }
    assert!(status == 0, "{} was refused: {status}", call.name());
    (u64::from((after as u32).wrapping_sub(before as u32)) - 1, value)
}

fn count_load(pointer: *mut u8) -> u64 {
    let (before, after): (u64, u64);
    // SAFETY: a plain load inside a live mapping; the counter can be read, `main` has asked.
    unsafe {
        asm!(
            "mrs {before}, pmevcntr0_el0",
            "ldrb {byte:w}, [{pointer}]",
            "mrs {after}, pmevcntr0_el0",
            before = out(reg) before,
            after = out(reg) after,
            byte = out(reg) _,
            pointer = in(reg) pointer,
            options(nostack)
        );
    }
    // The load itself runs once without, once with the fault; `mrs` counts one.
    u64::from((after as u32).wrapping_sub(before as u32)) - 2
}

/// Returns the arguments of the call that reads pieces.
fn list(process: u64, records: &[PieceRecord]) -> [u64; 6] {
    let place = records.as_ptr().expose_provenance() as u64;
    [process, place, records.len() as u64, TransferFlags::NONE.bits(), 0, 0]
}

struct Bench {
    samples: Vec<u64>,
    figures: bool,
}

impl Bench {
    /// Maps anonymous memory wherever the kernel likes, and unmaps it untouched.
    fn map_unmap(&mut self, case: &str, length: usize) {
        let own = Handle::SELF.to_word();
        let options = MapOptions {
            protection: Protection::READ | Protection::WRITE,
            flags: MapFlags::NONE,
            ..MapOptions::default()
        };
        let (anonymous, length) = (Handle::ANONYMOUS.to_word(), length as u64);
        for sample in 0..=SAMPLES {
            let arguments = [own, anonymous, 0, length, options.to_word(), 0];
            let (map, address) = count_call(Call::Map, arguments);
            let (unmap, _) = count_call(Call::Unmap, [own, address, length, 0, 0, 0]);
            // The first one warms up what is made on first use.
            if sample != 0 {
                self.samples.push(map + unmap);
            }
        }
        self.print(case, None);
    }

    /// Gives [`TOUCHED`] private pages back at once.
    fn unmap_touched(&mut self) -> Result<(), Error> {
        let mut total = 0;
        for _ in 0..ROUNDS {
            let mapping = Mapping::anonymous(TOUCHED * PAGE)?;
            (0..TOUCHED).for_each(|page| mapping.write(page * PAGE, 1));
            let length = mapping.length() as u64;
            let address = mapping.leak() as u64;
            let arguments = [Handle::SELF.to_word(), address, length, 0, 0, 0];
            let (instructions, _) = count_call(Call::Unmap, arguments);
            self.samples.push(instructions / TOUCHED as u64);
            total += instructions;
        }
        let mean = Hundredths::mean(total, (ROUNDS * TOUCHED) as u64);
        self.print("unmap_touched_per_page", mean);
        Ok(())
    }

    /// Reads 64 bytes of each of [`PIECES`] pages that are there, by as many calls and by one.
    fn read_pieces(&mut self) -> Result<(), Error> {
        let own = Handle::SELF.to_word();
        let (from, to) = (Mapping::anonymous(PIECES * PAGE)?, Mapping::anonymous(PIECES * PAGE)?);
        let piece = |page: usize, offset: usize, length: u64| {
            let at = page * PAGE + offset;
            let (theirs, own) = (from.pointer(at).addr() as u64, to.pointer(at).addr() as u64);
            Piece { theirs, own, length }
        };
        // Not for its figure: both sides of every piece are untouched, and two pages each.
        let across: [_; PIECES - 1] = core::array::from_fn(|page| piece(page, 99, PAGE as u64));
        count_call(Call::MemoryTransfer, list(own, &across.map(|piece| piece.to_words())));
        let pieces: [Piece; PIECES] = core::array::from_fn(|page| piece(page, 0, 64));
        let read = |piece: &Piece| {
            let arguments = [own, piece.theirs, piece.own, piece.length, 0, 0];
            count_call(Call::MemoryRead, arguments).0
        };
        self.samples.extend((0..SAMPLES).map(|_| pieces.iter().map(read).sum::<u64>()));
        self.print("read_64_calls", None);
        let records = pieces.map(|piece| piece.to_words());
        let read = || count_call(Call::MemoryTransfer, list(own, &records)).0;
        self.samples.extend((0..SAMPLES).map(|_| read()));
        self.print("read_64_pieces", None);
        Ok(())
    }

    /// Reads untouched pages, one of each 2 MiB unmeasured: their tables are there.
    fn read_faults(&mut self, case: &str) -> Result<(), Error> {
        let object = MemoryObject::pattern(0xaa)?;
        let mapping = Mapping::private(&object, (SAMPLES + 4) * PAGE)?;
        let address = |page: usize| mapping.address() + page * PAGE;
        let is_first = |page: usize| page == 0 || address(page).is_multiple_of(TABLE_SPAN);
        for page in (0..mapping.pages()).filter(|page| is_first(*page)) {
            count_load(mapping.pointer(page * PAGE));
        }
        let measured = (0..mapping.pages()).filter(|page| !is_first(*page)).take(SAMPLES);
        self.samples.extend(measured.map(|page| count_load(mapping.pointer(page * PAGE))));
        self.print(case, None);
        Ok(())
    }

    /// Prints one case by its samples, which are used up, and its mean where that is another.
    fn print(&mut self, case: &str, mean: Option<Hundredths>) {
        let (samples, figures) = (&mut self.samples[..], self.figures);
        let suffix = system::figure_suffix();
        Samples { case, samples, mean, suffix, figures }.print(|line| println!("{line}"));
        self.samples.clear();
    }
}
