//! Archives that are none: a message and an end, never a panic.

use crate::context::{Plan, Run, context, kernel, limit};
use libtest_mimic::{Failed, Trial};
use vellum_abi::archive::{HEADER_WORDS, SEGMENT_WORDS};
use vellum_tests::child::Echo;
use vellum_tests::image::archive::{put, seal};
use vellum_tests::qemu::{Machine, boot, judge};

/// Does damage to the bytes of an archive.
type Damage = fn(&mut Vec<u8>);

/// Bytes in a word of header and records.
const WORD: usize = 8;

/// Each kind of damage. The archive's segments come right behind its header.
const DAMAGES: &[(&str, Damage)] = &[
    ("bad_magic", |bytes| bytes[0] ^= 1),
    ("bad_checksum", |bytes| bytes[4095] ^= 1),
    ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
    ("empty_file_of_zeros", |bytes| *bytes = vec![0; 4096]),
    ("length_past_the_end_of_memory", |bytes| put(bytes, WORD, &[1 << 30])),
    ("length_not_whole_pages", |bytes| put(bytes, WORD, &[4097])),
    ("length_is_huge", |bytes| put(bytes, WORD, &[!0xfff])),
    ("segment_table_outside", |bytes| reseal(bytes, 4 * WORD, &[u64::MAX - 7])),
    ("segment_count_is_huge", |bytes| reseal(bytes, 5 * WORD, &[u64::MAX])),
    ("options_outside", |bytes| reseal(bytes, 8 * WORD, &[u64::MAX, 2])),
    ("options_are_no_text", no_text_as_options),
    ("segment_in_the_kernel", |bytes| segment(bytes, 0, 0xffff_0000_4000_0000)),
    ("segment_at_null", |bytes| segment(bytes, 0, 0)),
    ("segment_is_endless", |bytes| segment(bytes, 1, u64::MAX)),
    ("segment_larger_than_memory", |bytes| segment(bytes, 1, 1 << 46)),
    ("segment_shorter_than_its_data", |bytes| segment(bytes, 1, 1)),
    ("segment_data_outside", |bytes| segment(bytes, 2, u64::MAX - 4095)),
    ("segment_writable_and_executable", |bytes| segment(bytes, 4, 0b111)),
    ("segment_with_unknown_protection", |bytes| segment(bytes, 4, 1 << 40)),
    ("segments_overlap", overlap),
];

/// Damage that leaves an archive which can be loaded, but no first program that can run: it dies
/// of its first instruction, by the same rules as every program.
const DEADLY: &[(&str, Damage)] = &[
    ("no_segment", |bytes| reseal(bytes, 5 * WORD, &[0])),
    ("entry_in_the_kernel", |bytes| reseal(bytes, 3 * WORD, &[0xffff_0000_0000_0000])),
    ("entry_outside_the_segments", |bytes| reseal(bytes, 3 * WORD, &[0x10_0000])),
    ("segment_unaligned", |bytes| segment(bytes, 0, 0x40_0010)),
];

/// Overwrites words and makes the checksum right again.
fn reseal(bytes: &mut [u8], offset: usize, words: &[u64]) {
    put(bytes, offset, words);
    seal(bytes);
}

/// Overwrites a word of the first segment.
fn segment(bytes: &mut [u8], index: usize, word: u64) {
    reseal(bytes, (HEADER_WORDS + index) * WORD, &[word]);
}

/// Puts the second segment where the first one is.
fn overlap(bytes: &mut Vec<u8>) {
    let first = HEADER_WORDS * WORD;
    let address: Vec<u8> = bytes[first..first + WORD].to_vec();
    let second = first + SEGMENT_WORDS * WORD;
    bytes[second..second + WORD].copy_from_slice(&address);
    seal(bytes);
}

/// Declares the last page, overwritten by what no UTF-8 text has, to be the options.
fn no_text_as_options(bytes: &mut Vec<u8>) {
    let last = bytes.len() - 4096;
    bytes[last..].fill(0xff);
    reseal(bytes, 8 * WORD, &[last as u64, 4096]);
}

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, damage, test: fn(Damage) -> Result<(), Failed>| {
        Trial::test(format!("archive/{name}"), move || test(damage))
    };
    let refused = DAMAGES.iter().map(|&(name, damage)| trial(name, damage, is_refused));
    let deadly = DEADLY.iter().map(|&(name, damage)| trial(name, damage, is_deadly));
    let none = Trial::test("archive/none_at_all", no_archive);
    refused.chain(deadly).chain([none]).collect()
}

fn run_damaged(damage: Damage) -> Result<Run, Failed> {
    let plan = Plan::crash("exit=0");
    let mut bytes = plan.archive()?.finish()?;
    damage(&mut bytes);
    plan.run_bytes(&bytes)
}

fn is_refused(damage: Damage) -> Result<(), Failed> {
    run_damaged(damage)?.is_refusal()
}

fn is_deadly(damage: Damage) -> Result<(), Failed> {
    let run = run_damaged(damage)?;
    run.ends_with(102, &["vellum: the first program died"])?;
    run.has_not_panicked()
}

fn no_archive() -> Result<(), Failed> {
    let (qemu, limit) = (&context()?.qemu, limit());
    let boot = boot(qemu, &Machine::default(), kernel()?, None, limit, Echo::Hidden)?;
    let verdict = judge(&boot, limit);
    Run { boot, verdict }.is_refusal()
}

impl Run {
    fn is_refusal(&self) -> Result<(), Failed> {
        self.ends_with(106, &["vellum: archive: "])?;
        self.has_not_panicked()
    }
}
