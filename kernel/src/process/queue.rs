//! Queues of threads, linked through the threads themselves: queueing never allocates.
//!
//! A thread is in at most one queue. Lock order: queue, then the lock of what is waited for (it is
//! checked under the queue's lock, so that no wake-up is lost), then `Thread::link`.

use super::scheduler;
use super::thread::Thread;
use crate::memory::pools::PoolArc;
use core::ptr;
use spin::Mutex;

/// Threads in order of arrival.
pub struct Queue {
    head: Option<PoolArc<Thread>>,
    tail: Option<PoolArc<Thread>>,
}

impl Queue {
    /// Returns an empty queue.
    pub const fn new() -> Queue {
        Queue { head: None, tail: None }
    }

    /// Returns whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Appends a thread that is in no queue.
    pub fn push(&mut self, thread: PoolArc<Thread>) {
        match self.tail.replace(thread.clone()) {
            Some(tail) => *tail.link.lock() = Some(thread),
            None => self.head = Some(thread),
        }
    }

    /// Takes the first thread out.
    pub fn pop(&mut self) -> Option<PoolArc<Thread>> {
        let thread = self.head.take()?;
        self.head = thread.link.lock().take();
        if self.head.is_none() {
            self.tail = None;
        }
        Some(thread)
    }

    /// Takes one thread out, wherever it is. Returns whether it was there.
    pub fn remove(&mut self, wanted: &Thread) -> bool {
        let mut found = false;
        let mut others = Queue::new();
        while let Some(thread) = self.pop() {
            if ptr::eq(&raw const *thread, wanted) {
                found = true;
            } else {
                others.push(thread);
            }
        }
        *self = others;
        found
    }
}

/// Threads that wait for one thing.
pub struct WaitQueue(Mutex<Queue>);

impl WaitQueue {
    /// Returns a queue where nobody waits.
    pub const fn new() -> WaitQueue {
        WaitQueue(Mutex::new(Queue::new()))
    }

    /// Lets a thread wait unless what it waits for is there already; then it is ready at once.
    pub fn wait(&self, thread: PoolArc<Thread>, is_there_fn: impl FnOnce() -> bool) {
        let mut queue = self.0.lock();
        if is_there_fn() {
            drop(queue);
            scheduler::make_ready(thread);
        } else {
            queue.push(thread);
        }
    }

    /// Makes everybody ready who waits. What they wait for is there before this is called.
    pub fn wake_all(&self) {
        loop {
            // One at a time, so that this lock is not held over the run queue's.
            let Some(thread) = self.0.lock().pop() else { return };
            scheduler::make_ready(thread);
        }
    }

    /// Makes one thread ready if it waits here.
    pub fn wake(&self, thread: &PoolArc<Thread>) {
        if self.0.lock().remove(thread) {
            scheduler::make_ready(thread.clone());
        }
    }
}
