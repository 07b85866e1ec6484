//! K10: if the n-th allocation of a call or a fault fails, for every n until none does: is the error
//! one of memory, and everything as it was before? And does every call that is not tried so get
//! along without any?
#![no_std]
#![no_main]

extern crate alloc;

mod allocating;
mod faults;
mod quiet;

use core::sync::atomic::{AtomicU64, Ordering};
use vellum_user::abi::{Call, Error, Handle, PAGE_SIZE, Stat, TestOperation};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, calls, check, println, raw, testing};

vellum_user::test!(main);

/// Six private pages, the third of which calls begin or end inside.
const PLACE: u64 = 0x50_0000_0000;
/// Untouched pages in a table that exists.
const UNTOUCHED: u64 = PLACE + 16 * PAGE_SIZE;
/// Pages in the same table that get frames of their own when they are read.
const ANY_FAULT: u64 = PLACE + 32 * PAGE_SIZE;
/// Nothing, in the same table.
const FREE: u64 = PLACE + 64 * PAGE_SIZE;
/// More allocations than anything here makes.
const MANY: u64 = 40;

/// Calls that were tried, a bit each.
static TRIED: AtomicU64 = AtomicU64::new(0);

fn main(arguments: &Arguments) -> Result<(), Error> {
    match (arguments.at(0), arguments.at(1).and_then(|word| word.parse().ok())) {
        (Some(fault), Some(allocation)) => return faults::one(fault, allocation),
        (Some("leave"), None) => quiet::leave(),
        (Some("part"), None) => quiet::part(),
        (Some(_), None) => return Ok(()),
        _ => {}
    }
    let refused = arm(0).err();
    testing::require(refused != Some(Error::UnknownCall), "not a checked kernel");
    allocating::fail()?;
    faults::fail()?;
    quiet::allocate_nothing()?;
    for call in Call::ALL {
        let tried = TRIED.load(Ordering::Relaxed) >> *call as u64 & 1 != 0;
        check!(format_args!("{} was tried", call.name()), tried);
    }
    Ok(())
}

/// Lets the allocation of this number fail, 0 for none. Returns how many failed before.
fn arm(allocation: u64) -> Result<u64, Error> {
    calls::test(TestOperation::FailAllocation, allocation)
}

/// Notes that a call is dealt with.
fn tried(call: Call) {
    TRIED.fetch_or(1 << call as u64, Ordering::Relaxed);
}

/// What a refused call must leave as it is: everything that exists.
fn state() -> Stat {
    // Refusals by way of a fault are counted as denied faults.
    Stat { faults_denied: 0, ..testing::stat() }
}

/// Makes a call until no allocation of it fails any more; `undo_fn` gets what it answered then.
/// Returns how many allocations it makes, of which there must be one.
fn exhaust(call: Call, arguments: [u64; 6], undo_fn: impl Fn(u64) -> Result<(), Error>) -> u64 {
    tried(call);
    let whole = state();
    for allocation in 1..=MANY {
        let before = state();
        check!("armed", arm(allocation).is_ok());
        // SAFETY: no Rust value lives in the pages that the calls of this test change.
        let (status, value) = unsafe { raw::call(call as u64, arguments) };
        let injected = arm(0).unwrap_or(0);
        let name = format_args!("{}, allocation {allocation}", call.name());
        if injected == 0 {
            check!(name, Error::from_number(status), None);
            check!(format_args!("{name}: undone"), undo_fn(value), Ok(()));
            check!(format_args!("{name}: all given back"), existing(state()), existing(whole));
            println!("{}: {} allocations", call.name(), allocation - 1);
            check!(format_args!("{} allocates", call.name()), allocation > 1);
            return allocation - 1;
        }
        let error = Error::from_number(status);
        let named = matches!(error, Some(Error::OutOfFrames | Error::OutOfKernelMemory));
        check!(format_args!("{name}: {error:?}"), named);
        check!(format_args!("{name}: what it changed"), state(), before);
    }
    check!(format_args!("{} ends", call.name()), false);
    MANY
}

/// What exists, without counters of what happened, and without tables and a handle table's chunks,
/// which stay for the next one.
fn existing(stat: Stat) -> [u64; 6] {
    let Stat { free_frames, private_frames, mappings, handles, processes_live, .. } = stat;
    [free_frames, private_frames, mappings, handles, processes_live, stat.blocks]
}

fn close(value: u64) -> Result<(), Error> {
    calls::handle_close(Handle::from_word(value).ok_or(Error::BadHandle)?)
}

fn unmap(address: u64, pages: u64) -> Result<(), Error> {
    // SAFETY: no Rust value lives there.
    unsafe { calls::unmap(Handle::SELF, address, pages * PAGE_SIZE) }
}

/// Maps the six pages, and stores to each.
fn six_pages() -> Result<(), Error> {
    let pages = MapRequest::anonymous(6 * PAGE).at(PLACE as usize).map()?;
    (0..6).for_each(|page| pages.write(page * PAGE, 1 + page as u8));
    _ = pages.leak();
    Ok(())
}

/// Makes one block's worth of memory ready, with its tables there, and leaves nothing in it.
fn block_place() -> Result<(), Error> {
    let place = MapRequest::anonymous(PAGE).at(faults::BLOCK_PLACE + 512 * PAGE).map()?;
    place.write(0, 1);
    _ = place.leak();
    drop(Mapping::anonymous(PAGE)?);
    Ok(())
}
