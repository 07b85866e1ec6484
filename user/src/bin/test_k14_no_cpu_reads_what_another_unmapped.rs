//! K14: once `unmap`, `protect` or `decommit` is complete, does every CPU act on it, whatever it had in
//! its TLB?
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, Ordering};
use vellum_user::abi::{Advice, Call, Error, ExitKind, Handle, Protection};
use vellum_user::fork::fork;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Runner, race_of, stat};
use vellum_user::threads::spawn;
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, raw, testing};

vellum_user::test!(main);

/// Pages that are unmapped; of those that change otherwise there are fewer.
const ROUNDS: usize = 10_000;
const PAGES: usize = 128;
/// Of so many batches one changes its pages otherwise.
const OTHERWISE: usize = 8;
/// Processes that die of a load.
const DEATHS: usize = 200;
const PATTERN: u8 = 0xaa;
const OWN: u8 = 1;
const SURVIVED: u64 = 99;
const PLACE: usize = 0x50_0000_0000;

/// What is taken away from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Mapping,
    Stores,
    Frame,
}

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    let before = stat();
    {
        let object = MemoryObject::pattern(PATTERN)?;
        let batches = ROUNDS.div_ceil(PAGES);
        // Two, so that the one that looks does not keep the one that changes from running.
        race_of(2, |runner| {
            (0..batches).for_each(|_| stretch(runner, &object, Loss::Mapping));
            for _ in 0..batches.div_ceil(OTHERWISE) {
                stretch(runner, &object, Loss::Stores);
                stretch(runner, &object, Loss::Frame);
            }
        });
        (0..DEATHS).try_for_each(|_| a_load_ends_the_process(&object))?;
    }
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Lets both have translations of every page; then the first thread changes page after page, and the
/// other follows it and tries what is no longer there. It never waits in the kernel between the two,
/// so its CPU keeps what it has.
fn stretch(runner: &Runner<'_>, object: &MemoryObject, loss: Loss) {
    if runner.index == 0 {
        make(object).expect("memory");
    }
    runner.meet();
    let mut wrong = 0;
    if runner.index == 0 {
        runner.follow(1, 1);
        for page in 0..PAGES {
            check!(format_args!("{loss:?}"), take_away(page, loss), Ok(()));
            runner.reach(page + 1);
        }
    } else {
        // The translations let through what will be refused.
        wrong += (0..PAGES).filter(|page| load(place(*page)) != OWN).count();
        (0..PAGES).for_each(|page| store(place(page)));
        runner.reach(1);
        for page in 0..PAGES {
            runner.follow(0, page + 1);
            wrong += usize::from(!is_gone(page, loss));
        }
    }
    check!(format_args!("{loss:?}: pages that another CPU still had"), wrong, 0);
    runner.meet();
    if runner.index == 0 && loss != Loss::Mapping {
        // SAFETY: nobody uses the range any more.
        let rest = unsafe { calls::unmap(Handle::SELF, PLACE as u64, (PAGES * PAGE) as u64) };
        check!("the rest", rest, Ok(()));
    }
}

/// Maps pages and makes them private.
fn make(object: &MemoryObject) -> Result<(), Error> {
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).at(PLACE).map()?;
    (0..PAGES).for_each(|page| pages.write(page * PAGE, OWN));
    _ = pages.leak();
    Ok(())
}

fn place(page: usize) -> usize {
    PLACE + page * PAGE
}

fn load(place: usize) -> u8 {
    let place: *const u8 = core::ptr::with_exposed_provenance(place);
    // SAFETY: no Rust value lives there.
    unsafe { place.read_volatile() }
}

fn store(place: usize) {
    let place: *mut u8 = core::ptr::with_exposed_provenance_mut(place);
    // SAFETY: as in `load`.
    unsafe { place.write_volatile(OWN) }
}

fn take_away(page: usize, loss: Loss) -> Result<(), Error> {
    let (start, length) = (place(page) as u64, PAGE as u64);
    match loss {
        // SAFETY: the other looks at the page through the kernel alone from now on.
        Loss::Mapping => unsafe { calls::unmap(Handle::SELF, start, length) },
        // SAFETY: nobody stores to the page but through the kernel.
        Loss::Stores => unsafe { calls::protect(Handle::SELF, start, length, Protection::READ) },
        // SAFETY: nobody relies on the contents.
        Loss::Frame => unsafe { calls::advise(Handle::SELF, start, length, Advice::Decommit) },
    }
}

/// Tries it. The kernel's copies use this CPU's translations of the program, and a refusal does not end
/// it.
fn is_gone(page: usize, loss: Loss) -> bool {
    let refused = (0, Err(Error::BadAddress));
    let mut bytes = [0_u8; 8];
    let own = bytes.as_mut_ptr().expose_provenance();
    match loss {
        Loss::Mapping => copy(Call::MemoryWrite, own, place(page)) == refused,
        Loss::Stores => {
            copy(Call::MemoryRead, own, place(page)) == refused && load(place(page)) == OWN
        }
        Loss::Frame => load(place(page)) == PATTERN,
    }
}

/// Calls `memory_write` or `memory_read` on this process with `buffer` as its buffer.
fn copy(call: Call, address: usize, buffer: usize) -> (u64, Result<u64, Error>) {
    let arguments = [Handle::SELF.to_word(), address as u64, buffer as u64, 8, 0, 0];
    // SAFETY: `address` is a buffer of the caller, and no Rust value lives at `buffer`.
    let (status, bytes) = unsafe { raw::call(call as u64, arguments) };
    (bytes, calls::result((status, 0)))
}

/// A clone loads from a page again and again while another thread of it unmaps the page; a load after
/// that ends it.
fn a_load_ends_the_process(object: &MemoryObject) -> Result<(), Error> {
    static LOADED: AtomicBool = AtomicBool::new(false);
    static UNMAPPED: AtomicBool = AtomicBool::new(false);
    let pages = Mapping::private(object, PAGE)?;
    pages.write(0, OWN);
    let place = pages.address();
    let clone = fork(|| {
        let unmapper = spawn(move || {
            while !LOADED.load(Ordering::Acquire) {
                core::hint::spin_loop();
            }
            // SAFETY: no Rust value lives there.
            _ = unsafe { calls::unmap(Handle::SELF, place as u64, PAGE as u64) };
            UNMAPPED.store(true, Ordering::Release);
        });
        while !UNMAPPED.load(Ordering::Acquire) {
            _ = load(place);
            LOADED.store(true, Ordering::Release);
        }
        _ = load(place);
        // Nobody comes here.
        core::mem::forget(unmapper);
        SURVIVED
    })?;
    let report = clone.wait()?;
    check!("the end", (report.kind, report.address), (ExitKind::NotMapped as u64, place as u64));
    Ok(())
}
