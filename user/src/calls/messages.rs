//! Calls by which threads send each other messages.

use super::{call, handle, result};
use crate::raw;
use crate::time::nanoseconds;
use core::time::Duration;
use vellum_abi::{Call, Error, FOR_EVER, Handle, MESSAGE_WORDS, Rights};

/// The words of a message, the handle that came with it, and the badge of the handle that was called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// A handle of this process, which nobody closes yet.
    pub handle: Option<Handle>,
    /// The words.
    pub words: [u64; MESSAGE_WORDS],
    /// Of a call alone.
    pub badge: u64,
}

/// Makes an endpoint.
///
/// # Errors
/// `OutOfHandles`, `OutOfKernelMemory`, `LimitReached`.
pub fn endpoint_create() -> Result<Handle, Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::EndpointCreate, []) }.map(handle)
}

/// Makes a handle to call by, under a badge that whoever receives is told.
///
/// # Errors
/// `OutOfHandles`, `OutOfKernelMemory`, `LimitReached`, and those of the handle.
pub fn endpoint_badge(endpoint: Handle, badge: u64) -> Result<Handle, Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::EndpointBadge, [endpoint.to_word(), badge]) }.map(handle)
}

/// Sends a message and waits for the answer.
///
/// # Errors
/// `PartnerGone`, `Interrupted`; those of the handles; those of the receiver's handle table.
#[inline]
pub fn endpoint_call(
    endpoint: Handle,
    sent: Option<(Handle, Rights)>,
    words: [u64; MESSAGE_WORDS],
) -> Result<Received, Error> {
    exchange(Call::EndpointCall, endpoint.to_word(), sent, words, FOR_EVER)
}

/// As [`endpoint_call`], for a time at most. A call whose time is over may have been received.
///
/// # Errors
/// `TimedOut`; those of [`endpoint_call`].
pub fn endpoint_call_for(
    endpoint: Handle,
    sent: Option<(Handle, Rights)>,
    words: [u64; MESSAGE_WORDS],
    timeout: Duration,
) -> Result<Received, Error> {
    exchange(Call::EndpointCall, endpoint.to_word(), sent, words, nanoseconds(timeout))
}

/// Waits for a call.
///
/// # Errors
/// `PartnerGone` if no handle to receive by is left, `Interrupted`; those of the handle.
#[inline]
pub fn endpoint_receive(endpoint: Handle) -> Result<Received, Error> {
    exchange(Call::EndpointReceive, endpoint.to_word(), None, [0; MESSAGE_WORDS], FOR_EVER)
}

/// As [`endpoint_receive`], for a time at most; with none, only a call that waits is received.
///
/// # Errors
/// `TimedOut`; those of [`endpoint_receive`].
pub fn endpoint_receive_for(endpoint: Handle, timeout: Duration) -> Result<Received, Error> {
    let timeout = nanoseconds(timeout);
    exchange(Call::EndpointReceive, endpoint.to_word(), None, [0; MESSAGE_WORDS], timeout)
}

/// Answers the call that this thread received last.
///
/// # Errors
/// `InvalidState` if there is none, or its caller has ended or waits no more; those of the handle and of the caller's
/// handle table.
pub fn endpoint_reply(
    sent: Option<(Handle, Rights)>,
    words: [u64; MESSAGE_WORDS],
) -> Result<(), Error> {
    exchange(Call::EndpointReply, 0, sent, words, FOR_EVER).map(|_| ())
}

/// Answers the call that this thread received last, and waits for another.
///
/// # Errors
/// As for [`endpoint_reply`], and then nothing was received; as for [`endpoint_receive`].
#[inline]
pub fn endpoint_reply_receive(
    endpoint: Handle,
    sent: Option<(Handle, Rights)>,
    words: [u64; MESSAGE_WORDS],
) -> Result<Received, Error> {
    exchange(Call::EndpointReplyReceive, endpoint.to_word(), sent, words, FOR_EVER)
}

/// As [`endpoint_reply_receive`], where the next call is waited for a time at most.
///
/// # Errors
/// `TimedOut`, and then the answer is given; those of [`endpoint_reply_receive`].
pub fn endpoint_reply_receive_for(
    endpoint: Handle,
    sent: Option<(Handle, Rights)>,
    words: [u64; MESSAGE_WORDS],
    timeout: Duration,
) -> Result<Received, Error> {
    exchange(Call::EndpointReplyReceive, endpoint.to_word(), sent, words, nanoseconds(timeout))
}

/// Makes a call whose message goes out and comes back in registers.
#[inline]
fn exchange(
    number: Call,
    first: u64,
    sent: Option<(Handle, Rights)>,
    words: [u64; MESSAGE_WORDS],
    timeout: u64,
) -> Result<Received, Error> {
    let sent = sent.map_or(0, |(handle, rights)| handle.to_word() | rights.bits() << 32);
    // SAFETY: no memory of this process changes.
    let (status, handle, words, badge) =
        unsafe { raw::exchange(number as u64, first, sent, words, timeout) };
    result((status, handle))?;
    let handle = if handle == 0 { None } else { Handle::from_word(handle) };
    Ok(Received { handle, words, badge })
}

/// Makes a notification without any bit raised.
///
/// # Errors
/// `OutOfHandles`, `OutOfKernelMemory`, `LimitReached`.
pub fn notification_create() -> Result<Handle, Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::NotificationCreate, []) }.map(handle)
}

/// Raises bits.
///
/// # Errors
/// Those of the handle.
pub fn notification_raise(notification: Handle, bits: u64) -> Result<(), Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::NotificationRaise, [notification.to_word(), bits]) }.map(|_| ())
}

/// Waits until bits are raised, and takes all that are.
///
/// # Errors
/// `Interrupted`; those of the handle.
pub fn notification_wait(notification: Handle) -> Result<u64, Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::NotificationWait, [notification.to_word(), FOR_EVER]) }
}

/// As [`notification_wait`], for a time at most; with none, bits are taken that are raised.
///
/// # Errors
/// `TimedOut`; those of [`notification_wait`].
pub fn notification_wait_for(notification: Handle, timeout: Duration) -> Result<u64, Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::NotificationWait, [notification.to_word(), nanoseconds(timeout)]) }
}

/// Lets a device's line through, and raises these bits when it fires.
///
/// # Errors
/// Those of the handles.
pub fn interrupt_bind(interrupt: Handle, notification: Handle, bits: u64) -> Result<(), Error> {
    let arguments = [interrupt.to_word(), notification.to_word(), bits];
    // SAFETY: no memory changes.
    unsafe { call(Call::InterruptBind, arguments) }.map(|_| ())
}

/// Lets a line through again, which stays masked once it has fired.
///
/// # Errors
/// `InvalidState` if it is not bound; those of the handle.
pub fn interrupt_acknowledge(interrupt: Handle) -> Result<(), Error> {
    // SAFETY: no memory changes.
    unsafe { call(Call::InterruptAcknowledge, [interrupt.to_word()]) }.map(|_| ())
}
