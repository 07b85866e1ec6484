//! Which values of the arguments of messages are bad.

use crate::classes::{Bad, bad};
use crate::scene::Value;
use Value::{
    Anonymous, Child, Closed, Endpoint, EndpointNotCalled, EndpointNotManaged, EndpointNotReceived,
    Foreign, Interrupt, InterruptNotAcknowledged, InterruptNotManaged, Memory,
    MemoryNotTransferred, Notification, NotificationNotAwaited, NotificationNotRaised, Number, Own,
    Stale, Thread,
};
use vellum_user::abi::{Error, Handle};

pub(crate) const NOT_AN_ENDPOINT: &[Bad] = &[
    bad("a memory object", Memory, Error::WrongObject),
    bad("a notification", Notification, Error::WrongObject),
    bad("a process", Child, Error::WrongObject),
];
pub(crate) const NOT_A_NOTIFICATION: &[Bad] = &[
    bad("a memory object", Memory, Error::WrongObject),
    bad("an endpoint", Endpoint, Error::WrongObject),
    bad("an interrupt", Interrupt, Error::WrongObject),
    bad("a thread", Thread, Error::WrongObject),
];
pub(crate) const NOT_AN_INTERRUPT: &[Bad] = &[
    bad("a memory object", Memory, Error::WrongObject),
    bad("a notification", Notification, Error::WrongObject),
    bad("a thread", Thread, Error::WrongObject),
];
pub(crate) const BIND_RIGHT: &[Bad] =
    &[bad("without MANAGE", InterruptNotManaged, Error::MissingRight)];
pub(crate) const ACKNOWLEDGE_RIGHT: &[Bad] =
    &[bad("without WRITE", InterruptNotAcknowledged, Error::MissingRight)];
pub(crate) const CALL_RIGHT: &[Bad] =
    &[bad("without WRITE", EndpointNotCalled, Error::MissingRight)];
pub(crate) const RECEIVE_RIGHT: &[Bad] =
    &[bad("without READ", EndpointNotReceived, Error::MissingRight)];
pub(crate) const BADGE_RIGHT: &[Bad] =
    &[bad("without MANAGE", EndpointNotManaged, Error::MissingRight)];
pub(crate) const RAISE_RIGHT: &[Bad] =
    &[bad("without WRITE", NotificationNotRaised, Error::MissingRight)];
pub(crate) const AWAIT_RIGHT: &[Bad] =
    &[bad("without READ", NotificationNotAwaited, Error::MissingRight)];
/// Handles that cannot go along with a message.
pub(crate) const SENT: &[Bad] = &[
    bad("garbage", Number(0x1234_5678), Error::BadHandle),
    bad("closed", Closed, Error::BadHandle),
    bad("stale", Stale, Error::BadHandle),
    bad("foreign", Foreign, Error::BadHandle),
    bad("the constant for oneself", Own, Error::BadHandle),
    bad("the anonymous constant", Anonymous, Error::BadHandle),
    bad("the constant for the caller", Number(Handle::CALLER.to_word()), Error::BadHandle),
    bad("unknown rights", Number(1 << 63 | 1), Error::InvalidFlags),
    bad("without TRANSFER", MemoryNotTransferred, Error::MissingRight),
];
