//! Operations that outlive one visit to the kernel.
//!
//! Owns: where a long operation stands. It belongs to the thread that began it, which runs no user
//! code until it is done; it goes on from here, never from the arguments of the call. Refuses to
//! know: who else runs meanwhile.

use super::end::End;
use super::{Cloning, Outcome, Process, Thread, Wait};
use crate::ipc::Endpoint;
use crate::memory::graves;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::syscall::bytes::Transfer;
use crate::syscall::pagers::Supplying;
use crate::syscall::pieces::Pieces;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Mutex;
use vellum_abi::Error;
use vellum_vm::BlockFault;
use vellum_vm::error::VmError;
use vellum_vm::machine::Machine;
use vellum_vm::ops::{self, Change, Promotion};

/// Status and value for x0 and x1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 0 or the number of an error.
    pub status: u64,
    /// What the call returns.
    pub value: u64,
}

impl Reply {
    /// Returns a value with the error that ended the call, if one did.
    fn of((value, error): (u64, Option<VmError>)) -> Reply {
        Reply { status: error.map_or(0, |error| Error::from(error) as u64), value }
    }

    /// Returns the error that ended a call, without a value.
    pub fn failure(error: VmError) -> Reply {
        Reply { status: Error::from(error) as u64, value: 0 }
    }
}

/// How far a run of an operation came.
pub enum Progress {
    /// It is complete. Without a reply the registers are right already.
    Done(Option<Reply>),
    /// An interrupt waits; run it again when the thread's turn comes.
    Paused,
    /// It can go on when something has happened.
    Block(Wait),
}

/// How a change began.
pub enum Begun {
    /// It is done.
    Done,
    /// It is done and could not do what it was begun for.
    Failed(VmError),
    /// It stays with its thread.
    Paused,
}

/// An operation under way.
pub enum Operation {
    /// A change of a process's address space. Its results are in the registers already, and are
    /// replaced if it fails.
    Change(PoolArc<Process>, Change<Hardware>),
    /// A block that a fault of the process calls for.
    Block(PoolArc<Process>, BlockFault<Hardware>),
    /// Private blocks that `advise` asks for.
    Promotion(PoolArc<Process>, Promotion<Hardware>),
    /// A process that is made as the clone of another.
    Clone(Cloning),
    /// Bytes on the way between processes or to the console.
    Transfer(Transfer),
    /// Pieces of memory on the way between processes.
    Pieces(Pieces),
    /// Pages on their way into an object.
    Supply(Supplying),
    /// The rest of receiving, at an endpoint and until a time: as many calls were refused as may be in a row.
    /// The scheduler sees to it, as whoever receives gives itself away.
    Receive(PoolArc<Endpoint>, Option<u64>),
    /// The end of a process.
    End(End),
    /// Pages of dropped objects on their way back.
    Clear,
}

/// The operation that a thread has still to do, if there is one. The thread's own CPU puts it there and
/// takes it out; others may look.
pub struct Unfinished {
    /// Whether there is one: most threads have none, and are asked at every switch.
    any: AtomicBool,
    operation: Mutex<Option<Operation>>,
}

impl Unfinished {
    /// Returns the place for one.
    pub const fn new() -> Unfinished {
        Unfinished { any: AtomicBool::new(false), operation: Mutex::new(None) }
    }

    /// Returns whether there is one. For the thread's own CPU, or the one that is about to be.
    #[inline]
    pub fn any(&self) -> bool {
        // Relaxed: who takes the thread over does so under the lock of a queue.
        self.any.load(Ordering::Relaxed)
    }

    /// Returns whether it is the end of a process.
    pub fn is_end(&self) -> bool {
        matches!(*self.operation.lock(), Some(Operation::End(_)))
    }

    /// Keeps an operation until the thread's next turn.
    pub fn put(&self, operation: Operation) {
        *self.operation.lock() = Some(operation);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Takes it out.
    pub fn take(&self) -> Option<Operation> {
        self.any.store(false, Ordering::Relaxed);
        self.operation.lock().take()
    }
}

impl Operation {
    /// Runs until the operation is done, has to wait, or lets an interrupt pass.
    pub fn run(&mut self, thread: &Thread) -> Progress {
        match self {
            Operation::Change(process, change) => {
                // Its end waits for this.
                if !process.is_alive() {
                    change.cut_short();
                }
                match change.run(&process.space) {
                    ops::Progress::Paused => Progress::Paused,
                    ops::Progress::Done => {
                        process.patient.wake_all();
                        Progress::Done(failure(change))
                    }
                }
            }
            Operation::Block(process, fault) => match fault.run(&process.space) {
                ops::Progress::Paused => Progress::Paused,
                ops::Progress::Done => Progress::Done(None),
            },
            Operation::Promotion(process, promotion) => match promotion.run(&process.space) {
                ops::Progress::Paused => Progress::Paused,
                ops::Progress::Done => {
                    process.patient.wake_all();
                    Progress::Done(Some(Reply::of(promotion.result())))
                }
            },
            Operation::Clone(cloning) => cloning.run(thread),
            Operation::Transfer(transfer) => transfer.run(thread),
            Operation::Pieces(pieces) => pieces.run(thread),
            Operation::Supply(supplying) => supplying.go_on(thread),
            Operation::Receive(..) => Progress::Paused,
            Operation::End(end) => end.run(),
            Operation::Clear if graves::clear() => Progress::Done(None),
            Operation::Clear => Progress::Paused,
        }
    }

    /// Leaves out what nobody waits for any more when the thread has to end.
    pub fn cut_short(&mut self) {
        if let Operation::Change(_, change) = self {
            change.cut_short();
        }
    }

    /// Runs a change that a thread has just begun, in its place: most are done at once. What is left
    /// stays with the thread.
    #[inline]
    pub fn begin_change(
        process: &PoolArc<Process>,
        mut change: Change<Hardware>,
        thread: &Thread,
    ) -> Begun {
        if change.run(&process.space) == ops::Progress::Paused {
            keep_change(process, change, thread);
            return Begun::Paused;
        }
        process.patient.wake_all();
        change.failure().map_or(Begun::Done, Begun::Failed)
    }

    /// As [`Self::begin_change`], for the rest of a change whose beginning was a step: an interrupt
    /// that waits comes first.
    pub fn go_on_with_change(
        process: &PoolArc<Process>,
        change: Change<Hardware>,
        thread: &Thread,
    ) -> Begun {
        if Hardware.should_pause() {
            keep_change(process, change, thread);
            return Begun::Paused;
        }
        Operation::begin_change(process, change, thread)
    }

    /// Runs an operation that a thread has just begun. What is left stays with the thread.
    pub fn begin(mut self, thread: &Thread) -> (Option<Reply>, Outcome) {
        let outcome = match self.run(thread) {
            Progress::Done(reply) => return (reply, Outcome::Resume),
            Progress::Paused => Outcome::Yield,
            Progress::Block(wait) => Outcome::Block(wait),
        };
        thread.unfinished.put(self);
        (None, outcome)
    }
}

/// Keeps the rest of a change with its thread.
#[cold]
fn keep_change(process: &PoolArc<Process>, change: Change<Hardware>, thread: &Thread) {
    thread.unfinished.put(Operation::Change(process.clone(), change));
}

/// Returns what a change answers that could not do what it was begun for.
fn failure(change: &Change<Hardware>) -> Option<Reply> {
    change.failure().map(Reply::failure)
}
