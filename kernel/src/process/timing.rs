//! Waits that end early: their time is over, or somebody interrupts them.
//!
//! Owns: the timers of all CPUs, what the timeout of a call means, and how much is done in one interrupt.
//! Refuses to know: how a thread is taken out of where it waits ([`Wait::end`](super::Wait::end)), and who
//! of several comes first (`vellum_sched::stop`, which has the argument).
//!
//! A call that is about to wait starts the timer of its thread as the last thing that it does, on this CPU,
//! before the thread is anywhere where others could find it; nothing here interrupts it until it is. When
//! the thread goes on, on whichever CPU and for whatever reason, its timer ends first. So a call that gives
//! no timeout pays for a comparison when it begins and another when it ends.
//!
//! Lock order: a wheel of timers comes first. A wait that is over is ended under it.
//!
//! No wait ends before its time. It ends at most two units of the wheel (2 µs) and a tick behind it, as far
//! as the clock is concerned; then interrupts may be masked for a while, and of those whose time is over at
//! once each CPU tells [`STEPS`] in one interrupt.

use super::Thread;
use super::scheduler::Scheduling;
use crate::arch::timer;
use crate::memory::pools::PoolArc;
use vellum_abi::{Error, FOR_EVER};
use vellum_sched::{Reason, Sleeper, Timers};

/// Steps of the wheel in one interrupt.
const STEPS: usize = 16;

static TIMERS: Timers<Scheduling, Thread> = Timers::new();

/// Begins a wait of so many nanoseconds, as the last thing that a call does.
#[inline]
pub fn begin(thread: &PoolArc<Thread>, timeout: u64) {
    if timeout != FOR_EVER {
        start(thread, timeout);
    }
}

#[cold]
fn start(thread: &PoolArc<Thread>, timeout: u64) {
    if timeout == 0 {
        thread.stop.time_is_over();
        return TIMERS.start_over(thread);
    }
    // Else it is later than the clock can tell: for ever.
    begin_until(thread, timer::now().checked_add(timeout));
}

/// Begins a wait until a time since boot, if there is one: that which [`vellum_sched::Timer::until`] told of a wait
/// that was put off.
pub fn begin_until(thread: &PoolArc<Thread>, deadline: Option<u64>) {
    if let Some(deadline) = deadline {
        timer::wake_at(TIMERS.start(thread.clone(), timer::now(), deadline));
    }
}

/// Ends the timer of a thread that goes on, if it has one.
#[inline]
pub fn go_on(thread: &Thread) {
    if thread.timer().is_started() {
        end(thread);
    }
}

#[cold]
fn end(thread: &Thread) {
    TIMERS.end(thread);
    thread.stop.forget_time();
    // Often it was the only one, and started here.
    timer::wake_at(TIMERS.next());
}

/// Serves the timer's interrupt: ends waits whose time is over, some at a time. Returns whether the time
/// slice is over.
pub fn serve() -> bool {
    let due = timer::serve();
    if due.wake {
        let now = timer::now();
        for _ in 0..STEPS {
            if !TIMERS.step(now, time_is_over) {
                break;
            }
        }
        timer::wake_at(TIMERS.next());
    }
    due.slice
}

fn time_is_over(thread: &PoolArc<Thread>) {
    thread.stop.time_is_over();
    end_early(thread);
}

/// Interrupts a thread if it waits in a call that can end early. Returns whether it does.
pub fn interrupt(thread: &PoolArc<Thread>) -> bool {
    if !thread.stop.interrupt() {
        return false;
    }
    end_early(thread);
    !thread.stop.withdraw()
}

fn end_early(thread: &PoolArc<Thread>) {
    if let Some(wait) = thread.waiting.get() {
        wait.end(thread, super::Ending::Early);
        // Dropped here, it may be the last owner of an endpoint or of a server that has ended: a few frees, as a
        // process that ran was taken down in steps before, under locks that come behind the wheel's. Of all else
        // the thread's note is an owner until the thread goes on, which takes that lock first.
    }
}

/// Returns whether such a time has come.
pub fn is_over(deadline: Option<u64>) -> bool {
    deadline.is_some_and(|deadline| deadline <= timer::now())
}

/// Returns whether a thread that is about to wait does not: it has its answer then. Under the lock of the
/// place where it would wait.
#[inline]
pub fn stops(thread: &Thread) -> bool {
    thread.stop.is_asked_for() && answer(thread)
}

#[cold]
fn answer(thread: &Thread) -> bool {
    let reason = thread.stop.take();
    reason.inspect(|reason| crate::ipc::message::answer(thread, error(*reason))).is_some()
}

/// Returns what a call answers whose wait ends for a reason.
pub fn error(reason: Reason) -> Error {
    match reason {
        Reason::TimedOut => Error::TimedOut,
        Reason::Interrupted => Error::Interrupted,
    }
}
