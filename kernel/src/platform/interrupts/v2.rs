//! GICv2: registers in memory, those of a CPU at the same addresses for each. QEMU's has no security
//! extension here: all interrupts are in group 0, which arrives as IRQ.

use super::{CALL, PRIORITY, TIMER, pointer};
use crate::platform::device_tree::Registers;
use arm_gic::gicv2::{GicV2, SgiTarget, SgiTargetListFilter};
use arm_gic::{IntId, InterruptGroup};
use spin::mutex::SpinMutex;

/// Where the number of an interrupt is in what acknowledging reads; above it is who sent it.
const NUMBER: u32 = 0x3ff;

/// The driver, for one CPU at a time.
struct Driver(GicV2<'static>);

// SAFETY: The registers may be used from every CPU; each finds its own at the same addresses.
unsafe impl Send for Driver {}

static DRIVER: SpinMutex<Option<Driver>> = SpinMutex::new(None);

pub(super) fn start(distributor: Registers, interface: Registers) -> Result<(), &'static str> {
    // SAFETY: `boot` mapped both as device memory, and this is the one driver.
    let gic = unsafe { GicV2::new(pointer(distributor.address), pointer(interface.address)) };
    *DRIVER.lock() = Some(Driver(gic));
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
    use_fn(&mut driver.as_mut().expect("made before the first interrupt is enabled").0)
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
