//! The boot archive: what the host tool hands to QEMU beside the kernel.
//!
//! Owns: the layout and a parser that is total over any bytes. The kernel reads the header, the
//! segments of the first program and the options; the first program reads the files.
//!
//! All numbers are little-endian 64-bit words, all offsets count from the start of the archive.
//!
//! ```text
//! header    16 words: magic, length, checksum, boot entry, (offset, count) of boot segments,
//!           (offset, count) of files, (offset, length) of options, zeros
//! segment    5 words: virtual address, memory length, data offset, data length, protection
//! file       4 words: name offset, name length, data offset, data length
//! ```
//!
//! The checksum is FNV-1a (64 bits) over everything behind the header. File data starts at a page
//! boundary. The archive is padded to whole pages; `length` includes the padding.

use crate::{PAGE_SIZE, Protection};

/// The first word: "VELLUM" and a format version.
pub const MAGIC: u64 = u64::from_le_bytes(*b"VELLUM\0\x01");
/// Words in the header.
pub const HEADER_WORDS: usize = 16;
/// Words in a segment record.
pub const SEGMENT_WORDS: usize = 5;
/// Words in a file record.
pub const FILE_WORDS: usize = 4;
/// The longest archive that the kernel accepts.
pub const MAX_LENGTH: u64 = 1 << 30;

/// Why bytes are not an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// The first word is not [`MAGIC`].
    BadMagic,
    /// The length is too short for a header, too long, not whole pages or more than is there.
    BadLength,
    /// The contents do not give the checksum of the header.
    BadChecksum,
    /// A record or its data lies outside the archive.
    OutOfBounds,
    /// A segment has unknown protection bits, or more data than memory.
    BadSegment,
    /// A name or the options are not UTF-8.
    BadText,
}

impl ArchiveError {
    /// Returns one line for a human.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            ArchiveError::BadMagic => "no archive (bad magic)",
            ArchiveError::BadLength => "bad length",
            ArchiveError::BadChecksum => "bad checksum",
            ArchiveError::OutOfBounds => "record out of bounds",
            ArchiveError::BadSegment => "bad segment of the first program",
            ArchiveError::BadText => "text that is not UTF-8",
        }
    }
}

/// A segment of the first program, which is linked at a fixed address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Virtual address of the first byte.
    pub address: u64,
    /// Bytes in memory; those behind `data` are zero.
    pub memory_length: u64,
    /// The bytes that are given.
    pub data: &'a [u8],
    /// What the segment allows.
    pub protection: Protection,
}

/// A file of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Bytes that were seen to be an archive: the header is consistent and the checksum is right.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
}

/// Returns the length that a header claims, for a caller who has only the header in sight.
///
/// # Errors
/// `BadMagic` and `BadLength` as for [`Archive::parse`].
pub fn claimed_length(header: &[u8]) -> Result<u64, ArchiveError> {
    let magic = word(header, 0).ok_or(ArchiveError::BadLength)?;
    let length = word(header, 1).ok_or(ArchiveError::BadLength)?;
    if magic != MAGIC {
        return Err(ArchiveError::BadMagic);
    }
    let shortest = (HEADER_WORDS * 8) as u64;
    if length < shortest || length > MAX_LENGTH || !length.is_multiple_of(PAGE_SIZE) {
        return Err(ArchiveError::BadLength);
    }
    Ok(length)
}

/// Returns the FNV-1a hash of `bytes` (64 bits).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn word(bytes: &[u8], index: usize) -> Option<u64> {
    let start = index.checked_mul(8)?;
    let word = bytes.get(start..start.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

impl<'a> Archive<'a> {
    /// Checks that `bytes` start with an archive and returns it.
    ///
    /// # Errors
    /// `BadMagic`, `BadLength` and `BadChecksum`; records are checked when they are read.
    pub fn parse(bytes: &'a [u8]) -> Result<Archive<'a>, ArchiveError> {
        let length = claimed_length(bytes)?;
        let length = usize::try_from(length).map_err(|_| ArchiveError::BadLength)?;
        let bytes = bytes.get(..length).ok_or(ArchiveError::BadLength)?;
        let body = bytes.get(HEADER_WORDS * 8..).ok_or(ArchiveError::BadLength)?;
        if word(bytes, 2) != Some(checksum(body)) {
            return Err(ArchiveError::BadChecksum);
        }
        Ok(Archive { bytes })
    }

    /// Returns the address of the first program's first instruction.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.header(3)
    }

    /// Returns the segments of the first program.
    pub fn segments(&self) -> impl Iterator<Item = Result<Segment<'a>, ArchiveError>> + 'a {
        let archive = *self;
        (0..self.count(5, SEGMENT_WORDS)).map(move |index| archive.segment(index))
    }

    /// Returns the files. A broken record is an error in its place.
    pub fn files(&self) -> impl Iterator<Item = Result<File<'a>, ArchiveError>> + 'a {
        let archive = *self;
        (0..self.count(7, FILE_WORDS)).map(move |index| archive.file(index))
    }

    /// Returns the first file of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<File<'a>> {
        self.files().flatten().find(|file| file.name == name)
    }

    /// Returns the options: lines of `key=value`.
    ///
    /// # Errors
    /// `OutOfBounds` and `BadText`.
    pub fn options(&self) -> Result<&'a str, ArchiveError> {
        text(self.range(self.header(8), self.header(9))?)
    }

    fn header(&self, index: usize) -> u64 {
        word(self.bytes, index).unwrap_or(0)
    }

    /// Returns a record count, at most one above what fits: a false count ends in one error.
    fn count(&self, index: usize, words: usize) -> u64 {
        self.header(index).min((self.bytes.len() / (words * 8)) as u64 + 1)
    }

    fn range(&self, offset: u64, length: u64) -> Result<&'a [u8], ArchiveError> {
        let end = offset.checked_add(length).ok_or(ArchiveError::OutOfBounds)?;
        let (Ok(start), Ok(end)) = (usize::try_from(offset), usize::try_from(end)) else {
            return Err(ArchiveError::OutOfBounds);
        };
        self.bytes.get(start..end).ok_or(ArchiveError::OutOfBounds)
    }

    fn record<const WORDS: usize>(
        &self,
        table: u64,
        index: u64,
    ) -> Result<[u64; WORDS], ArchiveError> {
        let length = (WORDS * 8) as u64;
        let offset = index
            .checked_mul(length)
            .and_then(|distance| distance.checked_add(table))
            .ok_or(ArchiveError::OutOfBounds)?;
        let bytes = self.range(offset, length)?;
        let mut words = [0; WORDS];
        for (slot, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *slot = bytes.try_into().map(u64::from_le_bytes).unwrap_or(0);
        }
        Ok(words)
    }

    fn segment(&self, index: u64) -> Result<Segment<'a>, ArchiveError> {
        let [address, memory_length, offset, length, protection] =
            self.record::<SEGMENT_WORDS>(self.header(4), index)?;
        let data = self.range(offset, length)?;
        let protection = Protection::from_bits(protection).ok_or(ArchiveError::BadSegment)?;
        if length > memory_length {
            return Err(ArchiveError::BadSegment);
        }
        Ok(Segment { address, memory_length, data, protection })
    }

    fn file(&self, index: u64) -> Result<File<'a>, ArchiveError> {
        let [name, name_length, data, data_length] =
            self.record::<FILE_WORDS>(self.header(6), index)?;
        Ok(File {
            name: text(self.range(name, name_length)?)?,
            data: self.range(data, data_length)?,
        })
    }
}

fn text(bytes: &[u8]) -> Result<&str, ArchiveError> {
    core::str::from_utf8(bytes).map_err(|_| ArchiveError::BadText)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Archive, ArchiveError, HEADER_WORDS, MAGIC, checksum};
    use std::vec::Vec;

    /// Builds a one-page archive with these header words behind the checksum.
    fn archive(words: &[u64]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [MAGIC, 4096, 0].iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.resize(4096, 0);
        let sum = checksum(&bytes[HEADER_WORDS * 8..]);
        bytes[16..24].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn damage_is_named() {
        let good = archive(&[]);
        assert!(Archive::parse(&good).is_ok());
        assert_eq!(Archive::parse(&good[..4095]).err(), Some(ArchiveError::BadLength));
        assert_eq!(Archive::parse(&[]).err(), Some(ArchiveError::BadLength));
        let mut bad = good.clone();
        bad[0] ^= 1;
        assert_eq!(Archive::parse(&bad).err(), Some(ArchiveError::BadMagic));
        let mut bad = good.clone();
        bad[4095] ^= 1;
        assert_eq!(Archive::parse(&bad).err(), Some(ArchiveError::BadChecksum));
    }

    #[test]
    fn records_outside_the_archive_are_refused() {
        for (table, count) in [(4096, 1), (u64::MAX, 1), (4090, 1), (128, u64::MAX)] {
            let bytes = archive(&[0, table, count, table, count, table, count]);
            let archive = Archive::parse(&bytes).unwrap();
            let wrong = Some(ArchiveError::OutOfBounds);
            assert_eq!(archive.files().last().and_then(Result::err), wrong);
            assert_eq!(archive.segments().last().and_then(Result::err), wrong);
            assert_eq!(archive.options().is_err(), table != 4090);
            assert!(archive.find("anything").is_none());
        }
    }
}
