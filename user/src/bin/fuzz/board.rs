//! What all processes of the fuzzer share: pages of words at an address of their own.
//!
//! Owns: the numbers of a round. Refuses to know: what they are made of. No value that is drawn names the
//! pages, and their mapping is sealed, so nothing that the fuzzer does reaches them but through here.

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vellum_user::abi::{
    Call, Error, Handle, MAX_WAKE, MapFlags, MapOptions, PAGE_SIZE, Protection, WaitFlags,
};
use vellum_user::calls;

/// Where the pages are, in every process.
const ADDRESS: u64 = 0x8_0000_0000;
/// Bytes of them.
pub(crate) const LENGTH: u64 = 12 * PAGE_SIZE;
/// The most workers at a time.
pub(crate) const WORKERS: usize = 8;
/// Handles that each worker is given.
pub(crate) const GIVEN: usize = 6;

/// The pages. All zeros are such that nothing was written to.
#[repr(C)]
pub(crate) struct Board {
    /// What everything that looks random follows from.
    pub(crate) seed: AtomicU64,
    /// Calls that were made, and how many there shall be.
    pub(crate) calls: AtomicU64,
    pub(crate) target: AtomicU64,
    /// Not 0 when there were enough.
    over: AtomicU32,
    /// Threads of keepers that have all they need.
    pub(crate) ready: AtomicU64,
    /// Lives of workers that began in this round.
    pub(crate) lives: AtomicU64,
    /// Audits that found nothing.
    pub(crate) audits: AtomicU64,
    /// How lives ended, by the number of an `ExitKind`; the last is of those who were stuck.
    pub(crate) ends: [AtomicU64; 32],
    /// What went wrong first: a [`Trouble`], and what belongs to it.
    trouble: [AtomicU64; 4],
    /// How often each call was made, and how often it was not refused.
    pub(crate) made: [AtomicU64; 64],
    pub(crate) done: [AtomicU64; 64],
    /// How often each call was refused with each error.
    pub(crate) refused: [[AtomicU64; 64]; 64],
    /// Handles of each worker, in its own table, that its keeper gave it; 0 for none.
    pub(crate) given: [[AtomicU64; GIVEN]; WORKERS],
    /// Handles of each keeper, likewise.
    pub(crate) kept: [[AtomicU64; GIVEN]; WORKERS],
}

const _: () = assert!(size_of::<Board>() <= LENGTH as usize && Call::ALL.len() <= 64);
const _: () = assert!(Error::ALL.len() < 64);

/// What can be wrong, beside a kernel that panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Trouble {
    /// A status that names no error: the call, the status.
    UnknownStatus = 1,
    /// A refused call has a value: the call, the status, the value.
    ValueOfRefusal = 2,
    /// Memory of a driver's own lost what was written: the address.
    Lost = 3,
    /// Memory that was given back is not as if new: the address.
    NotClean = 4,
}

/// Maps the pages into a process.
///
/// # Errors
/// Those of `map`.
pub(crate) fn map_into(process: Handle, object: Handle) -> Result<(), Error> {
    share(process, object, ADDRESS, LENGTH, MapFlags::SEALED)
}

/// Maps an object of these bytes into a process, so that all who map it share its pages.
///
/// # Errors
/// Those of `map`.
pub(crate) fn share(
    process: Handle,
    object: Handle,
    address: u64,
    length: u64,
    flags: MapFlags,
) -> Result<(), Error> {
    let options = MapOptions {
        protection: Protection::READ | Protection::WRITE,
        flags: flags | MapFlags::SHARED | MapFlags::FIXED,
        ..MapOptions::default()
    };
    // SAFETY: nothing else is at the addresses of the fuzzer when this is called.
    unsafe { calls::map(process, object, address, length, options, 0) }.map(|_| ())
}

/// Returns the pages.
pub(crate) fn board() -> &'static Board {
    let pages: *const Board = ptr::with_exposed_provenance(ADDRESS as usize);
    // SAFETY: who comes here has the pages mapped, sealed; atomics may be shared.
    unsafe { &*pages }
}

impl Board {
    /// Begins a round.
    pub(crate) fn begin(&self, seed: u64, target: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
        self.over.store(0, Ordering::Relaxed);
        self.ready.store(0, Ordering::Relaxed);
        self.lives.store(0, Ordering::Relaxed);
        self.target.store(target, Ordering::Relaxed);
    }

    /// Returns whether the round has all its calls.
    pub(crate) fn is_over(&self) -> bool {
        self.calls.load(Ordering::Relaxed) >= self.target.load(Ordering::Relaxed)
    }

    /// Tells who waits for it that the round is over.
    pub(crate) fn end(&self) {
        self.over.store(1, Ordering::Release);
        calls::address_wake(&self.over, MAX_WAKE, WaitFlags::SHARED);
    }

    /// Waits until the round is over.
    pub(crate) fn wait_for_end(&self) {
        while self.over.load(Ordering::Acquire) == 0 {
            calls::address_wait(&self.over, 0, WaitFlags::SHARED);
        }
    }

    /// Notes something that must not be.
    pub(crate) fn report(&self, trouble: Trouble, details: [u64; 3]) {
        let first = &self.trouble[0];
        if first.compare_exchange(0, trouble as u64, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let words = self.trouble[1..].iter().zip(details);
            words.for_each(|(word, detail)| word.store(detail, Ordering::Relaxed));
        }
    }

    /// Returns what was reported first.
    pub(crate) fn trouble(&self) -> Option<(Trouble, [u64; 3])> {
        let word = |index: usize| self.trouble[index].load(Ordering::Relaxed);
        let all =
            [Trouble::UnknownStatus, Trouble::ValueOfRefusal, Trouble::Lost, Trouble::NotClean];
        let trouble = all.into_iter().find(|trouble| *trouble as u64 == word(0))?;
        Some((trouble, [word(1), word(2), word(3)]))
    }
}
