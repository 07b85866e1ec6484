//! K10: if the n-th allocation of a call or a fault fails, for every n until none does: is the error
//! one of memory, and everything as it was before?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use vellum_user::abi::{
    Call, Error, ExitKind, Handle, MapFlags, PAGE_SIZE, Protection, Rights, Stat, TestOperation,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, calls, check, println, raw, testing};

vellum_user::test!(main);

/// Six private pages, the third of which calls begin or end inside.
const PLACE: u64 = 0x50_0000_0000;
/// Untouched pages in a table that exists.
const UNTOUCHED: u64 = PLACE + 16 * PAGE_SIZE;
/// Nothing, in the same table.
const FREE: u64 = PLACE + 64 * PAGE_SIZE;
/// More allocations than anything here makes.
const MANY: u64 = 40;

fn main(arguments: &Arguments) -> Result<(), Error> {
    match (arguments.at(0), arguments.at(1).and_then(|word| word.parse().ok())) {
        (Some(fault), Some(allocation)) => return fault_with(fault, allocation),
        (Some(_), None) => return Ok(()),
        _ => {}
    }
    let refused = calls::test(TestOperation::FailAllocation, 0).err();
    testing::require(refused != Some(Error::UnknownCall), "not a checked kernel");
    calls_fail()?;
    faults_fail();
    Ok(())
}

/// What a refused call must leave as it is: everything that exists.
fn state() -> Stat {
    // Refusals by way of a fault are counted as denied faults.
    Stat { faults_denied: 0, ..testing::stat() }
}

/// Makes a call until no allocation of it fails any more; `undo_fn` gets what it answered then.
fn exhaust(call: Call, arguments: [u64; 6], undo_fn: impl Fn(u64) -> Result<(), Error>) {
    let whole = state();
    for allocation in 1..=MANY {
        let before = state();
        check!("armed", calls::test(TestOperation::FailAllocation, allocation).is_ok());
        // SAFETY: no Rust value lives in the pages that the calls of this test change.
        let (status, value) = unsafe { raw::call(call as u64, arguments) };
        let injected = calls::test(TestOperation::FailAllocation, 0).unwrap_or(0);
        let name = format_args!("{}, allocation {allocation}", call.name());
        if injected == 0 {
            check!(name, Error::from_number(status), None);
            check!(format_args!("{name}: undone"), undo_fn(value), Ok(()));
            check!(format_args!("{name}: all given back"), existing(state()), existing(whole));
            println!("{}: {} allocations", call.name(), allocation - 1);
            return;
        }
        let error = Error::from_number(status);
        let named = matches!(error, Some(Error::OutOfFrames | Error::OutOfKernelMemory));
        check!(format_args!("{name}: {error:?}"), named);
        check!(format_args!("{name}: what it changed"), state(), before);
    }
    check!(format_args!("{} ends", call.name()), false);
}

/// What exists, without counters of what happened, and without tables and a handle table's chunks,
/// which stay for the next one.
fn existing(stat: Stat) -> [u64; 5] {
    [stat.free_frames, stat.private_frames, stat.mappings, stat.handles, stat.processes_live]
}

fn close(value: u64) -> Result<(), Error> {
    calls::handle_close(Handle::from_word(value).ok_or(Error::BadHandle)?)
}

fn unmap(address: u64, pages: u64) -> Result<(), Error> {
    // SAFETY: no Rust value lives there.
    unsafe { calls::unmap(Handle::SELF, address, pages * PAGE_SIZE) }
}

fn decommit_untouched(_: u64) -> Result<(), Error> {
    // SAFETY: no Rust value lives there.
    unsafe {
        calls::advise(Handle::SELF, UNTOUCHED, 8 * PAGE_SIZE, vellum_user::abi::Advice::Decommit)
    }
}

/// Puts the six pages back as they were.
fn restore(_: u64) -> Result<(), Error> {
    unmap(PLACE, 6)?;
    six_pages()
}

fn six_pages() -> Result<(), Error> {
    let pages = MapRequest::anonymous(6 * PAGE).at(PLACE as usize).map()?;
    (0..6).for_each(|page| pages.write(page * PAGE, 1 + page as u8));
    _ = pages.leak();
    Ok(())
}

fn calls_fail() -> Result<(), Error> {
    let (own, anonymous) = (Handle::SELF.to_word(), Handle::ANONYMOUS.to_word());
    six_pages()?;
    let _untouched = MapRequest::anonymous(8 * PAGE).at(UNTOUCHED as usize).map()?;
    let object = MemoryObject::pattern(9)?;
    let child = Process::new()?;
    let fixed = Protection::READ.bits() | Protection::WRITE.bits() | MapFlags::FIXED.bits();
    let replace = fixed | MapFlags::REPLACE.bits();
    let (pattern, page) = (object.handle().to_word(), PAGE_SIZE);
    let inside = PLACE + 2 * page;
    exhaust(Call::Map, [own, anonymous, FREE, page, fixed, 0], |at| unmap(at, 1));
    exhaust(Call::Map, [own, pattern, inside, page, replace, 0], restore);
    exhaust(Call::Unmap, [own, inside, page, 0, 0, 0], restore);
    exhaust(Call::Protect, [own, inside, page, Protection::READ.bits(), 0, 0], restore);
    exhaust(Call::Advise, [own, inside, page, 0, 0, 0], restore);
    exhaust(Call::RefpageCreate, [PLACE, 64, 0, 0, 0, 0], close);
    exhaust(Call::RefpageCreateFrameless, [PLACE, 64, 0, 0, 0, 0], close);
    exhaust(Call::QueryPages, [own, PLACE, UNTOUCHED, 4 * page, 0, 0], decommit_untouched);
    exhaust(Call::RefpageCreatePattern, [3, 0, 0, 0, 0, 0], close);
    exhaust(Call::RefpageCreateTag, [0; 6], close);
    exhaust(Call::MemoryCreate, [8 * page, 0, 0, 0, 0, 0], close);
    exhaust(Call::HandleCopy, [own, pattern, Rights::NONE.bits(), 0, 0, 0], close);
    exhaust(Call::ProcessCreate, [own, 0, 0, 0, 0, 0], close);
    exhaust(Call::ThreadCreate, [child.handle().to_word(), 0, 0, 0, 0, 0], close);
    // Three zeros, on a page that is there.
    exhaust(Call::AccountCreate, [own, PLACE + 64, 0, 0, 0, 0], close);
    exhaust(Call::Stat, [own, UNTOUCHED, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::ObjectQuery, [pattern, UNTOUCHED, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::AccountQuery, [own, UNTOUCHED, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::Query, [own, PLACE, UNTOUCHED, 0, 0, 0], decommit_untouched);
    exhaust(Call::SystemQuery, [UNTOUCHED, 0, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::MemoryWrite, [own, UNTOUCHED, PLACE, 8, 0, 0], decommit_untouched);
    exhaust(Call::MemoryRead, [own, PLACE, UNTOUCHED, 8, 0, 0], decommit_untouched);
    unmap(PLACE, 6)
}

/// One fault, whose allocation of this number fails. Ends well if there is none such.
fn fault_with(fault: &str, allocation: u64) -> Result<(), Error> {
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
    calls::test(TestOperation::FailAllocation, allocation)?;
    if reads {
        _ = page.read(1);
    } else {
        page.write(1, 1);
    }
    let injected = calls::test(TestOperation::FailAllocation, 0)?;
    check!("nothing failed", injected, 0);
    Ok(())
}

fn faults_fail() {
    _ = testing::run_self(&["exit"]);
    let before = testing::stat();
    for fault in ["fresh", "read", "copy", "commit", "shared"] {
        let mut passed = 0;
        for allocation in 1..=MANY {
            let report = testing::run_self(&[fault, &format!("{allocation}")]);
            _ = calls::test(TestOperation::FailAllocation, 0);
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
}
