//! Faults: a process whose fault finds no memory ends with that reason, and leaves nothing. Where
//! less memory would serve too, less serves.

use super::{MANY, arm, block_place, state};
use alloc::format;
use vellum_user::abi::{Error, ExitKind, PAGE_SIZE, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::Change;
use vellum_user::{Mapping, MemoryObject, check, println, testing};

/// Where a block can be.
pub(crate) const BLOCK_PLACE: usize = 0x50_4000_0000;

/// One fault, whose allocation of this number fails. Ends well if there is none such.
pub(crate) fn one(fault: &str, allocation: u64) -> Result<(), Error> {
    let far = 0x3333_3333_0000;
    let object = MemoryObject::new(PAGE_SIZE)?;
    let request = match fault {
        "fresh" | "read" | "copy" => MapRequest::anonymous(PAGE),
        "commit" => MapRequest::of(object.handle(), PAGE),
        _ => MapRequest::of(object.handle(), PAGE).shared(),
    };
    let page = request.at(far).map()?;
    if fault == "copy" {
        _ = page.read(0);
    }
    let reads = fault == "read";
    arm(allocation)?;
    if reads {
        _ = page.read(1);
    } else {
        page.write(1, 1);
    }
    let injected = arm(0)?;
    check!("nothing failed", injected, 0);
    Ok(())
}

pub(crate) fn fail() -> Result<(), Error> {
    _ = testing::run_self(&["exit"]);
    let before = testing::stat();
    for fault in ["fresh", "read", "copy", "commit", "shared"] {
        let mut passed = 0;
        for allocation in 1..=MANY {
            let report = testing::run_self(&[fault, &format!("{allocation}")]);
            _ = arm(0);
            let name = format_args!("{fault}, allocation {allocation}");
            let after = testing::stat();
            check!(format_args!("{name}: frames"), after.free_frames, before.free_frames);
            check!(format_args!("{name}: memory"), after.pool_bytes, before.pool_bytes);
            if testing::exited_with(&report, 0) {
                passed = allocation;
                break;
            }
            check!(name, report.kind, ExitKind::OutOfFrames as u64);
        }
        println!("{fault}: {} allocations", passed.saturating_sub(1));
        check!(format_args!("{fault} allocates, and passes"), passed > 1);
    }
    drop(Mapping::anonymous(PAGE));
    block_place()?;
    blocks()
}

/// A first write makes a block of two allocations, the block and a table for its split: without
/// either it makes a page.
fn blocks() -> Result<(), Error> {
    let switches = Switches::HUGE | Switches::HUGE_WRITES;
    let whole = state().free_frames;
    for allocation in 1..=MANY {
        let pages = MapRequest::anonymous(512 * PAGE).with(switches).at(BLOCK_PLACE).map()?;
        let before = state();
        arm(allocation)?;
        pages.write(5 * PAGE, 1);
        let injected = arm(0)?;
        let change = Change::between(&before, &state());
        let name = format_args!("a block, allocation {allocation}");
        check!(name, (pages.read(5 * PAGE), pages.read(6 * PAGE)), (1, 0));
        let made = if allocation > 2 { (1, 512) } else { (0, 1) };
        check!(name, (change.blocks, change.private_frames), made);
        pages.unmap()?;
        check!(name, state().free_frames, whole);
        if injected == 0 {
            println!("a block: {} allocations", allocation - 1);
            check!("allocations of a block", allocation - 1, 2);
            return Ok(());
        }
    }
    check!("blocks end", false);
    Ok(())
}
