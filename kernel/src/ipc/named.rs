//! What handles to endpoints name.
//!
//! Owns: the badge of a handle, and the count of handles by which one can receive: the last of them closes
//! the endpoint. Refuses to know: who waits there (`endpoint`).

use super::Endpoint;
use crate::memory::pools::PoolArc;
use core::sync::atomic::Ordering;

/// What a handle to an endpoint names.
pub struct Named {
    endpoint: PoolArc<Endpoint>,
    /// What a server is told about calls by this handle.
    pub badge: u64,
    /// Whether one can receive by it.
    receives: bool,
}

impl Named {
    /// Returns what the first handle to an endpoint names.
    pub(super) fn first(endpoint: PoolArc<Endpoint>) -> Named {
        Named { endpoint, badge: 0, receives: true }
    }

    /// Returns the endpoint.
    pub fn endpoint(&self) -> &PoolArc<Endpoint> {
        &self.endpoint
    }

    /// Returns whether one can receive by it.
    pub fn receives(&self) -> bool {
        self.receives
    }

    /// Returns what a handle names by which one can only call, under a badge.
    pub fn to_call(endpoint: PoolArc<Endpoint>, badge: u64) -> Named {
        Named { endpoint, badge, receives: false }
    }

    /// Returns what a handle names without the right to receive.
    pub fn without_receiving(self) -> Named {
        Named::to_call(self.endpoint.clone(), self.badge)
    }
}

impl Clone for Named {
    fn clone(&self) -> Named {
        if self.receives {
            self.endpoint.receivers.fetch_add(1, Ordering::Relaxed);
        }
        Named { endpoint: self.endpoint.clone(), badge: self.badge, receives: self.receives }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // Nothing is held here but, at most, locks of handle tables that are not a thread's way to wait.
        if self.receives && self.endpoint.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.endpoint.close();
        }
    }
}
