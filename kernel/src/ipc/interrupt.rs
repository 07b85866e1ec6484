//! Device interrupts, told to programs as notifications.
//!
//! Owns: the lines that programs may serve, whom each tells, and when it is let through. Refuses to know:
//! how the controller is driven (`platform::interrupts`) and what a device wants.
//!
//! A line is masked from the moment it has fired until whoever serves it acknowledges, so a device that
//! asks for ever costs nobody anything while its driver is silent, and as much as the driver's own calls
//! when it is not. A line without a binding is masked. Nothing here allocates.
//!
//! Lines are taken by name of a handle; they exist from boot on and never go. A binding goes with the last
//! handle of its notification, as nobody could wait for it any more: a driver that dies leaves its line
//! masked and free for the next.
//!
//! Interrupts are taken where no lock is held: from user code, from idling, and at preemption points. So
//! a line's lock is a plain one. It is a leaf but for the controller's; the notification is raised behind it.

use super::notification::{Notification, NotificationName};
use crate::memory::pools::PoolArc;
use crate::platform::{self, interrupts};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};
use spin::mutex::SpinMutex;
use vellum_abi::Error;

/// No device's interrupt has this number.
const ABSENT: u32 = u32::MAX;

/// A line from a device to the interrupt controller.
pub struct Interrupt {
    number: AtomicU32,
    binding: SpinMutex<Option<Binding>>,
}

/// Whom a line tells.
struct Binding {
    notification: PoolArc<Notification>,
    bits: u64,
}

/// The real-time clock's line and the console's.
static LINES: [Interrupt; 2] = [const { Interrupt::absent() }; 2];

/// Returns the real-time clock's line, if the machine has one. Once, at boot.
pub fn clock() -> Option<&'static Interrupt> {
    LINES[0].prepare(platform::description().clock_interrupt?)
}

/// Returns the console's line, if the machine has one. Once, at boot.
pub fn console() -> Option<&'static Interrupt> {
    LINES[1].prepare(platform::description().console_interrupt?)
}

/// Serves the interrupt of a device, on the CPU that took it.
pub fn arrived(number: u32) {
    let is_it = |line: &&Interrupt| line.number.load(Ordering::Relaxed) == number;
    let Some(line) = LINES.iter().find(is_it) else { return };
    let binding = line.binding.lock();
    // Under the lock: whoever binds the line meanwhile is told, or lets it through afterwards.
    interrupts::mask(number);
    let told = binding.as_ref().map(|binding| (binding.notification.clone(), binding.bits));
    drop(binding);
    if let Some((notification, bits)) = told {
        notification.raise(bits);
    }
}

/// Unbinds every line from a notification that no handle names any more.
pub fn forget(notification: &Notification) {
    for line in &LINES {
        let mut binding = line.binding.lock();
        let gone = binding.take_if(|bound| ptr::eq(&raw const *bound.notification, notification));
        if gone.is_some() {
            interrupts::mask(line.number.load(Ordering::Relaxed));
        }
        drop(binding);
        // Not the last owner: the caller is one.
        drop(gone);
    }
}

impl Interrupt {
    const fn absent() -> Interrupt {
        Interrupt { number: AtomicU32::new(ABSENT), binding: SpinMutex::new(None) }
    }

    fn prepare(&'static self, number: u32) -> Option<&'static Interrupt> {
        interrupts::prepare(number).ok()?;
        self.number.store(number, Ordering::Relaxed);
        Some(self)
    }

    /// Lets the line raise these bits from now on, and nothing that it was bound to before.
    pub fn bind(&self, name: &NotificationName, bits: u64) {
        let mut binding = self.binding.lock();
        // While `name` is held there is a handle, so `forget` comes later.
        let before = binding.replace(Binding { notification: name.notification().clone(), bits });
        interrupts::unmask(self.number.load(Ordering::Relaxed));
        drop(binding);
        drop(before);
    }

    /// Lets the line through again.
    ///
    /// # Errors
    /// `InvalidState` if it is not bound.
    pub fn acknowledge(&self) -> Result<(), Error> {
        let binding = self.binding.lock();
        if binding.is_none() {
            return Err(Error::InvalidState);
        }
        interrupts::unmask(self.number.load(Ordering::Relaxed));
        Ok(())
    }
}
