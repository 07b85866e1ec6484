//! What a program has of devices, and what it hands on to programs that it starts.
//!
//! Owns: the handles that came with the program's start. Refuses to know: what a device does. Registers
//! are mapped shared; a line is bound to a notification ([`crate::Interrupt`]).

use crate::entry;
use vellum_abi::start::Device;
use vellum_abi::{Handle, Rights};

/// A handle, or none, for each [`Device`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Devices([Option<Handle>; Device::ALL.len()]);

impl Devices {
    /// No device.
    pub const NONE: Devices = Devices([None; Device::ALL.len()]);

    /// Returns what this program was started with.
    #[must_use]
    pub fn own() -> Devices {
        Devices(Device::ALL.map(entry::device))
    }

    /// Returns the handle of what there is of a device.
    #[must_use]
    pub const fn get(&self, device: Device) -> Option<Handle> {
        self.0[device as usize]
    }

    /// Returns the same without one.
    #[must_use]
    pub fn without(mut self, device: Device) -> Devices {
        self.0[device as usize] = None;
        self
    }

    /// Returns everything that there is.
    pub fn iter(&self) -> impl Iterator<Item = (Device, Handle)> + '_ {
        Device::ALL.into_iter().filter_map(|device| Some((device, self.get(device)?)))
    }
}

/// Returns what whoever gets a device may do with it.
pub(crate) const fn rights(device: Device) -> Rights {
    let all = Rights::WRITE.union(Rights::TRANSFER).union(Rights::INSPECT);
    if device.is_interrupt() {
        all.union(Rights::MANAGE)
    } else {
        all.union(Rights::READ).union(Rights::MAP)
    }
}
