//! Row 58: do the features that the kernel reports agree with what the machine does, so that a
//! program can go without each of them?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{Error, ExitKind, Features, SystemInfo};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, calls, check, counter, memory, system, tags};
use vellum_user::{println, testing};

vellum_user::test!(main);

fn main(arguments: &Arguments) -> Result<(), Error> {
    match arguments.at(0) {
        Some("counter") => {
            println!("counted {}", counter::read());
            return Ok(());
        }
        Some("mops") => return set_by_instruction(&Mapping::anonymous(PAGE)?),
        Some("mismatch") => {
            let page = MapRequest::anonymous(PAGE).tagged().map()?;
            _ = page.read_as(5, 0);
            return Ok(());
        }
        _ => {}
    }
    let info = calls::system_query();
    println!("features {:#x}", info.features);
    check!("no unknown feature", info.features & !0x3f, 0);
    tags_agree(&info)?;
    blocks_agree(&info);
    mops_agree(&info)?;
    counter_agrees(&info);
    fills_agree(&info)
}

fn has(info: &SystemInfo, feature: u64) -> bool {
    info.features & feature != 0
}

fn tags_agree(info: &SystemInfo) -> Result<(), Error> {
    let tagged = MapRequest::anonymous(PAGE).tagged().map();
    let object = MemoryObject::tagged(3).map(drop);
    if has(info, Features::TAGS) {
        let page = tagged?;
        page.set_tag(0, 3);
        check!("a tag is kept", page.tag(0), 3);
        check!("an object of a tag", object, Ok(()));
        let report = testing::run_self(&["mismatch"]);
        check!("a mismatch", report.kind, ExitKind::TagCheck as u64);
    } else {
        check!("tagged memory", tagged.err(), Some(Error::TagsUnsupported));
        check!("an object of a tag", object, Err(Error::TagsUnsupported));
        check!("an object of tag 0", MemoryObject::tagged(0).is_ok());
        let page = Mapping::anonymous(PAGE)?;
        let more = page.query(0).protection | 1 << 3;
        let more = vellum_user::abi::Protection::from_bits(more).expect("defined bits");
        check!("becoming tagged", page.protect(more), Err(Error::TagsUnsupported));
        check!("asymmetric checks", !has(info, Features::ASYMMETRIC_TAGS));
    }
    Ok(())
}

/// DCZID_EL0 can be read here; GMID_EL1 cannot.
fn blocks_agree(info: &SystemInfo) {
    let zero_block = tags::block_bytes().unwrap_or(0) as u64;
    check!("zero block", info.zero_block_bytes, zero_block);
    if has(info, Features::TAGS) {
        let block = info.tag_block_bytes;
        check!("tag block", block.is_power_of_two() && (16..=256).contains(&block));
    } else {
        check!("tag block", info.tag_block_bytes, 0);
    }
    check!("identifiers", info.asid_bits == 8 || info.asid_bits == 16);
}

fn set_by_instruction(page: &Mapping) -> Result<(), Error> {
    // SAFETY: the mapping is this long, and no Rust value lives in it. Where the instruction is not
    // in use the program dies of it, which the parent expects.
    unsafe { memory::set_mops(page.pointer(0), 0x77, PAGE) }
    check!("set by instruction", page.first_other(0..PAGE, 0x77), None);
    Ok(())
}

fn mops_agree(info: &SystemInfo) -> Result<(), Error> {
    if has(info, Features::MOPS_IN_USE) {
        check!("in use, so there", has(info, Features::MOPS));
        return set_by_instruction(&Mapping::anonymous(PAGE)?);
    }
    let report = testing::run_self(&["mops"]);
    check!("not in use", report.kind, ExitKind::UndefinedInstruction as u64);
    Ok(())
}

fn counter_agrees(info: &SystemInfo) {
    if !has(info, Features::INSTRUCTION_COUNTER) {
        let report = testing::run_self(&["counter"]);
        check!("no counter", report.kind, ExitKind::TrappedInstruction as u64);
        return;
    }
    let before = counter::read();
    // SAFETY: the instructions have no effect.
    unsafe { asm!(".rept 1000", "nop", ".endr", options(nomem, nostack, preserves_flags)) }
    let counted = counter::read().wrapping_sub(before);
    check!(format_args!("counted {counted}"), (1000..1020).contains(&counted));
}

/// Whatever the loops are, the pages are right, and the counters do not tell them apart.
fn fills_agree(info: &SystemInfo) -> Result<(), Error> {
    println!("plain fills: {}", has(info, Features::PLAIN_FILLS));
    check!("plain and MOPS", !(has(info, Features::PLAIN_FILLS) && system::mops_in_use()));
    let object = MemoryObject::pattern(0x3c)?;
    for (page, byte) in [(Mapping::private(&object, PAGE)?, 0x3c), (Mapping::anonymous(PAGE)?, 0)] {
        let change = testing::measure(|| page.write(PAGE - 1, 1));
        check!("bytes", change.bytes_filled, PAGE as i64);
        check!("contents", page.first_other(0..PAGE - 8, byte), None);
        check!("the store", (page.read(PAGE - 2), page.read(PAGE - 1)), (byte, 1));
    }
    Ok(())
}
