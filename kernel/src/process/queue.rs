//! Threads that wait, in order of arrival.
//!
//! Lock order: the queue's lock, then that of what is waited for, which is looked at under the queue's
//! lock, so that no wake-up is lost.
//!
//! Waking everybody takes as long as there are threads, and nothing interrupts it. So only so many are
//! woken at once; each of them, when its turn comes, wakes as many again (`Wait::pass_on`).

use super::scheduler;
use super::thread::Thread;
use crate::memory::pools::PoolArc;
use spin::Mutex;
use vellum_abi::MAX_WAKE;
use vellum_sched::{List, Queued};

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
        self.wake_some(MAX_WAKE, |_| true);
    }

    /// Wakes up to `count` threads that `is_meant_fn` picks. Returns how many.
    pub fn wake_some(&self, count: u64, is_meant_fn: impl Fn(&Thread) -> bool) -> u64 {
        let mut woken = 0;
        while woken < count {
            // One at a time, so that this lock is not held over the run queue's.
            let Some(thread) = self.0.lock().take(&is_meant_fn) else { break };
            scheduler::make_ready(thread);
            woken += 1;
        }
        woken
    }

    /// Takes a thread out if it waits here and `is_meant_fn`, which is asked under the lock, says so.
    pub fn take_out(&self, thread: &Thread, is_meant_fn: impl FnOnce() -> bool) -> bool {
        self.0.lock().remove_if(thread, is_meant_fn)
    }
}
