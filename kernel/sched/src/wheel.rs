//! Whose time is over, on one CPU: a hierarchical wheel of timers.
//!
//! Owns: which thread's time ends when. Refuses to know: what is done about it, and what interrupts the
//! CPU then. See Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7.
//!
//! Time is counted in units of 1024 ns. A deadline, as a number of nine digits of six bits, differs from
//! the time that the wheel has reached in some highest digit: that digit's place is the level, its value
//! the slot. So every deadline has a slot of its own kind, however far it is, no slot is ever met before
//! its time, and on each level the slots that have members are all ahead. When the wheel comes to a slot
//! of a level above the lowest, its threads go to lower levels, one a step, and each thread
//! goes down at most eight times. Starting and ending a timer takes constant time and no memory.
//!
//! Invariants: nobody's time is over before its deadline, nor more than one unit behind it as far as the
//! wheel is concerned; who starts with an earlier deadline, in units, is told earlier.

use crate::list::{List, Member};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// log2 of the nanoseconds of a unit.
const UNIT: u32 = 10;
/// Bits of a digit.
const DIGIT: u32 = 6;
const SLOTS: usize = 1 << DIGIT;
/// With a unit, all bits of a time: 9 · 6 + 10.
const LEVELS: usize = 9;
/// What [`Timer::slot`] says of a thread whose time was over when it came.
const LATE: u32 = (LEVELS * SLOTS) as u32;

const _: () = assert!(LEVELS as u32 * DIGIT + UNIT == u64::BITS);

/// The list of threads whose time runs: a thread is in at most one of them.
#[derive(Debug)]
pub enum Timed {}

/// A thread, as far as its time is concerned.
pub trait Sleeper: Member<Timed> {
    /// Returns the thread's timer.
    fn timer(&self) -> &Timer;
}

/// What a thread keeps of its timer.
#[derive(Debug)]
pub struct Timer {
    /// The unit at whose start the time is over; 0 while no timer was started.
    deadline: AtomicU64,
    /// On which CPU it was started.
    cpu: AtomicUsize,
    /// Which slot the thread is in, if any. The lock of the wheel protects it.
    slot: AtomicU32,
}

impl Default for Timer {
    fn default() -> Timer {
        Timer::new()
    }
}

impl Timer {
    /// Returns a timer that was not started.
    #[must_use]
    pub const fn new() -> Timer {
        let (deadline, cpu) = (AtomicU64::new(0), AtomicUsize::new(0));
        Timer { deadline, cpu, slot: AtomicU32::new(0) }
    }

    /// Returns whether it was started for the wait that the thread comes from or is in. To be asked by
    /// whoever has the thread: what it is handed over by orders this.
    #[inline]
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.deadline.load(Ordering::Relaxed) != 0
    }

    /// Returns when its time is over, in nanoseconds, if it was started: no earlier than was asked for. To be
    /// asked as [`Self::is_started`].
    #[must_use]
    pub fn until(&self) -> Option<u64> {
        self.is_started().then(|| self.deadline() << UNIT)
    }

    pub(crate) fn cpu(&self) -> usize {
        self.cpu.load(Ordering::Relaxed)
    }

    pub(crate) fn start(&self, cpu: usize, deadline: u64) {
        self.cpu.store(cpu, Ordering::Relaxed);
        self.deadline.store(units_up(deadline).max(1), Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    fn deadline(&self) -> u64 {
        self.deadline.load(Ordering::Relaxed)
    }
}

/// What a step of a wheel came to.
#[derive(Debug)]
pub enum Step<H> {
    /// Nobody's time is over.
    Nothing,
    /// A thread went to another slot: there may be more to do.
    Moved,
    /// A thread's time is over; it has left the wheel.
    Over(H),
}

/// The timers of one CPU.
pub struct Wheel<T: Sleeper> {
    slots: [[List<T, Timed>; SLOTS]; LEVELS],
    /// For each level a bit for each slot that has members.
    present: [u64; LEVELS],
    /// Threads whose time was over when they came.
    late: List<T, Timed>,
    /// The slot that the wheel has come to and that has members still.
    open: Option<(usize, usize)>,
    /// The unit that the wheel has come to: who is in a slot that is not open has a later deadline.
    reached: u64,
}

/// Returns the first unit that starts no earlier than a time. Only the last one of all, 584 years away, is
/// early.
fn units_up(time: u64) -> u64 {
    time.div_ceil(1 << UNIT).min(u64::MAX >> UNIT)
}

impl<T: Sleeper> Default for Wheel<T> {
    fn default() -> Wheel<T> {
        Wheel::new()
    }
}

impl<T: Sleeper> Wheel<T> {
    /// Returns a wheel of nobody.
    #[must_use]
    pub const fn new() -> Wheel<T> {
        Wheel {
            slots: [const { [const { List::new() }; SLOTS] }; LEVELS],
            present: [0; LEVELS],
            late: List::new(),
            open: None,
            reached: 0,
        }
    }

    /// Adds a thread, whose timer has its deadline, at a time in nanoseconds.
    pub(crate) fn add(&mut self, thread: T::Handle, now: u64) {
        // As far as it can go without a step: the nearer the lower, and the fewer ways down.
        if self.next_unit().is_none_or(|unit| unit > now >> UNIT) {
            self.reached = self.reached.max(now >> UNIT);
        }
        self.put(thread);
    }

    /// Takes a thread out, if it is here.
    pub(crate) fn remove(&mut self, thread: &T) {
        match thread.timer().slot.load(Ordering::Relaxed) {
            LATE => {
                self.late.remove(thread);
            }
            slot => {
                let (level, slot) = (slot as usize / SLOTS, slot as usize % SLOTS);
                self.slots[level][slot].remove(thread);
                self.close_if_empty(level, slot);
            }
        }
    }

    /// Does one thing that is due at a time in nanoseconds.
    pub(crate) fn step(&mut self, now: u64) -> Step<T::Handle> {
        if let Some(thread) = self.late.pop_front() {
            return Step::Over(thread);
        }
        let Some((level, slot)) = self.open.or_else(|| self.advance(now >> UNIT)) else {
            return Step::Nothing;
        };
        let thread = self.slots[level][slot].pop_front();
        self.close_if_empty(level, slot);
        match thread {
            None => Step::Nothing,
            Some(thread) if thread.timer().deadline() <= self.reached => Step::Over(thread),
            Some(thread) => {
                self.put(thread);
                Step::Moved
            }
        }
    }

    /// Returns when there is something to do, in nanoseconds.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        Some(self.next_unit()? << UNIT)
    }

    fn next_unit(&self) -> Option<u64> {
        if self.open.is_some() || !self.late.is_empty() {
            return Some(self.reached);
        }
        self.first_slot().map(|(level, slot)| self.start_of(level, slot))
    }

    /// Returns the slot that comes first: whoever is on a lower level has more digits in common with the
    /// time that is reached than anybody above, and therefore an earlier deadline.
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.present.iter().position(|slots| *slots != 0)?;
        Some((level, self.present[level].trailing_zeros() as usize))
    }

    /// Returns the unit at which the wheel comes to a slot: the digits above as they are, the slot, zeros.
    fn start_of(&self, level: usize, slot: usize) -> u64 {
        let shift = level as u32 * DIGIT;
        (self.reached >> shift >> DIGIT << DIGIT | slot as u64) << shift
    }

    /// Goes on to the first slot, but not beyond a unit. Returns the slot if that is reached.
    fn advance(&mut self, now: u64) -> Option<(usize, usize)> {
        let first = self.first_slot();
        match first.map(|(level, slot)| self.start_of(level, slot)) {
            Some(start) if start <= now => {
                self.reached = start;
                self.open = first;
                first
            }
            _ => {
                self.reached = self.reached.max(now);
                None
            }
        }
    }

    /// Puts a thread where its deadline belongs.
    fn put(&mut self, thread: T::Handle) {
        let deadline = thread.timer().deadline();
        let slot = &thread.timer().slot;
        if deadline <= self.reached {
            slot.store(LATE, Ordering::Relaxed);
            return self.late.push_back(thread);
        }
        let level = ((deadline ^ self.reached).ilog2() / DIGIT) as usize;
        let digit = (deadline >> (level as u32 * DIGIT)) as usize % SLOTS;
        slot.store((level * SLOTS + digit) as u32, Ordering::Relaxed);
        self.present[level] |= 1 << digit;
        self.slots[level][digit].push_back(thread);
    }

    fn close_if_empty(&mut self, level: usize, slot: usize) {
        if self.slots[level][slot].is_empty() {
            self.present[level] &= !(1 << slot);
            self.open.take_if(|open| *open == (level, slot));
        }
    }
}
