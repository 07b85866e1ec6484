//! GICv3: a distributor, a redistributor for each CPU, and registers of the CPU itself. All
//! interrupts are in the non-secure group 1, so that they arrive as IRQ.

use super::{CALL, PRIORITY, PRIORITY_MASK, TIMER, pointer};
use crate::platform;
use crate::platform::device_tree::{Controller, Registers};
use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicDistributor, GicV3, SgiTarget, SgiTargetGroup};
use arm_gic::{IntId, InterruptGroup, Trigger, UniqueMmioPointer};
use core::ptr::NonNull;
use spin::mutex::SpinMutex;

/// Bytes of one CPU's redistributor: two frames of 64 KiB.
pub const REDISTRIBUTOR_BYTES: u64 = 0x2_0000;

/// Held by whoever uses the distributor once all CPUs are set up.
static DISTRIBUTOR: SpinMutex<()> = SpinMutex::new(());

fn driver(
    distributor: Registers,
    redistributors: Registers,
    cpus: usize,
) -> Result<GicV3<'static>, &'static str> {
    let distributor: *mut Gicd = pointer(distributor.address);
    let redistributors: *mut GicrSgi = pointer(redistributors.address);
    let distributor = NonNull::new(distributor).ok_or("no distributor")?;
    let redistributors = NonNull::new(redistributors).ok_or("no redistributors")?;
    // SAFETY: `boot` mapped the distributor's registers as device memory. A driver lives during the
    // set-up of one CPU, and CPUs are set up one after the other.
    let distributor = unsafe { UniqueMmioPointer::new(distributor) };
    // SAFETY: Likewise the redistributors of the first `cpus` CPUs.
    let gic = unsafe { GicV3::new(distributor, redistributors, cpus) };
    gic.map_err(|_| "unknown layout of redistributors")
}

pub(super) fn start(
    distributor: Registers,
    redistributors: Registers,
    cpus: usize,
) -> Result<(), &'static str> {
    let mut gic = driver(distributor, redistributors, cpus)?;
    gic.setup(0);
    start_private(&mut gic, 0)
}

pub(super) fn start_another(
    distributor: Registers,
    redistributors: Registers,
    cpus: usize,
    number: usize,
) -> Result<(), &'static str> {
    let mut gic = driver(distributor, redistributors, cpus)?;
    gic.init_cpu(number);
    GicCpuInterface::enable_group1(true);
    start_private(&mut gic, number)
}

/// Enables the interrupts that a CPU has for itself.
fn start_private(gic: &mut GicV3<'_>, number: usize) -> Result<(), &'static str> {
    GicCpuInterface::set_priority_mask(PRIORITY_MASK);
    for id in [TIMER, CALL] {
        gic.set_interrupt_priority(id, Some(number), PRIORITY).map_err(|_| "no such interrupt")?;
        gic.enable_interrupt(id, Some(number), true).map_err(|_| "no such interrupt")?;
    }
    Ok(())
}

/// Uses the distributor.
fn with<R>(use_fn: impl FnOnce(&mut GicDistributor<'_>) -> R) -> Option<R> {
    let Controller::V3 { distributor, .. } = platform::description().controller else {
        return None;
    };
    let _guard = DISTRIBUTOR.lock();
    let registers: *mut Gicd = pointer(distributor.address);
    // SAFETY: `boot` mapped the registers. Drivers of the set-up are gone when the first program is made,
    // before which nobody comes here, and the lock keeps others away.
    let registers = unsafe { UniqueMmioPointer::new(NonNull::new(registers)?) };
    Some(use_fn(&mut GicDistributor::new(registers)))
}

/// Sets up a device's interrupt, masked.
pub(super) fn prepare(id: IntId) -> Result<(), &'static str> {
    let affinity = platform::description().affinities[0];
    let prepared = with(|distributor| {
        distributor.enable_interrupt(id, false)?;
        distributor.set_trigger(id, Trigger::Level)?;
        distributor.set_interrupt_priority(id, PRIORITY)?;
        distributor.set_routing(id, Some(affinity))
    });
    prepared.and_then(Result::ok).ok_or("no such interrupt")
}

/// Masks a device's interrupt, or lets it through.
pub(super) fn let_through(id: IntId, through: bool) {
    let _ = with(|distributor| {
        // The only error is an interrupt that does not exist; `prepare` has refused that.
        let _ = distributor.enable_interrupt(id, through);
        distributor.wait_for_pending_write();
    });
}

pub(super) fn serve(mut serve_fn: impl FnMut(IntId)) {
    while GicCpuInterface::handle_interrupt(InterruptGroup::Group1, &mut serve_fn) {}
}

pub(super) fn send(number: usize) {
    let affinity = platform::description().affinities[number];
    let level = |number: u32| (affinity >> (8 * number)) as u8;
    let target = SgiTarget::List {
        affinity3: (affinity >> 32) as u8,
        affinity2: level(2),
        affinity1: level(1),
        target_list: 1 << (level(0) & 0xf),
    };
    // The only error is another number than that of such an interrupt.
    let _ = GicCpuInterface::send_sgi(CALL, target, SgiTargetGroup::CurrentGroup1);
}
