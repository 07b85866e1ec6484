//! What a thread waits for, as it begins and ends at every message.
//!
//! Owns: that the usual waits cost little to note and to forget. Refuses to know: where threads wait.

use super::{Thread, Wait};
use crate::ipc::Meeting;

impl Thread {
    /// Declares what the thread waits for from now on.
    #[inline]
    pub fn begin_to_wait(&self, wait: Wait) {
        let mut waiting = self.waiting.lock();
        if waiting.is_some() {
            // Not usual: whoever made it ready, or runs it, took it out.
            clear(&mut waiting);
        }
        // Nothing is there to be dropped.
        core::mem::forget(waiting.replace(wait));
    }

    /// Declares that it waits for nothing any more.
    #[inline]
    pub fn end_wait(&self) {
        match self.waiting.lock().take() {
            None => {}
            // What most have waited for, with the least to ask.
            Some(Wait::Meeting(Meeting::Receives(endpoint))) => drop(endpoint),
            Some(Wait::Meeting(Meeting::Served(server))) => drop(server),
            Some(other) => drop_wait(other),
        }
    }
}

#[cold]
#[inline(never)]
fn clear(waiting: &mut Option<Wait>) {
    *waiting = None;
}

#[cold]
#[inline(never)]
fn drop_wait(wait: Wait) {
    drop(wait);
}
