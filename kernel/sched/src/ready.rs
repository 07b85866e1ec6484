//! The threads of one CPU that could run, by priority.
//!
//! Owns: one list a priority and a word that tells which have members. Refuses to know: CPUs. Between
//! threads of one priority the order is that of arrival.

use crate::list::List;
use crate::{Queued, Task};

/// How many priorities there are.
pub const PRIORITIES: usize = 32;

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

/// Threads that could run.
pub struct Ready<T: Task> {
    levels: [List<T, Queued>; PRIORITIES],
    /// A bit for each list that has members.
    present: u32,
}

impl<T: Task> Default for Ready<T> {
    fn default() -> Ready<T> {
        Ready::new()
    }
}

impl<T: Task> Ready<T> {
    /// Returns a queue of nobody.
    #[must_use]
    pub const fn new() -> Ready<T> {
        Ready { levels: [const { List::new() }; PRIORITIES], present: 0 }
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

    /// Adds a thread behind those of its priority. Returns which that is at this moment.
    pub fn push(&mut self, thread: T::Handle) -> Priority {
        let priority = thread.priority();
        self.levels[usize::from(priority.0)].push_back(thread);
        self.present |= 1 << priority.0;
        priority
    }

    /// Adds a thread before those of its priority: one whose turn was not over. Returns which that is.
    pub fn push_first(&mut self, thread: T::Handle) -> Priority {
        let priority = thread.priority();
        self.levels[usize::from(priority.0)].push_front(thread);
        self.present |= 1 << priority.0;
        priority
    }

    /// Takes the thread out whose turn it is.
    pub fn pop(&mut self) -> Option<T::Handle> {
        let level = usize::from(self.top()?.0);
        let thread = self.levels[level].pop_front();
        self.forget_if_empty(level);
        thread
    }

    /// Takes the thread out whose turn it is, if that is no less urgent than another one, which goes behind all
    /// of its priority in exchange; else returns that one.
    pub fn rotate(&mut self, thread: T::Handle) -> T::Handle {
        if self.top().is_none_or(|top| top < thread.priority()) {
            return thread;
        }
        let Some(next) = self.pop() else { return thread };
        self.push(thread);
        next
    }

    /// Takes one thread out, whose priority may have changed since it came. Returns whether it was here.
    pub fn remove(&mut self, thread: &T) -> bool {
        let found = self.levels.iter_mut().position(|list| list.remove(thread));
        found.into_iter().for_each(|level| self.forget_if_empty(level));
        found.is_some()
    }

    fn forget_if_empty(&mut self, level: usize) {
        if self.levels[level].is_empty() {
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
