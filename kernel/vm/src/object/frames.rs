//! Objects of frames that the allocator never had.

use super::{Contents, MemoryObject};
use crate::account::Account;
use crate::addr::FrameAddress;
use crate::error::VmError;
use crate::machine::Machine;
use vellum_abi::PAGE_SIZE;

impl<M: Machine> MemoryObject<M> {
    /// Makes an object of frames that the allocator does not manage and that never change.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn fixed(
        machine: M,
        account: M::Shared<Account>,
        first: FrameAddress,
        pages: u64,
    ) -> Result<MemoryObject<M>, VmError> {
        MemoryObject::of_frames(machine, account, Contents::Fixed { first, pages })
    }

    /// Makes an object of device registers.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn device(
        machine: M,
        account: M::Shared<Account>,
        first: FrameAddress,
        pages: u64,
    ) -> Result<MemoryObject<M>, VmError> {
        MemoryObject::of_frames(machine, account, Contents::Device { first, pages })
    }

    fn of_frames(
        machine: M,
        account: M::Shared<Account>,
        contents: Contents<M>,
    ) -> Result<MemoryObject<M>, VmError> {
        account.charge_kernel(Self::BYTES)?;
        Ok(MemoryObject { machine, account, contents })
    }
}

/// Returns the frame that lies `index` frames behind the first of an object.
#[inline]
pub(super) fn frame_behind(first: FrameAddress, index: u64) -> FrameAddress {
    FrameAddress::containing(first.to_physical() + index * PAGE_SIZE)
}
