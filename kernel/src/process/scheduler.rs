//! The switch from one thread to another.
//!
//! Owns: what each CPU has in hand (a handler's answer, the address space that is active) and the time
//! slice. Refuses to know: which thread is next and on which CPU: `vellum_sched` does. A thread runs
//! until it waits, yields, its slice is over or something more urgent comes. There are slices only
//! while another of its priority is ready on the CPU, so that a thread alone is never interrupted and
//! figures hold no tick.

use super::end::End;
use super::operation::{Operation, Progress};
use super::parting::{self, Parting};
use super::thread::Standing;
use super::{Outcome, Process, Thread, Wait, timing};
use crate::arch::context::Context;
use crate::arch::{cpu, mmu, timer};
use crate::ipc::{Endpoint, Notification};
use crate::memory::graves;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::platform::interrupts;
use crate::{percpu, trap};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};
use spin::Mutex;
use vellum_sched::{Cpus, MAX_CPUS, Machine, Task, Turn};
use vellum_vm::asid::AsidAllocator;

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
/// Who has which identifier.
static ASIDS: AsidAllocator<Hardware> = AsidAllocator::new();
/// Bits of an identifier.
static ASID_BITS: AtomicU32 = AtomicU32::new(8);
/// The process whose tables each CPU has active. The CPU holds it, so that no root table is freed
/// while a translation base register still names it.
static ACTIVE: [Mutex<Option<PoolArc<Process>>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

/// The time that a thread gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slice {
    /// A whole slice: its turn has come.
    Fresh,
    /// The rest of that of the thread before, which names it.
    Inherited,
}

/// Sets how many bits identifiers have, before any process runs. Returns whether that is enough for
/// `cpus` CPUs and one more; identifier 0 is nobody's.
pub fn set_asid_bits(bits: u32, cpus: usize) -> bool {
    ASID_BITS.store(bits, Ordering::Relaxed);
    cpus + 2 <= 1 << bits
}

/// Returns how many bits identifiers have.
pub fn asid_bits() -> u32 {
    ASID_BITS.load(Ordering::Relaxed)
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
    let leave = if matches!(outcome, Outcome::Die) { Leave::Abandon } else { Leave::Switch };
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
    if thread.standing() != Standing::Runs {
        return Outcome::Yield;
    }
    match CPUS.run(thread) {
        Turn::Over => Outcome::Preempted,
        Turn::Slice if slice_over => Outcome::Yield,
        Turn::Slice => {
            timer::begin_slice_if_none(SLICE);
            Outcome::Resume
        }
        Turn::Alone => Outcome::Resume,
    }
}

/// Puts the thread that left the kernel where it belongs and returns whose registers to load.
pub fn switch() -> *mut Context {
    CPUS.look();
    let pending = percpu::take_pending();
    let mut next = None;
    if let (Some(thread), Some(outcome)) = (percpu::take_current(), pending) {
        parting::take_in_hand(&thread);
        thread.registers.save();
        next = settle(thread, outcome);
        if next.is_none() {
            parting::let_go();
        }
    }
    loop {
        let (thread, slice) = match next.take() {
            Some(thread) => {
                thread.cpu().store(percpu::id(), Ordering::SeqCst);
                (thread, Slice::Inherited)
            }
            None => match CPUS.next() {
                Some(thread) => (thread, Slice::Fresh),
                None => {
                    idle();
                    continue;
                }
            },
        };
        parting::take_in_hand(&thread);
        timing::go_on(&thread);
        let waited = thread.waiting.lock().take();
        // Who is switched to by name met its partner; others may have waited for the same as many more.
        if let Some(wait) = waited
            && slice == Slice::Fresh
        {
            parting::pass_on(wait);
        }
        let context = catch_up(&thread).then(|| run(thread, slice)).flatten();
        parting::let_go();
        if let Some(context) = context {
            return context;
        }
    }
}

/// Acts on a handler's answer. The thread's registers are saved. Returns who runs next, if the answer
/// says so: it is in no queue.
fn settle(thread: PoolArc<Thread>, outcome: Outcome) -> Option<PoolArc<Thread>> {
    match outcome {
        Outcome::Resume | Outcome::Yield => make_ready(thread),
        Outcome::Die => {
            thread.hurry();
            make_ready(thread);
        }
        Outcome::Preempted => CPUS.put_back(thread),
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

/// Finishes what a thread has to do in the kernel. Returns whether it may run user code now.
fn catch_up(thread: &PoolArc<Thread>) -> bool {
    loop {
        let standing = thread.standing();
        // Most threads have nothing to do; what others have is too large to be moved for a look.
        if standing == Standing::Runs && thread.operation.lock().is_none() && !graves::any() {
            return true;
        }
        let operation = thread.operation.lock().take();
        let mut operation = match (operation, standing) {
            // Nobody will see the results of a transfer, and it may take for ever; nobody will use a
            // block that is half made.
            (
                Some(Operation::Transfer(_) | Operation::Block(..) | Operation::Supply(_)) | None,
                Standing::MustEnd,
            ) => {
                // No CPU that ran one of the threads has the tables active when the last one frees them.
                leave_space();
                match parting::part(thread) {
                    Parting::Gone => return false,
                    Parting::Block(wait) => {
                        wait.begin_anyway(thread);
                        return false;
                    }
                    Parting::Paused => {
                        pause(thread);
                        return false;
                    }
                    Parting::Last => Operation::End(End::new(thread.process.clone())),
                }
            }
            (Some(mut operation), Standing::MustEnd) => {
                operation.cut_short();
                operation
            }
            (Some(operation), _) => operation,
            (None, Standing::Runs) => Operation::Clear,
            (None, Standing::Ended) => return false,
        };
        if matches!(operation, Operation::End(_)) {
            leave_space();
        } else {
            activate(&thread.process);
            // The operation copies under the thread's own tag checks.
            thread.registers.load();
            // It may take long, and the thread is not about to part.
            parting::let_go();
        }
        let progress = operation.run(thread);
        parting::take_in_hand(thread);
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
                pause(thread);
                return false;
            }
            Progress::Block(wait) => {
                wait.begin(thread);
                return false;
            }
        }
    }
}

/// Lets an interrupt pass, and others run.
fn pause(thread: &PoolArc<Thread>) {
    trap::serve_interrupts();
    make_ready(thread.clone());
}

/// Makes a thread the running one, unless something more urgent has just come.
fn run(thread: PoolArc<Thread>, slice: Slice) -> Option<*mut Context> {
    match CPUS.run(&thread) {
        Turn::Over => {
            CPUS.look();
            CPUS.put_back(thread);
            return None;
        }
        // Who is switched to by name goes on with what is left: two that call each other are one.
        Turn::Slice if slice == Slice::Inherited => timer::begin_slice_if_none(SLICE),
        Turn::Slice => timer::begin_slice(SLICE),
        Turn::Alone => timer::end_slice(),
    }
    activate(&thread.process);
    thread.registers.load();
    let context = thread.context.as_mut_ptr();
    percpu::set_current(thread);
    Some(context)
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

/// Activates a process's tables on this CPU.
fn activate(process: &PoolArc<Process>) {
    let id = percpu::id();
    let mut active = ACTIVE[id].lock();
    if active.as_ref().is_some_and(|active| ptr::eq(&raw const **active, &raw const **process)) {
        return;
    }
    let bits = asid_bits();
    let enter = |asid| mmu::activate(process.space.root().frame(), asid);
    ASIDS.activate(&Hardware, id, process.space.asid_slot(), bits, enter);
    let before = active.replace(process.clone());
    drop(active);
    // Perhaps the last to hold it: behind the write of the base register, and without the lock.
    drop(before);
    parting::has_active(Some(process));
}

/// Leaves this CPU without an address space.
fn leave_space() {
    let id = percpu::id();
    let Some(before) = ACTIVE[id].lock().take() else { return };
    mmu::activate_none();
    ASIDS.deactivate(id);
    drop(before);
    parting::has_active(None);
}
