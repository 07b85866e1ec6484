//! Who runs next.
//!
//! Owns: the run queue, the time slice and the address space that a CPU has active. Round robin:
//! a thread runs until it waits, yields or its slice is over. The timer is armed only while
//! somebody else is ready, so that a thread alone is never interrupted and figures hold no tick.

use super::end::End;
use super::operation::{Operation, Progress};
use super::queue::Queue;
use super::{Outcome, Process, Thread};
use crate::arch::context::Context;
use crate::arch::{cpu, features, mmu, timer};
use crate::memory::graves;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::{percpu, trap};
use core::ptr;
use spin::Mutex;
use vellum_vm::asid::{AsidAllocator, MAX_CPUS};

/// Nanoseconds that a thread may run while others are ready.
const SLICE: u64 = 5_000_000;

/// Threads that could run.
static READY: Mutex<Queue> = Mutex::new(Queue::new());
/// Who has which identifier.
static ASIDS: AsidAllocator<Hardware> = AsidAllocator::new();
/// What the running thread of each CPU left the kernel's handlers with.
static PENDING: [Mutex<Option<Outcome>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];
/// The process whose tables each CPU has active. The CPU holds it, so that no root table is freed
/// while a translation base register still names it.
static ACTIVE: [Mutex<Option<PoolArc<Process>>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

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
}

/// Turns a handler's answer into the vector's next step.
#[inline]
pub fn leave(outcome: Outcome) -> Leave {
    if matches!(outcome, Outcome::Resume) { Leave::Resume } else { postpone(outcome) }
}

/// Keeps an answer until the registers are saved.
#[inline(never)]
fn postpone(outcome: Outcome) -> Leave {
    let leave = if matches!(outcome, Outcome::Die) { Leave::Abandon } else { Leave::Switch };
    *PENDING[percpu::id()].lock() = Some(outcome);
    leave
}

/// Lets a thread run when its turn comes.
pub fn make_ready(thread: PoolArc<Thread>) {
    READY.lock().push(thread);
    // The running thread is no longer alone.
    timer::arm_if_idle(SLICE);
}

/// Puts the thread that left the kernel where it belongs and returns whose registers to load.
pub fn switch() -> *mut Context {
    let pending = PENDING[percpu::id()].lock().take();
    if let (Some(thread), Some(outcome)) = (percpu::take_current(), pending) {
        thread.registers.save();
        settle(&thread, outcome);
    }
    loop {
        let next = READY.lock().pop();
        let Some(thread) = next else {
            idle();
            continue;
        };
        *thread.waiting.lock() = None;
        if catch_up(&thread) {
            return run(thread);
        }
    }
}

/// Acts on a handler's answer. The thread's registers are saved.
fn settle(thread: &PoolArc<Thread>, outcome: Outcome) {
    match outcome {
        Outcome::Resume | Outcome::Yield | Outcome::Die => make_ready(thread.clone()),
        Outcome::Block(wait) => wait.begin(thread),
    }
}

/// Finishes what a thread has to do in the kernel. Returns whether it may run user code now.
fn catch_up(thread: &PoolArc<Thread>) -> bool {
    loop {
        // Most threads have nothing to do; what others have is too large to be moved for a look.
        let alive = thread.process.is_alive();
        if alive && thread.operation.lock().is_none() && !graves::any() {
            return true;
        }
        let operation = thread.operation.lock().take();
        let mut operation = match (operation, alive) {
            // Nobody will see the results of a transfer, and it may take for ever; nobody will use a
            // block that is half made.
            (Some(Operation::Transfer(_) | Operation::Block(..)) | None, false) => {
                if thread.process.is_dead() {
                    return false;
                }
                Operation::End(End::new(thread.process.clone()))
            }
            (Some(operation), _) => operation,
            (None, true) => Operation::Clear,
        };
        if !matches!(operation, Operation::End(_)) {
            activate(&thread.process);
            // The operation copies under the thread's own tag checks.
            thread.registers.load();
        }
        let progress = operation.run(thread);
        if !matches!(progress, Progress::Done(_)) {
            *thread.operation.lock() = Some(operation);
        }
        match progress {
            Progress::Done(None) => {}
            Progress::Done(Some(reply)) => {
                let mut context = thread.context.lock();
                context.set_x(0, reply.status);
                context.set_x(1, reply.value);
            }
            Progress::Paused => {
                trap::serve_interrupts();
                make_ready(thread.clone());
                return false;
            }
            Progress::Block(wait) => {
                wait.begin(thread);
                return false;
            }
        }
    }
}

/// Makes a thread the running one.
fn run(thread: PoolArc<Thread>) -> *mut Context {
    activate(&thread.process);
    thread.registers.load();
    if READY.lock().is_empty() {
        timer::disarm();
    } else {
        timer::arm(SLICE);
    }
    let context = thread.context.as_mut_ptr();
    percpu::set_current(thread);
    context
}

/// Waits until somebody is ready.
fn idle() {
    leave_space();
    cpu::wait_for_interrupt();
    trap::serve_interrupts();
}

/// Activates a process's tables on this CPU.
fn activate(process: &PoolArc<Process>) {
    let id = percpu::id();
    let mut active = ACTIVE[id].lock();
    if active.as_ref().is_some_and(|active| ptr::eq(&raw const **active, &raw const **process)) {
        return;
    }
    let bits = features::get().asid_bits;
    let asid = ASIDS.activate(&Hardware, id, process.space.asid_slot(), bits);
    mmu::activate(process.space.root().frame(), asid);
    let before = active.replace(process.clone());
    drop(active);
    // Perhaps the last to hold it: behind the write of the base register, and without the lock.
    drop(before);
}

fn leave_space() {
    let id = percpu::id();
    mmu::activate_none();
    ASIDS.deactivate(id);
    let before = ACTIVE[id].lock().take();
    drop(before);
}
