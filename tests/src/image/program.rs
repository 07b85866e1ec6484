//! ELF files on their way into an archive.
//!
//! The first program is flattened here, because the kernel parses no ELF; every other file stays
//! ELF, cut to what is loaded, for the first program to parse. Only flattening refuses files: what
//! becomes of a broken one is the first program's business.

use elf::ElfBytes;
use elf::abi::{EM_AARCH64, ET_EXEC, PF_R, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;
use vellum_abi::{PAGE_SIZE, Protection};

/// A program as the kernel loads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlatProgram {
    /// Address of the first instruction.
    pub entry: u64,
    /// Its segments, ascending, each starting at a page and covering whole pages.
    pub segments: Vec<FlatSegment>,
}

/// A segment of a [`FlatProgram`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatSegment {
    /// Virtual address.
    pub address: u64,
    /// Bytes in memory.
    pub memory_length: u64,
    /// The bytes that are not zero.
    pub data: Vec<u8>,
    /// What it allows.
    pub protection: Protection,
}

/// Turns an ELF file into flat segments.
///
/// # Errors
/// A line saying what is wrong with the file.
pub fn flatten(file: &[u8]) -> Result<FlatProgram, String> {
    let elf = parse(file)?;
    if (elf.ehdr.e_machine, elf.ehdr.e_type) != (EM_AARCH64, ET_EXEC) {
        return Err("not an executable for AArch64 at a fixed address".into());
    }
    let mut segments = Vec::new();
    for header in loadable(&elf) {
        segments.push(flat_segment(&elf, &header)?);
    }
    segments.sort_by_key(|segment: &FlatSegment| segment.address);
    if segments.windows(2).any(|pair| end(&pair[0]) > pair[1].address) {
        return Err("two segments share a page".into());
    }
    let entry = elf.ehdr.e_entry;
    let holds = |s: &FlatSegment| (s.address..end(s)).contains(&entry);
    if !segments.iter().any(|s| holds(s) && s.protection.contains(Protection::EXECUTE)) {
        return Err("the entry is in no executable segment".into());
    }
    Ok(FlatProgram { entry, segments })
}

fn end(segment: &FlatSegment) -> u64 {
    segment.address.saturating_add(segment.memory_length)
}

/// Extends a segment downwards to a page boundary, by zeros, and upwards to a whole page.
fn flat_segment(
    elf: &ElfBytes<'_, LittleEndian>,
    header: &ProgramHeader,
) -> Result<FlatSegment, String> {
    let contents = elf.segment_data(header).map_err(|_| "a segment lies outside the file")?;
    let lead = header.p_vaddr % PAGE_SIZE;
    let mut data = vec![0; lead as usize];
    data.extend_from_slice(contents);
    let memory_length = header
        .p_memsz
        .checked_add(lead)
        .and_then(|length| length.checked_next_multiple_of(PAGE_SIZE))
        .filter(|length| *length >= data.len() as u64)
        .ok_or("a segment has an impossible length")?;
    let protection = protection(header.p_flags)?;
    Ok(FlatSegment { address: header.p_vaddr - lead, memory_length, data, protection })
}

fn protection(flags: u32) -> Result<Protection, String> {
    if flags & PF_W != 0 && flags & PF_X != 0 {
        return Err("a segment is writable and executable".into());
    }
    let bits = [
        (PF_R, Protection::READ),
        (PF_W, Protection::READ | Protection::WRITE),
        (PF_X, Protection::EXECUTE),
    ];
    let set = bits.iter().filter(|(flag, _)| flags & flag != 0);
    Ok(set.fold(Protection::NONE, |all, (_, one)| all | *one))
}

fn parse(file: &[u8]) -> Result<ElfBytes<'_, LittleEndian>, String> {
    ElfBytes::minimal_parse(file).map_err(|error| format!("no ELF file for AArch64: {error}"))
}

fn loadable(elf: &ElfBytes<'_, LittleEndian>) -> Vec<ProgramHeader> {
    let headers = elf.segments().into_iter().flatten();
    headers.filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0).collect()
}

/// Returns the sum of what the loadable segments take in the file: the size of a stripped image.
///
/// # Errors
/// A line saying why the file is no ELF file.
pub fn loadable_bytes(file: &[u8]) -> Result<u64, String> {
    Ok(loadable(&parse(file)?).iter().map(|header| header.p_filesz).sum())
}

/// Returns the distance, modulo 2^64, from where a file is linked to where it is loaded: that of
/// its first loadable segment.
///
/// # Errors
/// A line saying why the file is no ELF file, or that nothing in it is loaded.
pub fn load_offset(file: &[u8]) -> Result<u64, String> {
    let segments = loadable(&parse(file)?);
    let first = segments.first().ok_or("it has no segment to load")?;
    Ok(first.p_paddr.wrapping_sub(first.p_vaddr))
}

/// Cuts an ELF file behind what is loaded and clears the fields that name section headers. A file
/// that makes no sense is returned as it is.
#[must_use]
pub fn trimmed(mut file: Vec<u8>) -> Vec<u8> {
    if let Some(length) = trimmed_length(&file) {
        file.truncate(length);
        // e_shoff; e_shentsize, e_shnum and e_shstrndx (ELF-64 object file format, file header).
        for field in [0x28..0x30, 0x3a..0x40] {
            file[field].fill(0);
        }
    }
    file
}

fn trimmed_length(file: &[u8]) -> Option<usize> {
    let elf = parse(file).ok()?;
    let table = u64::from(elf.ehdr.e_phentsize) * u64::from(elf.ehdr.e_phnum);
    let mut length = elf.ehdr.e_phoff.checked_add(table)?.max(0x40);
    for header in loadable(&elf) {
        length = length.max(header.p_offset.checked_add(header.p_filesz)?);
    }
    usize::try_from(length).ok().filter(|length| *length <= file.len())
}

#[cfg(test)]
mod tests {
    use super::{flatten, load_offset, loadable_bytes, trimmed};
    use vellum_abi::Protection;

    /// A segment of a file: address, flags, offset, length in the file, length in memory.
    type Load = [u64; 5];

    const TEXT: Load = [0x20_1100, 5, 0x100, 0x80, 0x80];
    const DATA: Load = [0x20_2180, 6, 0x180, 0x10, 0x2000];

    /// Makes an ELF file of 1 KiB (ELF-64 object file format) with 7s behind its headers.
    fn file(entry: u64, loads: &[Load]) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
        file.resize(16, 0);
        file.extend([2, 0, 183, 0, 1, 0, 0, 0]);
        file.extend([entry, 64, 0x200].into_iter().flat_map(u64::to_le_bytes));
        file.extend([0, 0, 0, 0, 64, 0, 56, 0, loads.len() as u8, 0, 64, 0, 1, 0, 0, 0]);
        for [address, flags, offset, length, memory] in loads {
            file.extend((flags << 32 | 1).to_le_bytes());
            let words = [*offset, *address, *address, *length, *memory, 4096];
            file.extend(words.into_iter().flat_map(u64::to_le_bytes));
        }
        file.resize(0x400, 7);
        file
    }

    #[test]
    fn segments_become_whole_pages() {
        let flat = flatten(&file(0x20_1104, &[DATA, TEXT])).unwrap();
        assert_eq!(flat.entry, 0x20_1104);
        let [text, data] = &flat.segments[..] else { panic!("two segments") };
        assert_eq!((text.address, text.memory_length), (0x20_1000, 0x1000));
        assert_eq!(text.protection, Protection::READ | Protection::EXECUTE);
        assert_eq!((&text.data[..0x100], &text.data[0x100..]), (&[0; 0x100][..], &[7; 0x80][..]));
        assert_eq!((data.address, data.memory_length), (0x20_2000, 0x3000));
        assert_eq!(data.protection, Protection::READ | Protection::WRITE);
    }

    #[test]
    fn files_that_cannot_be_flattened_are_refused() {
        let change = |index: usize, word: u64| {
            let mut load = TEXT;
            load[index] = word;
            flatten(&file(0x20_1104, &[load])).unwrap_err()
        };
        assert!(change(1, 7).contains("writable and executable"));
        assert!(change(1, 4).contains("executable segment"));
        assert!(change(2, 0x3ff).contains("outside the file"));
        assert!(change(4, u64::MAX).contains("impossible length"));
        assert!(flatten(&file(0, &[TEXT])).is_err());
        assert!(flatten(&file(0x20_1104, &[TEXT, TEXT])).unwrap_err().contains("share a page"));
        assert!(flatten(b"no ELF file").is_err());
    }

    #[test]
    fn only_what_is_loaded_is_kept() {
        let file = file(0x20_1104, &[TEXT, DATA]);
        assert_eq!(loadable_bytes(&file), Ok(0x90));
        assert_eq!(load_offset(&file), Ok(0));
        let kept = trimmed(file.clone());
        assert_eq!(kept.len(), 0x190);
        assert_eq!(kept[0x28..0x30], [0; 8]);
        assert_eq!(kept[0x40..], file[0x40..0x190]);
        assert_eq!(flatten(&kept), flatten(&file));
        assert_eq!(trimmed(b"no ELF file".to_vec()), b"no ELF file");
    }
}
