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
use crate::process::handle::{HandleTable, Object};
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

/// Who runs next and is in no queue; or the thread itself that has to take the general way: from the start,
/// as nothing has changed, or as a new pending outcome says.
pub type Met = Result<PoolArc<Thread>, PoolArc<Thread>>;

impl Exchange {
    /// Reads the registers of a thread that does `endpoint_call` or `endpoint_reply_receive`.
    #[inline(always)]
    pub fn of(registers: &Context) -> Exchange {
        Exchange {
            is_call: registers.x(8) == Call::EndpointCall as u64,
            word: registers.x(0),
            message: Message::of(registers),
            timeout: registers.x(TIMEOUT),
        }
    }

    /// Serves the thread, whose registers are saved. Returns who runs next, which is in no queue.
    ///
    /// # Errors
    /// The thread itself, if it has to take the general way.
    #[inline(always)]
    pub fn perform(self, thread: PoolArc<Thread>) -> Met {
        if self.message.has_handle() || self.timeout != FOR_EVER {
            Err(thread)
        } else if self.is_call {
            call(thread, self.word, self.message)
        } else {
            reply_receive(thread, self.word, self.message)
        }
    }
}

/// Hands a call over to a server that waits, which runs next.
#[inline(always)]
fn call(caller: PoolArc<Thread>, word: u64, message: Message) -> Met {
    let Some((server, badge)) = waiting_server(word) else { return Err(caller) };
    message.put(&server, badge);
    endpoint::serve(&server, caller);
    Ok(server)
}

/// Takes the server that waits at an endpoint; returns the badge of the handle too.
#[inline(always)]
fn waiting_server(word: u64) -> Option<(PoolArc<Thread>, u64)> {
    let handles = percpu::active()?.handles.lock();
    let named = find(&handles, word, Rights::WRITE)?;
    let server = named.endpoint().try_lock()?.take_waiting()?;
    Some((server, named.badge))
}

/// Answers the caller that a server has, which runs next, and lets the server wait.
#[inline(always)]
fn reply_receive(server: PoolArc<Thread>, word: u64, message: Message) -> Met {
    let taken = server.serving.lock().take();
    let Some(caller) = taken else { return Err(server) };
    if caller.is_reporting() {
        return answer_report(server, caller, word, message);
    }
    // Its note names the server, which others may find and end as soon as it waits.
    caller.waiting.end();
    if let Err(server) = receive(server, word) {
        return give_back(server, caller);
    }
    message.put(&caller, 0);
    Ok(caller)
}

/// Gives a server the caller back that it could not answer here.
#[cold]
#[inline(never)]
fn give_back(server: PoolArc<Thread>, caller: PoolArc<Thread>) -> Met {
    endpoint::serve(&server, caller);
    Err(server)
}

/// As [`reply_receive`], where the kernel made the call.
#[cold]
#[inline(never)]
fn answer_report(
    server: PoolArc<Thread>,
    caller: PoolArc<Thread>,
    word: u64,
    message: Message,
) -> Met {
    if !may_receive(word) || report::act(&caller, &message).is_err() {
        return give_back(server, caller);
    }
    // As for any other caller.
    caller.waiting.end();
    if let Err(server) = receive(server, word) {
        return receive_generally(server, word, caller);
    }
    Ok(caller)
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
    if !state.is_quiet() || !endpoint::may_receive(&server, named.endpoint()) {
        return Err(server);
    }
    state.begin_use(&server);
    state.add_server(server);
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
fn receive_generally(server: PoolArc<Thread>, word: u64, answered: PoolArc<Thread>) -> Met {
    let process = server.process.clone();
    let handles = process.handles.lock();
    let Some(named) = find(&handles, word, Rights::READ) else {
        // Another thread has closed it since the answer.
        drop(handles);
        message::answer(&server, Error::PartnerGone);
        scheduler::make_ready(server);
        return Ok(answered);
    };
    percpu::set_pending(Outcome::Receive(named.endpoint().clone(), Some(answered)));
    drop(handles);
    Err(server)
}

/// Hands over to a server that waits what a thread left the kernel to report. The server runs next.
///
/// # Errors
/// As for [`Exchange::perform`].
#[inline]
pub fn report(caller: PoolArc<Thread>) -> Met {
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
    match handles.find(Handle::from_word(word)?, rights) {
        Ok((Object::Endpoint(named), _)) => Some(named),
        _ => None,
    }
}
