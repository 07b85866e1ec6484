//! The threads of one CPU that could run, by priority and by whose they are.
//!
//! Owns: who is next. Refuses to know: CPUs, and what a share stands for. Each priority is a round robin of
//! *shares*: however many threads a share has there, one of them is in the list of the priority, and the
//! others wait behind it, in order of arrival. When that one gets its turn, the next of the share goes to the end of
//! the list. So a share with one ready thread is as near to its turn as one with a thousand, and
//! both cost the same few instructions.
//!
//! Invariant: where threads of a share wait behind, one of them is in the list. So a thread waits for one
//! turn of each other share at most, and as often as threads of its own are before it. A thread whose turn
//! was not over goes to the front of the list, whoever of its share is there already: that is the rest of
//! a turn, and takes none from anybody.

use crate::list::List;
use crate::{Queued, Task};
use core::sync::atomic::{AtomicU8, Ordering};

/// How many priorities there are.
pub const PRIORITIES: usize = 32;
/// How many shares there are.
pub const SHARES: usize = 32;

/// How urgent a thread is: a higher number goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// The least urgent.
    pub const LOWEST: Priority = Priority(0);
    /// What threads have that say nothing about it.
    pub const USUAL: Priority = Priority(16);
    /// The most urgent.
    pub const HIGHEST: Priority = Priority(PRIORITIES as u8 - 1);

    /// Returns the priority of a number.
    #[must_use]
    pub const fn new(number: u64) -> Option<Priority> {
        if number < PRIORITIES as u64 { Some(Priority(number as u8)) } else { None }
    }

    /// Returns the number, below [`PRIORITIES`].
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A priority that others change.
pub struct AtomicPriority(AtomicU8);

impl AtomicPriority {
    /// Returns one that is a priority so far.
    #[must_use]
    pub const fn new(priority: Priority) -> AtomicPriority {
        AtomicPriority(AtomicU8::new(priority.0))
    }

    /// Returns what it is.
    #[must_use]
    #[inline]
    pub fn load(&self, order: Ordering) -> Priority {
        Priority(self.0.load(order))
    }

    /// Changes it.
    pub fn store(&self, priority: Priority, order: Ordering) {
        self.0.store(priority.0, order);
    }
}

/// With whom a thread shares its turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u8);

impl Share {
    /// The share of whoever has none of his own.
    pub const FIRST: Share = Share(0);

    /// Returns the share of a number.
    #[must_use]
    pub const fn new(number: usize) -> Option<Share> {
        if number < SHARES { Some(Share(number as u8)) } else { None }
    }

    /// Returns the number, below [`SHARES`].
    #[must_use]
    pub const fn number(self) -> usize {
        self.0 as usize
    }
}

/// Threads of one share, by priority.
struct Shared<T: Task> {
    /// How many are in the list of each priority.
    listed: [u32; PRIORITIES],
    /// Those that wait behind them.
    behind: [List<T, Queued>; PRIORITIES],
}

/// Threads that could run. In this order: the large part comes last.
#[repr(C)]
pub struct Ready<T: Task> {
    /// A bit for each list that has members.
    present: u32,
    levels: [List<T, Queued>; PRIORITIES],
    shares: [Shared<T>; SHARES],
}

impl<T: Task> Default for Ready<T> {
    fn default() -> Ready<T> {
        Ready::new()
    }
}

impl<T: Task> Shared<T> {
    const fn new() -> Shared<T> {
        Shared { listed: [0; PRIORITIES], behind: [const { List::new() }; PRIORITIES] }
    }
}

impl<T: Task> Ready<T> {
    /// Returns a queue of nobody.
    #[must_use]
    pub const fn new() -> Ready<T> {
        Ready {
            present: 0,
            levels: [const { List::new() }; PRIORITIES],
            shares: [const { Shared::new() }; SHARES],
        }
    }

    /// Returns the highest priority of a thread that is here.
    #[must_use]
    pub const fn top(&self) -> Option<Priority> {
        top(self.present)
    }

    /// Returns a bit for each priority of which there is a thread.
    #[must_use]
    pub const fn present(&self) -> u32 {
        self.present
    }

    /// Adds a thread behind those of its share, which is behind all others if it has none here. Returns its
    /// priority at this moment.
    pub fn push(&mut self, thread: T::Handle) -> Priority {
        let (priority, share) = (thread.priority(), thread.share());
        let level = usize::from(priority.0);
        let shared = &mut self.shares[share.number()];
        if shared.listed[level] == 0 {
            shared.listed[level] = 1;
            self.levels[level].push_back(thread);
            self.present |= 1 << level;
        } else {
            shared.behind[level].push_back(thread);
        }
        priority
    }

    /// Adds a thread before all of its priority: one whose turn was not over. Returns which that is.
    pub fn push_first(&mut self, thread: T::Handle) -> Priority {
        let (priority, share) = (thread.priority(), thread.share());
        let level = usize::from(priority.0);
        self.shares[share.number()].listed[level] += 1;
        self.levels[level].push_front(thread);
        self.present |= 1 << level;
        priority
    }

    /// Takes the thread out whose turn it is.
    pub fn pop(&mut self) -> Option<T::Handle> {
        let level = usize::from(self.top()?.0);
        let thread = self.levels[level].pop_front()?;
        self.has_left(level, thread.share());
        Some(thread)
    }

    /// Takes the thread out whose turn it is, if that is no less urgent than another one, which goes behind all
    /// of its share in exchange; else returns that one.
    pub fn rotate(&mut self, thread: T::Handle) -> T::Handle {
        let Some(top) = self.top().filter(|top| *top >= thread.priority()) else { return thread };
        let level = usize::from(top.0);
        let shared = &self.shares[thread.share().number()];
        if thread.priority() == top && shared.listed[level] == 1 && shared.behind[level].is_empty()
        {
            // Two that take turns, the usual case: the one in the list is of the same share if it is alone there.
            return match self.levels[level].exchange_only(thread) {
                Ok(next) => next,
                Err(thread) => self.rotate_among_many(level, thread),
            };
        }
        self.rotate_among_many(level, thread)
    }

    #[inline(never)]
    fn rotate_among_many(&mut self, level: usize, thread: T::Handle) -> T::Handle {
        let Some(next) = self.levels[level].pop_front() else { return thread };
        // In this order: a thread whose turn ends comes before one whose share just begins another.
        self.push(thread);
        self.has_left(level, next.share());
        next
    }

    /// Takes one thread out, whose priority may have changed since it came. Returns whether it was here.
    pub fn remove(&mut self, thread: &T) -> bool {
        let share = thread.share();
        if let Some(level) = self.levels.iter_mut().position(|list| list.remove(thread)) {
            self.has_left(level, share);
            return true;
        }
        self.shares[share.number()].behind.iter_mut().any(|list| list.remove(thread))
    }

    /// Puts the next thread of a share into the list that one has just left, unless another is there.
    fn has_left(&mut self, level: usize, share: Share) {
        let shared = &mut self.shares[share.number()];
        shared.listed[level] -= 1;
        if shared.listed[level] == 0
            && let Some(next) = shared.behind[level].pop_front()
        {
            shared.listed[level] = 1;
            self.levels[level].push_back(next);
        } else if self.levels[level].is_empty() {
            self.present &= !(1 << level);
        }
    }
}

/// Returns the highest priority in a word of [`Ready::present`].
pub(crate) const fn top(present: u32) -> Option<Priority> {
    match present.checked_ilog2() {
        Some(level) => Some(Priority(level as u8)),
        None => None,
    }
}
