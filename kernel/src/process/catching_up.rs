//! What a thread has to finish in the kernel before it runs user code.
//!
//! Owns: the order of it: a thread that has to end parts from its process, another goes on with its
//! operation, and whoever comes by gives back what was dropped (`graves`). Refuses to know: what the operations
//! do (`operation`), how a thread parts (`parting`), and who runs next.

use super::Thread;
use super::end::End;
use super::operation::{Operation, Progress};
use super::parting::{self, Parting, let_go, take_in_hand};
use super::scheduler::{self, make_ready};
use super::spaces::{activate, leave_space};
use super::thread::Standing;
use crate::ipc::Endpoint;
use crate::memory::graves;
use crate::memory::pools::PoolArc;
use crate::trap;

/// Returns a thread if it may run user code now. Most have nothing to do before; who has does it here.
#[inline]
pub(super) fn prepare(thread: PoolArc<Thread>) -> Option<PoolArc<Thread>> {
    // Nobody else can end a thread that is in no queue, so nothing need be in hand so far.
    if is_free(&thread) { Some(thread) } else { finish(thread) }
}

#[inline]
fn is_free(thread: &Thread) -> bool {
    thread.may_run() && !thread.unfinished.any() && !graves::any()
}

#[cold]
#[inline(never)]
fn finish(thread: PoolArc<Thread>) -> Option<PoolArc<Thread>> {
    take_in_hand(&thread);
    // One that goes no further is dropped here, while it is in hand.
    let thread = Some(thread).filter(catch_up);
    let_go();
    thread
}

/// Finishes what a thread has to do. Returns whether it may run user code now.
fn catch_up(thread: &PoolArc<Thread>) -> bool {
    while !is_free(thread) {
        if !next(thread).is_some_and(|operation| advance(thread, operation)) {
            return false;
        }
    }
    true
}

/// Returns what a thread goes on with; `None` if it goes no further, now or ever.
fn next(thread: &PoolArc<Thread>) -> Option<Operation> {
    let standing = thread.standing();
    match (thread.unfinished.take(), standing) {
        // Nobody will see the results of a transfer, and it may take for ever; nobody will use a
        // block that is half made.
        (
            Some(
                Operation::Transfer(_)
                | Operation::Pieces(_)
                | Operation::Block(..)
                | Operation::Supply(_)
                | Operation::Receive(..),
            )
            | None,
            Standing::MustEnd,
        ) => part(thread),
        (Some(mut operation), Standing::MustEnd) => {
            operation.cut_short();
            Some(operation)
        }
        (Some(operation), _) => Some(operation),
        (None, Standing::Runs) => Some(Operation::Clear),
        (None, Standing::Ended) => None,
    }
}

/// Parts a thread from its process. Returns the end of the process, if the thread was the last.
fn part(thread: &PoolArc<Thread>) -> Option<Operation> {
    // No CPU that ran one of the threads has the tables active when the last one frees them.
    leave_space();
    match parting::part(thread) {
        Parting::Gone => {}
        Parting::Block(wait) => wait.begin_anyway(thread),
        Parting::Paused => pause(thread),
        Parting::Last => return Some(Operation::End(End::new(thread.process.clone()))),
    }
    None
}

/// Goes on with an operation. Returns whether the thread has done what it could.
fn advance(thread: &PoolArc<Thread>, mut operation: Operation) -> bool {
    // It may stay as long as in user code.
    if !scheduler::begin_work(thread) {
        // In this order: another CPU may take the thread at once.
        thread.unfinished.put(operation);
        scheduler::put_off(thread.clone());
        return false;
    }
    match &operation {
        Operation::Receive(endpoint, until) => {
            return Endpoint::receive_again(endpoint, thread, *until);
        }
        Operation::End(_) => leave_space(),
        _ => {
            activate(&thread.process);
            // The operation copies under the thread's own tag checks.
            thread.registers.load();
            // It may take long, and the thread is not about to part.
            let_go();
        }
    }
    let progress = operation.run(thread);
    take_in_hand(thread);
    if !matches!(progress, Progress::Done(_)) {
        thread.unfinished.put(operation);
    }
    match progress {
        Progress::Done(None) => return true,
        Progress::Done(Some(reply)) => {
            let mut context = thread.context.lock();
            context.set_x(0, reply.status);
            context.set_x(1, reply.value);
            return true;
        }
        Progress::Paused => pause(thread),
        Progress::Block(wait) => wait.begin(thread),
    }
    false
}

/// Lets an interrupt pass, and others run.
fn pause(thread: &PoolArc<Thread>) {
    trap::serve_interrupts();
    make_ready(thread.clone());
}
