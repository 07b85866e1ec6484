//! Exception vectors: the only way into the kernel and out of it.
//!
//! Owns: saving and restoring user state, the choice of a handler by exception class, thread
//! switches, and the detection of faults of the kernel itself. Refuses to know: what a handler
//! does; it answers with a number:
//!
//! | answer | meaning |
//! |---|---|
//! | 0 | resume: the thread goes on, its callee-saved registers were never touched |
//! | 1 | switch: save the rest of the thread, ask `crate::trap::switch` for the next |
//! | 2 | the thread is gone: ask for the next |
//! | 3 | as 1: another way to the next, which `switch` is told of |
//!
//! Three calls ([`EXCHANGES`]) have no handler that answers: their whole purpose is that another thread runs, so
//! all registers are saved at once, and `crate::trap::exchange` goes on with whoever is next.
//!
//! Invariants: at EL0, SP_EL1 is the running thread's [`Context`]; in the kernel it is this CPU's
//! one stack, which starts right below the per-CPU block that TPIDR_EL1 names, and whose first word
//! is the running thread's context. No function of the kernel blocks: to wait is to answer 1.
//!
//! Entry by `svc` is 24 instructions, 25 with tags and 27 for a thread whose tag checks are
//! asynchronous, exit 17. The assembly is in `vectors.s`.

use crate::arch::context::{
    Context, ELR, FPCR, HIGH, LOW, TPIDR, VECTOR_TURNS, VECTOR_TURNS_AFTER_USE, VECTORS, X18, X29,
};
use crate::memory::layout::STACK_SHIFT;
use crate::percpu::{self, Current, PerCpu};
use aarch64_cpu::registers::{CPACR_EL1, VBAR_EL1, Writeable};
use core::arch::global_asm;
use core::mem::offset_of;
use vellum_abi::Call;

/// The calls by which one thread lets another run, with numbers in a row.
const EXCHANGES: [Call; 3] = [Call::Yield, Call::EndpointCall, Call::EndpointReplyReceive];

/// Bytes of the stack on which an overflow of the kernel stack is reported.
const EMERGENCY_STACK_BYTES: usize = 16 * 1024;

/// The kernel's registers when it took an exception itself.
#[repr(C)]
pub struct KernelFrame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer before the exception.
    pub sp: u64,
    /// ELR_EL1.
    pub pc: u64,
    /// SPSR_EL1.
    pub pstate: u64,
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
    /// Which vector it was: 0 synchronous, 1 IRQ, 2 FIQ, 3 SError, above 3 an unused one.
    pub vector: u64,
    /// Keeps the size a multiple of 16.
    reserved: u64,
}

unsafe extern "C" {
    static vectors: u8;
    static vectors_tags: u8;
    static vectors_asynchronous_tags: u8;
    static foreign_vectors: u8;
    static foreign_vectors_tags: u8;
    static foreign_vectors_asynchronous_tags: u8;
    static emergency_stack: u8;
    /// Loads the thread that `crate::trap::switch` names and runs it. The stack is given up.
    fn vectors_enter() -> !;
    /// Runs the thread whose context it is. The stack is given up.
    fn vectors_go_to(context: *mut Context) -> !;
    /// Calls a function on another stack.
    fn vectors_call_on(stack: u64, function: extern "C" fn() -> !) -> !;
}

/// A table of vectors. They differ in what entry from EL0 does about tags. There are two of each: one for
/// programs that call this kernel, and one for foreign processes, whose calls mean something to somebody
/// else; so that no program's call pays for the question whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Nothing: for a CPU without tags, whose PSTATE has no TCO.
    Plain,
    /// Accesses of the kernel are checked.
    Tags,
    /// Likewise, and a thread that left an asynchronous tag check fault goes no further.
    AsynchronousTags,
}

/// Makes the plain vectors those of this CPU.
pub fn install() {
    choose(Table::Plain, false);
    crate::arch::cpu::isb();
}

/// Chooses the vectors of this CPU from the next return to EL0 on, which synchronises context. All
/// tables do the same about exceptions of the kernel.
#[inline]
pub fn choose(table: Table, foreign: bool) {
    let first = match (table, foreign) {
        (Table::Plain, false) => &raw const vectors,
        (Table::Tags, false) => &raw const vectors_tags,
        (Table::AsynchronousTags, false) => &raw const vectors_asynchronous_tags,
        (Table::Plain, true) => &raw const foreign_vectors,
        (Table::Tags, true) => &raw const foreign_vectors_tags,
        (Table::AsynchronousTags, true) => &raw const foreign_vectors_asynchronous_tags,
    };
    VBAR_EL1.set(first.addr() as u64);
}

/// Runs user code for good: the thread that `crate::trap::switch` names, and others after it.
///
/// # Panics
/// Before this CPU has its [`PerCpu`].
pub fn enter() -> ! {
    assert!(percpu::is_installed(), "no kernel stack to come back to");
    // SAFETY: TPIDR_EL1 names the block at the top of the kernel stack. The current stack is given
    // up, and nobody returns to what is on it.
    unsafe { vectors_enter() }
}

/// Leaves the kernel for the current thread, whose registers are all saved. The stack is given up, and what is on it
/// is forgotten.
#[inline(always)]
pub fn go_to(current: Current) -> ! {
    // SAFETY: The context is that of the thread that this CPU holds. Whoever names another than entered the kernel has
    // saved its registers, and nobody returns to what is on the stack.
    unsafe { vectors_go_to(current.context()) }
}

/// Calls a function that never returns, on another stack. The chain of frames ends there.
///
/// # Safety
/// 1. `stack` is the top of mapped memory that nobody else uses, a multiple of 16.
/// 2. Nothing on the current stack is needed any more.
pub unsafe fn call_on(stack: u64, function: extern "C" fn() -> !) -> ! {
    // SAFETY: The caller's duties are the assembly's.
    unsafe { vectors_call_on(stack, function) }
}

/// Returns the borders of the emergency stack.
pub fn emergency_stack_range() -> core::ops::Range<u64> {
    let bottom = (&raw const emergency_stack).addr() as u64;
    bottom..bottom + EMERGENCY_STACK_BYTES as u64
}

global_asm!(
    include_str!("vectors.s"),
    emergency = const EMERGENCY_STACK_BYTES,
    frame = const size_of::<KernelFrame>(),
    frame_x16 = const 16 * 8,
    stack_shift = const STACK_SHIFT,
    low = const LOW,
    x18 = const X18,
    elr = const ELR,
    high = const HIGH,
    x29 = const X29,
    tpidr = const TPIDR,
    vector_turns = const VECTOR_TURNS,
    vector_turns_after_use = const VECTOR_TURNS_AFTER_USE,
    fpcr = const FPCR,
    vectors_closed = const CPACR_EL1::FPEN::TrapEl0.value,
    vectors_open = const CPACR_EL1::FPEN::TrapNothing.value,
    // Set in the one of them and clear in the other.
    vectors_open_bit = const CPACR_EL1::FPEN.shift + 1,
    vectors = const VECTORS,
    context = const offset_of!(PerCpu, context),
    first_exchange = const EXCHANGES[0] as u64,
    exchanges = const EXCHANGES.len(),
    system_call = sym crate::trap::system_call,
    foreign_call = sym crate::trap::foreign_call,
    abort = sym crate::trap::abort,
    exception = sym crate::trap::exception,
    interrupt = sym crate::trap::interrupt,
    asynchronous_tag_fault = sym crate::trap::asynchronous_tag_fault,
    switch = sym crate::trap::switch,
    exchange = sym crate::trap::exchange,
    kernel_fault = sym crate::panic::kernel_fault,
);

const _: () = {
    let first = EXCHANGES[0] as u64;
    assert!(EXCHANGES[1] as u64 == first + 1 && EXCHANGES[2] as u64 == first + 2);
};
// The assembly writes the frame by offset, and finds the stack by the per-CPU block's address.
const _: () = assert!(offset_of!(KernelFrame, sp) == 248 && offset_of!(KernelFrame, vector) == 288);
const _: () = assert!(size_of::<KernelFrame>().is_multiple_of(16));
const _: () = assert!(size_of::<PerCpu>().is_multiple_of(16) && align_of::<Context>() == 16);
