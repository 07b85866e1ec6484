//! The interrupt controller: a GICv3, or a GICv2 where QEMU is told so.
//!
//! Owns: set-up, acknowledging, ending, masking and sending interrupts. Refuses to know: what an interrupt
//! means. Two are in use on each CPU: the timer's, and the one by which CPUs call each other. Those of
//! devices that programs serve all go to the first CPU.

mod v2;
mod v3;

use crate::arch::{cpu, timer, tlb};
use crate::memory::layout::device;
use crate::platform::device_tree::{Controller, Machine};
use arm_gic::IntId;
use core::sync::atomic::{AtomicBool, Ordering};

pub use v3::REDISTRIBUTOR_BYTES;

/// The timer's interrupt.
const TIMER: IntId = IntId::ppi(timer::PRIVATE_INTERRUPT);
/// What CPUs send each other.
const CALL: IntId = IntId::sgi(0);
/// Between the highest priority and the mask below.
const PRIORITY: u8 = 0xa0;
/// Lets every priority through.
const PRIORITY_MASK: u8 = 0xff;

/// Whether the controller is a GICv2, once it is set up.
static IS_V2: AtomicBool = AtomicBool::new(false);

/// Sets the controller up for the first CPU.
///
/// # Errors
/// A text, where the controller is not what the driver knows.
pub fn start(machine: &Machine) -> Result<(), &'static str> {
    match machine.controller {
        Controller::V3 { distributor, redistributors } => {
            v3::start(distributor, redistributors, machine.cpus)
        }
        Controller::V2 { distributor, interface } => {
            IS_V2.store(true, Ordering::Relaxed);
            v2::start(distributor, interface)
        }
    }
}

/// Sets up what another CPU has of its own, on that CPU. One at a time does so.
///
/// # Errors
/// As [`start`].
pub fn start_another(machine: &Machine, number: usize) -> Result<(), &'static str> {
    match machine.controller {
        Controller::V3 { distributor, redistributors } => {
            v3::start_another(distributor, redistributors, machine.cpus, number)
        }
        Controller::V2 { .. } => v2::start_this(),
    }
}

/// Returns the kernel's view of a register block.
fn pointer<T>(physical: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut(device(physical) as usize)
}

/// Takes every interrupt that waits; `device_fn` is told the number of a device's. Returns whether the
/// timer's was one: it is disarmed, as it stays raised otherwise.
pub fn serve(mut device_fn: impl FnMut(u32)) -> bool {
    let mut timer = false;
    let serve_fn = |id: IntId| {
        if id == TIMER {
            timer::disarm();
            timer = true;
        } else if let Some(number) = id.spi_index() {
            device_fn(number as u32);
        }
    };
    if IS_V2.load(Ordering::Relaxed) {
        v2::serve(serve_fn)
    } else {
        v3::serve(serve_fn)
    }
    timer
}

/// Sets up the interrupt of a device, masked: while it asks, it goes to the first CPU.
///
/// # Errors
/// A text, where the controller knows no such interrupt.
pub fn prepare(number: u32) -> Result<(), &'static str> {
    let id = device_interrupt(number).ok_or("no such interrupt")?;
    if IS_V2.load(Ordering::Relaxed) { v2::prepare(id) } else { v3::prepare(id) }
}

/// Keeps the interrupt of a device away from the CPU.
pub fn mask(number: u32) {
    let_through(number, false);
}

/// Lets the interrupt of a device through, at once if it asks already.
pub fn unmask(number: u32) {
    let_through(number, true);
}

fn let_through(number: u32, through: bool) {
    let Some(id) = device_interrupt(number) else { return };
    if IS_V2.load(Ordering::Relaxed) {
        v2::let_through(id, through)
    } else {
        v3::let_through(id, through)
    }
}

/// Returns a device's interrupt by its number among those that devices share.
fn device_interrupt(number: u32) -> Option<IntId> {
    (number < IntId::MAX_SPI_COUNT).then(|| IntId::spi(number))
}

/// Interrupts a CPU, perhaps this one.
pub fn send(number: usize) {
    // What the CPU shall look at is written before it is interrupted.
    tlb::dsb_ishst();
    if IS_V2.load(Ordering::Relaxed) {
        v2::send(number)
    } else {
        v3::send(number)
    }
    cpu::isb();
}
