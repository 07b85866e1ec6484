//! A good file, and every way to break it.

use super::{Image, ImageError, MAX_SEGMENTS, PROGRAM_END, Protection, Region};
use std::vec::Vec;

const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;
/// Data of segments starts here, page-aligned as a linker would have it.
const DATA: u64 = 0x1000;

/// A program header as (type, flags, offset, address, file length, memory length, alignment).
type Header = (u32, u32, u64, u64, u64, u64, u64);

fn load(flags: u32, address: u64, data: u64, memory: u64) -> Header {
    (1, flags, DATA + address % 0x1000, address, data, memory, 0x1000)
}

fn elf(entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2, 0, 183, 0, 1, 0, 0, 0]);
    file.extend([entry, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([0, 0, 0, 0, 64, 0, 56, 0]);
    file.extend((headers.len() as u16).to_le_bytes());
    file.extend([64, 0, 0, 0, 0, 0]);
    for (kind, flags, offset, address, data, memory, alignment) in headers {
        file.extend([*kind, *flags].iter().flat_map(|word| word.to_le_bytes()));
        let words = [*offset, *address, *address, *data, *memory, *alignment];
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    file.resize(DATA as usize * 4, 0x5a);
    file
}

/// Code, constants that share nothing with it, and data with zeros behind.
fn good() -> Vec<u8> {
    let headers = [
        load(READ, 0x20_0000, 0x500, 0x500),
        load(READ | EXECUTE, 0x21_0500, 0x800, 0x800),
        load(READ | WRITE, 0x22_0d00, 0x400, 0x3000),
    ];
    elf(0x21_0510, &headers)
}

fn refusal(entry: u64, headers: &[Header]) -> Option<ImageError> {
    Image::parse(&elf(entry, headers)).err()
}

/// Returns what a change of some bytes of the good file gives.
fn changed(offset: usize, bytes: &[u8]) -> Option<ImageError> {
    let mut file = good();
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    Image::parse(&file).err()
}

#[test]
fn regions_are_whole_pages_with_zeros_apart() {
    let file = good();
    let image = Image::parse(&file).unwrap();
    let regions: Vec<Region> = image.regions().collect();
    assert_eq!(image.entry(), 0x21_0510);
    let shapes: Vec<_> = regions.iter().map(|r| (r.start, r.data_length, r.length)).collect();
    let want =
        [(0x20_0000, 0x1000, 0x1000), (0x21_0000, 0x1000, 0x1000), (0x22_0000, 0x2000, 0x4000)];
    assert_eq!(shapes, want);
    assert_eq!(regions[2].protection, Protection::READ | Protection::WRITE);
    assert_eq!(image.segments(&regions[2])[0].data.len(), 0x400);
}

#[test]
fn segments_of_one_protection_may_share_a_page() {
    let headers = [
        load(READ | EXECUTE, 0x20_0000, 0x500, 0x500),
        load(READ | EXECUTE, 0x20_0500, 0x100, 0x1000),
        load(READ, 0x20_2000, 0, 0x1000),
    ];
    let file = elf(0x20_0000, &headers);
    let image = Image::parse(&file).unwrap();
    let regions: Vec<Region> = image.regions().collect();
    assert_eq!(regions.len(), 2);
    assert_eq!((regions[0].data_length, regions[0].length), (0x1000, 0x2000));
    assert_eq!(image.segments(&regions[0]).len(), 2);
    assert_eq!((regions[1].data_length, regions[1].length), (0, 0x1000));
}

#[test]
fn headers_of_other_files_are_named() {
    assert_eq!(changed(0, b"\x7fELG"), Some(ImageError::NotElf));
    assert_eq!(changed(4, &[1]), Some(ImageError::Not64Bit));
    assert_eq!(changed(4, &[9]), Some(ImageError::Not64Bit));
    assert_eq!(changed(5, &[2]), Some(ImageError::NotLittleEndian));
    assert_eq!(changed(6, &[7]), Some(ImageError::BadHeader));
    assert_eq!(changed(16, &[3]), Some(ImageError::PositionIndependent));
    assert_eq!(changed(16, &[1]), Some(ImageError::NotExecutable));
    assert_eq!(changed(18, &[62]), Some(ImageError::NotArm64));
    assert_eq!(changed(32, &[0xff; 8]), Some(ImageError::HeadersOutOfFile));
    assert_eq!(changed(54, &[55]), Some(ImageError::BadHeader));
    assert_eq!(changed(56, &[0]), Some(ImageError::NoSegments));
    assert_eq!(changed(56, &[0xff, 0xff]), Some(ImageError::TooManySegments));
}

#[test]
fn broken_segments_are_named() {
    let text = load(READ | EXECUTE, 0x20_0000, 0x500, 0x500);
    let entry = 0x20_0000;
    let with = |second: Header| refusal(entry, &[text, second]);
    assert_eq!(with(load(READ, 0x20_1000, 0x501, 0x500)), Some(ImageError::LongerThanMemory));
    assert_eq!(with(load(READ, 0x20_1000, 0x4000, 0x4000)), Some(ImageError::DataOutOfFile));
    assert_eq!(with((1, READ, u64::MAX, 0x20_1fff, 1, 1, 0x1000)), Some(ImageError::DataOutOfFile));
    assert_eq!(with((1, READ, DATA + 8, 0x20_1000, 1, 1, 0x1000)), Some(ImageError::Misaligned));
    assert_eq!(with((1, READ, DATA, 0x20_1000, 1, 1, 3)), Some(ImageError::Misaligned));
    assert_eq!(with(load(READ, 0x20_0400, 1, 1)), Some(ImageError::Overlap));
    assert_eq!(with(load(READ, 0x10_0000, 1, 1)), Some(ImageError::Overlap));
    assert_eq!(with(load(READ, 0x20_0800, 1, 1)), Some(ImageError::MixedPage));
    assert_eq!(with(load(7, 0x20_1000, 1, 1)), Some(ImageError::WriteAndExecute));
    assert_eq!(with(load(WRITE | EXECUTE, 0x20_1000, 1, 1)), Some(ImageError::WriteAndExecute));
    assert_eq!(with(load(READ, PROGRAM_END, 1, 1)), Some(ImageError::OutOfRange));
    assert_eq!(with(load(READ, PROGRAM_END - 1, 1, 2)), Some(ImageError::OutOfRange));
    assert_eq!(with(load(READ, u64::MAX - 0xfff, 1, 0x2000)), Some(ImageError::OutOfRange));
    assert_eq!(refusal(0, &[load(READ | EXECUTE, 0, 4, 4)]), Some(ImageError::OutOfRange));
    assert_eq!(with((2, READ, DATA, 0, 0, 0, 8)), Some(ImageError::NeedsDynamicLinker));
    assert_eq!(with((3, READ, DATA, 0, 0, 0, 1)), Some(ImageError::NeedsDynamicLinker));
    assert_eq!(with((7, READ, DATA, 0, 0, 8, 8)), Some(ImageError::NeedsThreadLocals));
}

#[test]
fn entries_outside_code_are_refused() {
    let text = load(READ | EXECUTE, 0x20_0000, 0x500, 0x500);
    for entry in [0, 0x1f_fffc, 0x20_0002, 0x20_0500, u64::MAX] {
        assert_eq!(refusal(entry, &[text]), Some(ImageError::BadEntry));
    }
    let data = load(READ | WRITE, 0x20_0000, 0x500, 0x500);
    assert_eq!(refusal(0x20_0000, &[data]), Some(ImageError::BadEntry));
}

#[test]
fn too_many_segments_are_refused() {
    let headers: Vec<Header> = (0..=MAX_SEGMENTS as u64)
        .map(|index| load(READ | EXECUTE, 0x20_0000 + index * 0x1000, 4, 4))
        .collect();
    assert_eq!(refusal(0x20_0000, &headers), Some(ImageError::TooManySegments));
    assert_eq!(refusal(0x20_0000, &headers[1..]), Some(ImageError::BadEntry));
}

#[test]
fn cut_and_flipped_files_never_panic() {
    let file = good();
    for length in 0..0x200 {
        assert!(Image::parse(&file[..length]).is_err());
    }
    for byte in 0..64 + 3 * 56 {
        for bit in 0..8 {
            let mut file = file.clone();
            file[byte] ^= 1 << bit;
            if let Ok(image) = Image::parse(&file) {
                assert!(image.regions().all(|region| region.length > 0));
            }
        }
    }
}
