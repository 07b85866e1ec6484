//! Frames by what is known of them. What a value of each type proves keeps bugs from compiling.
//!
//! ```text
//! allocator -> UninitFrame -> (one fill or copy) -> OwnedFrame -> private leaf -> allocator
//!                                                `-> SharedFrame -> read-only leaves of anybody
//! ```

use crate::account::Account;
use crate::addr::FrameAddress;
use crate::error::VmError;
use crate::machine::Machine;

/// A frame that belongs to the holder and to nobody else, with contents that nobody may see.
///
/// It cannot be mapped. It ends in a fill (`fill` module) or goes back to the allocator.
#[derive(Debug)]
#[must_use = "a frame that is dropped is lost: fill it or free it"]
pub struct UninitFrame(FrameAddress);

impl UninitFrame {
    /// Takes a frame out of an allocator. For implementations of the machine only: the caller
    /// vouches that nobody else has the frame.
    pub fn from_allocator(address: FrameAddress) -> UninitFrame {
        UninitFrame(address)
    }

    /// Returns where the frame is.
    #[must_use]
    #[inline]
    pub fn address(&self) -> FrameAddress {
        self.0
    }

    /// Gives the frame up to whoever now accounts for it by address.
    #[must_use]
    #[inline]
    pub fn into_address(self) -> FrameAddress {
        self.0
    }
}

/// A frame of the holder alone whose every byte was written since it left the allocator, and every
/// tag too if it was made for Tagged memory.
#[derive(Debug)]
#[must_use = "a frame that is dropped is lost: map it or free it"]
pub struct OwnedFrame(FrameAddress);

impl OwnedFrame {
    /// Declares an initialised frame. Called by `fill` alone, after the last write.
    #[inline]
    pub(crate) fn after_fill(frame: UninitFrame) -> OwnedFrame {
        OwnedFrame(frame.into_address())
    }

    /// Takes back the frame of a leaf or a page store slot that was just emptied.
    #[inline]
    pub(crate) fn from_slot(address: FrameAddress) -> OwnedFrame {
        OwnedFrame(address)
    }

    /// Returns where the frame is.
    #[must_use]
    #[inline]
    pub fn address(&self) -> FrameAddress {
        self.0
    }

    /// Gives the frame up to a leaf or slot that now owns it.
    #[must_use]
    #[inline]
    pub(crate) fn into_slot(self) -> FrameAddress {
        self.0
    }

    /// Returns the frame to its uninitialised state, for the allocator.
    #[inline]
    pub fn discard(self) -> UninitFrame {
        UninitFrame(self.0)
    }
}

/// A frame that others see too: a page of a reference object or of a memory object.
///
/// Whoever holds one keeps the object alive. A private mapping can only make a read-only leaf of
/// it: `page_table::Leaf` has no constructor for a private writable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedFrame(FrameAddress);

impl SharedFrame {
    /// Names a frame of an object. Called by the objects alone.
    #[inline]
    pub(crate) fn of_object(address: FrameAddress) -> SharedFrame {
        SharedFrame(address)
    }

    /// Returns where the frame is.
    #[must_use]
    #[inline]
    pub fn address(self) -> FrameAddress {
        self.0
    }
}

/// A frame of a memory object: the only shared frame that a shared mapping may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectFrame(FrameAddress);

impl ObjectFrame {
    /// Names a frame of a memory object. Called by `page_store` alone.
    #[inline]
    pub(crate) fn of_object(address: FrameAddress) -> ObjectFrame {
        ObjectFrame(address)
    }

    /// Returns where the frame is.
    #[must_use]
    #[inline]
    pub fn address(self) -> FrameAddress {
        self.0
    }

    /// Returns the frame as a private mapping may see it.
    #[must_use]
    #[inline]
    pub fn read_only(self) -> SharedFrame {
        SharedFrame(self.0)
    }
}

/// Takes a frame that `account` pays for.
///
/// # Errors
/// `OutOfFrames`, `LimitReached`.
#[inline]
pub fn allocate<M: Machine>(machine: &M, account: &Account) -> Result<UninitFrame, VmError> {
    account.charge_frame()?;
    machine.allocate_frame().ok_or_else(|| {
        account.credit_frame();
        VmError::OutOfFrames
    })
}

/// Gives back a frame that `account` paid for.
#[inline]
pub fn free<M: Machine>(machine: &M, account: &Account, frame: UninitFrame) {
    machine.free_frame(frame);
    account.credit_frame();
}
