//! Fresh faults on two CPUs at once: do they wait for each other, and how many more are there in a second?
//!
//! Owns: who touches which pages, and that all begin together. Refuses to know: what is done with the
//! numbers. Mapping and unmapping is no part of what threads of one process measure, as it excludes faults of
//! the same address space; of two processes it is.

use crate::mapping::PAGE;
use crate::testing::{Contended, load_self};
use crate::threads::scoped;
use crate::{Endpoint, Mapping, calls};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicUsize, Ordering};
use vellum_abi::{Error, Handle, Rights};

/// Pages that one thread touches between a mapping and its end.
const PAGES: usize = 5000;
/// How often.
const ROUNDS: usize = 10;
/// From the first page of the one thread to the first of the other: whole ranges of 2 MiB.
const APART: usize = 10 << 21;
/// The first argument of the other process.
pub const OTHER: &str = "touch";

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Scaled {
    /// Faults, of all threads together.
    pub faults: u64,
    /// How often a CPU had to wait for a lock of the VM subsystem.
    pub lock_waits: u64,
    /// From the first fault to the last.
    pub nanoseconds: u64,
}

impl Scaled {
    fn of(measured_fn: impl FnOnce() -> Result<usize, Error>) -> Result<Scaled, Error> {
        let (waits, begin) = (calls::system_query().lock_waits, calls::clock());
        let faults = measured_fn()? as u64;
        let nanoseconds = calls::clock() - begin;
        let lock_waits = calls::system_query().lock_waits - waits;
        Ok(Scaled { faults, lock_waits, nanoseconds })
    }

    fn add(self, other: Scaled) -> Scaled {
        Scaled {
            faults: self.faults + other.faults,
            lock_waits: self.lock_waits + other.lock_waits,
            nanoseconds: self.nanoseconds + other.nanoseconds,
        }
    }

    /// Returns how many faults there were in a second.
    #[must_use]
    pub fn faults_per_second(&self) -> u64 {
        self.faults * 1_000_000_000 / self.nanoseconds.max(1)
    }
}

/// Touches the pages of one thread.
fn touch(pages: &Mapping, first: usize) {
    (0..PAGES).for_each(|page| pages.write(first + page * PAGE, 1));
}

/// Maps, touches and unmaps, again and again. Returns how many faults that were.
fn rounds() -> Result<usize, Error> {
    for _ in 0..ROUNDS {
        touch(&Mapping::anonymous(PAGES * PAGE)?, 0);
    }
    Ok(ROUNDS * PAGES)
}

/// Measures this process alone.
///
/// # Errors
/// Those of [`Mapping::anonymous`].
pub fn one_process() -> Result<Scaled, Error> {
    rounds()?;
    Scaled::of(rounds)
}

/// Measures this process and another, which is this program with [`OTHER`] and the word of a handle as its
/// arguments: see [`other_process`].
///
/// # Errors
/// Those of [`Mapping::anonymous`] and of messages.
pub fn two_processes() -> Result<Scaled, Error> {
    let endpoint = Endpoint::new()?;
    let rights = Rights::READ | Rights::WRITE;
    // The first handle that a child gets beyond those of every program.
    let probe = load_self(&[OTHER, "0"]);
    let word = endpoint.copy_to(&probe.process, rights)?.to_word();
    drop(probe);
    let other = load_self(&[OTHER, &alloc::format!("{word}")]);
    endpoint.copy_to(&other.process, rights)?;
    other.start()?;
    rounds()?;
    endpoint.call([0; 4])?;
    let scaled = Scaled::of(|| {
        let own = rounds()?;
        let [others, ..] = endpoint.call([0; 4])?.words;
        Ok(own + others as usize)
    })?;
    other.wait()?;
    Ok(scaled)
}

/// The other process: answers once when it is about to begin, and once when it is done.
///
/// # Errors
/// As for [`two_processes`]; `BadHandle` if the word is no handle.
pub fn other_process(word: &str) -> Result<(), Error> {
    let handle = word.parse().ok().and_then(Handle::from_word).ok_or(Error::BadHandle)?;
    let endpoint = Endpoint::from_handle(handle);
    rounds()?;
    endpoint.receive()?;
    calls::endpoint_reply(None, [0; 4])?;
    let faults = rounds()?;
    endpoint.receive()?;
    calls::endpoint_reply(None, [faults as u64, 0, 0, 0])
}

/// Measures two threads of this process.
///
/// # Errors
/// Those of [`Mapping::anonymous`] and [`scoped`].
pub fn two_threads() -> Result<Scaled, Error> {
    let mut sum = Scaled { faults: 0, lock_waits: 0, nanoseconds: 0 };
    for round in 0..=ROUNDS {
        // SAFETY: the threads store to single bytes of the mapping.
        let pages = unsafe { Contended::new(Mapping::anonymous(2 * APART)?) };
        let scaled = both(&pages)?;
        // The first round makes tables, and pages of a stack, that stay.
        if round != 0 {
            sum = sum.add(scaled);
        }
    }
    Ok(sum)
}

/// Lets two threads touch their pages side by side.
fn both(pages: &Contended<Mapping>) -> Result<Scaled, Error> {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let meet = |count: usize| {
        ARRIVED.fetch_add(1, Ordering::AcqRel);
        while ARRIVED.load(Ordering::Acquire) < count {
            spin_loop();
        }
    };
    ARRIVED.store(0, Ordering::Relaxed);
    let other_fn = || {
        meet(2);
        touch(pages, APART);
        meet(4);
    };
    // SAFETY: joined below.
    let other = unsafe { scoped(other_fn) }?;
    meet(2);
    let scaled = Scaled::of(|| {
        touch(pages, 0);
        meet(4);
        Ok(2 * PAGES)
    });
    drop(other);
    scaled
}
