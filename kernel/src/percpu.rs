//! What each CPU has for itself.
//!
//! Owns: the per-CPU block and how to reach one's own. Refuses to know: what its parts mean. The
//! block lies at the top of the CPU's kernel stack and TPIDR_EL1 holds its address, so that a
//! vector finds stack and block by one register.
//!
//! Nothing in the kernel is interrupted or moved to another CPU, so a block is used by one CPU at
//! a time without locks. Others only read what is atomic: a counter, and what it has in hand.

use crate::arch::context::Context;
use crate::arch::thread_registers::FurtherRegisters;
use crate::arch::timer::Uses;
use crate::memory::frame_cache::FrameCache;
use crate::memory::layout::{MAX_CPUS, STACK_SIZE, stack_bottom};
use crate::memory::pools::PoolArc;
use crate::process::scheduler::{CPUS, Scheduling};
use crate::process::{InHand, Outcome, Process, Thread};
use aarch64_cpu::registers::{TPIDR_EL1, Writeable};
use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};
use vellum_sched::Cpu;

/// One CPU's block.
#[repr(C, align(64))]
pub struct PerCpu {
    /// The context of the thread that this CPU runs. The vectors write it when they switch.
    pub context: Cell<*mut Context>,
    /// The thread that this CPU runs.
    current: UnsafeCell<Option<PoolArc<Thread>>>,
    /// What that thread left the kernel's handlers with.
    pending: UnsafeCell<Option<Outcome>>,
    /// The process whose tables this CPU has active.
    active: UnsafeCell<Option<PoolArc<Process>>>,
    /// What tag checks and vectors on this CPU are: a word of `thread_registers`, or none.
    pub entry_choice: Cell<u64>,
    /// Which CPU it is.
    id: usize,
    /// Its queue of threads that could run.
    pub queue: &'static Cpu<Scheduling, Thread>,
    /// Which registers its threads have besides those that the vectors save.
    pub further_registers: Cell<FurtherRegisters>,
    /// What it has in hand.
    pub in_hand: InHand,
    /// What its timer is armed for.
    pub timer: Uses,
    /// Free frames at hand.
    pub frames: FrameCache,
}

/// Every CPU's block, once the CPU has one.
static BLOCKS: [AtomicPtr<PerCpu>; MAX_CPUS] = [const { AtomicPtr::new(null_mut()) }; MAX_CPUS];

/// Makes the block of a CPU at the top of its mapped stack and makes it this CPU's own. Returns
/// where the stack starts.
///
/// # Safety
/// 1. The stack of `id` is mapped and nobody uses it.
/// 2. It happens once for each CPU, on that CPU.
pub unsafe fn install(id: usize) -> u64 {
    let address = stack_bottom(id) + STACK_SIZE - size_of::<PerCpu>() as u64;
    let block: *mut PerCpu = core::ptr::with_exposed_provenance_mut(address as usize);
    let value = PerCpu {
        context: Cell::new(null_mut()),
        current: UnsafeCell::new(None),
        pending: UnsafeCell::new(None),
        active: UnsafeCell::new(None),
        entry_choice: Cell::new(u64::MAX),
        id,
        queue: CPUS.cpu(id),
        further_registers: Cell::new(FurtherRegisters::NONE),
        in_hand: InHand::nothing(),
        timer: Uses::new(),
        frames: FrameCache::new(),
    };
    // SAFETY: By 1 the memory is mapped and unused; the address is a multiple of the alignment.
    unsafe { block.write(value) };
    BLOCKS[id].store(block, Ordering::Release);
    TPIDR_EL1.set(address);
    address
}

/// Returns this CPU's block.
#[inline]
pub fn this() -> &'static PerCpu {
    let block: *const PerCpu;
    // SAFETY: Reads a register that never changes after `install`.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) block, options(nomem, nostack, pure)) };
    // SAFETY: `install` wrote the block and it lives for good. Boot installs it before anything
    // that asks for it.
    unsafe { &*block }
}

/// Returns the number of this CPU.
#[inline]
pub fn id() -> usize {
    this().id
}

/// Returns the thread that this CPU runs.
///
/// The reference is good until [`take_current`], which only the switch to another thread calls,
/// after every handler has returned to the vector.
///
/// # Panics
/// If the CPU runs no thread.
#[inline]
pub fn current() -> &'static PoolArc<Thread> {
    // SAFETY: Only this CPU uses the cell, and nothing writes to it while a handler runs.
    let current = unsafe { &*this().current.get() };
    current.as_ref().expect("a handler runs for a thread")
}

/// Takes the thread that this CPU ran. Only for the switch to another thread.
pub fn take_current() -> Option<PoolArc<Thread>> {
    // SAFETY: Only this CPU uses the cell, and no handler runs during a switch.
    unsafe { &mut *this().current.get() }.take()
}

/// Keeps what a handler answered until the registers are saved.
pub fn set_pending(outcome: Outcome) {
    // SAFETY: As in `take_current`: only this CPU uses the cell, on its way out of a handler.
    unsafe { *this().pending.get() = Some(outcome) };
}

/// Returns what a handler answered. Only for the switch to another thread: nobody keeps the reference when
/// it is taken.
pub fn pending() -> Option<&'static Outcome> {
    // SAFETY: As in `take_current`, and nothing writes to the cell while the caller looks.
    unsafe { &*this().pending.get() }.as_ref()
}

/// Takes what a handler answered. Only for the switch to another thread.
pub fn take_pending() -> Option<Outcome> {
    // SAFETY: As in `take_current`.
    unsafe { &mut *this().pending.get() }.take()
}

/// The registers of the thread that this CPU was told last to run: what there is to leave the kernel with.
pub struct Current(*mut Context);

impl Current {
    /// Returns the registers.
    pub fn context(self) -> *mut Context {
        self.0
    }
}

/// Names the thread that this CPU runs. Only for the switch to another thread.
pub fn set_current(thread: PoolArc<Thread>) -> Current {
    let current = Current(thread.context.as_mut_ptr());
    // SAFETY: As in `take_current`.
    let before = unsafe { &mut *this().current.get() }.replace(thread);
    debug_assert!(before.is_none(), "taken before another is named");
    // Nothing is there to be dropped, which the compiler does not see.
    core::mem::forget(before);
    current
}

/// Returns the process whose tables this CPU has active. Only for a switch: nobody keeps the reference
/// until another is active.
pub fn active() -> Option<&'static PoolArc<Process>> {
    // SAFETY: Only this CPU uses the cell, and nothing writes to it while the caller looks.
    unsafe { &*this().active.get() }.as_ref()
}

/// Names the process whose tables this CPU has active. Returns the one before, which this CPU kept. Only
/// for a switch.
pub fn set_active(process: Option<PoolArc<Process>>) -> Option<PoolArc<Process>> {
    // SAFETY: As in `take_current`.
    core::mem::replace(unsafe { &mut *this().active.get() }, process)
}

/// Returns how many free frames all CPUs have at hand. Exact while no other CPU allocates.
pub fn frames_at_hand() -> usize {
    blocks().map(|block| block.frames.len()).sum()
}

/// Returns what each CPU has in hand.
pub fn in_hand() -> impl Iterator<Item = &'static InHand> {
    blocks().map(|block| &block.in_hand)
}

/// Returns the blocks of all CPUs, of which only what is atomic may be used.
fn blocks() -> impl Iterator<Item = &'static PerCpu> {
    BLOCKS.iter().filter_map(|block| {
        // SAFETY: A block that is in the table was written before and lives for good; the callers, which are
        // above, only read what is atomic.
        unsafe { block.load(Ordering::Acquire).as_ref() }
    })
}

/// Returns whether this CPU's block exists: for the path of a panic.
pub fn is_installed() -> bool {
    BLOCKS.iter().any(|block| !block.load(Ordering::Relaxed).is_null())
}

const _: () = assert!((STACK_SIZE as usize - size_of::<PerCpu>()).is_multiple_of(64));
