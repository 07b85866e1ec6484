//! ELF files that cannot be run: the first program says so and ends with its own status.

use crate::context::{CRASH, Plan, program_file};
use libtest_mimic::{Failed, Trial};

/// Does damage to the bytes of an ELF file.
type Damage = fn(&mut Vec<u8>);

/// The name of the damaged file in the archive.
const NAME: &str = "damaged.elf";

// Offsets in the file header and in a program header, and the size of the latter (ELF-64 object
// file format, "File header" and "Program header").
const MACHINE: usize = 0x12;
const ENTRY: usize = 0x18;
const TABLE: usize = 0x20;
const ENTRY_SIZE: usize = 0x36;
const COUNT: usize = 0x38;
const HEADER: usize = 0x38;
const FLAGS: usize = 0x04;
const OFFSET: usize = 0x08;
const ADDRESS: usize = 0x10;
const FILE_SIZE: usize = 0x20;
const MEMORY_SIZE: usize = 0x28;

/// Each kind of damage.
const DAMAGES: &[(&str, Damage)] = &[
    ("empty", Vec::clear),
    ("text_file", |bytes| *bytes = b"#!/bin/sh\necho this is no program\n".to_vec()),
    ("magic_only", |bytes| bytes.truncate(4)),
    ("truncated_file_header", |bytes| bytes.truncate(40)),
    ("truncated_program_headers", |bytes| bytes.truncate(0x40 + HEADER / 2)),
    ("truncated_segments", |bytes| bytes.truncate(bytes.len() / 2)),
    ("of_32_bits", |bytes| bytes[4] = 1),
    ("big_endian", |bytes| bytes[5] = 2),
    ("of_another_machine", |bytes| bytes[MACHINE] = 62),
    ("position_independent", |bytes| bytes[0x10] = 3),
    ("no_program_headers", |bytes| bytes[COUNT..COUNT + 2].fill(0)),
    ("many_program_headers", |bytes| bytes[COUNT..COUNT + 2].fill(0xff)),
    ("odd_program_header_size", |bytes| bytes[ENTRY_SIZE] = 7),
    ("program_headers_outside", |bytes| put(bytes, TABLE, u64::MAX - 3)),
    ("entry_outside", |bytes| put(bytes, ENTRY, 0x10_0000)),
    ("entry_in_the_kernel", |bytes| put(bytes, ENTRY, 0xffff_0000_0000_0000)),
    ("segment_outside_the_file", |bytes| put_in_first(bytes, FILE_SIZE, 1 << 30)),
    ("segment_offset_overflows", |bytes| put_in_first(bytes, OFFSET, !0xfff)),
    ("segment_shorter_than_its_data", |bytes| put_in_first(bytes, MEMORY_SIZE, 1)),
    ("segment_length_overflows", |bytes| put_in_first(bytes, MEMORY_SIZE, u64::MAX)),
    ("segment_larger_than_memory", |bytes| put_in_first(bytes, MEMORY_SIZE, 1 << 46)),
    ("segment_in_the_kernel", |bytes| put_in_first(bytes, ADDRESS, 0xffff_0000_0000_0000)),
    ("segment_at_null", |bytes| put_in_first(bytes, ADDRESS, 0)),
    ("segments_overlap", overlap),
    ("segments_writable_and_executable", |bytes| {
        for header in loadable(bytes) {
            bytes[header + FLAGS] = 7;
        }
    }),
];

fn put(bytes: &mut [u8], offset: usize, word: u64) {
    bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
}

fn put_in_first(bytes: &mut [u8], field: usize, word: u64) {
    let header = loadable(bytes)[0];
    put(bytes, header + field, word);
}

fn overlap(bytes: &mut Vec<u8>) {
    let headers = loadable(bytes);
    let address = headers[0] + ADDRESS;
    bytes.copy_within(address..address + 8, headers[1] + ADDRESS);
}

/// Returns the offsets of the headers of loadable segments, in a good file.
fn loadable(bytes: &[u8]) -> Vec<usize> {
    let count = usize::from(bytes[COUNT]);
    let headers = (0..count).map(|index| 0x40 + index * HEADER);
    headers.filter(|header| bytes[*header..*header + 4] == [1, 0, 0, 0]).collect()
}

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |&(name, damage): &(&str, Damage)| {
        Trial::test(format!("elf/{name}"), move || is_refused(damage))
    };
    DAMAGES.iter().map(trial).collect()
}

fn is_refused(damage: Damage) -> Result<(), Failed> {
    let mut bytes = program_file(CRASH)?;
    damage(&mut bytes);
    let plan = Plan { arguments: vec!["exit=0".into()], ..Plan::new(NAME) };
    let mut archive = plan.archive()?;
    archive.file(NAME, bytes);
    let run = plan.run_bytes(&archive.finish()?)?;
    run.ends_with(106, &[NAME])?;
    run.has_not_panicked()
}
