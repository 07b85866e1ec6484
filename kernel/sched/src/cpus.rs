//! How several CPUs share the threads that could run.
//!
//! Owns: a queue for each CPU, what each runs, and which wait for an interrupt. Refuses to know: how a
//! thread is switched to.
//!
//! **Balance.** A thread that becomes ready goes to the CPU that ran it last if that is idle, else to
//! any idle CPU, else it waits for the one that ran it last. A CPU that finds its own queue empty takes
//! the most urgent thread of the next CPU, by number, that has one. So caches stay warm while there
//! is work for all, and nobody waits beside an idle CPU. Priorities are strict on each CPU, not over
//! all of them: a CPU that has a thread of its own to run does not look for a more urgent one elsewhere.
//!
//! **No wake-up is lost.** Two CPUs talk without a lock in four places; in each, either side writes
//! first, then reads what the other wrote, all sequentially consistent, so that at least one sees it:
//! 1. An idle CPU sets its bit, then looks at all queues. Who makes a thread ready puts it into a
//!    queue, then looks for idle CPUs.
//! 2. A CPU writes what it is about to run, then looks whether its queue has something more urgent. Who
//!    makes a thread ready puts it into the queue, then looks what the CPU runs.
//! 3. Who makes a thread ready clears the bit of the CPU that it interrupts, so that the next one picks
//!    another. A CPU that was interrupted in vain sets it again. One that takes something else from
//!    another's queue meanwhile finds, by 2, that it has more than it can do, and calls an idle one.
//! 4. Who changes a priority stores it, then looks which CPU the thread belongs to. Who moves a thread
//!    stores the CPU, then looks at the priority, under the lock of the queue if it goes to one.

use crate::ready::{self, Priority, Ready};
use crate::{Machine, Task};
use core::sync::atomic::{AtomicU32, Ordering, fence};
use lock_api::Mutex;

/// The most CPUs.
pub const MAX_CPUS: usize = 8;
/// What a CPU runs that is about to look at its queue by itself: nobody has to interrupt it.
const LOOKING: u32 = u32::MAX;

/// What a CPU does about the thread that it is about to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Runs it as long as it likes.
    Alone,
    /// Runs it for a time slice: others of its priority wait.
    Slice,
    /// Something more urgent came: the thread goes back to the front of its queue.
    Over,
}

/// One CPU: its queue, and what it runs. In this order: what every switch looks at is near the beginning.
#[repr(C)]
pub struct Cpu<M: Machine, T: Task> {
    /// [`Ready::present`], to be looked at without the lock.
    present: AtomicU32,
    /// The number of the priority that runs here, or LOOKING.
    running: AtomicU32,
    ready: Mutex<M::Mutex, Ready<T>>,
}

/// All CPUs.
pub struct Cpus<M: Machine, T: Task> {
    cpus: [Cpu<M, T>; MAX_CPUS],
    /// A bit for each CPU that waits for an interrupt.
    idle: AtomicU32,
}

impl<M: Machine, T: Task> Default for Cpus<M, T> {
    fn default() -> Cpus<M, T> {
        Cpus::new()
    }
}

impl<M: Machine, T: Task> Cpu<M, T> {
    /// All zeros, so that it is no part of the kernel's file: as long as it has not looked, a CPU is interrupted
    /// as if it ran the least urgent thread.
    const fn new() -> Cpu<M, T> {
        let (present, running) = (AtomicU32::new(0), AtomicU32::new(0));
        Cpu { present, running, ready: Mutex::new(Ready::new()) }
    }

    /// Changes the queue, and tells those who look without the lock.
    fn change<R>(&self, change_fn: impl FnOnce(&mut Ready<T>) -> R) -> R {
        let mut ready = self.ready.lock();
        let result = change_fn(&mut ready);
        self.present.store(ready.present(), Ordering::SeqCst);
        result
    }

    /// Ends the turn of a thread that this CPU, which it is, runs, for those in its queue that are no less
    /// urgent. Returns who is next: the thread itself, if there are none. Whoever could take the one that waits
    /// now is called when this CPU says what it runs ([`Self::run`]).
    #[must_use]
    #[inline]
    pub fn rotate(&self, thread: T::Handle) -> T::Handle {
        M::step();
        self.change(|ready| ready.rotate(thread))
    }

    /// Declares what this CPU, which it is, is about to run, and returns what it does about it. `all` are the CPUs
    /// that it is one of.
    #[must_use]
    #[inline]
    pub fn run(&self, all: &Cpus<M, T>, thread: &T) -> Turn {
        let priority = thread.priority();
        M::step();
        self.running.store(u32::from(priority.number()), Ordering::SeqCst);
        M::step();
        // Sequentially consistent as the store is: it cannot come before.
        match self.present.load(Ordering::SeqCst) {
            0 => Turn::Alone,
            present => all.turn_among(present, priority),
        }
    }
}

impl<M: Machine, T: Task> Cpus<M, T> {
    /// Returns CPUs that have not yet looked for something to run.
    #[must_use]
    pub const fn new() -> Cpus<M, T> {
        Cpus { cpus: [const { Cpu::new() }; MAX_CPUS], idle: AtomicU32::new(0) }
    }

    /// Lets a thread run when its turn comes. It is in no queue.
    pub fn make_ready(&self, thread: T::Handle) {
        let (cpu, waits) = self.choose(&thread);
        thread.cpu().store(cpu, Ordering::SeqCst);
        M::step();
        let (before, priority) = self.cpus[cpu].change(|ready| (ready.top(), ready.push(thread)));
        if waits {
            M::interrupt(cpu);
        } else {
            self.tell(cpu, priority, before);
        }
    }

    /// As [`Self::make_ready`], for a thread that this CPU ran and whose turn was not over.
    pub fn put_back(&self, thread: T::Handle) {
        let cpu = M::this_cpu();
        let (before, priority) =
            self.cpus[cpu].change(|ready| (ready.top(), ready.push_first(thread)));
        self.tell(cpu, priority, before);
    }

    /// Returns one of the CPUs.
    ///
    /// # Panics
    /// If there is none of this number.
    #[must_use]
    pub const fn cpu(&self, number: usize) -> &Cpu<M, T> {
        &self.cpus[number]
    }

    /// Returns the CPU whose queue a thread goes to, and whether it was idle; it is idle no more.
    fn choose(&self, thread: &T) -> (usize, bool) {
        let last = thread.cpu().load(Ordering::SeqCst);
        M::step();
        loop {
            let idle = self.idle.load(Ordering::SeqCst);
            let wanted = if idle >> last & 1 == 1 { 1 << last } else { idle & idle.wrapping_neg() };
            if wanted == 0 {
                return (last, false);
            }
            if self.claim(wanted) {
                return (wanted.trailing_zeros() as usize, true);
            }
        }
    }

    /// Takes the bit of an idle CPU away. Returns whether it had one.
    fn claim(&self, bit: u32) -> bool {
        M::step();
        self.idle.fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }

    /// Sees to it that a thread of a priority, which is in a CPU's queue by now, gets its turn. `before`
    /// was the most urgent one there.
    fn tell(&self, cpu: usize, priority: Priority, before: Option<Priority>) {
        fence(Ordering::SeqCst);
        M::step();
        let running = self.cpus[cpu].running.load(Ordering::SeqCst);
        let number = u32::from(priority.number());
        let is_first = before.is_none_or(|before| before < priority);
        if running == LOOKING {
            // It looks at its queue once more before it runs anything.
        } else if number > running {
            M::interrupt(cpu);
        } else if number == running && is_first {
            if cpu == M::this_cpu() { M::begin_slice() } else { M::interrupt(cpu) }
        }
        // Who went idle meanwhile, the same CPU perhaps, may have looked too early.
        self.call_idle();
    }

    /// Interrupts an idle CPU, if there is one, so that it looks at all queues.
    #[inline]
    fn call_idle(&self) {
        M::step();
        let idle = self.idle.load(Ordering::SeqCst);
        if idle != 0 {
            self.call_one_of(idle);
        }
    }

    /// Interrupts one of the CPUs that were idle, or are by now.
    #[cold]
    #[inline(never)]
    fn call_one_of(&self, mut idle: u32) {
        while idle != 0 {
            let bit = idle & idle.wrapping_neg();
            if self.claim(bit) {
                M::interrupt(bit.trailing_zeros() as usize);
                return;
            }
            M::step();
            idle = self.idle.load(Ordering::SeqCst);
        }
    }

    /// Declares that this CPU is about to look for something to run.
    pub fn look(&self) {
        M::step();
        self.cpus[M::this_cpu()].running.store(LOOKING, Ordering::SeqCst);
    }

    /// Takes the thread that this CPU runs next out of its queue, or out of another's.
    pub fn next(&self) -> Option<T::Handle> {
        let this = M::this_cpu();
        let order = (0..MAX_CPUS).map(|distance| (this + distance) % MAX_CPUS);
        for cpu in order {
            M::step();
            if self.cpus[cpu].present.load(Ordering::SeqCst) == 0 {
                continue;
            }
            if let Some(thread) = self.cpus[cpu].change(Ready::pop) {
                thread.cpu().store(this, Ordering::SeqCst);
                return Some(thread);
            }
        }
        None
    }

    /// Declares that this CPU is about to wait for an interrupt. Returns whether it may: then the
    /// next interrupt ends the wait, and [`Self::woken`] comes behind it.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        let this = M::this_cpu();
        M::step();
        self.idle.fetch_or(1 << this, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        M::step();
        let none = self.cpus.iter().all(|cpu| cpu.present.load(Ordering::SeqCst) == 0);
        if !none {
            self.woken();
        }
        none
    }

    /// Declares that this CPU does not wait any more.
    pub fn woken(&self) {
        M::step();
        self.idle.fetch_and(!(1 << M::this_cpu()), Ordering::SeqCst);
    }

    /// Returns what this CPU does about a thread that it runs while others are in its queue.
    fn turn_among(&self, present: u32, priority: Priority) -> Turn {
        // There is more here than one can do.
        self.call_idle();
        match ready::top(present) {
            Some(top) if top > priority => Turn::Over,
            Some(top) if top == priority => Turn::Slice,
            _ => Turn::Alone,
        }
    }

    /// Changes the priority of a thread by `store_fn`, sequentially consistent, and its place in the queue
    /// if it is in one.
    pub fn set_priority(&self, thread: &T::Handle, store_fn: impl FnOnce()) {
        store_fn();
        loop {
            M::step();
            let cpu = thread.cpu().load(Ordering::SeqCst);
            M::step();
            if self.cpus[cpu].change(|ready| ready.remove(thread)) {
                return self.make_ready(thread.clone());
            }
            M::step();
            if thread.cpu().load(Ordering::SeqCst) == cpu {
                // If it runs there, the CPU must know better now; else it counts from the next turn on.
                return M::interrupt(cpu);
            }
        }
    }
}
