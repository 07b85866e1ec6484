//! GICv2: registers in memory, those of a CPU at the same addresses for each. QEMU's has no security
//! extension here: all interrupts are in group 0, which arrives as IRQ.

use super::{CALL, PRIORITY, TIMER, pointer};
use crate::platform::device_tree::Registers;
use arm_gic::gicv2::{GicV2, SgiTarget, SgiTargetListFilter};
use arm_gic::{IntId, InterruptGroup, Trigger};
use spin::mutex::SpinMutex;

/// Where the number of an interrupt is in what acknowledging reads; above it is who sent it.
const NUMBER: u32 = 0x3ff;
/// Where the distributor has a byte for each interrupt with a bit for each CPU (GICD_ITARGETSR).
const TARGETS: usize = 0x800;
/// The bit of the first CPU.
const FIRST_CPU: u8 = 1;

/// The driver, for one CPU at a time.
struct Driver {
    gic: GicV2<'static>,
    /// The distributor's registers, for those that the driver has no name for.
    distributor: *mut u8,
}

// SAFETY: The registers may be used from every CPU; each finds its own at the same addresses.
unsafe impl Send for Driver {}

static DRIVER: SpinMutex<Option<Driver>> = SpinMutex::new(None);

pub(super) fn start(distributor: Registers, interface: Registers) -> Result<(), &'static str> {
    // SAFETY: `boot` mapped both as device memory, and this is the one driver.
    let gic = unsafe { GicV2::new(pointer(distributor.address), pointer(interface.address)) };
    let distributor = pointer(distributor.address);
    *DRIVER.lock() = Some(Driver { gic, distributor });
    start_this()
}

/// Sets up what this CPU has of its own; the rest is the same each time.
pub(super) fn start_this() -> Result<(), &'static str> {
    with(|gic| {
        gic.setup();
        for id in [TIMER, CALL] {
            gic.set_interrupt_priority(id, PRIORITY);
            gic.enable_interrupt(id, true).map_err(|_| "no such interrupt")?;
        }
        Ok(())
    })
}

fn with<R>(use_fn: impl FnOnce(&mut GicV2<'static>) -> R) -> R {
    let mut driver = DRIVER.lock();
    use_fn(&mut driver.as_mut().expect("made before the first interrupt is enabled").gic)
}

/// Sets up a device's interrupt, masked.
pub(super) fn prepare(id: IntId) -> Result<(), &'static str> {
    with(|gic| {
        gic.set_trigger(id, Trigger::Level);
        gic.set_interrupt_priority(id, PRIORITY);
        gic.enable_interrupt(id, false).map_err(|_| "no such interrupt")
    })?;
    let driver = DRIVER.lock();
    let distributor = driver.as_ref().ok_or("no distributor")?.distributor;
    let targets = distributor.wrapping_add(TARGETS + u32::from(id) as usize);
    // SAFETY: a byte of the distributor's registers, which `boot` mapped; the lock is held.
    unsafe { targets.write_volatile(FIRST_CPU) };
    Ok(())
}

/// Masks a device's interrupt, or lets it through.
pub(super) fn let_through(id: IntId, through: bool) {
    // The only error is an interrupt that does not exist; `prepare` has refused that.
    let _ = with(|gic| gic.enable_interrupt(id, through));
}

pub(super) fn serve(mut serve_fn: impl FnMut(IntId)) {
    while let Some(id) = with(|gic| gic.get_and_acknowledge_interrupt(InterruptGroup::Group0)) {
        let number = u32::from(id) & NUMBER;
        if number == NUMBER {
            return;
        }
        serve_fn(id);
        with(|gic| gic.end_interrupt(id, InterruptGroup::Group0));
    }
}

pub(super) fn send(number: usize) {
    let target = SgiTarget::List {
        target_list_filter: SgiTargetListFilter::CPUTargetList,
        target_list: 1 << number,
    };
    with(|gic| gic.send_sgi(CALL, target));
}
