//! Processes, threads and who runs.
//!
//! Owns: lives of processes, the run queue, wait queues and the operations that outlive one visit
//! to the kernel. Refuses to know: how a page fault is resolved (`vellum_vm`) and how registers
//! are saved (`arch`). Read `process`, then `scheduler`, then `operation`.
//!
//! No function here blocks. A handler answers an [`Outcome`]; the vector saves the registers and
//! `scheduler::switch` acts on it.

mod cloning;
mod end;
pub mod first;
pub mod handle;
pub mod operation;
#[expect(clippy::module_inception, reason = "the type of this name lives there")]
mod process;
pub mod queue;
pub mod scheduler;
mod thread;

pub use cloning::Cloning;
pub use operation::Operation;
pub use process::{Life, Process};
pub use thread::Thread;

use crate::memory::pools::PoolArc;
use vellum_abi::ExitReport;

pub use end::orphan;

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
}

impl Wait {
    /// Lets a thread wait, or makes it ready if what it waits for is there.
    pub fn begin(self, thread: &PoolArc<Thread>) {
        *thread.waiting.lock() = Some(self.clone());
        // Checked under the queue's lock, which `interrupt` takes too: no wake-up is lost.
        let is_over_fn = || self.is_over() || thread.is_interrupted();
        match &self {
            Wait::AtRest(process) => process.patient.wait(thread.clone(), is_over_fn),
            Wait::Death(process) => process.mourners.wait(thread.clone(), is_over_fn),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Wait::AtRest(process) => process.space.is_at_rest(),
            Wait::Death(process) => process.is_dead(),
        }
    }

    /// Makes a thread ready that waits for this.
    pub fn interrupt(&self, thread: &PoolArc<Thread>) {
        match self {
            Wait::AtRest(process) => process.patient.wake(thread),
            Wait::Death(process) => process.mourners.wake(thread),
        }
    }
}

/// What becomes of a thread that entered the kernel.
pub enum Outcome {
    /// It goes on at once.
    Resume,
    /// It goes on when its turn comes again: its time slice is over or its operation paused.
    Yield,
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
