//! Who runs where: queues of threads, and the choice of a CPU.
//!
//! Owns: intrusive lists ([`list`]), searches of long ones ([`crowd`]), the threads of one CPU that could run, by priority and share ([`ready`]),
//! how several CPUs share the work ([`cpus`]), whose time is over and when ([`wheel`], [`timers`]), and why
//! a wait ends early ([`stop`]); and a lock that lets nobody starve ([`fair`]). Refuses to know: what a thread is, how one is switched
//! to, and what interrupts a CPU: the kernel plugs these in by [`Machine`], [`Task`] and [`Sleeper`], tests
//! plug in what an explorer can interleave. Nothing here allocates, blocks or can fail.
//!
//! The invariants that others rely on: a thread that was made ready is run by some CPU, whatever the
//! others do at the same time, and no CPU waits for an interrupt while a thread could run on it. A thread
//! whose time is running is told when it is over, never before, unless it says that it goes on.

#![no_std]
#![forbid(unsafe_code)]

pub mod cpus;
pub mod crowd;
pub mod fair;
pub mod list;
pub mod ready;
pub mod stop;
pub mod timers;
pub mod wheel;

pub use cpus::{Cpu, Cpus, MAX_CPUS, Turn};
pub use crowd::{Crowd, Found};
pub use list::{Link, List, Member};
pub use ready::{AtomicPriority, Priority, Ready, SHARES, Share};
pub use stop::{Reason, Stop};
pub use timers::Timers;
pub use wheel::{Sleeper, Step, Timed, Timer, Wheel};

use core::sync::atomic::AtomicUsize;

/// What the scheduler needs of a machine.
pub trait Machine: 'static {
    /// How CPUs exclude each other for a moment.
    type Mutex: lock_api::RawMutex;

    /// Comes before every access to what several CPUs see without a lock: an explorer may let
    /// another CPU go first.
    #[inline]
    fn step() {}

    /// Returns which CPU this is.
    fn this_cpu() -> usize;

    /// Interrupts a CPU, perhaps this one: it looks at its queue when it next may.
    fn interrupt(cpu: usize);

    /// Interrupts this CPU at the end of a time slice from now on, unless one has begun.
    fn begin_slice();
}

/// The list of threads that are ready or wait: a thread is in at most one of them.
#[derive(Debug)]
pub enum Queued {}

/// A thread, as far as the scheduler is concerned.
pub trait Task: Member<Queued> {
    /// Returns how urgent the thread is.
    fn priority(&self) -> Priority;

    /// Returns with whom the thread shares its turns. It never changes.
    fn share(&self) -> Share;

    /// Returns where the number of the CPU is kept whose queue the thread is in, or that ran it last.
    fn cpu(&self) -> &AtomicUsize;
}
