//! Writes the boot archive. The layout is described and parsed in `vellum_abi::archive`.

use super::program::FlatProgram;
use crate::failure::Failure;
use vellum_abi::PAGE_SIZE;
use vellum_abi::archive::{FILE_WORDS, HEADER_WORDS, MAGIC, MAX_LENGTH, SEGMENT_WORDS, checksum};

/// Bytes in a header or record word.
const WORD: usize = 8;

/// An archive in the making.
#[derive(Clone, Debug, Default)]
pub struct ArchiveWriter {
    first: FlatProgram,
    files: Vec<(String, Vec<u8>)>,
    options: String,
}

impl ArchiveWriter {
    /// Starts an archive with its first program.
    #[must_use]
    pub fn new(first: FlatProgram) -> ArchiveWriter {
        ArchiveWriter { first, ..ArchiveWriter::default() }
    }

    /// Adds a file.
    pub fn file(&mut self, name: &str, data: Vec<u8>) -> &mut ArchiveWriter {
        self.files.push((name.to_owned(), data));
        self
    }

    /// Adds an option.
    ///
    /// # Errors
    /// `Usage` if the value has a line break, which the format cannot hold.
    pub fn option(&mut self, key: &str, value: &str) -> Result<&mut ArchiveWriter, Failure> {
        if value.contains(['\n', '\r']) {
            return Err(Failure::usage(format!("{key}: a line break cannot be passed on")));
        }
        self.options.push_str(&format!("{key}={value}\n"));
        Ok(self)
    }

    /// Returns the bytes of the archive.
    ///
    /// # Errors
    /// `Usage` if they are more than the kernel accepts.
    pub fn finish(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = self.layout();
        if bytes.len() as u64 > MAX_LENGTH {
            let mebibytes = MAX_LENGTH >> 20;
            return Err(Failure::usage(format!("archive: more than {mebibytes} MiB of programs")));
        }
        seal(&mut bytes);
        Ok(bytes)
    }

    /// Lays out records, texts and data, in this order; all offsets are known before the first
    /// record is written because texts and data are placed first.
    fn layout(&self) -> Vec<u8> {
        let segments = HEADER_WORDS * WORD;
        let files = segments + self.first.segments.len() * SEGMENT_WORDS * WORD;
        let mut bytes = vec![0; files + self.files.len() * FILE_WORDS * WORD];
        let options = append(&mut bytes, self.options.as_bytes());
        let names: Vec<_> =
            self.files.iter().map(|(name, _)| append(&mut bytes, name.as_bytes())).collect();
        for (index, segment) in self.first.segments.iter().enumerate() {
            let [data, length] = append_at_page(&mut bytes, &segment.data);
            let protection = segment.protection.bits();
            let words = [segment.address, segment.memory_length, data, length, protection];
            put(&mut bytes, segments + index * SEGMENT_WORDS * WORD, &words);
        }
        for (index, ((_, data), name)) in self.files.iter().zip(names).enumerate() {
            let [data, length] = append_at_page(&mut bytes, data);
            let words = [name[0], name[1], data, length];
            put(&mut bytes, files + index * FILE_WORDS * WORD, &words);
        }
        pad(&mut bytes);
        let count = [self.first.segments.len() as u64, self.files.len() as u64];
        let rest = [segments as u64, count[0], files as u64, count[1], options[0], options[1]];
        put(&mut bytes, 3 * WORD, &[self.first.entry]);
        put(&mut bytes, 4 * WORD, &rest);
        bytes
    }
}

/// Writes magic, length and checksum over an archive. Tests also seal what they have damaged.
pub fn seal(bytes: &mut [u8]) {
    let sum = checksum(bytes.get(HEADER_WORDS * WORD..).unwrap_or_default());
    put(bytes, 0, &[MAGIC, bytes.len() as u64, sum]);
}

/// Writes words at a byte offset. Words that do not fit are left out.
pub fn put(bytes: &mut [u8], offset: usize, words: &[u64]) {
    let slots = bytes.get_mut(offset..).unwrap_or_default().chunks_exact_mut(WORD);
    for (slot, word) in slots.zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
}

fn append(bytes: &mut Vec<u8>, data: &[u8]) -> [u64; 2] {
    let place = [bytes.len() as u64, data.len() as u64];
    bytes.extend_from_slice(data);
    place
}

fn append_at_page(bytes: &mut Vec<u8>, data: &[u8]) -> [u64; 2] {
    pad(bytes);
    append(bytes, data)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(PAGE_SIZE as usize), 0);
}

#[cfg(test)]
mod tests {
    use super::super::program::{FlatProgram, FlatSegment};
    use super::ArchiveWriter;
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, proptest};
    use vellum_abi::archive::Archive;
    use vellum_abi::{PAGE_SIZE, Protection};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_written_is_parsed(
            entry in any::<u64>(),
            segments in vec((any::<u64>(), 0..9000_u64, vec(any::<u8>(), 0..5000)), 0..4),
            files in vec((".{0,20}", vec(any::<u8>(), 0..5000)), 0..5),
            values in vec("[^\n\r]{0,12}", 0..4),
        ) {
            let segments: Vec<_> = segments.into_iter().map(|(address, more, data)| FlatSegment {
                address,
                memory_length: data.len() as u64 + more,
                data,
                protection: Protection::READ,
            }).collect();
            let first = FlatProgram { entry, segments: segments.clone() };
            let mut writer = ArchiveWriter::new(first);
            for (name, data) in &files {
                writer.file(name, data.clone());
            }
            for value in &values {
                writer.option("arg", value).unwrap();
            }
            let bytes = writer.finish().unwrap();
            assert_eq!(bytes.len() % PAGE_SIZE as usize, 0);
            let archive = Archive::parse(&bytes).unwrap();
            assert_eq!(archive.entry(), entry);
            let read: Vec<_> = archive.segments().map(Result::unwrap).collect();
            assert_eq!(read.len(), segments.len());
            for (read, written) in read.iter().zip(&segments) {
                assert_eq!(read.address, written.address);
                assert_eq!(read.memory_length, written.memory_length);
                assert_eq!((read.data, read.protection), (&written.data[..], written.protection));
            }
            let read: Vec<_> = archive.files().map(Result::unwrap).collect();
            let read: Vec<_> = read.iter().map(|f| (f.name.to_owned(), f.data.to_vec())).collect();
            assert_eq!(read, files);
            let read: Vec<_> = archive.options().unwrap().lines().collect();
            assert_eq!(read, values.iter().map(|v| format!("arg={v}")).collect::<Vec<_>>());
        }
    }

    #[test]
    fn line_breaks_in_options_are_refused() {
        assert!(ArchiveWriter::default().option("arg", "a\nrun=b").is_err());
    }
}
