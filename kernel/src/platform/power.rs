//! The end of the machine, with a status.
//!
//! Owns: semihosting exit and PSCI. Refuses to know: why. Semihosting carries a status to QEMU;
//! where it is off, its instruction is undefined, the kernel's exception handler finds
//! [`is_exiting`], and the machine is switched off without a status.

use crate::arch::cpu;
use crate::platform::device_tree::PsciMethod;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use smccc::{Hvc, Smc};

static EXITING: AtomicBool = AtomicBool::new(false);
/// A [`PsciMethod`], or 0 while it is unknown.
static PSCI: AtomicU8 = AtomicU8::new(0);

/// Remembers how PSCI calls are made.
pub fn set_psci(method: PsciMethod) {
    PSCI.store(method as u8, Ordering::Relaxed);
}

/// Starts another CPU at a physical address, with `context` in x0. It starts as this one did.
///
/// # Errors
/// A text, where the firmware refuses.
pub fn start_cpu(affinity: u64, entry: u64, context: u64) -> Result<(), &'static str> {
    let result = match PSCI.load(Ordering::Relaxed) {
        method if method == PsciMethod::Hvc as u8 => {
            smccc::psci::cpu_on::<Hvc>(affinity, entry, context)
        }
        _ => smccc::psci::cpu_on::<Smc>(affinity, entry, context),
    };
    result.map_err(|_| "the firmware does not start a CPU")
}

/// Ends the machine. QEMU's exit status becomes `status` if semihosting is on.
pub fn exit(status: u8) -> ! {
    cpu::mask_exceptions();
    if EXITING.swap(true, Ordering::Relaxed) {
        off();
    }
    semihosting::process::exit(i32::from(status))
}

/// Returns whether [`exit`] was called: an undefined instruction now means that there is no
/// semihosting.
pub fn is_exiting() -> bool {
    EXITING.load(Ordering::Relaxed)
}

/// Switches the machine off by PSCI, else stops this CPU.
pub fn off() -> ! {
    // Neither call returns where it works, and there is nobody to tell where it does not.
    let _ = match PSCI.load(Ordering::Relaxed) {
        method if method == PsciMethod::Hvc as u8 => smccc::psci::system_off::<Hvc>(),
        method if method == PsciMethod::Smc as u8 => smccc::psci::system_off::<Smc>(),
        _ => Ok(()),
    };
    cpu::park()
}
