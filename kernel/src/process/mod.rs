//! Processes, threads and who runs.
//!
//! Owns: lives of processes and threads, the switch between threads, wait queues and the operations that
//! outlive one visit to the kernel. Refuses to know: how a page fault is resolved (`vellum_vm`), which
//! thread runs where (`vellum_sched`) and how registers are saved (`arch`). Read `process`, then `scheduler`, then `operation`.
//!
//! No function here blocks. A handler answers an [`Outcome`]; the vector saves the registers and
//! `scheduler::switch` acts on it.

pub mod address;
mod catching_up;
mod cloning;
mod end;
pub mod first;
pub mod handle;
pub mod operation;
pub mod paging;
mod parting;
#[expect(clippy::module_inception, reason = "the type of this name lives there")]
mod process;
pub mod queue;
pub mod scheduler;
pub mod spaces;
mod thread;
mod threads;
pub mod timing;
mod waiting;

pub use cloning::Cloning;
pub use operation::Operation;
pub use process::{Handler, Life, Process};
pub use thread::Thread;

use crate::ipc::{Endpoint, Notification, endpoint, message};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use address::Place;
use vellum_abi::ExitReport;
use vellum_vm::object::MemoryObject;

pub use end::{audit, orphan};
pub use parting::{InHand, has_let_go_of, is_let_go, let_go, take_in_hand};

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
    Word,
    /// Somebody receives its call at an endpoint.
    Calls(PoolArc<Endpoint>),
    /// A call comes to an endpoint.
    Receives(PoolArc<Endpoint>),
    /// A server, which has its call, answers.
    Served(PoolArc<Thread>),
    /// Bits are raised.
    Notification(PoolArc<Notification>),
    /// What the thread reports is answered, at an endpoint and under a badge. The thread waits as any
    /// caller then.
    Answer(PoolArc<Endpoint>, u64),
    /// Nobody asks for a page of an object any more.
    Page(PoolArc<MemoryObject<Hardware>>, u64),
}

impl Wait {
    /// Lets a thread wait, or makes it ready if what it waits for is there or the thread has to end. Not for
    /// messages, whose endpoints see to that.
    fn begin(self, thread: &PoolArc<Thread>) {
        self.begin_unless(thread, || thread.is_interrupted());
    }

    /// As [`Self::begin`], for a thread that has to end and cannot before: it would be ready again at
    /// once, and nobody less urgent would ever get to what it waits for.
    fn begin_anyway(self, thread: &PoolArc<Thread>) {
        self.begin_unless(thread, || false);
    }

    fn begin_unless(self, thread: &PoolArc<Thread>, is_interrupted_fn: impl FnOnce() -> bool) {
        if let Wait::Answer(endpoint, badge) = &self {
            let next = Endpoint::call(endpoint, thread.clone(), *badge);
            return next.into_iter().for_each(scheduler::make_ready);
        }
        if self.is_over(thread) {
            // Nobody has it in hand for that: threads that wait for each other to let go would go on so.
            drop(self);
            return scheduler::make_ready(thread.clone());
        }
        parting::wait_in_hand(self.process());
        thread.waiting.begin(self.clone());
        // Checked under the queue's lock, which `interrupt` takes too: no wake-up is lost.
        let is_over = || self.is_over(thread) || is_interrupted_fn();
        match &self {
            Wait::AtRest(process) => process.patient.wait(thread.clone(), is_over),
            Wait::Death(process) => process.mourners.wait(thread.clone(), is_over),
            Wait::Word => match thread.word_wait() {
                Some(wait) => wait.place.queue().wait(thread.clone(), is_over),
                None => scheduler::make_ready(thread.clone()),
            },
            Wait::Page(object, index) => {
                Place::of_page(object, *index).queue().wait(thread.clone(), is_over);
            }
            Wait::Calls(_)
            | Wait::Receives(_)
            | Wait::Served(_)
            | Wait::Notification(_)
            | Wait::Answer(..) => {
                scheduler::make_ready(thread.clone());
            }
        }
    }

    /// Returns the other process that it is about.
    fn process(&self) -> Option<&PoolArc<Process>> {
        match self {
            Wait::AtRest(process) | Wait::Death(process) => Some(process),
            Wait::Word
            | Wait::Calls(_)
            | Wait::Receives(_)
            | Wait::Served(_)
            | Wait::Notification(_)
            | Wait::Answer(..)
            | Wait::Page(..) => None,
        }
    }

    fn is_over(&self, thread: &Thread) -> bool {
        match self {
            Wait::AtRest(process) => process.space.is_at_rest(),
            Wait::Death(process) => process.is_dead(),
            Wait::Word => thread.word_wait().is_none_or(|wait| wait.is_over(&thread.process)),
            // Said under the queue's lock: another may have asked since this thread found out.
            Wait::Page(object, index) => !object.await_request(*index),
            Wait::Calls(_)
            | Wait::Receives(_)
            | Wait::Served(_)
            | Wait::Notification(_)
            | Wait::Answer(..) => false,
        }
    }

    /// Wakes others who waited for what a thread has just been woken for, as not all are at once.
    fn pass_on(&self) {
        match self {
            Wait::AtRest(process) if process.space.is_at_rest() => process.patient.wake_all(),
            Wait::Death(process) if process.is_dead() => process.mourners.wake_all(),
            Wait::Calls(endpoint) | Wait::Receives(endpoint) => {
                endpoint.pass_on();
            }
            // Somebody may ask again before all are woken: then they wait for that.
            Wait::Page(object, index) if !object.await_request(*index) => {
                paging::wake(object, *index);
            }
            // How many are woken at an address is for the waker to say.
            _ => {}
        }
    }

    /// Ends the wait of a thread that waits for this, in whichever place it is: the thread is ready
    /// afterwards, with an answer if it goes on. Nothing happens if it is there no more, or nothing of it
    /// is to end any more: that is looked at under the lock of the place, so that one alone ends a wait.
    pub fn end(&self, thread: &PoolArc<Thread>, ending: Ending) {
        let mut reason = None;
        let is_meant = || {
            // Who reports something is in no call that could answer.
            if ending == Ending::Early && !thread.is_reporting() {
                reason = thread.stop.take();
            }
            ending == Ending::ForGood || reason.is_some()
        };
        let taken = match self {
            // No call that can end early waits so.
            Wait::AtRest(_) | Wait::Page(..) if ending == Ending::Early => false,
            Wait::AtRest(process) => process.patient.take_out(thread, is_meant),
            Wait::Death(process) => process.mourners.take_out(thread, is_meant),
            Wait::Word => {
                thread.word_wait().is_some_and(|wait| wait.place.queue().take_out(thread, is_meant))
            }
            Wait::Calls(endpoint) | Wait::Receives(endpoint) => endpoint.take_out(thread, is_meant),
            Wait::Served(server) => endpoint::take_from(server, thread, is_meant),
            Wait::Notification(notification) => notification.take_out(thread, is_meant),
            Wait::Page(object, index) => {
                Place::of_page(object, *index).queue().take_out(thread, is_meant)
            }
            Wait::Answer(..) => false,
        };
        if !taken {
            return;
        }
        if let Some(reason) = reason {
            if matches!(self, Wait::Death(_)) {
                // The call was to start again, and is over instead.
                thread.context.lock().skip_call();
            }
            message::answer(thread, timing::error(reason));
        }
        scheduler::make_ready(thread.clone());
    }
}

/// Why somebody takes a thread out of where it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has to end and needs no answer.
    ForGood,
    /// For what its [`vellum_sched::Stop`] says, if that says anything.
    Early,
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
    /// It calls an endpoint, by a handle of this badge.
    Call(PoolArc<Endpoint>, u64),
    /// It receives at an endpoint. Whom it has just answered goes on.
    Receive(PoolArc<Endpoint>, Option<PoolArc<Thread>>),
    /// It waits for bits of a notification.
    Await(PoolArc<Notification>),
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
