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
//!
//! Each CPU's declaration of what it runs has a lock of its own, under which the CPU looks whether its
//! address space's word is of the current generation, declares it and writes its translation base
//! register. Whoever begins a generation counts it first and then takes each of these locks: a CPU
//! that had its lock before has declared what it walks for by then, one that takes it later sees the new
//! generation and comes for the allocator's lock. So a switch among current address spaces shares
//! nothing with other CPUs, and still every CPU walks for what it declared and nothing else: one
//! identifier a CPU is reserved, and one more is enough for who asks.
//!
//! Lock order: the allocator's, then a CPU's.

use crate::machine::{Asid, Machine};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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

/// The context word that a CPU walks with, as its address space has it, of whatever generation, or zero.
#[repr(align(64))]
struct Held<M: Machine>(Mutex<M::Mutex, u64>);

struct State {
    next: usize,
    /// One bit an identifier of this generation.
    taken: [u64; MAX_ASIDS / 64],
    /// The words that were held when the generation began: their identifiers stay their own.
    carried: [u64; MAX_CPUS],
}

/// Gives identifiers out.
pub struct AsidAllocator<M: Machine> {
    /// Changed under the lock of `state` alone.
    generation: AtomicU64,
    held: [Held<M>; MAX_CPUS],
    /// How many bits identifiers have.
    bits: AtomicU32,
    state: Mutex<M::Mutex, State>,
}

impl<M: Machine> Default for AsidAllocator<M> {
    fn default() -> AsidAllocator<M> {
        AsidAllocator::new()
    }
}

impl<M: Machine> AsidAllocator<M> {
    /// Returns an allocator that has given out nothing, of identifiers of 8 bits. Identifier 0 is never given.
    #[must_use]
    pub const fn new() -> AsidAllocator<M> {
        AsidAllocator::with_bits(8)
    }

    /// As [`Self::new`], of identifiers of so many bits: at most 16, and enough for one a CPU and one more.
    #[must_use]
    pub const fn with_bits(bits: u32) -> AsidAllocator<M> {
        AsidAllocator {
            generation: AtomicU64::new(1),
            held: [const { Held(Mutex::new(0)) }; MAX_CPUS],
            bits: AtomicU32::new(bits),
            state: Mutex::new(State {
                next: 1,
                taken: [0; MAX_ASIDS / 64],
                carried: [0; MAX_CPUS],
            }),
        }
    }

    /// Changes how many bits identifiers have, before one is given.
    pub fn set_bits(&self, bits: u32) {
        self.bits.store(bits, Ordering::Relaxed);
    }

    /// Returns how many bits identifiers have.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits.load(Ordering::Relaxed)
    }

    /// Declares that a CPU runs an address space. `enter_fn` gets its identifier and writes the CPU's
    /// translation base register; when it returns, the CPU walks for nothing else any more.
    #[inline]
    pub fn activate(&self, machine: &M, cpu: usize, slot: &AsidSlot, enter_fn: impl FnOnce(Asid)) {
        let mut held = self.held[cpu].0.lock();
        let word = slot.0.load(Ordering::Relaxed);
        // Relaxed: a generation that began before this lock was taken had it in its turn.
        if word >> ASID_BITS == self.generation.load(Ordering::Relaxed) {
            *held = word;
            return enter_fn(Asid(word as u16));
        }
        drop(held);
        self.activate_anew(machine, cpu, slot, enter_fn);
    }

    /// As [`Self::activate`], of an address space that has no identifier of the current generation.
    #[cold]
    #[inline(never)]
    fn activate_anew(&self, machine: &M, cpu: usize, slot: &AsidSlot, enter_fn: impl FnOnce(Asid)) {
        let mut state = self.state.lock();
        let word = self.current_word(&mut state, machine, slot);
        *self.held[cpu].0.lock() = word;
        // With the allocator's lock: a generation that began before the write would not reserve what
        // the CPU still walks for.
        enter_fn(Asid(word as u16));
    }

    /// Declares that a CPU runs no address space. It has written its translation base register so
    /// that it walks for none.
    pub fn deactivate(&self, cpu: usize) {
        *self.held[cpu].0.lock() = 0;
    }

    /// Returns the context word of an address space in the current generation, which may begin here.
    fn current_word(&self, state: &mut State, machine: &M, slot: &AsidSlot) -> u64 {
        let old = slot.0.load(Ordering::Relaxed);
        if old >> ASID_BITS == self.generation.load(Ordering::Relaxed) {
            return old;
        }
        let word = self.renew(state, machine, old);
        slot.0.store(word, Ordering::Relaxed);
        // Orders the new identifier before the first walk under it: whoever empties a
        // descriptor and then still reads the old one did so before that walk (flush.rs).
        machine.dsb_ishst();
        word
    }

    /// Returns a context word of the current generation for an address space that had `old`.
    fn renew(&self, state: &mut State, machine: &M, old: u64) -> u64 {
        // A CPU walked with it after the last invalidation, and perhaps does now.
        if let Some(word) = self.carried_over(state, old) {
            return word;
        }
        let bits = self.bits();
        let asid = state.free(bits).unwrap_or_else(|| {
            self.roll_over(state, machine);
            state.free(bits).unwrap_or(0)
        });
        debug_assert!(asid != 0, "identifiers for one a CPU and one more");
        state.take(asid);
        state.next = asid + 1;
        self.generation.load(Ordering::Relaxed) << ASID_BITS | asid as u64
    }

    /// Brings the word of an address space that was held when the generation began up to date.
    /// The whole word is compared: the identifier alone may be somebody else's by now.
    fn carried_over(&self, state: &State, old: u64) -> Option<u64> {
        if old == 0 || !state.carried.contains(&old) {
            return None;
        }
        let generation = self.generation.load(Ordering::Relaxed);
        let new = generation << ASID_BITS | u64::from(old as u16);
        for held in &self.held {
            let mut word = held.0.lock();
            // The next generation must find it as its address space has it.
            if *word == old {
                *word = new;
            }
        }
        Some(new)
    }

    /// Begins a generation in which only the identifiers in use right now are taken.
    fn roll_over(&self, state: &mut State, machine: &M) {
        // Before the locks of the CPUs: see the head of this file.
        self.generation.fetch_add(1, Ordering::Relaxed);
        state.next = 1;
        state.taken.fill(0);
        state.carried = core::array::from_fn(|cpu| *self.held[cpu].0.lock());
        for word in state.carried {
            state.take(usize::from(word as u16));
        }
        machine.tlbi_all();
        machine.dsb_ish();
    }
}

impl State {
    fn free(&self, bits: u32) -> Option<usize> {
        (self.next..1 << bits).find(|asid| self.taken[asid / 64] >> (asid % 64) & 1 == 0)
    }

    fn take(&mut self, asid: usize) {
        self.taken[asid / 64] |= 1 << (asid % 64);
    }
}
