//! What a Linux program finds when it starts: its segments, and a stack with arguments and the auxiliary
//! vector (System V ABI for the Arm 64-bit Architecture; elf.h, `AT_*`).

use alloc::vec::Vec;
use vellum_user::abi::{Error, Handle, MapFlags, MapOptions, PAGE_SIZE, Protection, Registers};
use vellum_user::loader::image::Image;
use vellum_user::loader::layout::{STACK_BYTES, STACK_END, STACK_START};
use vellum_user::loader::map_image;
use vellum_user::{Process, Thread};

const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_ENTRY: u64 = 9;
const AT_RANDOM: u64 = 25;

/// Bytes of the stack that are written before the start.
const TOP: usize = 1024;
/// Where the file header says how many program headers there are, how long and where.
const PROGRAM_HEADERS: usize = 32;
const HEADER_BYTES: usize = 54;
const HEADER_COUNT: usize = 56;

/// Makes a process of a static program, and its thread, which is not yet started.
pub(crate) fn load(file: &[u8], arguments: &[&str]) -> Result<(Process, Thread), Error> {
    let image = Image::parse_static(file).expect("the program is one that can be loaded");
    let process = Process::new()?;
    map_image(&process, &image).expect("the program's segments are mapped");
    let protection = Protection::READ | Protection::WRITE;
    let options = MapOptions { protection, flags: MapFlags::FIXED, ..MapOptions::default() };
    process.map(Handle::ANONYMOUS, STACK_START, STACK_BYTES, options, 0)?;
    let start = image.regions().next().map_or(0, |region| region.start);
    let half = |at: usize| u64::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let headers = start + half(PROGRAM_HEADERS);
    let auxiliary = [
        (AT_PHDR, headers),
        (AT_PHENT, half(HEADER_BYTES)),
        (AT_PHNUM, half(HEADER_COUNT)),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_ENTRY, image.entry()),
    ];
    let (sp, block) = stack(arguments, &auxiliary);
    let (written, result) = process.write(sp, &block);
    result?;
    assert_eq!(written, block.len());
    let thread = process.thread()?;
    thread.write_registers(&Registers { sp, pc: image.entry(), ..Registers::ZERO })?;
    Ok((process, thread))
}

/// Returns the first stack pointer, and what is on the stack from there on.
fn stack(arguments: &[&str], auxiliary: &[(u64, u64)]) -> (u64, Vec<u8>) {
    let sp = STACK_END - TOP as u64;
    let mut texts: Vec<u8> = Vec::new();
    // Texts are in the upper half; the first 16 bytes are what AT_RANDOM names.
    let base = sp + TOP as u64 / 2;
    texts.extend_from_slice(b"sixteen bytes...");
    let mut words = Vec::from([arguments.len() as u64]);
    for argument in arguments {
        words.push(base + texts.len() as u64);
        texts.extend_from_slice(argument.as_bytes());
        texts.push(0);
    }
    // The ends of the arguments and of the environment, which is empty.
    words.extend_from_slice(&[0, 0]);
    for (kind, value) in auxiliary.iter().chain(&[(AT_RANDOM, base), (0, 0)]) {
        words.extend_from_slice(&[*kind, *value]);
    }
    let mut block: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(block.len() <= TOP / 2 && texts.len() <= TOP / 2);
    block.resize(TOP / 2, 0);
    block.extend_from_slice(&texts);
    block.resize(TOP, 0);
    (sp, block)
}
