//! The start block: writing one for a child, reading one's own.
//!
//! The layout is in `vellum_abi::start`. Reading trusts nothing: a record that points outside the
//! block or at bytes that are not UTF-8 is no argument.

use vellum_abi::Handle;
use vellum_abi::start::{
    ARCHIVE_HANDLE, ARCHIVE_LENGTH, ARGUMENT_COUNT, Device, FIRST_DEVICE, HEADER_WORDS, MAGIC,
    PARCEL_HANDLE,
};

/// Bytes of an argument's record.
const RECORD: usize = 16;

/// Returns how long the block with these arguments is, or `None` where that overflows.
pub fn length<'a>(arguments: impl Iterator<Item = &'a str>) -> Option<usize> {
    arguments
        .map(str::len)
        .try_fold(HEADER_WORDS * 8, |sum, length| sum.checked_add(RECORD)?.checked_add(length))
}

/// Writes a block into `block`, which has the [`length`] of these arguments. Returns `None`, with
/// the block half written, if it has not.
pub fn write<'a>(
    block: &mut [u8],
    archive: Option<(Handle, u64)>,
    arguments: impl Iterator<Item = &'a str> + Clone,
) -> Option<()> {
    let count = arguments.clone().count();
    let (handle, archive_length) =
        archive.map_or((0, 0), |(handle, length)| (handle.to_word(), length));
    put(block, 0, MAGIC)?;
    put(block, ARCHIVE_HANDLE, handle)?;
    put(block, ARCHIVE_LENGTH, archive_length)?;
    put(block, ARGUMENT_COUNT, count as u64)?;
    Device::ALL.iter().try_for_each(|device| put(block, FIRST_DEVICE + *device as usize, 0))?;
    put(block, PARCEL_HANDLE, 0)?;
    let mut offset = HEADER_WORDS * 8 + count.checked_mul(RECORD)?;
    for (index, text) in arguments.enumerate() {
        put(block, HEADER_WORDS + 2 * index, offset as u64)?;
        put(block, HEADER_WORDS + 2 * index + 1, text.len() as u64)?;
        let end = offset.checked_add(text.len())?;
        block.get_mut(offset..end)?.copy_from_slice(text.as_bytes());
        offset = end;
    }
    Some(())
}

/// Names what there is of a device in a block that was written. Returns `None` if it is too short.
pub fn put_device(block: &mut [u8], device: Device, handle: Handle) -> Option<()> {
    put(block, FIRST_DEVICE + device as usize, handle.to_word())
}

/// Names another handle in a block that was written. Returns `None` if it is too short.
pub fn put_parcel(block: &mut [u8], handle: Handle) -> Option<()> {
    put(block, PARCEL_HANDLE, handle.to_word())
}

fn put(block: &mut [u8], index: usize, word: u64) -> Option<()> {
    block.get_mut(index * 8..index * 8 + 8)?.copy_from_slice(&word.to_le_bytes());
    Some(())
}

fn get(block: &[u8], index: usize) -> Option<u64> {
    let start = index.checked_mul(8)?;
    let bytes = block.get(start..start.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Bytes that start like a start block.
#[derive(Clone, Copy, Debug)]
pub struct StartBlock<'a> {
    bytes: &'a [u8],
}

impl<'a> StartBlock<'a> {
    /// Returns the block, or `None` if the header is not one.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<StartBlock<'a>> {
        (get(bytes, 0) == Some(MAGIC) && bytes.len() >= HEADER_WORDS * 8)
            .then_some(StartBlock { bytes })
    }

    /// Returns the archive's handle and length, if there is one.
    #[must_use]
    pub fn archive(&self) -> Option<(Handle, u64)> {
        let handle = get(self.bytes, ARCHIVE_HANDLE).filter(|word| *word != 0)?;
        Some((Handle::from_word(handle)?, get(self.bytes, ARCHIVE_LENGTH)?))
    }

    /// Returns the handle of what there is of a device.
    #[must_use]
    pub fn device(&self, device: Device) -> Option<Handle> {
        let word = get(self.bytes, FIRST_DEVICE + device as usize)?;
        Handle::from_word(word).filter(|_| word != 0)
    }

    /// Returns the handle that means what both sides know.
    #[must_use]
    pub fn parcel(&self) -> Option<Handle> {
        let word = get(self.bytes, PARCEL_HANDLE)?;
        Handle::from_word(word).filter(|_| word != 0)
    }

    /// Returns how many arguments there are, at most as many as the block has room for.
    #[must_use]
    pub fn argument_count(&self) -> usize {
        let count = get(self.bytes, ARGUMENT_COUNT).unwrap_or(0);
        usize::try_from(count).unwrap_or(0).min(self.bytes.len() / RECORD)
    }

    /// Returns an argument.
    #[must_use]
    pub fn argument(&self, index: usize) -> Option<&'a str> {
        if index >= self.argument_count() {
            return None;
        }
        let offset = usize::try_from(get(self.bytes, HEADER_WORDS + 2 * index)?).ok()?;
        let length = usize::try_from(get(self.bytes, HEADER_WORDS + 2 * index + 1)?).ok()?;
        let bytes = self.bytes.get(offset..offset.checked_add(length)?)?;
        core::str::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{StartBlock, length, write};
    use std::vec;
    use std::vec::Vec;
    use vellum_abi::Handle;
    use vellum_abi::start::Device;

    fn block(archive: Option<(Handle, u64)>, arguments: &[&str]) -> Vec<u8> {
        let mut bytes = vec![0xee; length(arguments.iter().copied()).unwrap()];
        write(&mut bytes, archive, arguments.iter().copied()).unwrap();
        bytes
    }

    #[test]
    fn arguments_survive_the_block() {
        let arguments = ["hello", "", "x=y", "größer"];
        let bytes = block(Some((Handle::new(3, 1), 8192)), &arguments);
        let read = StartBlock::parse(&bytes).unwrap();
        assert_eq!(read.archive(), Some((Handle::new(3, 1), 8192)));
        let back: Vec<_> = (0..read.argument_count()).filter_map(|i| read.argument(i)).collect();
        assert_eq!(back, arguments);
        assert_eq!(read.argument(4), None);
    }

    #[test]
    fn a_block_without_archive_or_device_says_so() {
        let mut bytes = block(None, &["p"]);
        let read = StartBlock::parse(&bytes).unwrap();
        assert!(read.archive().is_none());
        assert!(Device::ALL.iter().all(|device| read.device(*device).is_none()));
        super::put_device(&mut bytes, Device::Console, Handle::new(5, 2)).unwrap();
        let read = StartBlock::parse(&bytes).unwrap();
        assert_eq!(read.device(Device::Console), Some(Handle::new(5, 2)));
        assert_eq!(read.device(Device::Clock), None);
    }

    #[test]
    fn damaged_blocks_give_no_arguments_and_no_panic() {
        let good = block(None, &["program", "argument"]);
        for length in 0..good.len() {
            if let Some(read) = StartBlock::parse(&good[..length]) {
                assert!(read.argument_count() < good.len());
                let _ = (read.argument(0), read.argument(1), read.argument(usize::MAX));
            }
        }
        for word in 1..8 {
            let mut bad = good.clone();
            bad[word * 8..word * 8 + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            let read = StartBlock::parse(&bad).unwrap();
            let _ = (read.archive(), read.argument(0), read.argument(1), read.argument(2));
        }
        assert!(StartBlock::parse(&[0; 64]).is_none());
    }
}
