//! The release kernel's instructions, read from its ELF file: what the machine trait promises of
//! each hardware method must still be so behind inlining.

use crate::Named;
use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::LittleEndian;
use libtest_mimic::Failed;
use std::fs;
use vellum_tests::build::{self, Profile};

pub(crate) const TESTS: &[Named] = &[
    ("instructions/tlb_maintenance_stands_between_its_barriers", barriers_around_maintenance),
    ("instructions/the_fault_path_calls_nothing_through_pointers", no_indirect_call),
    ("instructions/only_the_vectors_touch_vector_registers", vector_registers),
];

const DSB_ISHST: u32 = 0xd503_3a9f;
const DSB_ISH: u32 = 0xd503_3b9f;
/// How far a barrier may be from the maintenance that it orders, in instructions.
const NEAR: usize = 64;

/// One function: its name and its instructions.
struct Function {
    name: String,
    words: Vec<u32>,
}

/// Returns the functions of the release kernel. Constants between instructions are words like any
/// other: nothing that is looked for here looks like one.
fn functions() -> Result<Vec<Function>, Failed> {
    let path = build::kernel(Profile::Release).map_err(|failure| failure.to_string())?;
    let bytes = fs::read(path)?;
    let elf = ElfBytes::<LittleEndian>::minimal_parse(&bytes)?;
    let text = elf.section_header_by_name(".text")?.ok_or("the kernel has no .text")?;
    let (data, _) = elf.section_data(&text)?;
    let words: Vec<u32> =
        data.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let (symbols, names) = elf.symbol_table()?.ok_or("the kernel has no symbols")?;
    let mut functions = Vec::new();
    for symbol in symbols.iter().filter(|symbol| symbol.st_symtype() == STT_FUNC) {
        let Some(offset) = symbol.st_value.checked_sub(text.sh_addr) else { continue };
        let first = offset as usize / 4;
        let Some(words) = words.get(first..first + symbol.st_size as usize / 4) else { continue };
        let name = format!("{:#}", rustc_demangle::demangle(names.get(symbol.st_name as usize)?));
        functions.push(Function { name, words: words.to_vec() });
    }
    functions.retain(|function| !function.words.is_empty());
    if functions.is_empty() { Err("the kernel has no functions".into()) } else { Ok(functions) }
}

/// TLBI by address or identifier, broadcast: `SYS #0, C8, C3, #op2, Xt`.
fn is_maintenance(word: u32) -> bool {
    let (vae1is, aside1is, vale1is) = (0xd508_8320, 0xd508_8340, 0xd508_83a0);
    [vae1is, aside1is, vale1is].contains(&(word & !0x1f))
}

/// Returns where the instruction at a place may branch to.
fn target(word: u32, place: usize) -> Option<usize> {
    // The immediate's lowest bit and its width, by kind: B; B.cond, CBZ and CBNZ; TBZ and TBNZ.
    let (low, width) = if word & 0xfc00_0000 == 0x1400_0000 {
        (0, 26)
    } else if word & 0xff00_0010 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
        (5, 19)
    } else if word & 0x7e00_0000 == 0x3600_0000 {
        (5, 14)
    } else {
        return None;
    };
    let distance = (word << (32 - low - width)) as i32 >> (32 - width);
    place.checked_add_signed(distance as isize)
}

/// Returns whether a few instructions lead from a place to one that `is_wanted_fn` picks, whatever lies
/// between them in memory.
fn reaches(words: &[u32], place: usize, is_wanted_fn: impl Fn(usize) -> bool) -> bool {
    let mut ends = vec![place];
    for _ in 0..NEAR {
        if ends.iter().any(|end| is_wanted_fn(*end)) {
            return true;
        }
        let next = |end: &usize| {
            let word = words.get(*end).copied().unwrap_or(0);
            [Some(end + 1), target(word, *end)].into_iter().flatten()
        };
        ends = ends.iter().flat_map(next).filter(|end| *end < words.len()).collect();
        ends.sort_unstable();
        ends.dedup();
    }
    false
}

fn barriers_around_maintenance() -> Result<(), Failed> {
    let mut seen = 0;
    for Function { name, words } in functions()? {
        let places = words.iter().enumerate().filter(|(_, word)| is_maintenance(**word));
        for (place, _) in places {
            seen += 1;
            if !reaches(&words, place, |end| words.get(end) == Some(&DSB_ISH)) {
                return Err(format!("{name}: no DSB ISH behind TLBI number {place}").into());
            }
            // Only the end of an address space needs none: every descriptor is gone by then.
            let root = words[place] & !0x1f == 0xd508_8340;
            let mut barriers = (0..words.len()).filter(|barrier| words[*barrier] == DSB_ISHST);
            if !root && !barriers.any(|barrier| reaches(&words, barrier, |end| end == place)) {
                return Err(format!("{name}: no DSB ISHST before TLBI number {place}").into());
            }
        }
    }
    if seen < 3 { Err(format!("{seen} TLBI in the whole kernel").into()) } else { Ok(()) }
}

fn no_indirect_call() -> Result<(), Failed> {
    let functions = functions()?;
    let path = ["vellum::trap::abort", "handle_fault", "vellum_vm::fill"];
    let on_path = functions.iter().filter(|one| path.iter().any(|part| one.name.contains(part)));
    let mut seen = 0;
    for Function { name, words } in on_path {
        seen += 1;
        // BLR Xn.
        if words.iter().any(|word| word & !(0x1f << 5) == 0xd63f_0000) {
            return Err(format!("{name} calls through a pointer").into());
        }
    }
    if seen < 2 { Err("the fault path has other names now".into()) } else { Ok(()) }
}

fn vector_registers() -> Result<(), Failed> {
    // Loads and stores of pairs of q registers: LDP and STP with opc=10 and V=1.
    let is_vector_pair = |word: &u32| word & 0xfe00_0000 == 0xac00_0000;
    let allowed = ["leave", "next", "use_vectors"];
    for Function { name, words } in functions()? {
        if words.iter().any(is_vector_pair) && !allowed.contains(&name.as_str()) {
            return Err(format!("{name} touches vector registers").into());
        }
    }
    Ok(())
}
