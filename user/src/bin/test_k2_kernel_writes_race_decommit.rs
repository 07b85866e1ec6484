//! K2: does a kernel write to a read-only private page fail every time while another thread gives that
//! very page back, and does nobody ever see a byte of it?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Contended, Runner, race, stat};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const ROUNDS: usize = 10_000;
const PAGES: usize = 64;
const PATTERN: u8 = 0xaa;
/// What was stored to a page while that was allowed.
const OWN: u8 = 1;
/// What the kernel is asked to write.
const ATTACK: u8 = 0x55;
const PLACE: usize = 100;

const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    let before = stat();
    {
        let object = MemoryObject::pattern(PATTERN)?;
        let memory = MemoryObject::new((PAGES * PAGE) as u64)?;
        let witness = Mapping::private(&object, PAGE)?;
        let view = MapRequest::of(memory.handle(), PAGES * PAGE).shared().map()?;
        view.fill(PATTERN);
        for object in [&object, &memory] {
            // SAFETY: the threads load and store single bytes of it.
            let pages = unsafe { Contended::new(Mapping::private(object, PAGES * PAGE)?) };
            let batches = ROUNDS.div_ceil(2 * PAGES);
            race(|runner| (0..batches).for_each(|batch| stretch(runner, &pages, batch)));
        }
        check!("the reference page", witness.first_other(0..PAGE, PATTERN), None);
        check!("the memory object", view.first_other(0..PAGES * PAGE, PATTERN), None);
    }
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Makes every other page private, takes stores away, and lets one thread give page after page back
/// while the others attack it.
fn stretch(runner: &Runner<'_>, pages: &Mapping, batch: usize) {
    if runner.index == 0 {
        let all = 0..PAGES;
        all.filter(|page| (page + batch).is_multiple_of(2))
            .for_each(|page| pages.write(page * PAGE + PLACE, OWN));
        check!("stores taken away", pages.protect(Protection::READ), Ok(()));
    }
    runner.meet();
    let mut through = 0;
    for page in 0..PAGES {
        runner.keep_pace(page + 1);
        if runner.index == 0 {
            let start = page * PAGE;
            check!("decommit", pages.decommit(start..start + PAGE), Ok(()));
        } else {
            through += usize::from(!attack(pages, page));
        }
    }
    check!("attacks that were not refused or showed", through, 0);
    runner.meet();
    if runner.index == 0 {
        check!("bytes", pages.first_other(0..PAGES * PAGE, PATTERN), None);
        check!("stores allowed again", pages.protect(READ_WRITE), Ok(()));
    }
}

/// Asks the kernel twice to write into a page. Returns whether it refused, and the page shows what it
/// may.
fn attack(pages: &Mapping, page: usize) -> bool {
    let place = page * PAGE + PLACE;
    let address = pages.pointer(place).addr() as u64;
    (0..2).all(|_| {
        // SAFETY: no Rust value lives in the mapping.
        let written = unsafe { calls::memory_write(Handle::SELF, address, &[ATTACK; 16]) };
        // The kernel's own answer goes the other way: by a store under the program's permissions.
        let buffer = [ATTACK; 8];
        let from = buffer.as_ptr().addr() as u64;
        let copied = copy_out(from, address);
        let refused =
            written == (0, Err(Error::BadAddress)) && copied == (0, Err(Error::BadAddress));
        refused && [OWN, PATTERN].contains(&pages.read(place))
    })
}

/// Lets the kernel copy 8 bytes of this process to an address, as the buffer of `memory_read`.
fn copy_out(from: u64, to: u64) -> (u64, Result<u64, Error>) {
    let arguments = [Handle::SELF.to_word(), from, to, 8, 0, 0];
    let number = vellum_user::abi::Call::MemoryRead as u64;
    // SAFETY: no Rust value lives at `to`.
    let (status, bytes) = unsafe { vellum_user::raw::call(number, arguments) };
    (bytes, calls::result((status, 0)))
}
