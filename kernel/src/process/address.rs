//! Threads that wait at an address until somebody wakes them.
//!
//! Owns: what an address means as a place to wait at, and the queues, which many places share. Refuses
//! to know: what the word there means to programs. A queue is found by a hash that no program knows, so
//! that none can make others' places share one with a crowd of its own.

use super::queue::MixedQueue;
use super::{Process, Thread};
use crate::memory::machine::Hardware;
use crate::trap;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::{MAX_WAKE, WaitFlags};
use vellum_vm::addr::UserPointer;
use vellum_vm::machine::Machine;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::AccessRefusal;

const QUEUES: usize = 512;

static PLACES: [MixedQueue; QUEUES] = [const { MixedQueue::new() }; QUEUES];
/// What the hash starts with.
static SECRET: AtomicU64 = AtomicU64::new(0);

/// Sets what no program knows.
pub fn set_secret(secret: u64) {
    SECRET.store(secret, Ordering::Relaxed);
}

/// A place to wait at: an owner, which is only compared, and a byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    owner: usize,
    byte: u64,
}

/// What a thread waits for at a place. It is kept with the thread.
#[derive(Clone, Copy)]
pub struct WordWait {
    /// Where the word is in the thread's process.
    pub pointer: UserPointer,
    /// What the address means.
    pub place: Place,
    /// What the thread has seen there.
    pub value: u32,
}

impl Place {
    /// Returns what an address of a process means.
    pub fn of(process: &Process, pointer: UserPointer, flags: WaitFlags) -> Place {
        let shared = flags.contains(WaitFlags::SHARED).then(|| process.space.shared_place(pointer));
        match shared.flatten() {
            Some((owner, byte)) => Place { owner, byte },
            None => Place::private(process, pointer),
        }
    }

    /// Returns what an address of a process means to the process alone.
    fn private(process: &Process, pointer: UserPointer) -> Place {
        Place { owner: ptr::from_ref(process).addr(), byte: pointer.untagged() }
    }

    /// Returns the place where threads wait for a page of an object, which no address names.
    pub fn of_page(object: &MemoryObject<Hardware>, index: u64) -> Place {
        Place { owner: ptr::from_ref(object).addr(), byte: index | 1 << 63 }
    }

    /// Returns the queue of the place, which others may share.
    pub fn queue(self) -> &'static MixedQueue {
        // The finaliser of MurmurHash3, twice: a few instructions, and every bit changes half of all.
        let mix = |word: u64| {
            let word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
            let word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            word ^ word >> 33
        };
        let hash = mix(mix(SECRET.load(Ordering::Relaxed) ^ self.owner as u64) ^ self.byte);
        &PLACES[hash as usize % QUEUES]
    }

    /// Wakes up to `count` threads that wait here, the longest first; calls `pause_fn` now and then, without any
    /// lock. Returns how many.
    pub fn wake(self, count: u64, pause_fn: impl FnMut()) -> u64 {
        self.queue().wake_some(count, |thread| self.is_awaited_by(thread), pause_fn)
    }

    /// Returns whether a thread of the queue waits here. Nobody keeps the object where one waits: if it is
    /// not mapped there any more, another may have its place in memory by now.
    fn is_awaited_by(self, thread: &Thread) -> bool {
        let Some(wait) = thread.word_wait().filter(|wait| wait.place == self) else { return false };
        self == Place::private(&thread.process, wait.pointer)
            || self == Place::of(&thread.process, wait.pointer, WaitFlags::SHARED)
    }
}

impl WordWait {
    /// Returns whether the word is not what the thread has seen, or cannot be read now: then the thread
    /// has to look by itself.
    pub fn is_over(&self, process: &Process) -> bool {
        let mut bytes = [0; 4];
        let read = process.space.read_page(self.pointer.untagged(), &mut bytes);
        read != Ok(bytes.len()) || u32::from_le_bytes(bytes) != self.value
    }
}

/// Clears a word of a process, which is where somebody waits for the end of a thread, and wakes who
/// does.
///
/// # Errors
/// As the process's own store: `Changing` says to try again.
pub(super) fn clear_and_wake(process: &Process, address: u64) -> Result<(), AccessRefusal> {
    let pointer = UserPointer::new(address);
    process.space.write_page(pointer.untagged(), &[0; 4])?;
    for flags in [WaitFlags::NONE, WaitFlags::SHARED] {
        // The thread that ends goes nowhere from here: what it is interrupted for is looked at next.
        Place::of(process, pointer, flags).wake(MAX_WAKE, || {
            if Hardware.should_pause() {
                trap::serve_interrupts();
            }
        });
    }
    Ok(())
}
