//! Pieces of memory while their list, both sides of them and the processes themselves change: is every
//! piece moved as some record said or not at all, is the answer never more than the truth, and is nothing
//! left of a transfer that ends half way?
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering};
use vellum_user::abi::{
    Call, Error, Handle, MAX_PIECES, MapFlags, MapOptions, PAGE_SIZE, Piece, Protection,
    Transferred, WaitFlags,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Contended, race};
use vellum_user::{Arguments, Mapping, Process, calls, check, raw, testing};

vellum_user::test!(main);

const ROUNDS: usize = 2000;
const ENDS: usize = 60;
/// More calls than are ever made; the count is signed.
const FOREVER: u64 = u64::MAX / 2;
/// Where the other process has two areas, of other bytes each.
const THEIRS: u64 = 0x60_0000_0000;
const AREA: u64 = 16 * PAGE_SIZE;
const BYTES: [u8; 2] = [0xaa, 0xbb];
const MOST: usize = MAX_PIECES as usize;
/// Where the own pages lie: the list, and a slot for each piece with as much free behind it.
const OWN: usize = 0x50_0000_0000;
const SLOTS: usize = PAGE;
const SLOT: usize = 64;
const RECORD: usize = 8 * Piece::WORDS;
const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    drop(other()?);
    let before = testing::at_rest();
    records_change()?;
    check!("free frames, kernel memory and handles", testing::at_rest(), before);
    transfers_end_half_way()?;
    check!("and behind those that ended", testing::at_rest(), before);
    Ok(())
}

fn other() -> Result<Process, Error> {
    let process = Process::new()?;
    let (protection, flags) = (READ_WRITE, MapFlags::FIXED);
    let options = MapOptions { protection, flags, ..MapOptions::default() };
    process.map(Handle::ANONYMOUS, THEIRS, 2 * AREA, options, 0)?;
    for (area, byte) in BYTES.into_iter().enumerate() {
        for page in 0..AREA / PAGE_SIZE {
            let address = THEIRS + area as u64 * AREA + page * PAGE_SIZE;
            check!("their bytes", process.write(address, &[byte; PAGE]).1, Ok(()));
        }
    }
    Ok(process)
}

fn records_change() -> Result<(), Error> {
    let process = other()?;
    // SAFETY: the threads load and store single bytes and words of it.
    let pages = unsafe { Contended::new(MapRequest::anonymous(4 * PAGE).at(OWN).map()?) };
    pages.fill(0);
    (0..MOST).for_each(|number| change(&pages, number, 0));
    let refused = AtomicU32::new(0);
    race(|runner| {
        runner.meet();
        for round in 0..ROUNDS {
            runner.keep_pace(round + 1);
            match runner.index {
                1 => {
                    change_list(&pages, round);
                    if runner.all == 2 {
                        change_process(&process, round);
                    }
                }
                2 => change_process(&process, round),
                _ if moves(&process) => {}
                _ => _ = refused.fetch_add(1, Ordering::Relaxed),
            }
        }
        runner.meet();
    });
    check!("answers that cannot be", refused.into_inner(), 0);
    check!("bytes that no record named", first_stranger(&pages), None);
    check!("their process is whole", process.protect(THEIRS, 2 * AREA, READ_WRITE), Ok(()));
    Ok(())
}

/// Lets the kernel move what the list says. Returns whether the answer may be.
fn moves(process: &Process) -> bool {
    let arguments = [process.handle().to_word(), OWN as u64, MAX_PIECES, 0, 0, 0];
    // SAFETY: the records name slots alone.
    let (status, value) = unsafe { raw::call(Call::MemoryTransfer as u64, arguments) };
    let end = Transferred::from_word(value);
    match Error::from_number(status) {
        None => end == Transferred { pieces: MAX_PIECES, bytes: 0 },
        Some(Error::BadAddress) => end.pieces < MAX_PIECES && end.bytes < SLOT as u64 / 2,
        Some(_) => false,
    }
}

/// Writes a record: some of either area, nothing, or what is refused. Its words may be read in between, so
/// any of them fits any other.
fn change(pages: &Mapping, number: usize, round: usize) {
    let page = (number as u64 * 5) % 15 * PAGE_SIZE;
    let theirs = match (number * 7 + round) % 9 {
        0..4 => THEIRS + page + PAGE_SIZE - 16,
        4..8 => THEIRS + AREA + page + 40,
        _ if round.is_multiple_of(8) => THEIRS + 2 * AREA + 8,
        _ => THEIRS,
    };
    let own = pages.pointer(SLOTS + number * SLOT).addr() as u64;
    let length = [SLOT as u64 / 2, 0, 8, 31][(number + round) % 4];
    let record = Piece { theirs, own, length }.to_words();
    for (index, word) in record.into_iter().enumerate() {
        pages.write_word(number * RECORD + 8 * index, word);
    }
}

/// Changes records, and takes the list away for a moment.
fn change_list(pages: &Mapping, round: usize) {
    (0..MOST).step_by(3).for_each(|number| change(pages, number, round));
    let protect = |protection| {
        // SAFETY: this thread alone stores to the list.
        unsafe { calls::protect(Handle::SELF, OWN as u64, PAGE_SIZE, protection) }
    };
    if round.is_multiple_of(16) {
        check!("the list goes", protect(Protection::NONE), Ok(()));
        check!("and is back", protect(READ_WRITE), Ok(()));
    }
    if round.is_multiple_of(33) {
        check!("it is zeros", pages.decommit(0..PAGE), Ok(()));
        (0..MOST).for_each(|number| change(pages, number, round));
    }
}

/// Takes pages of theirs away for a moment.
fn change_process(process: &Process, round: usize) {
    let page = THEIRS + (round as u64 * 3) % 32 * PAGE_SIZE;
    check!("a page goes", process.protect(page, PAGE_SIZE, Protection::NONE), Ok(()));
    check!("and is back", process.protect(page, PAGE_SIZE, READ_WRITE), Ok(()));
}

/// Returns the first byte that is of no area, or that lies behind where a piece may end.
fn first_stranger(pages: &Mapping) -> Option<(usize, u8)> {
    let is_good = |offset: usize, byte| {
        let is_inside = offset < SLOTS + MOST * SLOT && offset % SLOT < SLOT / 2;
        byte == 0 || is_inside && BYTES.contains(&byte)
    };
    let all = (SLOTS..4 * PAGE).map(|offset| (offset, pages.read(offset)));
    all.into_iter().find(|(offset, byte)| !is_good(*offset, *byte))
}

/// The thread that moves, and the process that it moves from, end at any moment of it.
fn transfers_end_half_way() -> Result<(), Error> {
    let pages = MapRequest::anonymous(AREA as usize + PAGE).at(OWN).map()?;
    pages.fill(0);
    for number in 0..MOST {
        let own = pages.pointer(PAGE).addr() as u64;
        let record = Piece { theirs: THEIRS, own, length: AREA }.to_words();
        for (index, word) in record.into_iter().enumerate() {
            pages.write_word(number * RECORD + 8 * index, word);
        }
    }
    for round in 0..ENDS {
        let process = other()?;
        let runs = AtomicU32::new(1);
        let word = runs.as_ptr().expose_provenance() as u64;
        let arguments = [process.handle().to_word(), OWN as u64, MAX_PIECES, 0, 0, 0];
        let call = Call::MemoryTransfer;
        // SAFETY: no Rust value lives in the pages; `runs` outlives the thread, which is waited for.
        let thread = unsafe { testing::repeat_call(Handle::SELF, word, call, arguments, FOREVER) }?;
        (0..round % 5).for_each(|_| calls::yield_now());
        if round.is_multiple_of(2) {
            check!("their end", process.kill(), Ok(()));
        }
        check!("the thread's end", calls::thread_kill(thread), Ok(()));
        while runs.load(Ordering::Acquire) != 0 {
            calls::address_wait(&runs, 1, WaitFlags::NONE);
        }
        calls::handle_close(thread)?;
    }
    Ok(())
}
