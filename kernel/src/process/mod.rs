//! Processes, threads and who runs.
//!
//! Owns: lives of processes, the run queue, wait queues and the operations that outlive one visit
//! to the kernel. Refuses to know: how a page fault is resolved (`vellum_vm`) and how registers
//! are saved (`arch`). Read `process`, then `scheduler`, then `operation`.
//!
//! No function here blocks. A handler answers an [`Outcome`]; the vector saves the registers and
//! `scheduler::switch` acts on it.

pub mod address;
mod cloning;
mod end;
pub mod first;
pub mod handle;
pub mod operation;
mod parting;
#[expect(clippy::module_inception, reason = "the type of this name lives there")]
mod process;
pub mod queue;
pub mod scheduler;
mod thread;
mod threads;

pub use cloning::Cloning;
pub use operation::Operation;
pub use process::{Life, Process};
pub use thread::Thread;

use crate::memory::pools::PoolArc;
use address::WordWait;
use queue::WaitQueue;
use vellum_abi::ExitReport;

pub use end::orphan;
pub use parting::{has_let_go_of, is_let_go};

/// Returns the operation that takes a process down whose life is `Ending`.
pub fn end_operation(process: PoolArc<Process>) -> Operation {
    Operation::End(end::End::new(process))
}

/// What a thread waits for.
#[derive(Clone)]
pub enum Wait {
    /// No long operation is changing the process's address space.
    AtRest(PoolArc<Process>),
    /// The process is dead.
    Death(PoolArc<Process>),
    /// Somebody wakes those who wait at an address.
    Word(WordWait),
}

impl Wait {
    /// Lets a thread wait, or makes it ready if what it waits for is there.
    fn begin(self, thread: &PoolArc<Thread>) {
        parting::wait_in_hand(self.process());
        *thread.waiting.lock() = Some(self.clone());
        // Checked under the queue's lock, which `interrupt` takes too: no wake-up is lost.
        self.queue().wait(thread.clone(), || self.is_over() || thread.is_interrupted());
    }

    /// Returns the process that it is about.
    fn process(&self) -> &PoolArc<Process> {
        match self {
            Wait::AtRest(process) | Wait::Death(process) => process,
            Wait::Word(wait) => &wait.process,
        }
    }

    fn queue(&self) -> &WaitQueue {
        match self {
            Wait::AtRest(process) => &process.patient,
            Wait::Death(process) => &process.mourners,
            Wait::Word(wait) => wait.place.queue(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Wait::AtRest(process) => process.space.is_at_rest(),
            Wait::Death(process) => process.is_dead(),
            Wait::Word(wait) => wait.is_over(),
        }
    }

    /// Wakes others who waited for what a thread has just been woken for, as not all are at once.
    fn pass_on(&self) {
        match self {
            Wait::AtRest(_) | Wait::Death(_) if self.is_over() => self.queue().wake_all(),
            // How many are woken at an address is for the waker to say.
            Wait::AtRest(_) | Wait::Death(_) | Wait::Word(_) => {}
        }
    }

    /// Makes a thread ready that waits for this.
    pub fn interrupt(&self, thread: &PoolArc<Thread>) {
        self.queue().wake(thread);
    }
}

/// What becomes of a thread that entered the kernel.
pub enum Outcome {
    /// It goes on at once.
    Resume,
    /// It goes on when its turn comes again: its time slice is over or its operation paused.
    Yield,
    /// It goes on before all others of its priority: something more urgent came.
    Preempted,
    /// It goes on when something has happened.
    Block(Wait),
    /// Its process ends: the report is there already, see [`Outcome::die`].
    Die,
}

impl Outcome {
    /// Begins the end of the process whose thread entered the kernel.
    pub fn die(process: &Process, report: ExitReport) -> Outcome {
        process.begin_end(report);
        Outcome::Die
    }
}
