//! The PL011 as a driver in user space uses it.
//!
//! Owns: the registers that move bytes and mask interrupts (PrimeCell UART (PL011) Technical Reference Manual,
//! *Programmer's model*). Refuses to know: speed and format of the line, which the kernel has set: its console
//! writes to the same device.

use crate::mapping::{MapRequest, PAGE};
use vellum_abi::{Error, Handle};

/// UARTDR: a byte; when read, errors above it.
const DATA: usize = 0x00;
/// UARTFR.
const FLAGS: usize = 0x18;
/// UARTCR.
const CONTROL: usize = 0x30;
/// UARTIMSC.
const MASK: usize = 0x38;

/// FR.RXFE and FR.TXFF.
const NOTHING_RECEIVED: u32 = 1 << 4;
const NO_ROOM: u32 = 1 << 5;
/// CR.LBE.
const LOOP_BACK: u32 = 1 << 7;
/// DR.FE, PE, BE, OE.
const ERRORS: u32 = 0xf00;

/// Interrupts: something was received, or lies there for a while; there is room to send.
const RECEIVED: u32 = 1 << 4 | 1 << 6;
const ROOM: u32 = 1 << 5;

/// Whether the device interrupts when there is room to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// When something was received.
    Input,
    /// Then too.
    InputAndRoom,
    /// Never.
    Nothing,
}

/// The device.
#[derive(Debug)]
pub struct Pl011 {
    registers: usize,
}

impl Pl011 {
    /// Maps the registers for the rest of the program's life.
    ///
    /// # Errors
    /// Those of [`MapRequest::map`].
    pub fn map(registers: Handle) -> Result<Pl011, Error> {
        let registers = MapRequest::of(registers, PAGE).shared().map()?.leak();
        Ok(Pl011 { registers })
    }

    /// Takes a byte that was received; what came with an error is dropped.
    pub fn receive(&mut self) -> Option<u8> {
        while self.read(FLAGS) & NOTHING_RECEIVED == 0 {
            let data = self.read(DATA);
            if data & ERRORS == 0 {
                return Some(data as u8);
            }
        }
        None
    }

    /// Sends a byte. Returns whether there was room.
    pub fn send(&mut self, byte: u8) -> bool {
        let has_room = self.read(FLAGS) & NO_ROOM == 0;
        if has_room {
            self.write(DATA, u32::from(byte));
        }
        has_room
    }

    /// Says what the device interrupts for.
    pub fn interrupt_for(&mut self, interest: Interest) {
        let mask = match interest {
            Interest::Input => RECEIVED,
            Interest::InputAndRoom => RECEIVED | ROOM,
            Interest::Nothing => 0,
        };
        self.write(MASK, mask);
    }

    /// Lets the device receive what it sends, whoever sends it, or what comes from outside again.
    pub fn loop_back(&mut self, own: bool) {
        let control = self.read(CONTROL) & !LOOP_BACK;
        self.write(CONTROL, if own { control | LOOP_BACK } else { control });
    }

    fn read(&self, register: usize) -> u32 {
        let register: *const u32 = core::ptr::with_exposed_provenance(self.registers + register);
        // SAFETY: the registers stay mapped, and this is one of them.
        unsafe { register.read_volatile() }
    }

    fn write(&mut self, register: usize, value: u32) {
        let register: *mut u32 = core::ptr::with_exposed_provenance_mut(self.registers + register);
        // SAFETY: as for `read`.
        unsafe { register.write_volatile(value) }
    }
}
