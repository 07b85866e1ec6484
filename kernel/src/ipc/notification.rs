//! Notifications: bits that are raised by whoever has something to tell, and taken by who waits.
//!
//! Owns: the bits and who waits. Refuses to know: what they mean. Raising never blocks, allocates or
//! fails; bits that were raised twice before anybody took them count once.

use super::interrupt;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::process::{Thread, Wait, scheduler};
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Mutex;
use vellum_sched::{List, Queued};
use vellum_vm::account::Account;
use vellum_vm::error::VmError;
use vellum_vm::machine::Pools;

/// Bits to wait for.
pub struct Notification {
    state: Mutex<State>,
    /// Handles that name it, and names on their way from one table to another.
    names: AtomicU64,
    payer: PoolArc<Account>,
}

struct State {
    raised: u64,
    waiters: List<Thread, Queued>,
}

/// What a handle to a notification names. Interrupts are bound to it while there is one.
pub struct NotificationName(PoolArc<Notification>);

impl NotificationName {
    /// Returns the notification.
    pub fn notification(&self) -> &PoolArc<Notification> {
        &self.0
    }
}

impl Clone for NotificationName {
    fn clone(&self) -> NotificationName {
        // Whoever clones a name has one, so the count is not on its way to zero.
        self.0.names.fetch_add(1, Ordering::Relaxed);
        NotificationName(self.0.clone())
    }
}

impl Drop for NotificationName {
    fn drop(&mut self) {
        // What was bound under another name happened before that was dropped.
        if self.0.names.fetch_sub(1, Ordering::AcqRel) == 1 {
            interrupt::forget(&self.0);
        }
    }
}

impl Notification {
    /// Makes a notification without any bit raised; `payer` is charged. Returns what its first handle
    /// names.
    ///
    /// # Errors
    /// `OutOfKernelMemory`, `LimitReached`.
    pub fn create(payer: &PoolArc<Account>) -> Result<NotificationName, VmError> {
        payer.charge_kernel(size_of::<Notification>())?;
        let state = Mutex::new(State { raised: 0, waiters: List::new() });
        // What is not shared is dropped, and credits the payer.
        let (names, payer) = (AtomicU64::new(1), payer.clone());
        Ok(NotificationName(Hardware.share(Notification { state, names, payer })?))
    }

    /// Raises bits. The thread that has waited longest takes all that are raised.
    pub fn raise(&self, bits: u64) {
        let mut state = self.state.lock();
        state.raised |= bits;
        if state.raised == 0 {
            return;
        }
        if let Some(waiter) = state.waiters.pop_front() {
            let raised = core::mem::take(&mut state.raised);
            drop(state);
            waiter.context.lock().set_x(1, raised);
            scheduler::make_ready(waiter);
        }
    }

    /// Takes what is raised; 0 if nothing is.
    pub fn take(&self) -> u64 {
        core::mem::take(&mut self.state.lock().raised)
    }

    /// Lets a thread, whose registers are saved, wait. Returns the thread if it need not.
    pub fn wait(this: &PoolArc<Notification>, thread: PoolArc<Thread>) -> Option<PoolArc<Thread>> {
        let mut state = this.state.lock();
        thread.waiting.begin(Wait::Notification(this.clone()));
        if thread.is_interrupted() {
            return Some(thread);
        }
        let raised = core::mem::take(&mut state.raised);
        if raised != 0 {
            thread.context.lock().set_x(1, raised);
            return Some(thread);
        }
        state.waiters.push_back(thread);
        None
    }

    /// Takes a thread out if it waits here and `is_meant_fn`, which is asked under the lock, says so.
    pub fn take_out(&self, thread: &Thread, is_meant_fn: impl FnOnce() -> bool) -> bool {
        self.state.lock().waiters.remove_if(thread, is_meant_fn)
    }
}

impl Drop for Notification {
    fn drop(&mut self) {
        self.payer.credit_kernel(size_of::<Notification>());
    }
}
