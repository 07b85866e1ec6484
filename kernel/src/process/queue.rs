//! Threads that wait, in order of arrival.
//!
//! Lock order: the queue's lock, then that of what is waited for, which is looked at under the queue's
//! lock, so that no wake-up is lost.
//!
//! Waking everybody takes as long as there are threads, and nothing interrupts it. So only so many are
//! woken at once; each of them, when its turn comes, wakes as many again (`Wait::pass_on`). Where threads
//! wait for different things ([`MixedQueue`]), looking for those that are meant takes as long too: it is
//! done a few at a time, and interrupts may come in between if whoever looks allows it.

use super::scheduler;
use super::thread::Thread;
use crate::memory::pools::PoolArc;
use crate::percpu;
use spin::Mutex;
use vellum_abi::MAX_WAKE;
use vellum_sched::{Crowd, Found, List, Queued};

/// Threads that a search looks at in a row.
const LOOKS: usize = 32;

/// Threads that wait.
pub struct WaitQueue(Mutex<List<Thread, Queued>>);

impl WaitQueue {
    /// Returns a queue where nobody waits.
    pub const fn new() -> WaitQueue {
        WaitQueue(Mutex::new(List::new()))
    }

    /// Lets a thread wait unless what it waits for is there already; then it is ready at once.
    pub fn wait(&self, thread: PoolArc<Thread>, is_there_fn: impl FnOnce() -> bool) {
        let mut queue = self.0.lock();
        if is_there_fn() {
            drop(queue);
            scheduler::make_ready(thread);
        } else {
            queue.push_back(thread);
        }
    }

    /// Wakes everybody, the first of them at once. What they wait for is there before this is called.
    pub fn wake_all(&self) {
        for _ in 0..MAX_WAKE {
            // One at a time, so that this lock is not held over the run queue's.
            let Some(thread) = self.0.lock().pop_front() else { return };
            scheduler::make_ready(thread);
        }
    }

    /// Takes a thread out if it waits here and `is_meant_fn`, which is asked under the lock, says so.
    pub fn take_out(&self, thread: &Thread, is_meant_fn: impl FnOnce() -> bool) -> bool {
        self.0.lock().remove_if(thread, is_meant_fn)
    }
}

/// Threads that wait for different things.
pub struct MixedQueue(Mutex<Crowd<Thread, Queued>>);

impl MixedQueue {
    /// Returns a queue where nobody waits.
    pub const fn new() -> MixedQueue {
        MixedQueue(Mutex::new(Crowd::new()))
    }

    /// As [`WaitQueue::wait`].
    pub fn wait(&self, thread: PoolArc<Thread>, is_there_fn: impl FnOnce() -> bool) {
        let mut queue = self.0.lock();
        if is_there_fn() {
            drop(queue);
            scheduler::make_ready(thread);
        } else {
            queue.push_back(thread);
        }
    }

    /// Wakes up to `count` threads that `is_meant_fn` picks, and calls `pause_fn`, without any lock, whenever
    /// it has looked at a few. Returns how many it woke.
    pub fn wake_some(
        &self,
        count: u64,
        is_meant_fn: impl Fn(&Thread) -> bool,
        mut pause_fn: impl FnMut(),
    ) -> u64 {
        let cpu = percpu::id();
        let mut woken = 0;
        self.0.lock().begin(cpu);
        while woken < count {
            let found = self.0.lock().step(cpu, LOOKS, &is_meant_fn);
            match found {
                Found::One(thread) => {
                    scheduler::make_ready(thread);
                    woken += 1;
                }
                Found::NotYet => {}
                Found::Nobody => return woken,
            }
            pause_fn();
        }
        self.0.lock().end(cpu);
        woken
    }

    /// As [`WaitQueue::take_out`].
    pub fn take_out(&self, thread: &Thread, is_meant_fn: impl FnOnce() -> bool) -> bool {
        self.0.lock().remove_if(thread, is_meant_fn)
    }
}
