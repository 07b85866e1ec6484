//! Calls that make, watch and end processes.

use super::accounts::account_of;
use super::{Answer, Request, Result, Stop, ipc, user};
use crate::process::handle::Object;
use crate::process::{
    Cloning, Handler, Life, Operation, Outcome, Process, Thread, Wait, end_operation, is_let_go,
    timing,
};
use vellum_abi::{Error, ExitKind, ExitReport, Handle, HandlerFlags, Rights};
use vellum_sched::Task;

pub(super) fn exit(request: &Request<'_>) -> Result {
    let kind = ExitKind::Exited as u64;
    let status = request.arguments[0];
    let report = ExitReport { kind, status, ..ExitReport::default() };
    Ok(Answer::Outcome(Outcome::die(request.process(), report)))
}

pub(super) fn process_create(request: &Request<'_>) -> Result {
    let account = account_of(request, request.arguments[0], Rights::MANAGE)?;
    let process = Process::create(&account, request.thread.priority())?;
    let handle = request.process().give(Object::Process(process), Rights::ALL)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn process_clone(request: &Request<'_>) -> Result {
    let rights = Rights::INSPECT | Rights::MANAGE;
    let parent = Process::target(request.process(), request.arguments[0], rights)?;
    let child = Process::create(request.process().account(), request.thread.priority())?;
    let cloning =
        parent.space.clone_space().map_err(|refusal| Stop::from_refusal(refusal, &parent))?;
    let operation = Operation::Clone(Cloning::new(parent.clone(), child, cloning));
    match operation.begin(request.thread) {
        (Some(reply), _) => Ok(Answer::Reply(reply)),
        (None, outcome) => Ok(Answer::Outcome(outcome)),
    }
}

pub(super) fn process_wait(request: &Request<'_>) -> Result {
    let [word, out, timeout, ..] = *request.arguments;
    let target = Process::target(request.process(), word, Rights::INSPECT)?;
    // A caller goes nowhere before it is answered.
    if word == Handle::CALLER.to_word()
        || core::ptr::eq(&raw const **target, &raw const **request.process())
    {
        return Err(Error::WouldDeadlock.into());
    }
    match target.life() {
        Life::Dead(report) if is_let_go(&target) => {
            user::write_words(request.process(), out, report.to_words())?;
            Ok(Answer::Value(0))
        }
        // Dead, but not out of every hand: that is a matter of moments, whatever the timeout.
        Life::Dead(_) => Err(Stop::Restart(Wait::Death(target.clone()))),
        Life::Alive | Life::Ending(_) if timeout == 0 => Err(Error::TimedOut.into()),
        Life::Alive | Life::Ending(_) => {
            // Nobody is woken before the process is dead: the call starts again only behind that.
            timing::begin(request.thread, timeout);
            Err(Stop::Restart(Wait::Death(target.clone())))
        }
    }
}

pub(super) fn process_set_handler(request: &Request<'_>) -> Result {
    let [target, endpoint, flags, ..] = *request.arguments;
    let flags = HandlerFlags::from_bits(flags).ok_or(Error::InvalidFlags)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    let handler = if endpoint == 0 {
        None
    } else {
        let (endpoint, badge) = ipc::find(request.process(), endpoint, Rights::WRITE)?;
        Some(Handler { endpoint, badge })
    };
    target.set_handler(handler, flags.contains(HandlerFlags::FOREIGN))?;
    Ok(Answer::Value(0))
}

pub(super) fn process_kill(request: &Request<'_>) -> Result {
    let target = Process::target(request.process(), request.arguments[0], Rights::MANAGE)?;
    let kind = ExitKind::Killed as u64;
    let report = ExitReport { kind, ..ExitReport::default() };
    if core::ptr::eq(&raw const **target, &raw const **request.process()) {
        return Ok(Answer::Outcome(Outcome::die(request.process(), report)));
    }
    let Some(thread) = target.begin_kill(report) else {
        return Err(Error::InvalidState.into());
    };
    let Some(thread) = thread else {
        // Nobody ever ran there who could clean up: the caller does.
        let end = end_operation(target.clone());
        return Ok(Answer::Then(0, Operation::begin(end, request.thread).1));
    };
    // Its threads tell each other and end the process themselves.
    Thread::interrupt(&thread);
    Ok(Answer::Value(0))
}
