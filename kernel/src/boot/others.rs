//! The other CPUs: each comes up with the boot tables and the boot stack, one after the other, takes
//! the final tables and its own stack, and then looks for work like every CPU.
//!
//! Owns: that order. Refuses to know: what they will run. Invariant: all CPUs can do the same; one that
//! differs ends the boot, as what the first one can do was taken for all.

use super::fail;
use crate::arch::{boot, features, mmu, page_fill, pmu, thread_registers, timer, vectors};
use crate::percpu;
use crate::platform::device_tree::Machine;
use crate::platform::{self, interrupts, power};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Nanoseconds that a CPU may take to come up.
const PATIENCE: u64 = 10_000_000_000;

/// How many CPUs are up.
static UP: AtomicUsize = AtomicUsize::new(1);

/// Starts all CPUs but the first.
pub(super) fn start(machine: &Machine) {
    for (number, affinity) in machine.affinities[..machine.cpus].iter().enumerate().skip(1) {
        if let Err(text) = power::start_cpu(*affinity, boot::another_entry(), number as u64) {
            fail(text);
        }
        let begun = timer::now();
        // They share the boot stack until they have their own.
        while UP.load(Ordering::Acquire) == number {
            if timer::now() - begun > PATIENCE {
                fail("a CPU does not come up");
            }
            core::hint::spin_loop();
        }
    }
}

/// Goes on with the start of another CPU, on the boot stack, with the boot tables.
pub extern "C" fn start_another(number: usize) -> ! {
    vectors::install();
    if !features::are_the_same() {
        fail("a CPU differs from the first one");
    }
    // SAFETY: The final tables have the image, whose `.bss` holds the boot stack, where it is now.
    unsafe { mmu::install_again(features::get()) };
    mmu::configure(features::get(), page_fill::uses_mops());
    // SAFETY: `boot` mapped a stack for each CPU, and this is the first use of this one's.
    let stack = unsafe { percpu::install(number) };
    // SAFETY: `stack` is the top of a mapped stack; nothing on the boot stack is used again.
    unsafe { vectors::call_on(stack, go_on) }
}

/// Goes on with the start of another CPU, on its own stack.
extern "C" fn go_on() -> ! {
    timer::start_this();
    pmu::start();
    thread_registers::start();
    if let Err(text) = interrupts::start_another(platform::description(), percpu::id()) {
        fail(text);
    }
    UP.fetch_add(1, Ordering::Release);
    vectors::enter()
}
