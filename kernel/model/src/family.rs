//! How virtual CPUs take turns.

use crate::violation::Violation;
use std::cell::Cell;

/// A way to run virtual CPUs: one after the other in one thread, or interleaved by an explorer.
pub trait Family: Send + Sync + 'static {
    /// Returns the virtual CPU that the calling thread is.
    fn cpu() -> usize;
    /// Comes before every act of the machine and of a virtual CPU: others may run here.
    fn step();
    /// Comes whenever a lock cannot be taken yet.
    fn wait();
    /// Comes when the calling thread has read that another CPU is about to publish a descriptor.
    fn busy() {}
    /// Tells that the calling thread has taken a lock.
    fn locked() {}
    /// Tells that the calling thread has released a lock.
    fn unlocked() {}
    /// Returns how many locks the calling thread holds, as far as the family knows.
    fn held() -> usize {
        0
    }
}

/// All virtual CPUs in one thread, which plays one at a time. Waiting for a lock can never end.
#[derive(Clone, Copy, Debug)]
pub struct Single;

thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<usize> = const { Cell::new(0) };
}

impl Single {
    /// Goes on as another virtual CPU.
    pub fn run_on(cpu: usize) {
        CPU.set(cpu);
    }
}

impl Family for Single {
    fn cpu() -> usize {
        CPU.get()
    }

    fn step() {}

    fn wait() {
        panic!("violation: {:?}", Violation::SelfDeadlock);
    }

    fn locked() {
        HELD.set(HELD.get() + 1);
    }

    fn unlocked() {
        HELD.set(HELD.get() - 1);
    }

    fn held() -> usize {
        HELD.get()
    }
}
