//! The direct way of most messages: a call, or what the kernel reports of a thread, to a server that waits
//! already, and an answer to a caller while nobody else calls.
//!
//! Owns: the order of acts on these ways, from the handle to the thread that runs next. Refuses to know:
//! everything else that may be. Each way looks at all that it needs first; where anything is otherwise
//! it has changed nothing, and the general way (`endpoint`) begins from the start: handles that go along,
//! timeouts, closed endpoints, more callers or servers than one, locks that somebody has. Only the answer to
//! a report comes before the look at where the server would wait: its action may take locks that do not go with
//! that.
//!
//! The lock of the handle table keeps the endpoint alive, so it is not counted; the endpoint's lock, which
//! comes before it in the lock order, is only tried. Who leaves is last touched before others can find it:
//! a caller when its server has it, a server when it is at the endpoint. So this CPU has nothing of it in
//! hand afterwards but the active address space, which also keeps the handle table.

use super::message::{self, Message};
use super::{Named, endpoint, handling, report};
use crate::arch::context::Context;
use crate::memory::pools::PoolArc;
use crate::percpu;
use crate::process::handle::HandleTable;
use crate::process::{Outcome, Thread, Wait, scheduler};
use vellum_abi::{Call, Error, FOR_EVER, Handle, Rights};

/// The register of a message that holds the timeout.
const TIMEOUT: usize = 6;

/// What a thread asks for that meets another, as its registers say it.
pub struct Exchange {
    is_call: bool,
    /// The handle.
    word: u64,
    message: Message,
    timeout: u64,
}

impl Exchange {
    /// Reads the registers of a thread that does `endpoint_call` or `endpoint_reply_receive`; `None` if it
    /// yields.
    #[inline(always)]
    pub fn of(registers: &Context) -> Option<Exchange> {
        let number = registers.x(8);
        if number == Call::Yield as u64 {
            return None;
        }
        let is_call = number == Call::EndpointCall as u64;
        let (word, timeout) = (registers.x(0), registers.x(TIMEOUT));
        Some(Exchange { is_call, word, message: Message::of(registers), timeout })
    }

    /// Serves the thread, whose registers are saved. Returns who runs next, which is in no queue, unless the
    /// thread has to take the general way: from there nobody returns.
    #[inline(always)]
    pub fn perform(self, thread: PoolArc<Thread>) -> PoolArc<Thread> {
        if self.message.has_handle() || self.timeout != FOR_EVER {
            scheduler::exchange_generally(thread)
        } else if self.is_call {
            call(thread, self.word, self.message)
        } else {
            reply_receive(thread, self.word, self.message)
        }
    }
}

/// Hands a call over to a server that waits, which runs next.
#[inline(always)]
fn call(caller: PoolArc<Thread>, word: u64, message: Message) -> PoolArc<Thread> {
    let Some((server, badge)) = waiting_server(&caller, word) else {
        scheduler::exchange_generally(caller)
    };
    message.put(&server, badge);
    endpoint::serve(&server, caller);
    server
}

/// Takes the server that waits at an endpoint; returns the badge of the handle too.
#[inline(always)]
fn waiting_server(caller: &Thread, word: u64) -> Option<(PoolArc<Thread>, u64)> {
    let handles = caller.process.handles.lock();
    let named = find(&handles, word, Rights::WRITE)?;
    let server = named.endpoint().try_lock()?.take_waiting()?;
    Some((server, named.badge))
}

/// Answers the caller that a server has, which runs next, and lets the server wait.
#[inline(always)]
fn reply_receive(server: PoolArc<Thread>, word: u64, message: Message) -> PoolArc<Thread> {
    let taken = server.serving.lock().take();
    let Some(caller) = taken else { scheduler::exchange_generally(server) };
    if caller.is_reporting() {
        return answer_report(server, caller, word, message);
    }
    // Its note names the server, which others may find and end as soon as it waits.
    caller.waiting.end();
    if let Err(server) = receive(server, word) {
        give_back(server, caller);
    }
    message.put(&caller, 0);
    caller
}

/// Gives a server the caller back that it could not answer here.
#[cold]
#[inline(never)]
fn give_back(server: PoolArc<Thread>, caller: PoolArc<Thread>) -> ! {
    endpoint::serve(&server, caller);
    scheduler::exchange_generally(server)
}

/// As [`reply_receive`], where the kernel made the call.
#[cold]
#[inline(never)]
fn answer_report(
    server: PoolArc<Thread>,
    caller: PoolArc<Thread>,
    word: u64,
    message: Message,
) -> PoolArc<Thread> {
    if !may_receive(word) || report::act(&caller, &message).is_err() {
        give_back(server, caller);
    }
    // As for any other caller.
    caller.waiting.end();
    if let Err(server) = receive(server, word) {
        return receive_generally(server, word, caller);
    }
    caller
}

/// Lets a server wait at an endpoint where nobody else does.
///
/// # Errors
/// The server, if it cannot: then nothing has changed.
#[inline(always)]
fn receive(server: PoolArc<Thread>, word: u64) -> Result<(), PoolArc<Thread>> {
    let Some(process) = percpu::active() else { return Err(server) };
    let handles = process.handles.lock();
    let Some(named) = find(&handles, word, Rights::READ) else { return Err(server) };
    let Some(mut state) = named.endpoint().try_lock() else { return Err(server) };
    if !state.is_quiet() {
        return Err(server);
    }
    state.begin_use(named.endpoint(), &server);
    if !endpoint::may_wait(&server) {
        return Err(server);
    }
    state.add_only_server(server);
    Ok(())
}

/// Returns whether the calling process may receive by a handle.
#[inline(never)]
fn may_receive(word: u64) -> bool {
    let Some(process) = percpu::active() else { return false };
    find(&process.handles.lock(), word, Rights::READ).is_some()
}

/// Lets a server receive the general way that has given its answer.
#[cold]
fn receive_generally(
    server: PoolArc<Thread>,
    word: u64,
    answered: PoolArc<Thread>,
) -> PoolArc<Thread> {
    let process = server.process.clone();
    let handles = process.handles.lock();
    let Some(named) = find(&handles, word, Rights::READ) else {
        // Another thread has closed it since the answer.
        drop(handles);
        message::answer(&server, Error::PartnerGone);
        scheduler::make_ready(server);
        return answered;
    };
    percpu::set_pending(Outcome::Receive(named.endpoint().clone(), Some(answered)));
    drop(handles);
    drop(process);
    scheduler::exchange_generally(server)
}

/// Hands over to a server that waits what a thread left the kernel to report. The server runs next.
///
/// # Errors
/// The thread itself, if it has to take the general way: nothing has changed.
#[inline]
pub fn report(caller: PoolArc<Thread>) -> Result<PoolArc<Thread>, PoolArc<Thread>> {
    let Some(server) = waiting_handler(&caller) else { return Err(caller) };
    endpoint::serve(&server, caller);
    Ok(server)
}

#[inline]
fn waiting_handler(caller: &Thread) -> Option<PoolArc<Thread>> {
    let Outcome::Block(Wait::Answer(endpoint, badge)) = percpu::pending()? else { return None };
    let mut state = endpoint.try_lock()?;
    let server = state.take_waiting()?;
    handling::attach(&server, endpoint);
    drop(state);
    report::deliver(caller, &server, *badge);
    if let Some(Outcome::Block(Wait::Answer(endpoint, _))) = percpu::take_pending() {
        // Said so that nothing else is asked about.
        drop(endpoint);
    }
    Some(server)
}

/// Returns the endpoint that a handle of the calling process names.
#[inline(always)]
fn find(handles: &HandleTable, word: u64, rights: Rights) -> Option<&Named> {
    handles.find_endpoint(Handle::from_word(word)?, rights)
}
