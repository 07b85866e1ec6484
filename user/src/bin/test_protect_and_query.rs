//! Does `protect` give pages exactly what was asked for, and does `query` say so, however mappings
//! are split and merged by it?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{Error, ExitKind, Handle, MapFlags, ObjectKind, PageState, Protection};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

const PATTERN: u8 = 0xaa;
/// Where no other mapping is near.
const PLACE: usize = 0x57_0000_0000;
const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
const READ_EXECUTE: Protection = Protection::READ.union(Protection::EXECUTE);
/// `mov x0, #N; ret` for two values of N.
const CODE: [[u32; 2]; 2] = [[0xd280_0540, 0xd65f_03c0], [0xd280_0860, 0xd65f_03c0]];

fn main(arguments: &Arguments) -> Result<u64, Error> {
    if let Some(word) = arguments.value("try") {
        return try_access(word);
    }
    every_protection()?;
    accesses_follow()?;
    splitting_and_merging()?;
    code_can_be_written_then_executed()?;
    Ok(0)
}

/// Returns the protections that there are on this machine.
fn protections() -> impl Iterator<Item = Protection> {
    let possible = |protection: &Protection| {
        (system::tags_supported() || !protection.contains(Protection::TAGGED))
            && !protection.contains(Protection::WRITE | Protection::EXECUTE)
    };
    (0..16).filter_map(Protection::from_bits).filter(possible)
}

/// Returns what `query` says of a protection: WRITE implies READ.
fn effective(protection: Protection) -> u64 {
    let implied = protection.contains(Protection::WRITE);
    protection.bits() | if implied { Protection::READ.bits() } else { 0 }
}

/// From every protection to every other, on a page that is untouched, and on one that is private.
fn every_protection() -> Result<(), Error> {
    for from in protections() {
        // Far from everything that it could merge with.
        let request = MapRequest::anonymous(3 * PAGE).at(PLACE);
        let pages = MapRequest { protection: from, ..request }.map()?;
        check!("as mapped", pages.query(0).protection, effective(from));
        for to in protections() {
            pages.protect(READ_WRITE)?;
            pages.write(PAGE, 5);
            pages.protect(from)?;
            pages.protect(to)?;
            let info = pages.query(0);
            let name = format_args!("from {:#x} to {:#x}", from.bits(), to.bits());
            check!(name, info.protection, effective(to));
            check!(name, (info.start, info.length), (pages.address() as u64, 3 * PAGE as u64));
            check!(name, pages.page_state(PAGE), PageState::Private);
            pages.protect(READ_WRITE)?;
            check!(name, (pages.read(0), pages.read(PAGE)), (0, 5));
            pages.decommit(0..3 * PAGE)?;
        }
        for bits in [0b110, 0b111] {
            let both = Protection::from_bits(bits).expect("defined bits");
            check!("write and execute", pages.protect(both), Err(Error::WriteAndExecute));
        }
    }
    Ok(())
}

/// What a protection allows and what it denies, tried by a child for each access.
fn accesses_follow() -> Result<(), Error> {
    const WAYS: [(&str, u64); 3] = [("read", 1), ("write", 2), ("execute", 4)];
    for (bits, words) in [
        (0b000, ["try=0read", "try=0write", "try=0execute"]),
        (0b001, ["try=1read", "try=1write", "try=1execute"]),
        (0b010, ["try=2read", "try=2write", "try=2execute"]),
        (0b011, ["try=3read", "try=3write", "try=3execute"]),
        (0b101, ["try=5read", "try=5write", "try=5execute"]),
    ] {
        let protection = Protection::from_bits(bits).expect("defined bits");
        for (word, (way, bit)) in words.into_iter().zip(WAYS) {
            let report = testing::run_self(&[word]);
            let allowed = effective(protection) & bit != 0;
            let name = format_args!("{way} with protection {bits:#x}");
            if allowed {
                check!(name, testing::exited_with(&report, 0));
            } else {
                check!(name, report.kind, ExitKind::AccessDenied as u64);
            }
        }
    }
    Ok(())
}

/// Accesses a page that was written and then protected, as the word says.
fn try_access(word: &str) -> Result<u64, Error> {
    let (bits, way) = word.split_at(1);
    let bits = bits.parse().map_err(|_| Error::InvalidProtection)?;
    let page = code_page()?;
    page.protect(Protection::from_bits(bits).ok_or(Error::InvalidProtection)?)?;
    match way {
        "read" => check!("what was written", page.read_word(0) as u32, CODE[0][0]),
        "write" => {
            page.write(100, 1);
            check!("what was written", page.read(100), 1)
        }
        _ => check!("the code's answer", execute(&page), 42),
    };
    Ok(0)
}

fn put(page: &Mapping, code: [u32; 2]) {
    page.write_word(0, u64::from(code[1]) << 32 | u64::from(code[0]));
}

fn code_page() -> Result<Mapping, Error> {
    let page = Mapping::anonymous(PAGE)?;
    put(&page, CODE[0]);
    Ok(page)
}

/// Calls the code at the start of a page.
fn execute(page: &Mapping) -> u64 {
    let value;
    // SAFETY: the page holds a function that sets x0 and returns, or cannot be executed.
    unsafe { asm!("blr {0}", in(reg) page.pointer(0), lateout("x0") value, clobber_abi("C")) }
    value
}

fn code_can_be_written_then_executed() -> Result<(), Error> {
    let page = code_page()?;
    for (code, answer) in [(CODE[0], 42), (CODE[1], 67), (CODE[0], 42)] {
        page.protect(READ_WRITE)?;
        put(&page, code);
        page.protect(READ_EXECUTE)?;
        check!("new code", execute(&page), answer);
    }
    // Through an object: written shared, executed in another mapping of it.
    let object = MemoryObject::new(PAGE as u64)?;
    let window = MapRequest::of(object.handle(), PAGE).shared().map()?;
    put(&window, CODE[1]);
    for sharing in [MapFlags::SHARED, MapFlags::NONE] {
        let request = MapRequest::of(object.handle(), PAGE);
        let text = MapRequest { protection: READ_EXECUTE, flags: sharing, ..request }.map()?;
        check!("code of an object", execute(&text), 67);
    }
    Ok(())
}

/// Returns start page, length in pages and protection of each mapping in a range.
fn layout(range: &Mapping) -> [(u64, u64, u64); 8] {
    let mut layout = [(0, 0, 0); 8];
    let start = range.address() as u64;
    let end = start + range.length() as u64;
    let mut address = start;
    for entry in &mut layout {
        let Ok(info) = calls::query_mapping(Handle::SELF, address) else { break };
        if info.start >= end {
            break;
        }
        let page = PAGE as u64;
        *entry = (info.start.wrapping_sub(start) / page, info.length / page, info.protection);
        address = info.start + info.length;
    }
    layout
}

fn protect(range: &Mapping, pages: core::ops::Range<usize>, protection: Protection) {
    let address = range.pointer(pages.start * PAGE).addr() as u64;
    let length = (pages.len() * PAGE) as u64;
    // SAFETY: no Rust value lives in the mapping.
    let answer = unsafe { calls::protect(Handle::SELF, address, length, protection) };
    check!(format_args!("protecting {pages:?}"), answer, Ok(()));
}

fn splitting_and_merging() -> Result<(), Error> {
    let object = MemoryObject::pattern(PATTERN)?;
    let range = Mapping::private(&object, 10 * PAGE)?;
    (0..10).step_by(3).for_each(|page| range.write(page * PAGE, page as u8));
    let want = |entries: &[(u64, u64, u64)]| {
        let mut all = [(0, 0, 0); 8];
        all[..entries.len()].copy_from_slice(entries);
        all
    };
    let before = testing::stat();
    check!("one", layout(&range), want(&[(0, 10, 3)]));
    protect(&range, 4..6, Protection::READ);
    check!("three", layout(&range), want(&[(0, 4, 3), (4, 2, 1), (6, 4, 3)]));
    protect(&range, 0..2, Protection::NONE);
    let four = want(&[(0, 2, 0), (2, 2, 3), (4, 2, 1), (6, 4, 3)]);
    check!("four", layout(&range), four);
    protect(&range, 1..5, Protection::READ);
    let across = want(&[(0, 1, 0), (1, 5, 1), (6, 4, 3)]);
    check!("across borders, merged", layout(&range), across);
    protect(&range, 9..10, Protection::READ);
    protect(&range, 6..9, Protection::READ);
    check!("merged on both sides", layout(&range), want(&[(0, 1, 0), (1, 9, 1)]));
    check!("mappings", testing::stat().mappings, before.mappings + 1);
    protect(&range, 0..10, READ_WRITE);
    check!("one again", layout(&range), want(&[(0, 10, 3)]));
    let after = testing::stat();
    check!("mappings again", after.mappings, before.mappings);
    check!("kernel memory again", after.pool_bytes, before.pool_bytes);
    let expected = |page: usize| if page.is_multiple_of(3) { page as u8 } else { PATTERN };
    check!("contents", (0..10).find(|page| range.read(page * PAGE) != expected(*page)), None);
    let info = range.query(0);
    let kind = (info.kind, info.detail, info.flags, info.policy, info.offset);
    check!("what else is known", kind, (ObjectKind::Pattern as u64, u64::from(PATTERN), 0, 0, 0));
    neighbours()
}

/// A mapping beside another of the same object may merge with it, beside another object never.
fn neighbours() -> Result<(), Error> {
    let (one, two) = (MemoryObject::pattern(1)?, MemoryObject::pattern(2)?);
    let start = 0x58_0000_0000;
    let at = |object: &MemoryObject, page: usize| {
        MapRequest::of(object.handle(), PAGE).at(start + page * PAGE).map()
    };
    let before = testing::stat().mappings;
    let _first = at(&one, 0)?;
    let _second = at(&two, 1)?;
    let _third = MapRequest::anonymous(PAGE).at(start + 2 * PAGE).map()?;
    check!("three neighbours", testing::stat().mappings, before + 3);
    let _fourth = at(&one, 3)?;
    let fifth = at(&one, 4)?;
    let merged = fifth.query(0);
    check!("five pages", testing::stat().mappings <= before + 5);
    check!("the merged ones", merged.start + merged.length, (start + 5 * PAGE) as u64);
    fifth.unmap()?;
    check!(
        "values",
        (_first.read(0), _second.read(0), _third.read(0), _fourth.read(0)),
        (1, 2, 0, 1)
    );
    Ok(())
}
