//! The tag-aware handler: does a wrong tag on a clean page end the process before a frame is taken,
//! and does everything that is not checked go through?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{Error, ExitKind, ExitReport, FaultAccess, Stat, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

const TAG: u8 = 9;
const WRONG: u8 = 4;
/// Where victims map, so that reports can be compared.
const PLACE: usize = 0x7000_0000;
/// The page and the byte in it that they access.
const OFFSET: usize = 3 * PAGE + 40;

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require_tags();
    if let Some(way) = arguments.at(0) {
        return victim(way, arguments.has("aware"));
    }
    for way in ["store", "load", "copy", "start", "swap"] {
        dies(way)?;
    }
    goes_through()
}

fn map(switches: Switches, object: &MemoryObject) -> Result<Mapping, Error> {
    let request = MapRequest { switches, ..MapRequest::of(object.handle(), 8 * PAGE) };
    request.tagged().at(PLACE).map()
}

/// Accesses a clean page with the wrong tag.
fn victim(way: &str, aware: bool) -> Result<(), Error> {
    let object = MemoryObject::tagged(TAG)?;
    let pages = map(if aware { Switches::TAG_AWARE } else { Switches::NONE }, &object)?;
    // The page before it and its table are there.
    pages.write_as(TAG, 2 * PAGE, 1);
    match way {
        "store" => pages.write_as(WRONG, OFFSET, 1),
        "load" => _ = pages.read_as(WRONG, OFFSET),
        "copy" => {
            _ = pages.read_as(TAG, OFFSET);
            pages.write_as(WRONG, OFFSET, 1);
        }
        // SAFETY: the word is in the mapping, where no Rust value lives.
        "start" => unsafe {
            asm!("str xzr, [x10]", in("x10") pages.tagged_pointer(WRONG, 3 * PAGE),
                options(nostack));
        },
        // SAFETY: as above.
        _ => unsafe {
            asm!(".arch_extension lse", "swp xzr, x9, [x10]", out("x9") _,
                in("x10") pages.tagged_pointer(WRONG, OFFSET), options(nostack));
        },
    }
    Ok(())
}

fn end(words: &[&str]) -> Result<(ExitReport, Stat), Error> {
    let child = testing::load_self(words);
    child.start()?;
    let report = child.process.wait()?;
    Ok((report, child.process.stat()?))
}

fn dies(way: &str) -> Result<(), Error> {
    let (plain, plain_stat) = end(&[way, "plain"])?;
    let (aware, aware_stat) = end(&[way, "aware"])?;
    check!(format_args!("{way}: plain"), plain.kind, ExitKind::TagCheck as u64);
    // The same death in every word, but for the syndrome of an atomic's write.
    check!(format_args!("{way}: status"), aware.status & 0x3f, plain.status & 0x3f);
    let (status, pc) = (plain.status, plain.pc);
    check!(format_args!("{way}: report"), ExitReport { status, pc, ..aware }, plain);
    check!(format_args!("{way}: pc"), aware.pc, plain.pc);
    check!(format_args!("{way}: tags"), (aware.logical_tag, aware.allocation_tag), (4, 9));
    check!(format_args!("{way}: counted"), (plain_stat.faults_tag, aware_stat.faults_tag), (1, 1));
    check!(format_args!("{way}: denied"), aware_stat.faults_denied, 0);
    let frames = |stat: &Stat| stat.faults_write_fresh + stat.faults_write_cow;
    let wasted = frames(&plain_stat) - frames(&aware_stat);
    // The first fault of an atomic access is its load's, and the tag is compared after it.
    let one = !matches!(way, "load" | "swap");
    check!(format_args!("{way}: frames"), wasted, u64::from(one));
    let access = if way == "load" { FaultAccess::Read } else { FaultAccess::Write };
    check!(format_args!("{way}: access"), way == "swap" || aware.access == access as u64);
    Ok(())
}

/// One instruction on the granule at x10, whose page is clean. x9 is a pointer with another tag.
macro_rules! performed {
    ($pages:ident, $name:literal, $page:literal, $($text:literal),+) => {
        let place = $pages.tagged_pointer(WRONG, $page * PAGE + 64);
        let change = testing::measure(|| {
            // SAFETY: the 64 bytes are in the mapping, where no Rust value lives; SP is restored.
            unsafe {
                asm!(
                    ".arch_extension memtag", $($text),+,
                    in("x10") place, in("x9") place, out("x11") _, options(nostack)
                );
            }
        });
        check!($name, (change.private_frames, change.faults_tag), (1, 0));
    };
}

fn goes_through() -> Result<(), Error> {
    let object = MemoryObject::tagged(TAG)?;
    let pages =
        MapRequest { switches: Switches::TAG_AWARE, ..MapRequest::of(object.handle(), 16 * PAGE) };
    let pages = pages.tagged().map()?;
    performed!(pages, "stg", 0, "stg x9, [x10]");
    performed!(pages, "st2g", 1, "st2g x9, [x10]");
    performed!(pages, "stzg", 2, "stzg x9, [x10], #16");
    performed!(pages, "stgp", 3, "stgp x9, x9, [x10]");
    performed!(pages, "dc gva", 4, "dc gva, x10");
    performed!(pages, "dc gzva", 5, "dc gzva, x10");
    performed!(
        pages,
        "through sp",
        6,
        "mov x11, sp",
        "mov sp, x10",
        "str xzr, [sp]",
        "mov sp, x11"
    );
    performed!(
        pages,
        "pair through sp",
        7,
        "mov x11, sp",
        "mov sp, x10",
        "stp xzr, xzr, [sp, #16]",
        "mov sp, x11"
    );
    performed!(pages, "tco", 8, "msr tco, #1", "str xzr, [x10]", "msr tco, #0");
    check!("tags of stg", (pages.tag(64), pages.tag(80)), (WRONG, TAG));
    check!("tags of a store through sp", pages.tag(6 * PAGE + 64), TAG);
    let right = testing::measure(|| pages.write_as(TAG, 9 * PAGE, 1));
    check!("the right tag", (right.faults_write_fresh, right.faults()), (1, 1));
    let request = MapRequest { switches: Switches::TAG_AWARE, ..MapRequest::anonymous(PAGE) };
    let untagged = request.map()?;
    let change = testing::measure(|| untagged.write_as(WRONG, 0, 1));
    check!("no tagged memory", (change.faults_write_fresh, change.faults()), (1, 1));
    Ok(())
}
