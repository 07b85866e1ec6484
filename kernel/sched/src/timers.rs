//! The timers of all CPUs.
//!
//! Owns: a wheel for each CPU and its lock. Refuses to know: how a wait ends, and what interrupts a CPU.
//!
//! A timer is started on the CPU that runs the thread, before the thread waits anywhere; it ends, wherever
//! that is, when the thread goes on. In between either its time comes, and then the thread's wait is ended
//! *under the lock of the wheel*, or the thread goes on first and takes itself out of the wheel under the
//! same lock. So a thread that goes on has no timer, nobody is about to end a wait that is over, and none
//! that it begins afterwards; and whoever ended its wait has let go of it.
//!
//! Lock order: a wheel comes before everything that ending a wait takes, and nothing is held by who takes
//! it. A wheel's lock is held for one step at a time.

use crate::wheel::{Sleeper, Step, Wheel};
use crate::{MAX_CPUS, Machine};
use core::marker::PhantomData;
use lock_api::Mutex;

/// A wheel for each CPU.
pub struct Timers<M: Machine, T: Sleeper> {
    wheels: [Mutex<M::Mutex, Wheel<T>>; MAX_CPUS],
    machine: PhantomData<fn() -> M>,
}

impl<M: Machine, T: Sleeper> Default for Timers<M, T> {
    fn default() -> Timers<M, T> {
        Timers::new()
    }
}

impl<M: Machine, T: Sleeper> Timers<M, T> {
    /// Returns wheels of nobody.
    #[must_use]
    pub const fn new() -> Timers<M, T> {
        let wheels = [const { Mutex::new(Wheel::new()) }; MAX_CPUS];
        Timers { wheels, machine: PhantomData }
    }

    /// Starts the timer of a thread that this CPU runs and that is about to wait. Times are nanoseconds.
    /// Returns when this CPU has to [`Self::step`].
    #[must_use]
    pub fn start(&self, thread: T::Handle, now: u64, deadline: u64) -> Option<u64> {
        let cpu = M::this_cpu();
        debug_assert!(!thread.timer().is_started(), "one wait at a time");
        let mut wheel = self.wheels[cpu].lock();
        thread.timer().start(cpu, deadline);
        wheel.add(thread, now);
        wheel.next()
    }

    /// Declares that the time of a thread that this CPU runs is over before it waits; [`Self::end`] follows.
    pub fn start_over(&self, thread: &T) {
        thread.timer().start(M::this_cpu(), 0);
    }

    /// Ends the timer of a thread that goes on, wherever it was started. Nobody ends its wait afterwards.
    pub fn end(&self, thread: &T) {
        let mut wheel = self.wheels[thread.timer().cpu()].lock();
        wheel.remove(thread);
        thread.timer().end();
    }

    /// Does one thing that is due on this CPU. If a thread's time is over, `end_fn` is told under the lock
    /// of the wheel. Returns whether there may be more to do.
    pub fn step(&self, now: u64, end_fn: impl FnOnce(&T::Handle)) -> bool {
        // Held until the thread is let go of.
        let mut wheel = self.wheels[M::this_cpu()].lock();
        match wheel.step(now) {
            Step::Nothing => false,
            Step::Moved => true,
            Step::Over(thread) => {
                end_fn(&thread);
                drop(thread);
                true
            }
        }
    }

    /// Returns when this CPU has to [`Self::step`], in nanoseconds; `None` while no timer is started here.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.wheels[M::this_cpu()].lock().next()
    }
}
