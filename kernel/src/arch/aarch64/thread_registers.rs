//! The registers of a thread that the vectors leave to Rust: what its tag checks do, its random
//! tags, and the event counter that it has selected.
//!
//! Owns: SCTLR_EL1.TCF0, GCR_EL1, RGSR_EL1, TFSRE0_EL1 and PMSELR_EL0, and which table of vectors
//! a thread enters the kernel by, which also says whose its calls are. Refuses to know: threads. Invariant: whenever the kernel runs for
//! a thread TFSRE0_EL1 is zero: the vector of a thread with asynchronous checks ends the thread
//! otherwise, no other thread can set it, and the kernel's own copies never do.

use super::vectors::{self, Table};
use crate::arch::page_fill::has_tags;
use crate::arch::sysreg::{GCR_EL1, PMSELR_EL0, RGSR_EL1, SCTLR_EL1, TFSRE0_EL1};
use crate::arch::{cpu, pmu};
use crate::percpu;
use core::sync::atomic::{AtomicU64, Ordering};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use vellum_abi::{TagControl, TagMode};

/// Where the random tags of every thread start (RGSR_EL1: SEED in bits 23:8, TAG 0). With RRND=0
/// and a seed that is not zero they are the same in every run.
const FIRST_RANDOM: u64 = 0x5eed << 8;

/// The bit above the word of a [`TagControl`] that says that the thread's process is foreign.
const FOREIGN: u64 = 1 << 32;

/// Which registers each thread of a CPU has of its own that not every machine has.
#[derive(Clone, Copy)]
pub struct FurtherRegisters(u8);

impl FurtherRegisters {
    /// None so far.
    pub const NONE: FurtherRegisters = FurtherRegisters(0);
    /// RGSR_EL1.
    const RANDOM: u8 = 1;
    /// PMSELR_EL0.
    const COUNTER: u8 = 2;

    #[inline]
    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// Notes which registers threads have on this CPU, once it is known what EL0 may use.
pub fn start() {
    let random = if has_tags() { FurtherRegisters::RANDOM } else { 0 };
    let counter = if pmu::is_open() { FurtherRegisters::COUNTER } else { 0 };
    percpu::this().further_registers.set(FurtherRegisters(random | counter));
}

/// The registers of one thread. Only the CPU that runs the thread saves and loads them.
pub struct ThreadRegisters {
    /// What [`Self::apply`] depends on: the word of a [`TagControl`], and [`FOREIGN`].
    choice: AtomicU64,
    /// RGSR_EL1 while the thread is not running.
    random: AtomicU64,
    /// PMSELR_EL0 while the thread is not running.
    counter: AtomicU64,
}

impl ThreadRegisters {
    /// Returns the registers of a new thread: checks are synchronous, no tag is excluded.
    pub fn new() -> ThreadRegisters {
        let mode = if has_tags() { TagMode::Synchronous } else { TagMode::None };
        let choice = TagControl { mode, exclude: 0 }.to_word();
        ThreadRegisters {
            choice: AtomicU64::new(choice),
            random: AtomicU64::new(FIRST_RANDOM),
            counter: AtomicU64::new(0),
        }
    }

    /// Returns what tag checks do.
    #[inline]
    pub fn tag_control(&self) -> TagControl {
        TagControl::from_word(self.choice())
    }

    /// Decides what tag checks of a thread that is not running do.
    pub fn set_tag_control(&self, control: TagControl) {
        self.choose(control.to_word(), !FOREIGN);
    }

    /// Decides what tag checks of the running thread do. The CPU has tags.
    pub fn change_tag_control(&self, control: TagControl) {
        self.set_tag_control(control);
        self.apply();
        cpu::isb();
    }

    /// Decides whose the calls of a thread are that does not run yet.
    pub fn set_foreign(&self, foreign: bool) {
        self.choose(if foreign { FOREIGN } else { 0 }, FOREIGN);
    }

    /// Changes some bits of the choice.
    fn choose(&self, bits: u64, mask: u64) {
        let change = |choice| Some(choice & !mask | bits);
        let _ = self.choice.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// Returns RGSR_EL1 of a thread that is not running.
    pub fn random(&self) -> u64 {
        self.random.load(Ordering::Relaxed)
    }

    /// Sets RGSR_EL1 of a thread that is not running.
    pub fn set_random(&self, random: u64) {
        self.random.store(random, Ordering::Relaxed);
    }

    /// Keeps what the running thread may have changed by itself.
    #[inline]
    pub fn save(&self) {
        let further = percpu::this().further_registers.get();
        if further.has(FurtherRegisters::RANDOM) {
            self.random.store(RGSR_EL1.get(), Ordering::Relaxed);
        }
        if further.has(FurtherRegisters::COUNTER) {
            self.counter.store(PMSELR_EL0.get(), Ordering::Relaxed);
        }
    }

    /// Makes these the CPU's.
    #[inline]
    pub fn load(&self) {
        let further = percpu::this().further_registers.get();
        if further.has(FurtherRegisters::COUNTER) {
            PMSELR_EL0.set(self.counter.load(Ordering::Relaxed));
        }
        if further.has(FurtherRegisters::RANDOM) {
            RGSR_EL1.set(self.random.load(Ordering::Relaxed));
        }
        if self.choice() != percpu::this().entry_choice.get() {
            self.apply();
            // The kernel may copy for the thread before it goes back to user code.
            cpu::isb();
        }
    }

    #[inline]
    fn choice(&self) -> u64 {
        self.choice.load(Ordering::Relaxed)
    }

    /// Sets what depends on the mode, the excluded tags, and whose the calls are. The CPU remembers, so that a
    /// switch between threads that agree writes none of it; TFSRE0_EL1 is zero then already.
    fn apply(&self) {
        percpu::this().entry_choice.set(self.choice());
        let table = if has_tags() { set_tag_control(self.tag_control()) } else { Table::Plain };
        vectors::choose(table, self.choice() & FOREIGN != 0);
    }
}

/// Sets what depends on the mode and the excluded tags. Returns the vectors for that. The CPU has tags.
fn set_tag_control(control: TagControl) -> Table {
    SCTLR_EL1.modify(SCTLR_EL1::TCF0.val(control.mode as u64));
    GCR_EL1.set(u64::from(control.exclude));
    match control.mode {
        TagMode::None | TagMode::Synchronous => Table::Tags,
        TagMode::Asynchronous | TagMode::Asymmetric => {
            // Nothing that happened before is this thread's.
            TFSRE0_EL1.set(0);
            Table::AsynchronousTags
        }
    }
}

/// Forgets asynchronous tag check faults of EL0. The CPU has tags.
pub fn clear_asynchronous_fault() {
    TFSRE0_EL1.set(0);
}
