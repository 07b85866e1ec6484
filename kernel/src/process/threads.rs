//! The threads of a process, from their start to their end.
//!
//! Owns: who of them is still there, and who was told that the process ends. Refuses to know: what a
//! thread does. A thread that never started is held by handles alone and is not here.
//!
//! The end of a process begins with a word (`Process::begin_end`). From then on none of its threads
//! goes back to user code: each that comes by tells others, a few at a time, and parts; the last one
//! takes the process down. Whoever ends a process from outside tells one of them, and that is enough.

use super::Thread;
use crate::memory::pools::PoolArc;
use vellum_sched::List;

/// The list of a process's threads.
pub enum Siblings {}

/// The started threads of a process.
pub struct Threads {
    /// Those that were not told of the end.
    untold: List<Thread, Siblings>,
    /// Those that were.
    told: List<Thread, Siblings>,
    count: usize,
    /// Whether one ever started.
    started: bool,
}

impl Threads {
    /// Returns the threads of a new process: none.
    pub const fn new() -> Threads {
        Threads { untold: List::new(), told: List::new(), count: 0, started: false }
    }

    /// Returns whether a thread ever started.
    pub fn have_started(&self) -> bool {
        self.started
    }

    /// Returns how many started and have not ended.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns one that is told of the end if it comes, or was.
    pub fn any(&self) -> Option<PoolArc<Thread>> {
        self.untold.first().or_else(|| self.told.first()).cloned()
    }

    /// Adds one that starts.
    pub fn join(&mut self, thread: PoolArc<Thread>) {
        self.untold.push_back(thread);
        self.count += 1;
        self.started = true;
    }

    /// Returns one that was not yet told of the end; it counts as told.
    pub fn tell(&mut self) -> Option<PoolArc<Thread>> {
        let thread = self.untold.pop_front()?;
        self.told.push_back(thread.clone());
        Some(thread)
    }

    /// Takes one out that will not run user code any more. Returns whether it was the last.
    pub fn part(&mut self, thread: &PoolArc<Thread>) -> bool {
        let was_there = self.untold.remove(thread) || self.told.remove(thread);
        self.count -= usize::from(was_there);
        was_there && self.count == 0
    }
}
