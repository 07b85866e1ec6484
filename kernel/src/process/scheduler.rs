//! The switch from one thread to another.
//!
//! Owns: what a CPU does between two threads, and the time slice. Refuses to know: which thread is next
//! and on which CPU (`vellum_sched` does), and what it takes to change the address space (`spaces`). A
//! thread runs until it waits, yields, its slice is over or something more urgent comes. There are
//! slices only while another of its priority is ready on the CPU, so that a thread alone is never interrupted and
//! figures hold no tick.

use super::catching_up::prepare;
use super::parting;
use super::spaces::{activate, leave_space};
use super::{Outcome, Thread, Wait, timing};
use crate::arch::{cpu, timer};
use crate::ipc::direct::{self, Exchange};
use crate::ipc::{Endpoint, Notification, message};
use crate::memory::pools::PoolArc;
use crate::percpu::{self, Current};
use crate::platform::interrupts;
use crate::{syscall, trap};
use core::sync::atomic::Ordering;
use vellum_sched::{Cpus, Machine, Task, Turn};

/// Nanoseconds that a thread may run while others of its priority are ready.
const SLICE: u64 = 5_000_000;

/// The CPUs, as the scheduler sees them.
pub enum Scheduling {}

impl Machine for Scheduling {
    type Mutex = spin::mutex::SpinMutex<()>;

    #[inline]
    fn this_cpu() -> usize {
        percpu::id()
    }

    fn interrupt(cpu: usize) {
        interrupts::send(cpu);
    }

    fn begin_slice() {
        timer::begin_slice_if_none(SLICE);
    }
}

/// Threads that could run, and where.
pub static CPUS: Cpus<Scheduling, Thread> = Cpus::new();
/// The time that a thread gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slice {
    /// A whole slice: its turn has come.
    Fresh,
    /// The rest of that of the thread before, which names it.
    Inherited,
}

/// How the vector leaves the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Leave {
    /// Restore what entry saved and go on.
    Resume = 0,
    /// Save the rest of the registers, then call [`switch`].
    Switch = 1,
    /// Nobody will need the registers: call [`switch`].
    Abandon = 2,
    /// As [`Leave::Switch`]: the answer is that the thread waits for one to a report.
    Report = 3,
}

/// Turns a handler's answer into the vector's next step.
#[inline]
pub fn leave(outcome: Outcome) -> Leave {
    if matches!(outcome, Outcome::Resume) {
        // It has nothing to drop, which the compiler does not see.
        core::mem::forget(outcome);
        return Leave::Resume;
    }
    postpone(outcome)
}

/// Keeps an answer until the registers are saved.
#[inline(never)]
fn postpone(outcome: Outcome) -> Leave {
    let leave = match &outcome {
        Outcome::Die => Leave::Abandon,
        Outcome::Block(Wait::Answer(..)) => Leave::Report,
        _ => Leave::Switch,
    };
    percpu::set_pending(outcome);
    leave
}

/// Lets a thread run when its turn comes.
pub fn make_ready(thread: PoolArc<Thread>) {
    CPUS.make_ready(thread);
}

/// Interrupts a thread if it runs on another CPU.
pub fn interrupt(thread: &Thread) {
    // The thread's CPU stores the number before it looks whether the thread may run.
    let cpu = thread.cpu().load(Ordering::SeqCst);
    if cpu != percpu::id() {
        interrupts::send(cpu);
    }
}

/// Decides what an interrupt means for the thread that this CPU runs. `slice_over` tells that it ended
/// the time slice.
pub fn interrupted(slice_over: bool) -> Outcome {
    let thread = percpu::current();
    if !thread.may_run() {
        return Outcome::Yield;
    }
    match run_here(thread) {
        Turn::Over => Outcome::Preempted,
        Turn::Slice if slice_over => Outcome::Yield,
        Turn::Slice => {
            timer::begin_slice_if_none(SLICE);
            Outcome::Resume
        }
        Turn::Alone => Outcome::Resume,
    }
}

/// Puts the thread that left the kernel where it belongs and makes another the current one.
pub fn switch(leave: Leave) -> Current {
    let Some(thread) = percpu::take_current() else { return go_on() };
    thread.registers.save();
    match leave {
        Leave::Report => report(thread),
        _ => settle(thread, act),
    }
}

/// Ends the turn of the thread that left the kernel.
#[inline(always)]
pub fn yield_turn() -> Current {
    let Some(thread) = percpu::take_current() else { return go_on() };
    thread.registers.save();
    begin_turn(percpu::this().queue.rotate(thread)).unwrap_or_else(go_on)
}

/// Lets the thread that left the kernel call, or answer and receive, on the direct way if it can.
#[inline(always)]
pub fn exchange(exchange: Exchange) -> Current {
    let Some(thread) = percpu::take_current() else { return go_on() };
    thread.registers.save();
    switch_to(exchange.perform(thread))
}

/// Lets a thread call, or answer and receive, on the general way: from the start, or as a pending outcome says.
#[cold]
#[inline(never)]
pub fn exchange_generally(thread: PoolArc<Thread>) -> ! {
    trap::go_to(settle(thread, meet))
}

/// Lets a thread report, on the direct way if it can.
#[inline(never)]
fn report(thread: PoolArc<Thread>) -> Current {
    match direct::report(thread) {
        Ok(next) => switch_to(next),
        Err(thread) => settle(thread, act),
    }
}

/// Acts on what a thread left the kernel for, by a way that may have the thread in hand beyond the moment
/// when others find it.
#[inline(never)]
fn settle(
    thread: PoolArc<Thread>,
    act_fn: fn(PoolArc<Thread>) -> Option<PoolArc<Thread>>,
) -> Current {
    CPUS.look();
    parting::take_in_hand(&thread);
    let next = act_fn(thread);
    parting::let_go();
    match next {
        Some(next) => {
            next.waiting.end();
            switch_to(next)
        }
        None => go_on(),
    }
}

/// Runs a thread that waits for nothing any more, by name: in what is left of the slice.
#[inline(always)]
fn switch_to(thread: PoolArc<Thread>) -> Current {
    thread.cpu().store(percpu::id(), Ordering::SeqCst);
    timing::go_on(&thread);
    if let Some(thread) = prepare(thread)
        && let Some(current) = run(thread, Slice::Inherited)
    {
        return current;
    }
    go_on()
}

/// Lets a thread call, or answer and receive, on the general way.
fn meet(thread: PoolArc<Thread>) -> Option<PoolArc<Thread>> {
    if let Some(outcome) = percpu::take_pending() {
        // It has answered already.
        return perform(thread, outcome);
    }
    match syscall::meet(&thread) {
        Ok(outcome) => perform(thread, outcome),
        Err(error) => {
            message::answer(&thread, error);
            Some(thread)
        }
    }
}

/// Acts on what a thread's handler answered.
fn act(thread: PoolArc<Thread>) -> Option<PoolArc<Thread>> {
    let outcome = percpu::take_pending().unwrap_or(Outcome::Yield);
    perform(thread, outcome)
}

/// Makes a thread whose turn has come the current one, if it may run.
#[inline]
fn begin_turn(thread: PoolArc<Thread>) -> Option<Current> {
    timing::go_on(&thread);
    if let Some(wait) = thread.waiting.take() {
        // Others may have waited for the same as many more.
        parting::pass_on(wait);
    }
    prepare(thread).and_then(|thread| run(thread, Slice::Fresh))
}

/// Makes somebody the current thread who could run.
#[inline(never)]
fn go_on() -> Current {
    loop {
        if let Some(current) = begin_turn(wait_for_thread()) {
            return current;
        }
    }
}

/// Takes a thread that is ready, as soon as there is one.
#[inline(never)]
fn wait_for_thread() -> PoolArc<Thread> {
    CPUS.look();
    loop {
        if let Some(thread) = CPUS.next() {
            return thread;
        }
        idle();
    }
}

/// Acts on a handler's answer. The thread's registers are saved. Returns who runs next, if the answer
/// says so: it is in no queue.
fn perform(thread: PoolArc<Thread>, outcome: Outcome) -> Option<PoolArc<Thread>> {
    match outcome {
        Outcome::Resume | Outcome::Yield => make_ready(thread),
        Outcome::Die => {
            thread.hurry();
            make_ready(thread);
        }
        Outcome::Preempted => {
            thread.keep_slice(timer::used_of_slice());
            CPUS.put_back(thread);
        }
        Outcome::Block(Wait::Answer(endpoint, badge)) => {
            return Endpoint::call(&endpoint, thread, badge);
        }
        Outcome::Block(wait) => wait.begin(&thread),
        Outcome::Call(endpoint, badge) => return Endpoint::call(&endpoint, thread, badge),
        Outcome::Receive(endpoint, answered) => {
            let server = Endpoint::receive(&endpoint, thread);
            if answered.is_none() {
                return server;
            }
            server.into_iter().for_each(make_ready);
            return answered;
        }
        Outcome::Await(notification) => return Notification::wait(&notification, thread),
    }
    None
}

/// Declares that a thread goes on in the kernel: its slice ends as in user code, and whoever is more urgent
/// interrupts it. Returns false if somebody is by now; then its turn is to be put off ([`put_off`]).
pub(super) fn begin_work(thread: &Thread) -> bool {
    match run_here(thread) {
        Turn::Over => return false,
        Turn::Slice => timer::begin_slice_if_none(SLICE),
        Turn::Alone => {}
    }
    true
}

/// Puts a thread off for somebody more urgent. Another CPU may run it from now on: what it has to finish is
/// with it.
#[cold]
#[inline(never)]
pub(super) fn put_off(thread: PoolArc<Thread>) {
    CPUS.look();
    CPUS.put_back(thread);
}

/// Declares that this CPU runs a thread.
#[inline(always)]
fn run_here(thread: &Thread) -> Turn {
    percpu::this().queue.run(&CPUS, thread)
}

/// Makes a thread the current one, unless something more urgent has just come.
#[inline(always)]
fn run(thread: PoolArc<Thread>, slice: Slice) -> Option<Current> {
    match run_here(&thread) {
        Turn::Over => {
            put_off(thread);
            return None;
        }
        // Who is switched to by name goes on with what is left: two that call each other are one.
        Turn::Slice if slice == Slice::Inherited => timer::begin_slice_if_none(SLICE),
        Turn::Slice => timer::begin_slice(SLICE, thread.take_slice()),
        Turn::Alone => timer::end_slice(),
    }
    activate(&thread.process);
    thread.registers.load();
    Some(percpu::set_current(thread))
}

/// Waits until somebody is ready.
fn idle() {
    leave_space();
    if CPUS.may_wait() {
        cpu::wait_for_interrupt();
        CPUS.woken();
        trap::serve_interrupts();
    }
}
