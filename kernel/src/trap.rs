//! Where the vector meets the rest of the kernel.
//!
//! Owns: the ways in and the one way to another thread. Refuses to know: which registers are
//! saved when. Most functions answer how the vector leaves, see [`Leave`].

use crate::arch::context::Context;
use crate::arch::{thread_registers, tlb, vectors};
use crate::ipc::direct::Exchange;
use crate::ipc::{interrupt, report};
use crate::masked;
use crate::memory::frames;
use crate::memory::machine::Hardware;
use crate::percpu::{self, Current};
use crate::platform::interrupts;
use crate::process::scheduler::{self, Leave, leave};
use crate::process::{Operation, Outcome, Process, paging, timing};
use crate::syscall;
use vellum_abi::{ExitKind, ExitReport, FaultAccess, FaultReport, TagMode};
use vellum_vm::BlockFault;
use vellum_vm::addr::UserPointer;
use vellum_vm::counters::Counter;
use vellum_vm::fault;
use vellum_vm::hint::{Checks, Place, Scene};
use vellum_vm::syndrome::{self, Abort, AbortKind};

/// Bytes of every instruction.
const INSTRUCTION: u64 = 4;

/// An instruction of user code that faulted, for the handler to ask about.
struct Faulting<'a> {
    context: &'a Context,
    far: u64,
}

impl Scene for Faulting<'_> {
    fn place(&self) -> Option<Place> {
        Some(Place { pointer: UserPointer::new(self.far), pc: self.context.pc() })
    }

    fn checks(&self) -> Checks {
        if self.context.overrides_tag_checks() {
            return Checks::NONE;
        }
        match percpu::current().tag_mode() {
            TagMode::Synchronous => Checks::SYNCHRONOUS,
            TagMode::Asymmetric => Checks::ASYMMETRIC,
            TagMode::None | TagMode::Asynchronous => Checks::NONE,
        }
    }

    fn register(&self, number: u8) -> Option<u64> {
        self.context.saved(number)
    }
}

/// A supervisor call.
pub extern "C" fn system_call(context: &mut Context) -> Leave {
    masked::enter();
    masked::leave(syscall::dispatch(percpu::current(), context))
}

/// A supervisor call by which a thread lets another run; all its registers are saved.
pub extern "C" fn exchange(context: &mut Context) -> ! {
    masked::enter();
    go_to(match Exchange::of(context) {
        Some(exchange) => scheduler::exchange(exchange),
        None => {
            syscall::set_result(context, 0, 0);
            scheduler::yield_turn()
        }
    })
}

/// A supervisor call of a foreign process: what it means is its handler's to say.
pub extern "C" fn foreign_call(context: &mut Context, esr: u64) -> Leave {
    masked::enter();
    let (number, pc) = (context.x(8), context.pc().wrapping_sub(INSTRUCTION));
    let kind = ExitKind::ForeignCall as u64;
    let reason = ExitReport { kind, status: number, pc, ..ExitReport::default() };
    masked::leave(leave(tell(&reason, number, esr)))
}

/// A data or instruction abort of user code.
pub extern "C" fn abort(context: &mut Context, esr: u64, far: u64) -> Leave {
    masked::enter();
    masked::leave(resolve(context, esr, far))
}

#[inline]
fn resolve(context: &mut Context, esr: u64, far: u64) -> Leave {
    let process = &percpu::current().process;
    let abort = syndrome::abort(esr, far);
    if abort.kind == AbortKind::Mapping {
        let scene = Faulting { context, far };
        let mut outcome = process.space.handle_fault_in(abort.pointer, abort.access, &scene);
        if outcome == fault::Outcome::Long {
            match process.space.begin_block(abort.pointer, abort.access) {
                Ok(fault) => return begin_block(fault),
                Err(less) => outcome = less,
            }
        }
        if outcome == fault::Outcome::Absent {
            match paging::ask(percpu::current(), &process.space, abort.pointer, abort.access) {
                Ok(wait) => return leave(Outcome::Block(wait)),
                Err(less) => outcome = less,
            }
        }
        match outcome {
            fault::Outcome::Resume | fault::Outcome::Long | fault::Outcome::Absent => {
                return Leave::Resume;
            }
            fault::Outcome::Changing => {
                return leave(Outcome::Block(crate::process::Wait::AtRest(process.clone())));
            }
            fault::Outcome::Die(kind) => {
                let esr = syndrome::of_death(esr, kind);
                return leave(denied(context, esr, &abort, kind));
            }
        }
    }
    leave(unmapped_cause(process, context, esr, &abort))
}

/// Makes a block as far as that goes at once; a block half made stays with the thread.
#[cold]
fn begin_block(fault: BlockFault<Hardware>) -> Leave {
    let thread = percpu::current();
    leave(Operation::Block(thread.process.clone(), fault).begin(thread).1)
}

/// Any other exception of user code.
pub extern "C" fn exception(context: &mut Context, esr: u64, far: u64) -> Leave {
    masked::enter();
    let access = syndrome::access_at_far(esr);
    let report = ExitReport {
        kind: syndrome::death(esr) as u64,
        status: esr,
        address: access.map_or(0, |_| UserPointer::new(far).untagged()),
        access: access.map_or(0, |access| access as u64),
        pc: context.pc(),
        ..ExitReport::default()
    };
    let address = access.map_or(0, |_| far);
    leave(tell(&report, address, esr))
}

/// Any entry of a thread that left an asynchronous tag check fault: its process ends here, before
/// what the entry was for is looked at. If its handler lets it go on, it makes a call again that the entry
/// was for. `esr` is 0 after an interrupt.
pub extern "C" fn asynchronous_tag_fault(context: &mut Context, esr: u64) -> Leave {
    masked::enter();
    thread_registers::clear_asynchronous_fault();
    let process = &percpu::current().process;
    process.space.counters().add(Counter::Tag, 1);
    let kind = ExitKind::TagCheckAsync as u64;
    let report = ExitReport { kind, pc: context.pc(), ..ExitReport::default() };
    if syndrome::is_call(esr) {
        context.set_pc(context.pc().wrapping_sub(INSTRUCTION));
    }
    leave(tell(&report, 0, 0))
}

/// An interrupt while user code ran.
pub extern "C" fn interrupt(_context: &mut Context) -> Leave {
    masked::enter();
    let slice_over = serve_interrupts();
    masked::leave(leave(scheduler::interrupted(slice_over)))
}

/// Goes on with another thread, when one has left the kernel.
pub extern "C" fn switch(leave: Leave) -> ! {
    go_to(scheduler::switch(leave))
}

/// Goes on with the thread that the scheduler made the current one.
#[inline(always)]
pub fn go_to(current: Current) -> ! {
    masked::end();
    vectors::go_to(current)
}

/// Acknowledges everything that waits, and ends waits whose time is over. Returns whether the time slice is
/// over.
pub fn serve_interrupts() -> bool {
    let slice_over = interrupts::serve(interrupt::arrived) && timing::serve();
    if frames::are_scarce() {
        frames::give_up_cache();
    }
    masked::point();
    slice_over
}

/// Deals with an abort that is no matter of mappings.
#[cold]
fn unmapped_cause(process: &Process, context: &Context, esr: u64, abort: &Abort) -> Outcome {
    let kind = match abort.kind {
        AbortKind::TlbConflict => {
            // The architecture leaves only the invalidation of the address space: do it, go on.
            tlb::all();
            tlb::dsb_ish();
            return Outcome::Resume;
        }
        AbortKind::TagCheck => {
            process.space.counters().add(Counter::Tag, 1);
            ExitKind::TagCheck
        }
        AbortKind::Alignment => ExitKind::Alignment,
        AbortKind::Mapping | AbortKind::External => ExitKind::ExternalAbort,
    };
    denied(context, esr, abort, kind)
}

/// Deals with an abort that nothing resolves.
#[cold]
fn denied(context: &Context, esr: u64, abort: &Abort, kind: ExitKind) -> Outcome {
    let reason = reason(&percpu::current().process, context, esr, abort, kind);
    tell(&reason, abort.pointer.tagged(), esr)
}

/// Tells the handler of the running thread's process what it would end with, if it has one.
#[cold]
fn tell(reason: &ExitReport, address: u64, syndrome: u64) -> Outcome {
    let fault = FaultReport {
        kind: ExitKind::from_number(reason.kind).unwrap_or(ExitKind::Unhandled),
        access: FaultAccess::from_number(reason.access).unwrap_or(FaultAccess::Read),
        logical_tag: reason.logical_tag as u8,
        allocation_tag: reason.allocation_tag as u8,
        address,
        pc: reason.pc,
        syndrome,
    };
    report::fault(percpu::current(), fault, *reason)
}

#[cold]
fn reason(
    process: &Process,
    context: &Context,
    esr: u64,
    abort: &Abort,
    kind: ExitKind,
) -> ExitReport {
    let mut report = ExitReport {
        kind: kind as u64,
        status: esr,
        address: abort.pointer.untagged(),
        access: abort.access as u64,
        pc: context.pc(),
        ..ExitReport::default()
    };
    if kind == ExitKind::TagCheck {
        report.logical_tag = u64::from(abort.pointer.tag().value());
        report.allocation_tag =
            process.space.tag_at(abort.pointer).map_or(0, |tag| u64::from(tag.value()));
    }
    report
}
