//! Threads that race: all begin a stretch together and go through it side by side.
//!
//! Owns: where they meet and how far each is. Refuses to know: what they do. Nobody waits for ever but
//! at a meeting and in [`Runner::follow`]: where the host runs fewer CPUs than the machine has, the
//! pace is a wish.

use crate::threads::{Joined, scoped};
use crate::{calls, system};
use alloc::vec::Vec;
use core::cell::Cell;
use core::hint::{black_box, spin_loop};
use core::ops::Deref;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use vellum_abi::{MAX_WAKE, WaitFlags};

/// The most threads in a race.
const MOST: usize = 4;
/// How often a runner looks whether the others are as far as it is before it goes on alone.
const PATIENCE: usize = 100;
/// More steps than there are between two meetings.
const STRETCH: usize = 1 << 20;
/// Bytes of its stack that a runner makes present before it begins.
const STACK: usize = 16 * 1024;

/// Where threads wait for each other, of one process or, in shared memory, of several. Zero bytes
/// are one that nobody has come to.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Meeting {
    arrived: AtomicU32,
    /// How often all have met.
    held: AtomicU32,
}

impl Meeting {
    /// Returns one that nobody has come to.
    #[must_use]
    pub const fn new() -> Meeting {
        Meeting { arrived: AtomicU32::new(0), held: AtomicU32::new(0) }
    }

    /// Waits until `all` have come.
    pub fn meet(&self, all: usize) {
        let held = self.held.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == all as u32 {
            self.arrived.store(0, Ordering::Relaxed);
            self.held.store(held + 1, Ordering::Release);
            while calls::address_wake(&self.held, MAX_WAKE, WaitFlags::SHARED) == MAX_WAKE {}
        }
        while self.held.load(Ordering::Acquire) == held {
            calls::address_wait(&self.held, held, WaitFlags::SHARED);
        }
    }
}

/// Something that threads share although its accesses race: that they do is the test.
#[derive(Debug)]
pub struct Contended<T>(T);

impl<T> Contended<T> {
    /// Lets threads share a value.
    ///
    /// # Safety
    /// 1. Threads use it for volatile accesses to memory in which no Rust value lives, and nothing else
    ///    of it changes while they run.
    #[must_use]
    pub unsafe fn new(value: T) -> Contended<T> {
        Contended(value)
    }
}

impl<T> Deref for Contended<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

// SAFETY: duty 1 of `new`.
unsafe impl<T> Sync for Contended<T> {}

/// How far everybody is.
#[derive(Debug, Default)]
struct Course {
    meeting: Meeting,
    steps: [AtomicUsize; MOST],
}

/// A thread in a race.
#[derive(Debug)]
pub struct Runner<'a> {
    /// Its number, from 0, which is the thread that called [`race`].
    pub index: usize,
    /// How many there are.
    pub all: usize,
    course: &'a Course,
    /// Where its steps begin: above those before the last meeting.
    start: Cell<usize>,
}

/// Runs `body_fn` on as many threads as there are CPUs, two at least and four at most, of which this
/// one is the first, and waits for the end of all.
///
/// # Panics
/// If a thread cannot be made.
pub fn race(body_fn: impl Fn(&Runner<'_>) + Sync) {
    race_of((system::cpus() as usize).clamp(2, MOST), body_fn);
}

/// As [`race`], on `all` threads: fewer keep side by side better where the host has few CPUs.
///
/// # Panics
/// If a thread cannot be made, or `all` is more than four.
pub fn race_of(all: usize, body_fn: impl Fn(&Runner<'_>) + Sync) {
    assert!(all <= MOST, "{all} threads");
    let course = Course::default();
    let run = |index| {
        black_box([0_u8; STACK]);
        body_fn(&Runner { index, all, course: &course, start: Cell::new(0) });
    };
    let run = &run;
    // SAFETY: the threads have ended when this function returns: they are dropped here.
    let others = (1..all).map(|index| unsafe { scoped(move || run(index)) });
    let others: Vec<Joined<'_, ()>> = others.map(|other| other.expect("a thread")).collect();
    run(0);
    drop(others);
}

impl Runner<'_> {
    /// Waits until all have come here; everybody's steps begin again.
    pub fn meet(&self) {
        self.start.set(self.start.get() + STRETCH);
        // Nobody has to wait for who is here already.
        self.reach(0);
        self.course.meeting.meet(self.all);
    }

    /// Says that this thread has come to `step`, counted from 1, and waits a little for those behind.
    pub fn keep_pace(&self, step: usize) {
        self.reach(step);
        let step = self.start.get() + step;
        let is_there = |other: &AtomicUsize| other.load(Ordering::Relaxed) >= step;
        for _ in 0..PATIENCE {
            if self.course.steps[..self.all].iter().all(is_there) {
                break;
            }
            spin_loop();
        }
    }

    /// Says that this thread has come to `step`.
    pub fn reach(&self, step: usize) {
        self.course.steps[self.index].store(self.start.get() + step, Ordering::Release);
    }

    /// Waits until another has come to `step`.
    pub fn follow(&self, other: usize, step: usize) {
        let step = self.start.get() + step;
        while self.course.steps[other].load(Ordering::Acquire) < step {
            spin_loop();
        }
    }
}
