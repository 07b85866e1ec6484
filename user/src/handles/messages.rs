//! Endpoints, notifications and interrupts as values.

use super::{Endpoint, Interrupt, Notification};
use crate::calls::{self, Received};
use core::time::Duration;
use vellum_abi::{Error, Handle, MESSAGE_WORDS, Rights};

impl Endpoint {
    /// Makes an endpoint.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_create`].
    pub fn new() -> Result<Endpoint, Error> {
        calls::endpoint_create().map(Endpoint)
    }

    /// Returns a handle to call by, under a badge that whoever receives is told.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_badge`].
    pub fn with_badge(&self, badge: u64) -> Result<Endpoint, Error> {
        calls::endpoint_badge(self.0, badge).map(Endpoint)
    }

    /// Sends words and waits for the answer.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_call`].
    #[inline]
    pub fn call(&self, words: [u64; MESSAGE_WORDS]) -> Result<Received, Error> {
        calls::endpoint_call(self.0, None, words)
    }

    /// As [`Self::call`], for a time at most.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_call_for`].
    pub fn call_for(
        &self,
        words: [u64; MESSAGE_WORDS],
        timeout: Duration,
    ) -> Result<Received, Error> {
        calls::endpoint_call_for(self.0, None, words, timeout)
    }

    /// Sends words and a copy of a handle, with these of its rights, and waits for the answer.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_call`].
    pub fn call_with(
        &self,
        handle: Handle,
        rights: Rights,
        words: [u64; MESSAGE_WORDS],
    ) -> Result<Received, Error> {
        calls::endpoint_call(self.0, Some((handle, rights)), words)
    }

    /// Waits for a call.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_receive`].
    #[inline]
    pub fn receive(&self) -> Result<Received, Error> {
        calls::endpoint_receive(self.0)
    }

    /// As [`Self::receive`], for a time at most.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_receive_for`].
    pub fn receive_for(&self, timeout: Duration) -> Result<Received, Error> {
        calls::endpoint_receive_for(self.0, timeout)
    }

    /// Answers the call that this thread received last, and waits for another.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_reply_receive`].
    #[inline]
    pub fn reply_receive(&self, words: [u64; MESSAGE_WORDS]) -> Result<Received, Error> {
        calls::endpoint_reply_receive(self.0, None, words)
    }

    /// As [`Self::reply_receive`], where the next call is waited for a time at most.
    ///
    /// # Errors
    /// Those of [`calls::endpoint_reply_receive_for`].
    pub fn reply_receive_for(
        &self,
        words: [u64; MESSAGE_WORDS],
        timeout: Duration,
    ) -> Result<Received, Error> {
        calls::endpoint_reply_receive_for(self.0, None, words, timeout)
    }
}

impl Notification {
    /// Makes a notification without any bit raised.
    ///
    /// # Errors
    /// Those of [`calls::notification_create`].
    pub fn new() -> Result<Notification, Error> {
        calls::notification_create().map(Notification)
    }

    /// Raises bits.
    ///
    /// # Errors
    /// Those of [`calls::notification_raise`].
    pub fn raise(&self, bits: u64) -> Result<(), Error> {
        calls::notification_raise(self.0, bits)
    }

    /// Waits until bits are raised, and takes all that are.
    ///
    /// # Errors
    /// Those of [`calls::notification_wait`].
    pub fn wait(&self) -> Result<u64, Error> {
        calls::notification_wait(self.0)
    }

    /// As [`Self::wait`], for a time at most.
    ///
    /// # Errors
    /// Those of [`calls::notification_wait_for`].
    pub fn wait_for(&self, timeout: Duration) -> Result<u64, Error> {
        calls::notification_wait_for(self.0, timeout)
    }
}

impl Interrupt {
    /// Lets the line through, and raises these bits when it fires, while the notification has a handle.
    ///
    /// # Errors
    /// Those of [`calls::interrupt_bind`].
    pub fn bind(&self, notification: &Notification, bits: u64) -> Result<(), Error> {
        calls::interrupt_bind(self.0, notification.0, bits)
    }

    /// Lets the line through again, which stays masked once it has fired.
    ///
    /// # Errors
    /// Those of [`calls::interrupt_acknowledge`].
    pub fn acknowledge(&self) -> Result<(), Error> {
        calls::interrupt_acknowledge(self.0)
    }
}
