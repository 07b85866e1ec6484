//! Calls by which threads send each other messages.

use super::{Answer, Request, Result};
use crate::arch::context::Context;
use crate::ipc::message::Message;
use crate::ipc::{Endpoint, Interrupt, Named, Notification, NotificationName, endpoint};
use crate::memory::pools::PoolArc;
use crate::process::handle::Object;
use crate::process::scheduler;
use crate::process::{Outcome, Process, Thread, timing};
use vellum_abi::{Call, Error, Handle, Rights};

/// The register of a message that holds the timeout.
const TIMEOUT: usize = 6;
/// What the maker of an endpoint or a notification may do with it.
const MAKERS: Rights = CALLERS.union(Rights::READ).union(Rights::MANAGE);
/// What one may do by a handle under a badge.
const CALLERS: Rights = Rights::WRITE.union(Rights::TRANSFER).union(Rights::INSPECT);

pub(super) fn endpoint_create(request: &Request<'_>) -> Result {
    let named = Endpoint::create(request.process().account())?;
    let handle = request.process().give(Object::Endpoint(named), MAKERS)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn endpoint_badge(request: &Request<'_>) -> Result {
    let [word, badge, ..] = *request.arguments;
    let (endpoint, _) = find(request.process(), word, Rights::MANAGE)?;
    let named = Named::to_call(endpoint, badge);
    let handle = request.process().give(Object::Endpoint(named), CALLERS)?;
    Ok(Answer::Value(handle.to_word()))
}

/// Decodes `endpoint_call` and `endpoint_reply_receive` of a thread whose registers are saved: those that do
/// not take the direct way (`ipc::direct`).
///
/// # Errors
/// Those of the handles and of the answer.
pub(super) fn meet(thread: &PoolArc<Thread>) -> core::result::Result<Outcome, Error> {
    let context = thread.context.lock();
    let (is_call, word) = (context.x(8) == Call::EndpointCall as u64, context.x(0));
    let (message, timeout) = (Message::of(&context), context.x(TIMEOUT));
    drop(context);
    if is_call {
        call(thread, word, message, timeout)
    } else {
        reply_receive(thread, word, message, timeout)
    }
}

fn call(
    thread: &PoolArc<Thread>,
    word: u64,
    message: Message,
    timeout: u64,
) -> core::result::Result<Outcome, Error> {
    let (endpoint, badge) = find(&thread.process, word, Rights::WRITE)?;
    message.check(&thread.process)?;
    if timeout == 0 {
        // An answer cannot be there at once.
        return Err(Error::TimedOut);
    }
    timing::begin(thread, timeout);
    Ok(Outcome::Call(endpoint, badge))
}

fn reply_receive(
    thread: &PoolArc<Thread>,
    word: u64,
    message: Message,
    timeout: u64,
) -> core::result::Result<Outcome, Error> {
    let (endpoint, _) = find(&thread.process, word, Rights::READ)?;
    message.check(&thread.process)?;
    let answered = endpoint::reply(thread, message)?;
    timing::begin(thread, timeout);
    Ok(Outcome::Receive(endpoint, Some(answered)))
}

pub(super) fn endpoint_receive(request: &Request<'_>, context: &Context) -> Result {
    let (endpoint, _) = find(request.process(), request.arguments[0], Rights::READ)?;
    timing::begin(request.thread, context.x(TIMEOUT));
    Ok(Answer::Outcome(Outcome::Receive(endpoint, None)))
}

pub(super) fn endpoint_reply(request: &Request<'_>, context: &Context) -> Result {
    super::no_flags(request.arguments[0])?;
    let message = Message::of(context);
    message.check(request.process())?;
    scheduler::make_ready(endpoint::reply(request.thread, message)?);
    Ok(Answer::Value(0))
}

pub(super) fn notification_create(request: &Request<'_>) -> Result {
    let notification = Notification::create(request.process().account())?;
    let handle = request.process().give(Object::Notification(notification), MAKERS)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn notification_raise(request: &Request<'_>) -> Result {
    let [word, bits, ..] = *request.arguments;
    notification_of(request, word, Rights::WRITE)?.notification().raise(bits);
    Ok(Answer::Value(0))
}

pub(super) fn notification_wait(request: &Request<'_>) -> Result {
    let [word, timeout, ..] = *request.arguments;
    let notification = notification_of(request, word, Rights::READ)?;
    match notification.notification().take() {
        0 if timeout == 0 => Err(Error::TimedOut.into()),
        0 => {
            timing::begin(request.thread, timeout);
            Ok(Answer::Then(0, Outcome::Await(notification.notification().clone())))
        }
        bits => Ok(Answer::Value(bits)),
    }
}

pub(super) fn interrupt_bind(request: &Request<'_>) -> Result {
    let [line, word, bits, ..] = *request.arguments;
    let line = interrupt_of(request, line, Rights::MANAGE)?;
    line.bind(&notification_of(request, word, Rights::WRITE)?, bits);
    Ok(Answer::Value(0))
}

pub(super) fn interrupt_acknowledge(request: &Request<'_>) -> Result {
    interrupt_of(request, request.arguments[0], Rights::WRITE)?.acknowledge()?;
    Ok(Answer::Value(0))
}

/// Returns the endpoint that a handle names, and the handle's badge.
///
/// # Errors
/// `BadHandle`, `WrongObject`, `MissingRight`.
pub(super) fn find(
    process: &Process,
    word: u64,
    rights: Rights,
) -> core::result::Result<(PoolArc<Endpoint>, u64), Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    process.named(handle, rights, |object| match object {
        Object::Endpoint(named) => Some((named.endpoint().clone(), named.badge)),
        _ => None,
    })
}

/// Returns the notification that a handle names.
///
/// # Errors
/// As [`find`].
fn notification_of(
    request: &Request<'_>,
    word: u64,
    rights: Rights,
) -> core::result::Result<NotificationName, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    request.process().named(handle, rights, |object| match object {
        Object::Notification(name) => Some(name.clone()),
        _ => None,
    })
}

/// Returns the device's line that a handle names.
///
/// # Errors
/// As [`find`].
fn interrupt_of(
    request: &Request<'_>,
    word: u64,
    rights: Rights,
) -> core::result::Result<&'static Interrupt, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    request.process().named(handle, rights, |object| match object {
        Object::Interrupt(line) => Some(*line),
        _ => None,
    })
}
