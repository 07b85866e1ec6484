//! Messages that the kernel makes for a thread that cannot go on.
//!
//! Owns: what such a message says, what its answer does to the thread, and what becomes of the thread if
//! there is no answer. Refuses to know: who meets whom (`endpoint`), and what went wrong.
//!
//! A thread that faults becomes a caller like any other, but its registers are its state and hold no
//! message: so the message is kept with it ([`Thread::report`]), an answer is an [`Action`] and not words
//! in registers, and where another caller would get an error its process ends, for the reason that the
//! report gives. So nobody waits for ever for a handler that is gone, and nothing is allocated on the way.
//!
//! [`Thread::is_reporting`] says which of both a caller is. It is written by the CPU that runs the thread
//! before the thread is put anywhere, and read by whoever took it out of there: the lock of the place
//! orders both. [`Thread::report`] is a leaf lock.

use super::handling::{self, Handlers};
use super::message::{self, Message};
use crate::memory::pools::PoolArc;
use crate::process::{Handler, Outcome, Thread, Wait, paging};
use vellum_abi::{
    Action, Error, ExitKind, ExitReport, FaultReport, Handle, MESSAGE_WORDS, PageWish, Rights,
};

/// Bytes of every instruction.
const INSTRUCTION: u64 = 4;

/// A message that the kernel made.
#[derive(Clone, Copy)]
pub struct Report {
    kind: Kind,
    words: [u64; MESSAGE_WORDS],
    /// What the process ends with if there is no answer.
    reason: ExitReport,
    /// Whether it may wait only where a handler is: see `handling`.
    alone: bool,
}

/// Whom a report is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The handler of the process: it may look at the thread and change it.
    Fault,
    /// A pager: it supplies the page that the thread needs.
    Wish,
}

impl Report {
    /// Returns the report of a fault.
    pub fn fault(fault: FaultReport, reason: ExitReport) -> Report {
        Report { kind: Kind::Fault, words: fault.to_words(), reason, alone: false }
    }

    /// Returns what a pager is told.
    pub fn wish(wish: &PageWish) -> Report {
        let reason = ExitReport::default();
        Report { kind: Kind::Wish, words: wish.to_words(), reason, alone: false }
    }

    /// Checks what may be done by `Handle::CALLER`.
    ///
    /// # Errors
    /// `MissingRight`.
    pub fn allow(rights: Rights) -> Result<(), Error> {
        let held = Rights::INSPECT | Rights::MANAGE;
        if held.contains(rights) { Ok(()) } else { Err(Error::MissingRight) }
    }

    /// Returns whether who has it to answer may look at the thread and change it.
    pub fn opens_thread(&self) -> bool {
        self.kind == Kind::Fault
    }

    /// Returns what the process ends with if there is no answer.
    pub fn reason(&self) -> ExitReport {
        self.reason
    }

    /// Returns what the message has in the place of a handle, which no program can send.
    fn handle(&self) -> u64 {
        match self.kind {
            Kind::Fault => Handle::CALLER.to_word(),
            Kind::Wish => 0,
        }
    }

    /// Returns the address of the instruction that it is about.
    fn pc(&self) -> u64 {
        self.words[2]
    }
}

/// Decides what becomes of a thread that did something its process would end with: the handler is told, if
/// there is one.
#[cold]
pub fn fault(thread: &Thread, fault: FaultReport, reason: ExitReport) -> Outcome {
    match thread.process.handler() {
        Some(handler) => begin(thread, Report::fault(fault, reason), handler),
        None => Outcome::die(&thread.process, reason),
    }
}

/// Lets the running thread wait for the answer to a report.
fn begin(thread: &Thread, report: Report, handler: Handler) -> Outcome {
    if handling::suspend(thread, &handler.endpoint) {
        return Outcome::die(&thread.process, report.reason);
    }
    thread.process.begin_report();
    thread.begin_report(Report { alone: handling::is_alone(&thread.process), ..report });
    Outcome::Block(Wait::Answer(handler.endpoint, handler.badge))
}

/// Ends the report of a thread, which was answered or never will be.
fn end(thread: &Thread) {
    if thread.end_report() {
        thread.process.end_report();
    }
}

/// Forgets the report of a thread that ends.
pub fn forget(thread: &Thread) {
    end(thread);
    handling::end(thread);
}

/// Returns whether a caller may wait where nobody is ready to receive, and these handle reports.
#[inline]
pub(super) fn may_wait(caller: &Thread, handlers: &Handlers) -> bool {
    !caller.is_reporting() || may_report_wait(caller, handlers)
}

#[cold]
fn may_report_wait(caller: &Thread, handlers: &Handlers) -> bool {
    handlers.any() || !caller.report.lock().as_ref().is_some_and(|report| report.alone)
}

/// Hands what a caller has to say to a server. Both threads' registers are saved.
///
/// # Errors
/// As [`Message::deliver`]; a report is always delivered.
#[inline]
pub fn hand_over(caller: &Thread, server: &Thread, badge: u64) -> Result<(), Error> {
    if caller.is_reporting() {
        deliver(caller, server, badge);
        return Ok(());
    }
    let message = Message::of(&caller.context.lock());
    message.deliver(caller, server, badge)
}

pub(super) fn deliver(caller: &Thread, server: &Thread, badge: u64) {
    if let Some(report) = caller.report.lock().as_ref() {
        message::deliver_words(server, report.handle(), &report.words, badge);
    }
}

/// Gives a caller the answer of its server, whose registers are those of `message`.
///
/// # Errors
/// As [`Message::deliver`]; `InvalidAction` if the answer to a report is none. Then the caller waits on.
#[inline]
pub fn answer(server: &Thread, caller: &Thread, message: &Message) -> Result<(), Error> {
    if caller.is_reporting() { act(caller, message) } else { message.deliver(server, caller, 0) }
}

/// Does what the answer to a report asks for.
///
/// # Errors
/// `InvalidAction`, `InvalidState`; then nothing has changed.
pub(super) fn act(caller: &Thread, message: &Message) -> Result<(), Error> {
    let (action, value) = message.action()?;
    let about = |report: &Report| (report.kind, report.pc());
    let Some((kind, pc)) = caller.report.lock().as_ref().map(about) else {
        return Err(Error::InvalidState);
    };
    if kind == Kind::Wish {
        return act_on_wish(caller, action);
    }
    if action == Action::Kill {
        fail(caller);
        return Ok(());
    }
    let mut context = caller.context.lock();
    match action {
        Action::Resume | Action::Kill => {}
        Action::Retry => context.set_pc(pc),
        Action::Skip | Action::Return => context.set_pc(pc.wrapping_add(INSTRUCTION)),
    }
    if action == Action::Return {
        context.set_x(0, value);
    }
    drop(context);
    end(caller);
    handling::resume(caller);
    Ok(())
}

/// Does what a pager answers.
fn act_on_wish(caller: &Thread, action: Action) -> Result<(), Error> {
    let refusal = match action {
        Action::Resume | Action::Retry => None,
        Action::Kill => Some(ExitKind::PageRefused),
        Action::Skip | Action::Return => return Err(Error::InvalidAction),
    };
    end(caller);
    paging::answered(caller, refusal);
    Ok(())
}

/// Tells a thread whose registers are saved, and that is in no queue, that there is nobody for what it
/// has to say. It is ready to go on, if only to its end.
#[inline]
pub fn refuse(thread: &Thread, error: Error) {
    if thread.is_reporting() {
        fail(thread);
    } else {
        message::answer(thread, error);
        handling::forget_closed(thread);
    }
}

/// Ends the process of a thread with what was reported, or lets it find that its pager is gone.
#[cold]
fn fail(thread: &Thread) {
    let about = |report: &Report| (report.kind, report.reason());
    let about = thread.report.lock().as_ref().map(about);
    end(thread);
    match about {
        Some((Kind::Fault, reason)) => {
            thread.process.begin_end(reason);
            // Whoever is more urgent than it was may never be done.
            thread.hurry();
        }
        Some((Kind::Wish, _)) => paging::answered(thread, Some(ExitKind::PagerGone)),
        None => {}
    }
}

/// Returns the thread whose report another, the running one, has to answer as a handler.
///
/// # Errors
/// `BadHandle` if there is none.
pub fn caller_of(server: &Thread) -> Result<PoolArc<Thread>, Error> {
    let serving = server.serving.lock();
    let opens = |caller: &&PoolArc<Thread>| {
        caller.is_reporting() && caller.report.lock().as_ref().is_some_and(Report::opens_thread)
    };
    serving.as_ref().filter(opens).cloned().ok_or(Error::BadHandle)
}
