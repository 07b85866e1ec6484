//! Endpoints: where callers and servers meet.
//!
//! Owns: who waits at an endpoint on either side, whom each server has to answer, and when an endpoint
//! is closed for good. Refuses to know: the bytes of a message (`message`), and whether the caller made it
//! or the kernel for it (`report`).
//!
//! A caller is in one of three places: in the queue of an endpoint, with the server that has its call
//! ([`Thread::serving`]), or nowhere because it goes on. It is moved from one to the next under the lock
//! of the first, and whoever takes it out of a place is the one who makes it ready. A thread that has to
//! end, or whose wait is to end early, is taken out of wherever it is; so each move looks, when it is done,
//! whether that is so by now, as the thread may have been looked for in the place before.

use super::handling::{self, Handlers};
use super::message::{self, Message};
use super::{Named, report};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::process::{Operation, Thread, Wait, let_go, scheduler, take_in_hand, timing};
use crate::trap;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::mutex::{Mutex, MutexGuard};
use vellum_abi::{Error, MAX_WAKE};
use vellum_sched::{List, Queued, Sleeper};
use vellum_vm::account::Account;
use vellum_vm::error::VmError;
use vellum_vm::machine::{Machine, Pools};

/// Where callers and servers meet.
pub struct Endpoint {
    state: Mutex<State>,
    /// Handles that allow to receive.
    pub(super) receivers: AtomicU64,
    /// Who handles what is reported here.
    pub(super) handlers: Handlers,
    payer: PoolArc<Account>,
}

/// Who waits at an endpoint.
pub(super) struct State {
    /// No call will ever be received any more.
    closed: bool,
    /// Threads whose calls nobody has received, in order of arrival.
    callers: List<Thread, Queued>,
    /// The thread that is ready to receive and came last: in no list, as there is mostly only one.
    server: Option<PoolArc<Thread>>,
    /// Others that are.
    servers: List<Thread, Queued>,
    /// Somebody received, or waited to.
    used: bool,
    /// What orders it among the endpoints of pagers; 0 if it is none.
    rank: u64,
}

/// The highest rank of an endpoint.
static RANKS: AtomicU64 = AtomicU64::new(0);

impl State {
    /// Takes a thread that is ready to receive.
    fn take_server(&mut self) -> Option<PoolArc<Thread>> {
        self.server.take().or_else(|| self.servers.pop_front())
    }

    /// Takes the thread that is ready to receive and came last, if calls are received at all.
    #[inline]
    pub(super) fn take_waiting(&mut self) -> Option<PoolArc<Thread>> {
        if self.closed { None } else { self.server.take() }
    }

    /// Returns whether a thread that is ready to receive would wait here, and would be the only one.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        !self.closed && self.server.is_none() && self.callers.is_empty()
    }

    /// Declares that a thread receives here. `this` is the endpoint.
    #[inline(always)]
    pub(super) fn begin_use(&mut self, this: &PoolArc<Endpoint>, server: &Thread) {
        // Its rank stays as long as its note.
        if server.waiting.begin_to_receive(this) {
            self.used = true;
            server.set_rank(self.rank);
        }
    }

    /// Adds a thread that is ready to receive where it [is quiet](Self::is_quiet).
    #[inline(always)]
    pub(super) fn add_only_server(&mut self, server: PoolArc<Thread>) {
        // Nothing is there to be dropped.
        core::mem::forget(self.server.replace(server));
    }

    /// Adds a thread that is ready to receive.
    pub(super) fn add_server(&mut self, server: PoolArc<Thread>) {
        if let Some(before) = self.server.replace(server) {
            self.servers.push_back(before);
        }
    }

    /// Takes a thread out, wherever it is, if it is here and `is_meant_fn` says so.
    fn remove_if(&mut self, thread: &Thread, is_meant_fn: impl FnOnce() -> bool) -> bool {
        if self.server.as_ref().is_some_and(|server| is_same(server, thread)) {
            return self.server.take_if(|_| is_meant_fn()).is_some();
        }
        let list = if self.callers.holds(thread) { &mut self.callers } else { &mut self.servers };
        list.remove_if(thread, is_meant_fn)
    }
}

impl Endpoint {
    /// Makes an endpoint; `payer` is charged. Returns what its first handle names.
    ///
    /// # Errors
    /// `OutOfKernelMemory`, `LimitReached`.
    pub fn create(payer: &PoolArc<Account>) -> Result<Named, VmError> {
        payer.charge_kernel(size_of::<Endpoint>())?;
        let (callers, servers) = (List::new(), List::new());
        let state = State { closed: false, callers, server: None, servers, used: false, rank: 0 };
        let (state, receivers, handlers) = (Mutex::new(state), AtomicU64::new(1), Handlers::none());
        // What is not shared is dropped, and credits the payer.
        let endpoint =
            Hardware.share(Endpoint { state, receivers, handlers, payer: payer.clone() })?;
        Ok(Named::first(endpoint))
    }

    /// Takes the lock, unless somebody has it.
    #[inline]
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        self.state.try_lock()
    }

    /// Lets a thread, whose registers are saved, call. Returns who runs next, if that is known: the
    /// server, or the thread itself where the call failed.
    pub fn call(
        this: &PoolArc<Endpoint>,
        caller: PoolArc<Thread>,
        badge: u64,
    ) -> Option<PoolArc<Thread>> {
        let mut state = this.state.lock();
        if state.closed {
            drop(state);
            report::refuse(&caller, Error::PartnerGone);
            return Some(caller);
        }
        let Some(server) = state.take_server() else {
            if !report::may_wait(&caller, &this.handlers) {
                drop(state);
                report::refuse(&caller, Error::PartnerGone);
                return Some(caller);
            }
            caller.waiting.begin(Wait::Calls(this.clone()));
            if caller.is_interrupted() {
                return Some(caller);
            }
            *caller.badge.lock() = badge;
            state.callers.push_back(caller);
            return None;
        };
        if caller.is_reporting() {
            handling::attach(&server, this);
        }
        // Without the lock: a handle that is handed over may be the last to receive by here.
        drop(state);
        match report::hand_over(&caller, &server, badge) {
            Ok(()) => {
                serve(&server, caller);
                Some(server)
            }
            Err(error) => {
                report::refuse(&caller, error);
                // As if the server came just now: others may have called meanwhile.
                if let Some(server) = Endpoint::receive(this, server) {
                    scheduler::make_ready(server);
                }
                Some(caller)
            }
        }
    }

    /// Makes the endpoint a pager's, if it is not. Returns its rank, see `process::paging`.
    ///
    /// # Errors
    /// `InvalidState` if somebody received here already: whose rank that is nobody could tell.
    pub fn begin_paging(&self) -> Result<u64, Error> {
        let mut state = self.state.lock();
        if state.rank == 0 {
            if state.used {
                return Err(Error::InvalidState);
            }
            state.rank = RANKS.fetch_add(1, Ordering::Relaxed) + 1;
        }
        Ok(state.rank)
    }

    /// Lets a thread, whose registers are saved, receive. Returns the thread if it need not wait.
    pub fn receive(this: &PoolArc<Endpoint>, server: PoolArc<Thread>) -> Option<PoolArc<Thread>> {
        // Who was not answered by now never is.
        abandon(&server);
        loop {
            let mut state = this.state.lock();
            state.begin_use(this, &server);
            let Some(caller) = state.callers.pop_front() else {
                if state.closed {
                    report::refuse(&server, Error::PartnerGone);
                    return Some(server);
                }
                if server.is_interrupted() || timing::stops(&server) {
                    return Some(server);
                }
                state.add_server(server);
                return None;
            };
            if caller.is_reporting() {
                handling::attach(&server, this);
            }
            drop(state);
            let badge = *caller.badge.lock();
            match report::hand_over(&caller, &server, badge) {
                Ok(()) => {
                    serve(&server, caller);
                    return Some(server);
                }
                Err(error) => {
                    report::refuse(&caller, error);
                    scheduler::make_ready(caller);
                    // As many may call in vain as there are threads, and again while this goes on.
                    if Hardware.should_pause() {
                        put_off(this, server);
                        return None;
                    }
                }
            }
        }
    }

    /// Lets a thread whose receiving was put off go on with it. Returns whether it need not wait.
    pub fn receive_again(
        this: &PoolArc<Endpoint>,
        server: &PoolArc<Thread>,
        until: Option<u64>,
    ) -> bool {
        if timing::is_over(until) {
            // Calls in vain may never end.
            message::answer(server, Error::TimedOut);
            return true;
        }
        timing::begin_until(server, until);
        let goes_on = Endpoint::receive(this, server.clone()).is_some();
        if goes_on {
            server.waiting.end();
            timing::go_on(server);
        }
        goes_on
    }

    /// Tells those who wait at a closed endpoint that nobody will come, as many as may be told at once.
    pub fn pass_on(&self) {
        for _ in 0..MAX_WAKE {
            let mut state = self.state.lock();
            if !state.closed {
                return;
            }
            let waiting = state.callers.pop_front().or_else(|| state.take_server());
            drop(state);
            let Some(thread) = waiting else { return };
            report::refuse(&thread, Error::PartnerGone);
            scheduler::make_ready(thread);
        }
    }

    /// Takes a thread out if it calls or receives here and `is_meant_fn`, which is asked under the lock, says
    /// so.
    pub fn take_out(&self, thread: &Thread, is_meant_fn: impl FnOnce() -> bool) -> bool {
        self.state.lock().remove_if(thread, is_meant_fn)
    }

    /// Returns whether no call will ever be received any more.
    pub fn is_closed(&self) -> bool {
        self.receivers.load(Ordering::Acquire) == 0
    }

    /// Closes the endpoint: the last handle to receive by is gone.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.pass_on();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.payer.credit_kernel(size_of::<Endpoint>());
    }
}

/// Lets an interrupt pass and others run, before a server goes on to receive.
#[cold]
fn put_off(endpoint: &PoolArc<Endpoint>, server: PoolArc<Thread>) {
    // Its timer ends when its turn comes.
    let until = server.timer().until();
    server.unfinished.put(Operation::Receive(endpoint.clone(), until));
    trap::serve_interrupts();
    scheduler::make_ready(server);
}

/// Gives a server the caller that it has to answer. The caller is not touched when others can find it.
#[inline(always)]
pub(super) fn serve(server: &PoolArc<Thread>, caller: PoolArc<Thread>) {
    caller.waiting.begin_to_be_served(server.clone());
    let mut serving = server.serving.lock();
    let caller = serving.insert(caller);
    // Whoever ends the wait may have looked for the caller at the endpoint, before it was said to be here;
    // or looks here next, when the lock is free.
    if !caller.may_run() || caller.stop.is_asked_for() {
        let caller = caller.clone();
        take_in_hand(&caller);
        drop(serving);
        end_served(server, caller);
    }
}

/// Ends the wait of a caller that a server has, if that is to end; the caller is in hand.
#[cold]
fn end_served(server: &PoolArc<Thread>, caller: PoolArc<Thread>) {
    if let Some(ending) = caller.ending() {
        Wait::Served(server.clone()).end(&caller, ending);
    }
    drop(caller);
    let_go();
}

/// Returns whether a server may wait at an endpoint, whose lock is held. It was noted there before, in this
/// order: see [`serve`].
#[inline(always)]
pub(super) fn may_wait(server: &Thread) -> bool {
    server.may_run() && !server.stop.is_asked_for()
}

/// Answers the call that a server has. Returns the caller, which goes on.
///
/// # Errors
/// `InvalidState` if it has none, or the caller was ended; else as [`report::answer`]: then the caller
/// waits on.
pub fn reply(server: &PoolArc<Thread>, message: Message) -> Result<PoolArc<Thread>, Error> {
    let caller = server.serving.lock().take().ok_or(Error::InvalidState)?;
    match report::answer(server, &caller, &message) {
        Ok(()) => {
            caller.waiting.end();
            Ok(caller)
        }
        Err(error) => {
            serve(server, caller);
            Err(error)
        }
    }
}

/// Tells the caller that a server has that it will get no answer.
pub fn abandon(server: &Thread) {
    let caller = server.serving.lock().take();
    if let Some(caller) = caller {
        report::refuse(&caller, Error::PartnerGone);
        caller.waiting.end();
        scheduler::make_ready(caller);
    }
}

/// Takes a thread back from the server that has its call, if it is there and `is_meant_fn`, which is asked
/// under the lock of what the server serves, says so.
pub fn take_from(server: &Thread, thread: &Thread, is_meant_fn: impl FnOnce() -> bool) -> bool {
    let mut serving = server.serving.lock();
    let taken = serving.take_if(|caller| is_same(caller, thread) && is_meant_fn());
    drop(serving);
    // The server may be gone before the thread has its turn.
    taken.inspect(|caller| caller.waiting.end()).is_some()
}

fn is_same(one: &PoolArc<Thread>, other: &Thread) -> bool {
    core::ptr::eq(&raw const **one, other)
}
