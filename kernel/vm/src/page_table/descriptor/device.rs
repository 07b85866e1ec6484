//! Leaves of device registers.

use super::Descriptor;
use crate::frame::ObjectFrame;
use crate::page_table::kinds::MemoryKind;
use vellum_abi::Protection;

impl Descriptor {
    /// Maps device registers.
    #[must_use]
    #[inline]
    pub fn device(frame: ObjectFrame, protection: Protection) -> Descriptor {
        let leaf = Descriptor::object(frame, protection);
        Descriptor(leaf.0 & !MemoryKind::MASK | MemoryKind::Device.bits())
    }

    /// Returns whether a valid leaf maps device registers, which only the program may touch.
    #[must_use]
    #[inline]
    pub const fn is_device(self) -> bool {
        self.0 & MemoryKind::MASK == MemoryKind::Device.bits()
    }
}
