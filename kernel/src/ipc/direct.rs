//! The direct way of most messages: a call to a server that waits already, and an answer to a caller while
//! nobody else calls.
//!
//! Owns: the order of acts on these two ways, from the handle to the thread that runs next. Refuses to know:
//! everything else that may be. Each way looks at all that it needs first; where anything is otherwise
//! it has changed nothing, and the general way (`endpoint`) begins from the start: handles that go along,
//! timeouts, reports, closed endpoints, more callers or servers than one, locks that somebody has.
//!
//! The lock of the handle table keeps the endpoint alive, so it is not counted; the endpoint's lock, which
//! comes before it in the lock order, is only tried. Who leaves is last touched before others can find it:
//! a caller when its server has it, a server when it is at the endpoint. So this CPU has nothing of it in
//! hand afterwards but the active address space, which also keeps the handle table.

use super::message::Message;
use super::{Named, endpoint};
use crate::arch::context::Context;
use crate::memory::pools::PoolArc;
use crate::percpu;
use crate::process::Thread;
use crate::process::handle::{HandleTable, Object};
use vellum_abi::{Call, FOR_EVER, Handle, Rights};

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

/// Who runs next and is in no queue; or the thread itself that has to take the general way: then nothing
/// has changed.
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
    /// The thread itself, if it has to take the general way: then nothing has changed.
    #[inline(always)]
    pub fn perform(self, thread: PoolArc<Thread>) -> Met {
        if self.message.has_handle() || self.timeout != FOR_EVER {
            Err(thread)
        } else if self.is_call {
            call(thread, self.word, &self.message)
        } else {
            reply_receive(thread, self.word, &self.message)
        }
    }
}

/// Hands a call over to a server that waits, which runs next.
#[inline(always)]
fn call(caller: PoolArc<Thread>, word: u64, message: &Message) -> Met {
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
fn reply_receive(server: PoolArc<Thread>, word: u64, message: &Message) -> Met {
    let Some(process) = percpu::active() else { return Err(server) };
    let handles = process.handles.lock();
    let Some(named) = find(&handles, word, Rights::READ) else { return Err(server) };
    let Some(mut state) = named.endpoint().try_lock() else { return Err(server) };
    if !state.is_quiet() {
        return Err(server);
    }
    let Some(caller) = endpoint::begin_to_receive(&server, named.endpoint()) else {
        return Err(server);
    };
    message.put(&caller, 0);
    state.begin_use(&server);
    state.add_server(server);
    drop(state);
    drop(handles);
    caller.waiting.end();
    Ok(caller)
}

/// Returns the endpoint that a handle of the calling process names.
#[inline]
fn find(handles: &HandleTable, word: u64, rights: Rights) -> Option<&Named> {
    match handles.find(Handle::from_word(word)?, rights) {
        Ok((Object::Endpoint(named), _)) => Some(named),
        _ => None,
    }
}
