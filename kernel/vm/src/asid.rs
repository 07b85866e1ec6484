//! Address space identifiers, which run out and are used again.
//!
//! Owns: which identifier belongs to which address space in the current generation. Refuses to
//! know: the translation base register. The invariant that others rely on: while a CPU runs with
//! an identifier, no other address space has it, and when an address space gets an identifier
//! no TLB holds a translation of an earlier owner. A wrong reuse does not show under QEMU, which
//! flushes whenever the identifier in use changes, so the tests here are the proof.
//!
//! When the identifiers are used up, a new generation begins: those that CPUs run with right now
//! stay reserved, one broadcast invalidation empties every TLB, and everybody else takes a new
//! identifier when next switched to. No CPU can cache a translation of an unreserved identifier
//! between the two, because none runs with one.

use crate::machine::{Asid, Machine};
use core::sync::atomic::{AtomicU64, Ordering};
use lock_api::Mutex;

/// The most CPUs that an allocator serves.
pub const MAX_CPUS: usize = 8;
/// The most identifiers: 16 bits.
const MAX_ASIDS: usize = 1 << 16;
/// Identifier bits of a context word; the generation is above.
const ASID_BITS: u32 = 16;

/// An address space's context word: generation and identifier, zero before the first use.
#[derive(Debug, Default)]
pub struct AsidSlot(AtomicU64);

impl AsidSlot {
    /// Returns the slot of an address space that never ran.
    #[must_use]
    pub const fn new() -> AsidSlot {
        AsidSlot(AtomicU64::new(0))
    }

    /// Returns the identifier that translations of the address space may be cached under; 0, which
    /// no address space has, before the first use.
    #[must_use]
    #[inline]
    pub fn asid(&self) -> Asid {
        // Relaxed: see flush.rs; the reader has a DSB before this load.
        Asid(self.0.load(Ordering::Relaxed) as u16)
    }
}

struct State {
    generation: u64,
    next: usize,
    /// One bit an identifier of this generation.
    taken: [u64; MAX_ASIDS / 64],
    /// The context word that each CPU runs with.
    running: [u64; MAX_CPUS],
}

/// Gives identifiers out.
pub struct AsidAllocator<M: Machine>(Mutex<M::Mutex, State>);

impl<M: Machine> Default for AsidAllocator<M> {
    fn default() -> AsidAllocator<M> {
        AsidAllocator::new()
    }
}

impl<M: Machine> AsidAllocator<M> {
    /// Returns an allocator that has given out nothing. Identifier 0 is never given.
    #[must_use]
    pub const fn new() -> AsidAllocator<M> {
        AsidAllocator(Mutex::new(State {
            generation: 1,
            next: 1,
            taken: [0; MAX_ASIDS / 64],
            running: [0; MAX_CPUS],
        }))
    }

    /// Declares that a CPU will run an address space and returns its identifier.
    ///
    /// `bits` is the width of identifiers: more than log2 of the CPUs, at most 16.
    pub fn activate(&self, machine: &M, cpu: usize, slot: &AsidSlot, bits: u32) -> Asid {
        let mut state = self.0.lock();
        let mut word = slot.0.load(Ordering::Relaxed);
        if word >> ASID_BITS != state.generation {
            word = state.renew(machine, word, bits);
            slot.0.store(word, Ordering::Relaxed);
        }
        state.running[cpu] = word;
        Asid(word as u16)
    }

    /// Declares that a CPU runs no address space.
    pub fn deactivate(&self, cpu: usize) {
        self.0.lock().running[cpu] = 0;
    }
}

impl State {
    /// Returns a context word of the current generation for an address space that had `old`.
    fn renew<M: Machine>(&mut self, machine: &M, old: u64, bits: u32) -> u64 {
        let same = old as u16;
        // Another CPU runs it: its identifier was carried over.
        if old != 0 && self.running.contains(&(self.generation << ASID_BITS | u64::from(same))) {
            return self.generation << ASID_BITS | u64::from(same);
        }
        let asid = self.free(bits).unwrap_or_else(|| {
            self.roll_over(machine);
            self.free(bits).unwrap_or(0)
        });
        debug_assert!(asid != 0, "more CPUs than identifiers");
        self.take(asid);
        self.next = asid + 1;
        self.generation << ASID_BITS | asid as u64
    }

    fn free(&self, bits: u32) -> Option<usize> {
        (self.next..1 << bits).find(|asid| self.taken[asid / 64] >> (asid % 64) & 1 == 0)
    }

    fn take(&mut self, asid: usize) {
        self.taken[asid / 64] |= 1 << (asid % 64);
    }

    /// Begins a generation in which only the identifiers in use right now are taken.
    fn roll_over<M: Machine>(&mut self, machine: &M) {
        self.generation += 1;
        self.next = 1;
        self.taken.fill(0);
        for cpu in 0..MAX_CPUS {
            let asid = self.running[cpu] as u16;
            if asid != 0 {
                self.take(usize::from(asid));
                self.running[cpu] = self.generation << ASID_BITS | u64::from(asid);
            }
        }
        machine.tlbi_all();
        machine.dsb_ish();
    }
}
