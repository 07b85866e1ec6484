//! The boot archive in memory.
//!
//! Owns: where it is and that its bytes were checked. Refuses to know: what it is for. The frames
//! are reserved before the frame allocator starts and nothing ever writes to them.

use crate::memory::layout::{RAM_BASE, direct};
use vellum_abi::archive::{self, Archive, ArchiveError, HEADER_WORDS};
use vellum_abi::{ARCHIVE_OFFSET, PAGE_SIZE};
use vellum_vm::addr::FrameAddress;

/// Where the archive begins.
pub const START: u64 = RAM_BASE + ARCHIVE_OFFSET;

/// The boot archive: checked bytes, and where they are.
#[derive(Clone, Copy, Debug)]
pub struct BootArchive {
    contents: Archive<'static>,
    length: u64,
}

/// Returns the length that the archive claims, if it is one and ends below `ram_end`.
///
/// # Errors
/// `BadMagic`, `BadLength`.
pub fn claimed_length(ram_end: u64) -> Result<u64, ArchiveError> {
    let length = archive::claimed_length(bytes((HEADER_WORDS * 8) as u64))?;
    if length > ram_end - START { Err(ArchiveError::BadLength) } else { Ok(length) }
}

/// Returns bytes from the start of the archive.
fn bytes(length: u64) -> &'static [u8] {
    let start: *const u8 = core::ptr::with_exposed_provenance(direct(START) as usize);
    // SAFETY: The header is in the least RAM that boots; anything longer was checked to be in RAM
    // by `claimed_length`. Nothing writes to it: it is reserved.
    unsafe { core::slice::from_raw_parts(start, length as usize) }
}

impl BootArchive {
    /// Checks the whole archive, of the length that [`claimed_length`] returned.
    ///
    /// # Errors
    /// As for [`Archive::parse`].
    pub fn read(length: u64) -> Result<BootArchive, ArchiveError> {
        Ok(BootArchive { contents: Archive::parse(bytes(length))?, length })
    }

    /// Returns what is in it.
    pub fn contents(&self) -> &Archive<'static> {
        &self.contents
    }

    /// Returns its first frame; the others follow.
    pub fn first_frame(&self) -> FrameAddress {
        FrameAddress::containing(START)
    }

    /// Returns how many frames it has.
    pub fn pages(&self) -> u64 {
        self.length / PAGE_SIZE
    }
}
