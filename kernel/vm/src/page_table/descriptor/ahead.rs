//! Private leaves made ahead of any access, which tell by their access flag whether one came.
//!
//! Owns: the flag (Arm ARM, "The Access flag"). Refuses to know: when pages are made ahead.

use super::{ACCESS_FLAG, Descriptor};
use crate::frame::OwnedFrame;
use vellum_abi::Protection;

impl Descriptor {
    /// Gives a process its own frame before it was asked for: hardware sets the access flag at the
    /// first use. Only for a machine whose hardware does, at least that of some CPU.
    #[must_use]
    #[inline]
    pub fn private_ahead(frame: OwnedFrame, protection: Protection) -> Descriptor {
        Descriptor(Descriptor::private(frame, protection).0 & !ACCESS_FLAG)
    }

    /// Returns whether a valid leaf has the access flag.
    #[must_use]
    #[inline]
    pub const fn is_accessed(self) -> bool {
        self.0 & ACCESS_FLAG != 0
    }

    /// Returns a valid leaf with the access flag.
    #[must_use]
    #[inline]
    pub const fn accessed(self) -> Descriptor {
        Descriptor(self.0 | ACCESS_FLAG)
    }
}
