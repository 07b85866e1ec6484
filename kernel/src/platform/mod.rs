//! QEMU `virt`: what is outside the CPU.
//!
//! Owns: the device tree, the console, the interrupt controller, power, and the exit status.
//! Refuses to know: processes and memory management; addresses reach it as numbers.

pub mod console;
pub mod device_tree;
pub mod interrupts;
pub mod power;

pub use power::exit;

use device_tree::{Machine, TreeError};
use spin::Once;

static DESCRIPTION: Once<Machine> = Once::new();

/// Reads the device tree, once.
///
/// # Errors
/// See [`TreeError`].
pub fn describe() -> Result<&'static Machine, TreeError> {
    let machine = device_tree::read()?;
    Ok(DESCRIPTION.call_once(|| machine))
}

/// Returns what machine this is.
///
/// # Panics
/// Before boot has called [`describe`].
pub fn description() -> &'static Machine {
    DESCRIPTION.get().expect("the device tree is read first of all")
}

/// Returns how many CPUs have a kernel stack: none before the device tree is read.
pub fn cpus() -> usize {
    DESCRIPTION.get().map_or(0, |machine| machine.cpus)
}
