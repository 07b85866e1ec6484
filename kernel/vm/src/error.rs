//! Why an operation of the subsystem was refused.

use crate::addr::{Page, RangeError};
use crate::machine::PoolExhausted;
use vellum_abi::{Error, ExitKind, FaultAccess};

/// One variant a cause. An operation that returns one has changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the causes are documented at vellum_abi::Error")]
pub enum VmError {
    InvalidFlags,
    InvalidSize,
    Misaligned,
    OutOfRange,
    WriteAndExecute,
    BadAddress,
    MissingRight,
    NotMapped,
    Overlap,
    OutOfFrames,
    OutOfKernelMemory,
    OutOfAddresses,
    LimitReached,
    BeyondEnd,
    TagsUnsupported,
    SharedWritable,
    Sealed,
    NotPermitted,
    WrongPolicy,
    SeveralMappings,
    Closed,
    PageAbsent,
    PagePresent,
    NotWatched,
    PagerGone,
    PagePoisoned,
    PageRefused,
    WouldDeadlock,
}

impl From<VmError> for Error {
    fn from(error: VmError) -> Error {
        match error {
            VmError::InvalidFlags => Error::InvalidFlags,
            VmError::InvalidSize => Error::InvalidSize,
            VmError::Misaligned => Error::Misaligned,
            VmError::OutOfRange => Error::OutOfRange,
            VmError::WriteAndExecute => Error::WriteAndExecute,
            VmError::BadAddress => Error::BadAddress,
            VmError::MissingRight => Error::MissingRight,
            VmError::NotMapped => Error::NotMapped,
            VmError::Overlap => Error::Overlap,
            VmError::OutOfFrames => Error::OutOfFrames,
            VmError::OutOfKernelMemory => Error::OutOfKernelMemory,
            VmError::OutOfAddresses => Error::OutOfAddresses,
            VmError::LimitReached => Error::LimitReached,
            VmError::BeyondEnd => Error::BeyondEnd,
            VmError::TagsUnsupported => Error::TagsUnsupported,
            VmError::SharedWritable => Error::SharedWritable,
            VmError::Sealed => Error::Sealed,
            VmError::NotPermitted => Error::NotPermitted,
            VmError::WrongPolicy => Error::WrongPolicy,
            VmError::SeveralMappings => Error::SeveralMappings,
            VmError::Closed | VmError::NotWatched => Error::InvalidState,
            VmError::PageAbsent => Error::PageAbsent,
            VmError::PagePresent => Error::PagePresent,
            VmError::PagerGone => Error::PagerGone,
            VmError::PagePoisoned => Error::PagePoisoned,
            VmError::PageRefused => Error::PageRefused,
            VmError::WouldDeadlock => Error::WouldDeadlock,
        }
    }
}

impl From<RangeError> for VmError {
    fn from(error: RangeError) -> VmError {
        match error {
            RangeError::Misaligned => VmError::Misaligned,
            RangeError::Empty => VmError::InvalidSize,
            RangeError::OutOfRange => VmError::OutOfRange,
        }
    }
}

impl From<PoolExhausted> for VmError {
    fn from(PoolExhausted: PoolExhausted) -> VmError {
        VmError::OutOfKernelMemory
    }
}

impl VmError {
    /// Returns why the kernel could not access memory on a process's behalf, given how the
    /// process itself would have died of the access.
    #[must_use]
    pub fn of_access(kind: ExitKind) -> VmError {
        match kind {
            ExitKind::OutOfFrames => VmError::OutOfFrames,
            ExitKind::OutOfKernelMemory => VmError::OutOfKernelMemory,
            ExitKind::LimitReached => VmError::LimitReached,
            ExitKind::PagerGone => VmError::PagerGone,
            ExitKind::PagePoisoned => VmError::PagePoisoned,
            ExitKind::PageRefused => VmError::PageRefused,
            ExitKind::PagerCycle => VmError::WouldDeadlock,
            _ => VmError::BadAddress,
        }
    }
}

/// What an operation that needs an address space to itself, or a page at rest, may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not possible.
    Error(VmError),
    /// A long operation is changing the address space: ask again when it is done.
    Changing,
    /// A pager has to be asked for a page first.
    Absent(Page, FaultAccess),
}

impl<E: Into<VmError>> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal::Error(error.into())
    }
}
