//! Calls by which threads send each other messages.

use super::{Answer, Request, Result};
use crate::arch::context::Context;
use crate::ipc::message::Message;
use crate::ipc::{Endpoint, Named, Notification, endpoint};
use crate::memory::pools::PoolArc;
use crate::process::Outcome;
use crate::process::handle::Object;
use crate::process::scheduler;
use vellum_abi::{Error, Handle, Rights};

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
    let [word, badge, ..] = request.arguments;
    let named = endpoint_of(request, word, Rights::MANAGE)?.with_badge(badge);
    let handle = request.process().give(Object::Endpoint(named), CALLERS)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn endpoint_call(request: &Request<'_>, context: &Context) -> Result {
    let named = endpoint_of(request, request.arguments[0], Rights::WRITE)?;
    Message::of(context).check(request.process())?;
    Ok(Answer::Outcome(Outcome::Call(named.endpoint().clone(), named.badge)))
}

pub(super) fn endpoint_receive(request: &Request<'_>) -> Result {
    let named = endpoint_of(request, request.arguments[0], Rights::READ)?;
    Ok(Answer::Outcome(Outcome::Receive(named.endpoint().clone(), None)))
}

pub(super) fn endpoint_reply(request: &Request<'_>, context: &Context) -> Result {
    super::no_flags(request.arguments[0])?;
    let message = Message::of(context);
    message.check(request.process())?;
    scheduler::make_ready(endpoint::reply(request.thread, message)?);
    Ok(Answer::Value(0))
}

pub(super) fn endpoint_reply_receive(request: &Request<'_>, context: &Context) -> Result {
    let named = endpoint_of(request, request.arguments[0], Rights::READ)?;
    let message = Message::of(context);
    message.check(request.process())?;
    let answered = endpoint::reply(request.thread, message)?;
    Ok(Answer::Outcome(Outcome::Receive(named.endpoint().clone(), Some(answered))))
}

pub(super) fn notification_create(request: &Request<'_>) -> Result {
    let notification = Notification::create(request.process().account())?;
    let handle = request.process().give(Object::Notification(notification), MAKERS)?;
    Ok(Answer::Value(handle.to_word()))
}

pub(super) fn notification_raise(request: &Request<'_>) -> Result {
    let [word, bits, ..] = request.arguments;
    notification_of(request, word, Rights::WRITE)?.raise(bits);
    Ok(Answer::Value(0))
}

pub(super) fn notification_wait(request: &Request<'_>) -> Result {
    let notification = notification_of(request, request.arguments[0], Rights::READ)?;
    match notification.take() {
        0 => Ok(Answer::Then(0, Outcome::Await(notification))),
        bits => Ok(Answer::Value(bits)),
    }
}

/// Returns what a handle to an endpoint names.
///
/// # Errors
/// `BadHandle`, `WrongObject`, `MissingRight`.
fn endpoint_of(
    request: &Request<'_>,
    word: u64,
    rights: Rights,
) -> core::result::Result<Named, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    match request.process().object(handle, Rights::NONE)? {
        (Object::Endpoint(named), held) if held.contains(rights) => Ok(named),
        (Object::Endpoint(_), _) => Err(Error::MissingRight),
        _ => Err(Error::WrongObject),
    }
}

/// Returns the notification that a handle names.
///
/// # Errors
/// As [`endpoint_of`].
fn notification_of(
    request: &Request<'_>,
    word: u64,
    rights: Rights,
) -> core::result::Result<PoolArc<Notification>, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    match request.process().object(handle, Rights::NONE)? {
        (Object::Notification(notification), held) if held.contains(rights) => Ok(notification),
        (Object::Notification(_), _) => Err(Error::MissingRight),
        _ => Err(Error::WrongObject),
    }
}
