//! System calls.
//!
//! Owns: the decoding of arguments and the rights that each call needs. Refuses to know: how an
//! operation is done. *Decode* may fail and has changed nothing; *perform* cannot fail half way. A
//! call that meets an address space in change is started again from its `svc` when it is at rest.

mod accounts;
pub mod bytes;
mod ipc;
mod memory;
mod objects;
mod observe;
pub mod pagers;
pub mod pieces;
mod processes;
mod tags;
mod test;
mod threads;
mod user;

use crate::arch::context::Context;
use crate::memory::graves;
use crate::memory::pools::PoolArc;
use crate::percpu;
use crate::process::operation::Reply;
use crate::process::scheduler::{Leave, leave};
use crate::process::{Operation, Outcome, Process, Thread, Wait, paging};
use vellum_abi::{Call, Error, FaultAccess};
use vellum_vm::addr::UserPointer;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault;
use vellum_vm::ops::AccessRefusal;

/// What a call answers that does not simply return.
pub enum Answer {
    /// Status 0 and a value.
    Value(u64),
    /// Status 0 and a value, and then this.
    Then(u64, Outcome),
    /// Status and value.
    Reply(Reply),
    /// The results come when the operation is done, or never.
    Outcome(Outcome),
}

/// Why a call does not return an answer.
pub enum Stop {
    /// It is refused.
    Error(Error),
    /// It must be started again when something has happened.
    Restart(Wait),
    /// It must be started again when a process's page is there, whose pager is not asked yet.
    Absent(PoolArc<Process>, UserPointer, FaultAccess),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Error(error.into())
    }
}

impl Stop {
    /// Converts the refusal of an operation on a process's address space.
    fn from_refusal(refusal: Refusal, process: &PoolArc<Process>) -> Stop {
        match refusal {
            Refusal::Error(error) => error.into(),
            Refusal::Changing => Stop::Restart(Wait::AtRest(process.clone())),
            Refusal::Absent(page, access) => {
                Stop::Absent(process.clone(), UserPointer::new(page.address()), access)
            }
        }
    }

    /// Converts the refusal of an access to a process's memory.
    fn from_access(refusal: AccessRefusal, process: &PoolArc<Process>) -> Stop {
        match refusal {
            AccessRefusal::Fault(kind) => VmError::of_access(kind).into(),
            AccessRefusal::Changing => Stop::Restart(Wait::AtRest(process.clone())),
            AccessRefusal::Absent(page, access) => {
                Stop::Absent(process.clone(), UserPointer::new(page.address()), access)
            }
        }
    }

    /// Says what a thread has to wait for before its call is started again, or why it never will be. If
    /// it needs a page, it asks for it: then the wait has to begin at once.
    #[inline]
    fn settle(self, thread: &Thread) -> core::result::Result<Wait, Error> {
        match self {
            Stop::Error(error) => Err(error),
            Stop::Restart(wait) => Ok(wait),
            Stop::Absent(process, pointer, access) => ask(thread, &process, pointer, access),
        }
    }
}

/// Lets a thread ask for a page of a process.
#[cold]
fn ask(
    thread: &Thread,
    process: &PoolArc<Process>,
    pointer: UserPointer,
    access: FaultAccess,
) -> core::result::Result<Wait, Error> {
    match paging::ask(thread, &process.space, pointer, access) {
        Ok(wait) => Ok(wait),
        Err(fault::Outcome::Die(kind)) => Err(VmError::of_access(kind).into()),
        // It is over at once unless a long operation is under way.
        Err(_) => Ok(Wait::AtRest(process.clone())),
    }
}

/// The answer of a call.
type Result = core::result::Result<Answer, Stop>;

/// A call being served: who calls, and the registers that hold the arguments.
struct Request<'a> {
    thread: &'a PoolArc<Thread>,
    arguments: &'a [u64; 6],
}

impl Request<'_> {
    /// Returns the calling process.
    fn process(&self) -> &PoolArc<Process> {
        &self.thread.process
    }
}

/// Serves the call whose number and arguments are in a thread's registers. Says how the vector leaves.
#[inline]
pub fn dispatch(thread: &PoolArc<Thread>, context: &mut Context) -> Leave {
    let number = context.x(8);
    if number == Call::Null as u64 {
        set_result(context, 0, 0);
        return Leave::Resume;
    }
    serve_other(thread, context, number)
}

/// Decodes a call by which a thread meets another, whose registers are saved.
///
/// # Errors
/// What the call answers instead.
pub fn meet(thread: &PoolArc<Thread>) -> core::result::Result<Outcome, Error> {
    ipc::meet(thread)
}

/// Serves a call that has no way of its own; apart, so that those above save no registers for it.
#[inline(never)]
fn serve_other(thread: &PoolArc<Thread>, context: &mut Context, number: u64) -> Leave {
    match serve(thread, context, number) {
        // Most calls: nothing large is moved.
        Ok(Answer::Value(value)) => set_result(context, 0, value),
        rest => {
            let outcome = finish(context, rest);
            if !matches!(outcome, Outcome::Resume) {
                return leave(outcome);
            }
        }
    }
    if graves::any() { clear(thread) } else { Leave::Resume }
}

/// Gives back the pages of a memory object that a call dropped, before user code goes on.
#[cold]
fn clear(thread: &PoolArc<Thread>) -> Leave {
    leave(Operation::Clear.begin(thread).1)
}

/// Writes the results of a call that does not simply return a value.
#[cold]
fn finish(context: &mut Context, result: Result) -> Outcome {
    match result {
        Ok(Answer::Value(value)) => {
            set_result(context, 0, value);
            Outcome::Resume
        }
        Ok(Answer::Then(value, outcome)) => {
            set_result(context, 0, value);
            outcome
        }
        Ok(Answer::Reply(reply)) => {
            set_result(context, reply.status, reply.value);
            Outcome::Resume
        }
        Ok(Answer::Outcome(outcome)) => outcome,
        Err(stop) => match stop.settle(percpu::current()) {
            Err(error) => {
                set_result(context, error as u64, 0);
                Outcome::Resume
            }
            Ok(wait) => {
                context.repeat_call();
                Outcome::Block(wait)
            }
        },
    }
}

/// Sets status and value of a call.
#[inline]
pub fn set_result(context: &mut Context, status: u64, value: u64) {
    context.set_x(0, status);
    context.set_x(1, value);
}

fn serve(thread: &PoolArc<Thread>, context: &Context, number: u64) -> Result {
    let call = Call::from_number(number).ok_or(Error::UnknownCall)?;
    let request = Request { thread, arguments: context.arguments() };
    match call {
        Call::Null => Ok(Answer::Value(0)),
        Call::ConsoleWrite => bytes::console_write(&request),
        Call::Exit => processes::exit(&request),
        Call::Clock => observe::clock(),
        Call::Stat => observe::stat(&request),
        Call::HandleClose => objects::handle_close(&request),
        Call::HandleCopy => objects::handle_copy(&request),
        Call::ObjectQuery => observe::object_query(&request),
        Call::RefpageCreate => objects::refpage_create(&request),
        Call::RefpageCreatePattern => objects::refpage_create_pattern(&request),
        Call::RefpageCreateTag => objects::refpage_create_tag(&request),
        Call::MemoryCreate => objects::memory_create(&request),
        Call::Map => memory::map(&request),
        Call::Unmap => memory::unmap(&request),
        Call::Protect => memory::protect(&request),
        Call::Advise => memory::advise(&request),
        Call::Query => observe::query(&request),
        Call::MemoryRead => bytes::memory_read(&request),
        Call::MemoryWrite => bytes::memory_write(&request),
        Call::MemoryTransfer => pieces::memory_transfer(&request),
        Call::ProcessCreate => processes::process_create(&request),
        Call::ProcessWait => processes::process_wait(&request),
        Call::ProcessKill => processes::process_kill(&request),
        Call::ThreadCreate => threads::thread_create(&request),
        Call::ThreadReadRegisters => threads::thread_read_registers(&request),
        Call::ThreadWriteRegisters => threads::thread_write_registers(&request),
        Call::ThreadStart => threads::thread_start(&request),
        Call::SystemQuery => observe::system_query(&request),
        Call::ProcessClone => processes::process_clone(&request),
        Call::ThreadSetTagMode => tags::thread_set_tag_mode(&request),
        Call::ThreadTagMode => tags::thread_tag_mode(&request),
        Call::TagsRead => tags::tags_read(&request),
        Call::TagsWrite => tags::tags_write(&request),
        Call::RefpageCreateFrameless => objects::refpage_create_frameless(&request),
        Call::QueryPages => observe::query_pages(&request),
        Call::Remap => memory::remap(&request),
        Call::AccountCreate => accounts::account_create(&request),
        Call::AccountQuery => accounts::account_query(&request),
        Call::Test => test::test(&request),
        Call::ThreadExit => threads::thread_exit(&request),
        Call::ThreadKill => threads::thread_kill(&request),
        Call::ThreadInterrupt => threads::thread_interrupt(&request),
        Call::ThreadSetPriority => threads::thread_set_priority(&request),
        Call::AddressWait => threads::address_wait(&request),
        Call::AddressWake => threads::address_wake(&request),
        Call::EndpointCreate => ipc::endpoint_create(&request),
        Call::EndpointBadge => ipc::endpoint_badge(&request),
        // The vector knows them and never comes here.
        Call::Yield | Call::EndpointCall | Call::EndpointReplyReceive => {
            Err(Error::UnknownCall.into())
        }
        Call::EndpointReceive => ipc::endpoint_receive(&request, context),
        Call::EndpointReply => ipc::endpoint_reply(&request, context),
        Call::NotificationCreate => ipc::notification_create(&request),
        Call::NotificationRaise => ipc::notification_raise(&request),
        Call::NotificationWait => ipc::notification_wait(&request),
        Call::PagerCreate => pagers::pager_create(&request),
        Call::PagerSupply => pagers::pager_supply(&request),
        Call::ProcessSetHandler => processes::process_set_handler(&request),
        Call::InterruptBind => ipc::interrupt_bind(&request),
        Call::InterruptAcknowledge => ipc::interrupt_acknowledge(&request),
    }
}

/// Refuses flag words of calls that define no flag yet.
fn no_flags(word: u64) -> core::result::Result<(), Error> {
    if word == 0 { Ok(()) } else { Err(Error::InvalidFlags) }
}

/// Returns the range of an address and a length.
fn range(address: u64, length: u64) -> core::result::Result<vellum_vm::addr::PageRange, Error> {
    Ok(vellum_vm::addr::PageRange::new(address, length).map_err(VmError::from)?)
}
