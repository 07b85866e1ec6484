//! Kernel pools: fallible on request, counted, with owners in 64 bits.

use crate::family::Family;
use crate::machine::Model;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vellum_vm::machine::{PoolExhausted, Pools};

/// How many objects are alive, and when the next allocation fails.
#[derive(Debug, Default)]
pub(crate) struct PoolState {
    objects: AtomicU64,
    /// Allocations until one fails, itself counted; zero for never.
    countdown: AtomicU64,
    injected: AtomicU64,
}

impl PoolState {
    pub(crate) fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    pub(crate) fn fail_in(&self, allocations: u64) {
        self.countdown.store(allocations, Ordering::Relaxed);
    }

    pub(crate) fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }

    /// Returns whether the allocation that is asked for now shall fail.
    pub(crate) fn fails_now(&self) -> bool {
        let count = |left: u64| left.checked_sub(1);
        let before = self.countdown.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        let fails = before == Ok(1);
        self.injected.fetch_add(u64::from(fails), Ordering::Relaxed);
        fails
    }
}

/// Counts one object for as long as it lives.
#[derive(Debug)]
struct Token(Arc<PoolState>);

impl Token {
    fn new(state: &Arc<PoolState>) -> Token {
        state.objects.fetch_add(1, Ordering::Relaxed);
        Token(state.clone())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.objects.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pool object with one owner.
pub struct Pooled<T> {
    value: Box<T>,
    _token: Token,
}

impl<T> Pooled<T> {
    pub(crate) fn new(state: &Arc<PoolState>, value: T) -> Pooled<T> {
        Pooled { value: Box::new(value), _token: Token::new(state) }
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A pool object with many owners.
pub struct PooledShared<T>(Arc<(T, Token)>);

impl<T> PooledShared<T> {
    pub(crate) fn new(state: &Arc<PoolState>, value: T) -> PooledShared<T> {
        PooledShared(Arc::new((value, Token::new(state))))
    }

    pub(crate) fn owners(&self) -> u64 {
        Arc::strong_count(&self.0) as u64
    }
}

impl<T> Deref for PooledShared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.0
    }
}

impl<T> Clone for PooledShared<T> {
    fn clone(&self) -> PooledShared<T> {
        PooledShared(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for PooledShared<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(formatter)
    }
}

impl<F: Family> Pools for Model<F> {
    type Owned<T: Send + Sync + 'static> = Pooled<T>;
    type Shared<T: Send + Sync + 'static> = PooledShared<T>;

    fn own<T: Send + Sync + 'static>(&self, value: T) -> Result<Pooled<T>, PoolExhausted> {
        F::step();
        if self.pools().fails_now() {
            return Err(PoolExhausted);
        }
        Ok(Pooled::new(self.pools(), value))
    }

    fn share<T: Send + Sync + 'static>(&self, value: T) -> Result<PooledShared<T>, PoolExhausted> {
        F::step();
        if self.pools().fails_now() {
            return Err(PoolExhausted);
        }
        Ok(PooledShared::new(self.pools(), value))
    }

    fn owners<T: Send + Sync + 'static>(&self, shared: &PooledShared<T>) -> u64 {
        shared.owners()
    }
}
