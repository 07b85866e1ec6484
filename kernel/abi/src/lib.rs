//! What the kernel, user programs and the host tool agree on.
//!
//! Owns: call numbers, error numbers, flag bits, the records that cross the kernel boundary and
//! the format of the boot archive. Refuses to know: how any of it is implemented. There is no
//! `unsafe`, no dependency and no allocation here, so that all three sides build it as it is.
//!
//! Calling convention: `svc #0` with the call number in x8 and arguments in x0..x5; the kernel
//! answers with a status in x0 (0 or an [`Error`] number) and a value in x1. Every other register
//! is preserved.
//!
//! Every record that crosses the boundary is a fixed number of 64-bit words (`words!`), so that
//! copying one needs no knowledge of its layout and no padding can leak kernel memory.
#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
mod words;

pub mod archive;
mod call;
mod error;
mod exit;
#[macro_use]
mod flags;
mod handle;
pub mod options;
mod pager;
mod records;
mod register_access;
mod registers;
mod report;
pub mod start;
mod tag_mode;
mod transfer;

pub use call::Call;
pub use error::{Errno, Error};
pub use exit::{ExitKind, ExitReport, FaultAccess};
pub use flags::{
    Advice, HandlerFlags, MapFlags, MapOptions, MemoryFlags, Policy, Protection, RemapFlags,
    Rights, Switches, TestOperation, WaitFlags,
};
pub use handle::Handle;
pub use pager::{PageWish, PagerFlags, Supply, SupplyFlags, SupplyOptions, WishKind};
pub use records::{
    AccountInfo, Features, Limits, MappingInfo, ObjectInfo, ObjectKind, PageState, Stat, SystemInfo,
};
pub use register_access::RegisterAccess;
pub use registers::{RegisterSet, Registers, VectorRegisters};
pub use report::{Action, FaultReport};
pub use tag_mode::{TagControl, TagMode};
pub use transfer::{Piece, TransferFlags, Transferred};

/// Bytes in a page (the 4 KiB translation granule).
pub const PAGE_SIZE: u64 = 4096;
/// The most pages that `query_pages` tells of at once.
pub const MAX_QUERY_PAGES: u64 = 512;
/// How many priorities threads may have.
pub const PRIORITIES: u64 = 32;
/// The most threads that `address_wake` wakes at once.
pub const MAX_WAKE: u64 = 64;
/// The most pieces that `memory_transfer` moves at once.
pub const MAX_PIECES: u64 = 64;
/// Words of a message.
pub const MESSAGE_WORDS: usize = 4;
/// The timeout of a call that waits as long as it takes. Others are nanoseconds from when the call begins to
/// wait; with 0 it does not wait at all.
pub const FOR_EVER: u64 = u64::MAX;
/// Bytes that share one allocation tag (the tag granule).
pub const TAG_GRANULE: u64 = 16;
/// Bytes of tag storage that belong to one page: one four-bit tag a tag granule.
pub const TAG_BYTES_PER_PAGE: u64 = PAGE_SIZE / TAG_GRANULE / 2;
/// The lowest address that a mapping may cover: null and small offsets from it always fault.
pub const USER_START: u64 = 0x1_0000;
/// The first address above the user half that a mapping may not cover. The last 64 KiB below 2^48
/// stay empty, so that no access that starts in a mapping runs out of the user half.
pub const USER_END: u64 = (1 << 48) - 0x1_0000;
/// Physical distance of the boot archive from the start of RAM.
pub const ARCHIVE_OFFSET: u64 = 0x80_0000;
