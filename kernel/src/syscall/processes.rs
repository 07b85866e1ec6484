//! Calls that make, start, watch and end processes and threads.

use super::accounts::account_of;
use super::{Answer, Request, Result, Stop, user};
use crate::process::handle::Object;
use crate::process::{Cloning, Life, Operation, Outcome, Process, Thread, Wait, end_operation};
use vellum_abi::{Error, ExitKind, ExitReport, Handle, Registers, Rights};

pub(super) fn exit(request: &Request<'_>) -> Result {
    let kind = ExitKind::Exited as u64;
    let status = request.arguments[0];
    let report = ExitReport { kind, status, ..ExitReport::default() };
    Ok(Answer::Outcome(Outcome::die(request.process(), report)))
}

pub(super) fn process_create(request: &Request<'_>) -> Result {
    let account = account_of(request, request.arguments[0], Rights::MANAGE)?;
    let process = Process::create(&account)?;
    let handle = request.process().give(Object::Process(process), Rights::ALL)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn process_clone(request: &Request<'_>) -> Result {
    let rights = Rights::INSPECT | Rights::MANAGE;
    let parent = Process::target(request.process(), request.arguments[0], rights)?;
    let child = Process::create(request.process().account())?;
    let cloning =
        parent.space.clone_space().map_err(|refusal| Stop::from_refusal(refusal, &parent))?;
    let operation = Operation::Clone(Cloning::new(parent.clone(), child, cloning));
    match operation.begin(request.thread) {
        (Some(reply), _) => Ok(Answer::Reply(reply)),
        (None, outcome) => Ok(Answer::Outcome(outcome)),
    }
}

pub(super) fn process_wait(request: &Request<'_>) -> Result {
    let [target, out, ..] = request.arguments;
    let target = Process::target(request.process(), target, Rights::INSPECT)?;
    if core::ptr::eq(&raw const **target, &raw const **request.process()) {
        return Err(Error::WouldDeadlock.into());
    }
    match target.life() {
        Life::Dead(report) => {
            user::write_words(request.process(), out, report.to_words())?;
            Ok(Answer::Value(0))
        }
        Life::Alive | Life::Ending(_) => Err(Stop::Restart(Wait::Death(target.clone()))),
    }
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
    // The thread ends its process itself when it is next chosen to run.
    let waiting = thread.waiting.lock().clone();
    if let Some(wait) = waiting {
        wait.interrupt(&thread);
    }
    Ok(Answer::Value(0))
}

pub(super) fn thread_create(request: &Request<'_>) -> Result {
    let target = Process::target(request.process(), request.arguments[0], Rights::MANAGE)?;
    let thread = Thread::create(&target, request.process().account())?;
    let handle = request.process().give(Object::Thread(thread), Rights::ALL)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn thread_read_registers(request: &Request<'_>) -> Result {
    let [thread, out, ..] = request.arguments;
    let thread = thread_of(request, thread, Rights::INSPECT)?;
    let registers = thread.with_stopped(|context| context.registers())?;
    user::write_words(request.process(), out, registers.to_words())?;
    Ok(Answer::Value(0))
}

pub(super) fn thread_write_registers(request: &Request<'_>) -> Result {
    let [thread, from, ..] = request.arguments;
    let thread = thread_of(request, thread, Rights::MANAGE)?;
    let words = user::read_words::<{ Registers::WORDS }>(request.process(), from)?;
    let registers = Registers::from_words(&words);
    if registers.pstate & !Registers::PSTATE_MASK != 0 {
        return Err(Error::InvalidRegisters.into());
    }
    thread.with_stopped(|context| context.set_registers(&registers))?;
    Ok(Answer::Value(0))
}

pub(super) fn thread_start(request: &Request<'_>) -> Result {
    let thread = thread_of(request, request.arguments[0], Rights::MANAGE)?;
    Thread::start(&thread)?;
    Ok(Answer::Value(0))
}

pub(super) fn thread_of(
    request: &Request<'_>,
    word: u64,
    rights: Rights,
) -> core::result::Result<crate::memory::pools::PoolArc<Thread>, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    match request.process().object(handle, Rights::NONE)? {
        (Object::Thread(thread), held) if held.contains(rights) => Ok(thread),
        (Object::Thread(_), _) => Err(Error::MissingRight),
        _ => Err(Error::WrongObject),
    }
}
