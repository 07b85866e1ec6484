//! The interrupt controller: a GICv3.
//!
//! Owns: set-up, acknowledging and ending interrupts. Refuses to know: what an interrupt
//! means. All interrupts are in the non-secure group 1, so that they
//! arrive as IRQ.

use crate::arch::timer;
use crate::memory::layout::device;
use crate::platform::device_tree::Machine;
use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicV3};
use arm_gic::{IntId, InterruptGroup, UniqueMmioPointer};
use core::ptr::NonNull;

/// The timer's interrupt.
const TIMER: IntId = IntId::ppi(timer::PRIVATE_INTERRUPT);
/// Between the highest priority and the mask below.
const PRIORITY: u8 = 0xa0;
/// Lets every priority through.
const PRIORITY_MASK: u8 = 0xff;
/// Bytes of one CPU's redistributor: two frames of 64 KiB.
pub const REDISTRIBUTOR_BYTES: u64 = 0x2_0000;

/// Sets the controller up for the first CPU, with its timer interrupt enabled.
///
/// # Errors
/// A text, where the redistributors are not what the driver knows.
pub fn start(machine: &Machine) -> Result<(), &'static str> {
    let distributor: *mut Gicd = pointer(machine.distributor.address);
    let redistributors: *mut GicrSgi = pointer(machine.redistributors.address);
    let distributor = NonNull::new(distributor).ok_or("no distributor")?;
    let redistributors = NonNull::new(redistributors).ok_or("no redistributors")?;
    // SAFETY: `boot` mapped the distributor's registers as device memory; this is the one driver.
    let distributor = unsafe { UniqueMmioPointer::new(distributor) };
    // SAFETY: Likewise the redistributors of the first `cpus` CPUs.
    let gic = unsafe { GicV3::new(distributor, redistributors, machine.cpus) };
    let mut gic = gic.map_err(|_| "unknown layout of redistributors")?;
    gic.setup(0);
    GicCpuInterface::set_priority_mask(PRIORITY_MASK);
    gic.set_interrupt_priority(TIMER, Some(0), PRIORITY).map_err(|_| "no timer interrupt")?;
    gic.enable_interrupt(TIMER, Some(0), true).map_err(|_| "no timer interrupt")
}

/// Returns the kernel's view of a register block.
fn pointer<T>(physical: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(device(physical) as usize)
}

/// Takes every interrupt that waits. The timer's is disarmed, as it stays raised otherwise; no
/// other is enabled.
pub fn serve() {
    while GicCpuInterface::handle_interrupt(InterruptGroup::Group1, |id| {
        if id == TIMER {
            timer::disarm();
        }
    }) {}
}
