//! What an ELF file asks for: checked, page-aligned regions.
//!
//! Every byte of the file is hostile until it is checked here. Holding an [`Image`] proves: the
//! entry is inside executable bytes; regions are whole pages inside the user half, in ascending
//! order, without overlap; none is writable and executable; every segment's data is inside the file
//! and inside its region. Segments may share a page if they allow the same; else the page would
//! need the sum of two protections, and the file is refused.

use super::layout::PROGRAM_END;
use core::ops::Range;
use elf::abi::{
    EM_AARCH64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_TLS,
};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::{ParseError, ParsingTable};
use elf::segment::ProgramHeader;
use vellum_abi::{PAGE_SIZE, Protection, USER_START};

/// The most segments that a program may have.
pub const MAX_SEGMENTS: usize = 16;
/// The most program headers that are looked at.
const MAX_HEADERS: u16 = 64;
/// Bytes of the identification, the file header and a program header (ELF-64).
const IDENT_BYTES: usize = 16;
const FILE_HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: u16 = 56;

/// Defines [`ImageError`] from one table of variant and message.
macro_rules! errors {
    ($($(#[$meta:meta])* $name:ident $text:literal;)*) => {
        /// Why a file is not a program that can be loaded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ImageError { $($(#[$meta])* $name,)* }

        impl ImageError {
            /// Returns one line for a human.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(ImageError::$name => $text),* }
            }
        }
    };
}

errors! {
    /// No ELF magic.
    NotElf "not an ELF file";
    /// Another ELF class.
    Not64Bit "not a 64-bit ELF file";
    /// Another byte order.
    NotLittleEndian "not a little-endian ELF file";
    /// Another machine.
    NotArm64 "not a program for AArch64";
    /// ET_DYN.
    PositionIndependent "position-independent: link it with relocation-model=static";
    /// Another type, such as an object file.
    NotExecutable "not an executable ELF file";
    /// The file ends inside a header, or a header has sizes or a version that do not exist.
    BadHeader "broken ELF header";
    /// Program headers outside the file.
    HeadersOutOfFile "program headers outside the file";
    /// Nothing to load.
    NoSegments "nothing to load";
    /// More than [`MAX_SEGMENTS`].
    TooManySegments "too many segments";
    /// A dynamic section or an interpreter.
    NeedsDynamicLinker "needs a dynamic linker";
    /// A template of thread-local variables.
    NeedsThreadLocals "needs thread-local storage";
    /// More bytes in the file than in memory.
    LongerThanMemory "segment has more data than memory";
    /// Data outside the file.
    DataOutOfFile "segment data outside the file";
    /// Address and file offset differ modulo the alignment, or that is no power of two.
    Misaligned "segment not aligned";
    /// An address outside the space for programs.
    OutOfRange "segment outside the space for programs";
    /// Two segments share bytes, or they are not in ascending order.
    Overlap "segments overlap or are not in order";
    /// Two segments share a page and allow different things.
    MixedPage "segments of different protection share a page";
    /// Writable and executable.
    WriteAndExecute "segment writable and executable";
    /// The entry is not an instruction of an executable segment.
    BadEntry "entry outside executable segments";
}

impl From<ParseError> for ImageError {
    fn from(error: ParseError) -> ImageError {
        match error {
            ParseError::BadMagic(_) => ImageError::NotElf,
            ParseError::UnsupportedElfClass(_) => ImageError::Not64Bit,
            ParseError::UnsupportedElfEndianness(_) => ImageError::NotLittleEndian,
            _ => ImageError::BadHeader,
        }
    }
}

/// Bytes of the file and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Address of the first byte.
    pub address: u64,
    /// Bytes in memory; those behind `data` are zero.
    pub memory_length: u64,
    /// The bytes that are given.
    pub data: &'a [u8],
    /// What the segment allows.
    pub protection: Protection,
}

impl Segment<'_> {
    const EMPTY: Segment<'static> =
        Segment { address: 0, memory_length: 0, data: &[], protection: Protection::NONE };

    /// Returns the address behind the last byte. The sum was checked when the value was made.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.address + self.memory_length
    }

    const fn data_end(&self) -> u64 {
        self.address + self.data.len() as u64
    }

    const fn start_page(&self) -> u64 {
        self.address / PAGE_SIZE * PAGE_SIZE
    }
}

/// Whole pages of one protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub start: u64,
    /// Bytes of whole pages that hold data of the file, counted from `start`.
    pub data_length: u64,
    /// Bytes of whole pages in all; those behind `data_length` are zero.
    pub length: u64,
    /// What the region allows.
    pub protection: Protection,
    /// The indices of its segments.
    segments: Range<usize>,
}

/// A file that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    entry: u64,
    segments: [Segment<'a>; MAX_SEGMENTS],
    count: usize,
}

impl<'a> Image<'a> {
    /// Checks a file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(file: &'a [u8]) -> Result<Image<'a>, ImageError> {
        let image = Image::parse_static(file)?;
        let header = file_header(file)?;
        let locals = |it: ProgramHeader| it.p_type == PT_TLS && it.p_memsz > 0;
        if program_headers(&header, file)?.iter().any(locals) {
            return Err(ImageError::NeedsThreadLocals);
        }
        Ok(image)
    }

    /// Checks the file of a program that makes its thread-local variables itself.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_static(file: &'a [u8]) -> Result<Image<'a>, ImageError> {
        let header = file_header(file)?;
        let mut image =
            Image { entry: header.e_entry, segments: [Segment::EMPTY; MAX_SEGMENTS], count: 0 };
        for program_header in program_headers(&header, file)?.iter() {
            match program_header.p_type {
                PT_LOAD => image.add(segment(&program_header, file)?)?,
                PT_INTERP | PT_DYNAMIC => return Err(ImageError::NeedsDynamicLinker),
                _ => {}
            }
        }
        image.check_entry()?;
        Ok(image)
    }

    /// Returns the address of the first instruction.
    #[must_use]
    pub const fn entry(&self) -> u64 {
        self.entry
    }

    /// Returns the regions in ascending order.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        let mut next = 0;
        core::iter::from_fn(move || {
            let region = self.region_from(next)?;
            next = region.segments.end;
            Some(region)
        })
    }

    /// Returns the segments of one of this image's regions.
    pub fn segments(&self, region: &Region) -> &[Segment<'a>] {
        self.segments.get(region.segments.clone()).unwrap_or(&[])
    }

    /// Adds a segment behind the others.
    fn add(&mut self, segment: Segment<'a>) -> Result<(), ImageError> {
        if segment.memory_length == 0 {
            return Ok(());
        }
        if let Some(before) = self.count.checked_sub(1).map(|last| self.segments[last]) {
            if segment.address < before.end() {
                return Err(ImageError::Overlap);
            }
            if segment.start_page() < before.end() && segment.protection != before.protection {
                return Err(ImageError::MixedPage);
            }
        }
        *self.segments.get_mut(self.count).ok_or(ImageError::TooManySegments)? = segment;
        self.count += 1;
        Ok(())
    }

    fn check_entry(&self) -> Result<(), ImageError> {
        if self.count == 0 {
            return Err(ImageError::NoSegments);
        }
        let inside = self.segments[..self.count].iter().any(|segment| {
            segment.protection.contains(Protection::EXECUTE)
                && (segment.address..segment.end()).contains(&self.entry)
        });
        if inside && self.entry.is_multiple_of(4) { Ok(()) } else { Err(ImageError::BadEntry) }
    }

    /// Returns the region that starts with segment `first`: it and all behind it that share a page
    /// with the one before.
    fn region_from(&self, first: usize) -> Option<Region> {
        let segments = self.segments[..self.count].get(first..)?;
        let lead = segments.first()?;
        let (mut data_end, mut end, mut last) = (lead.address, lead.end(), first);
        for segment in segments {
            if last > first && segment.start_page() >= end {
                break;
            }
            if !segment.data.is_empty() {
                data_end = segment.data_end();
            }
            (end, last) = (segment.end(), last + 1);
        }
        let start = lead.start_page();
        let pages = |end: u64| end.next_multiple_of(PAGE_SIZE) - start;
        let data_length = if data_end > lead.address { pages(data_end) } else { 0 };
        Some(Region {
            start,
            data_length,
            length: pages(end),
            protection: lead.protection,
            segments: first..last,
        })
    }
}

fn file_header(file: &[u8]) -> Result<FileHeader<LittleEndian>, ImageError> {
    if !file.starts_with(&elf::abi::ELFMAGIC) {
        return Err(ImageError::NotElf);
    }
    // The parser indexes without asking, so the length comes first.
    let bytes = file.get(..FILE_HEADER_BYTES).ok_or(ImageError::BadHeader)?;
    let (ident_bytes, tail) = bytes.split_at(IDENT_BYTES);
    let ident = parse_ident::<LittleEndian>(ident_bytes)?;
    if ident.1 != Class::ELF64 {
        return Err(ImageError::Not64Bit);
    }
    let header = FileHeader::parse_tail(ident, tail)?;
    if header.e_machine != EM_AARCH64 {
        return Err(ImageError::NotArm64);
    }
    match header.e_type {
        ET_EXEC => Ok(header),
        ET_DYN => Err(ImageError::PositionIndependent),
        _ => Err(ImageError::NotExecutable),
    }
}

fn program_headers<'a>(
    header: &FileHeader<LittleEndian>,
    file: &'a [u8],
) -> Result<ParsingTable<'a, LittleEndian, ProgramHeader>, ImageError> {
    if header.e_phnum == 0 {
        return Err(ImageError::NoSegments);
    }
    if header.e_phentsize != PROGRAM_HEADER_BYTES {
        return Err(ImageError::BadHeader);
    }
    if header.e_phnum > MAX_HEADERS {
        return Err(ImageError::TooManySegments);
    }
    let length = u64::from(PROGRAM_HEADER_BYTES) * u64::from(header.e_phnum);
    let table = part(file, header.e_phoff, length).ok_or(ImageError::HeadersOutOfFile)?;
    Ok(ParsingTable::new(LittleEndian, Class::ELF64, table))
}

/// Returns `length` bytes of the file from `offset` on.
fn part(file: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(length)?).ok()?;
    file.get(start..end)
}

fn segment<'a>(header: &ProgramHeader, file: &'a [u8]) -> Result<Segment<'a>, ImageError> {
    if header.p_filesz > header.p_memsz {
        return Err(ImageError::LongerThanMemory);
    }
    let data = part(file, header.p_offset, header.p_filesz).ok_or(ImageError::DataOutOfFile)?;
    let alignment = header.p_align.max(1);
    let congruent = header.p_vaddr % alignment == header.p_offset % alignment;
    if !alignment.is_power_of_two() || !congruent {
        return Err(ImageError::Misaligned);
    }
    let end = header.p_vaddr.checked_add(header.p_memsz).ok_or(ImageError::OutOfRange)?;
    if header.p_vaddr < USER_START || end > PROGRAM_END {
        return Err(ImageError::OutOfRange);
    }
    let protection = protection(header.p_flags);
    if protection.contains(Protection::WRITE | Protection::EXECUTE) {
        return Err(ImageError::WriteAndExecute);
    }
    Ok(Segment { address: header.p_vaddr, memory_length: header.p_memsz, data, protection })
}

/// Returns the protection that segment flags ask for; bits that a system or processor may define
/// mean nothing here.
fn protection(flags: u32) -> Protection {
    let bits = [(PF_R, Protection::READ), (PF_W, Protection::WRITE), (PF_X, Protection::EXECUTE)];
    bits.iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(Protection::NONE, |all, (_, protection)| all | *protection)
}

#[cfg(test)]
mod tests;
