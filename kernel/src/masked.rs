//! The longest time for which an interrupt has to wait, in a kernel that is built to measure it
//! (feature `masked`). In every other build all of this is nothing.
//!
//! Owns: when the kernel last could have taken an interrupt. Refuses to know: what it does meanwhile.
//! The kernel runs with interrupts masked from entry to exit; on its way a long operation comes by
//! points where it asks whether one waits, and lets it pass. What counts is the way from an entry or
//! such a point to the next point or the exit, in instructions, the measurement's own included.
//! Boot is left out: nothing counts before the first program runs.

use crate::arch::pmu;
use crate::memory::layout::MAX_CPUS;
use crate::percpu;
use crate::platform::console::println;
use crate::process::scheduler::Leave;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const ON: bool = cfg!(feature = "masked");
/// Instructions of the vectors around the handlers, counted in `vectors.s`: the longest way in, which
/// saves all registers, and the longest way out, to another thread.
const VECTORS: u32 = 63 + 100;

/// Each CPU's counter at the last such point, and one bit above it; zero outside the kernel.
static SINCE: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static LONGEST: AtomicU32 = AtomicU32::new(0);

/// The kernel was entered.
#[inline]
pub fn enter() {
    if ON {
        SINCE[percpu::id()].store(u64::from(pmu::instructions()) | 1 << 32, Ordering::Relaxed);
    }
}

/// An interrupt that waits would be taken now.
#[inline]
pub fn point() {
    if ON && end() {
        enter();
    }
}

/// The kernel is left, unless the vector comes back for another thread.
#[inline]
pub fn leave(leave: Leave) -> Leave {
    if ON && leave == Leave::Resume {
        end();
    }
    leave
}

/// Ends what the last point began. Returns whether there was one.
#[inline]
pub fn end() -> bool {
    if !ON {
        return false;
    }
    let since = SINCE[percpu::id()].swap(0, Ordering::Relaxed);
    if since != 0 {
        let instructions = pmu::instructions().wrapping_sub(since as u32) + VECTORS;
        LONGEST.fetch_max(instructions, Ordering::Relaxed);
    }
    since != 0
}

/// Prints the longest time, for the host tool.
pub fn report() {
    if ON {
        println!("vellum: longest masked: {} instructions", LONGEST.load(Ordering::Relaxed));
    }
}
