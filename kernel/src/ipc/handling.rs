//! Threads that handle reports, and reports that nobody could ever handle.
//!
//! Owns: which thread is a handler of which endpoint, and when a report may not wait. Refuses to know: what
//! is reported, and what the answer does.
//!
//! Handlers are programs and fault too. One that faults must not wait for itself, nor two for each other,
//! nor more in a circle. A thread that has received a report is a *handler* of the endpoint where it did,
//! until it ends or handles another's, but not while it waits for the answer to a report of its own.
//!
//! * What a handler does wrong is not reported where it handles.
//! * A process is *alone* with a report if all its threads wait for answers to reports and it could receive
//!   messages, so that others may wait for it. Such a report waits only where a handler is.
//!
//! In a circle each waits for a handler of the next, and each is itself one, or alone. The last one to
//! report finds no handler left where it would wait: its process ends, with what was reported, and with it
//! the endpoints that the others wait at.
//!
//! [`Handlers`] is a count. A thread takes itself out before it looks for others, both sequentially
//! consistent: of two that report to each other at once, at least one sees that the other is gone.

use super::Endpoint;
use crate::memory::pools::PoolArc;
use crate::process::{Process, Thread};
use core::sync::atomic::{AtomicUsize, Ordering};

/// How many threads handle the reports of an endpoint.
pub(super) struct Handlers(AtomicUsize);

impl Handlers {
    pub(super) const fn none() -> Handlers {
        Handlers(AtomicUsize::new(0))
    }

    /// Returns whether there is one.
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
    }
}

/// What a thread is a handler of.
pub struct Handling {
    endpoint: PoolArc<Endpoint>,
    /// Not while the thread waits for an answer itself.
    counted: bool,
}

impl Handling {
    fn count(&mut self, counted: bool) {
        if counted && !self.counted {
            self.endpoint.handlers.0.fetch_add(1, Ordering::SeqCst);
        } else if !counted && self.counted {
            self.endpoint.handlers.0.fetch_sub(1, Ordering::SeqCst);
        }
        self.counted = counted;
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.count(false);
    }
}

fn is(one: &Endpoint, other: &Endpoint) -> bool {
    core::ptr::eq(one, other)
}

/// Makes a thread, which gets a report at an endpoint, a handler of that. Under the endpoint's lock, so that
/// nobody sees the thread neither wait there nor handle.
#[cold]
pub(super) fn attach(server: &Thread, endpoint: &PoolArc<Endpoint>) {
    let mut handles = server.handles.lock();
    if !handles.as_ref().is_some_and(|handling| is(&handling.endpoint, endpoint)) {
        let mut handling = Handling { endpoint: endpoint.clone(), counted: false };
        handling.count(true);
        *handles = Some(handling);
    }
}

/// Lets a thread, which is about to report at an endpoint, handle nothing until it has its answer. Returns
/// whether it would be its own handler.
pub(super) fn suspend(thread: &Thread, endpoint: &Endpoint) -> bool {
    let mut handles = thread.handles.lock();
    let Some(handling) = handles.as_mut() else { return false };
    handling.count(false);
    is(&handling.endpoint, endpoint)
}

/// Lets a thread that has its answer handle again what it did before.
pub(super) fn resume(thread: &Thread) {
    if let Some(handling) = thread.handles.lock().as_mut() {
        handling.count(true);
    }
}

/// Forgets that a thread is a handler, as it ends.
pub fn end(thread: &Thread) {
    let handling = thread.handles.lock().take();
    drop(handling);
}

/// Forgets that a thread is a handler of an endpoint that is closed, so that it does not keep that.
#[cold]
pub fn forget_closed(thread: &Thread) {
    let handling = thread.handles.lock().take_if(|handling| handling.endpoint.is_closed());
    drop(handling);
}

/// Returns whether a process is alone with its reports.
pub(super) fn is_alone(process: &Process) -> bool {
    process.is_stuck() && process.can_receive()
}

/// Ends a process whose thread has just ended, if the others are left alone with reports that nobody
/// handles.
pub fn left_alone(process: &Process) {
    if !is_alone(process) || process.handler().is_none_or(|handler| handler.endpoint.handlers.any())
    {
        return;
    }
    let Some(thread) = process.threads.lock().any() else { return };
    let Some(reason) = thread.report.lock().as_ref().map(super::Report::reason) else { return };
    if let Some(Some(thread)) = process.begin_kill(reason) {
        Thread::interrupt(&thread);
    }
}
