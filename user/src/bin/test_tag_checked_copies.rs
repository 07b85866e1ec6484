//! Do the kernel's copies from and to user memory check tags as the thread's mode says, and count
//! exactly up to the first granule whose tag differs? Does the thread's override of checks
//! (PSTATE.TCO) stay its own?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{Call, Error, Features, Handle, Stat, TagControl, TagMode};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, calls, check, raw, system, testing};

vellum_user::test!(main);

/// The tag of the buffer, up to where another begins.
const TAG: u8 = 5;
const OTHER: u8 = 6;
/// Where the copies begin, and how long they are.
const START: usize = 40;
const LENGTH: usize = 600;
/// Granules at which the other tag begins: the first of the buffer, one inside a chunk of the kernel,
/// one at its border, one behind, one in the next page.
const BORDERS: [usize; 5] = [32, 64, 288, 304, 624];

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_tags();
    let source = Mapping::anonymous(PAGE)?;
    source.fill(b'\n');
    for mode in TagMode::ALL {
        if mode == TagMode::Asymmetric && system::features() & Features::ASYMMETRIC_TAGS == 0 {
            continue;
        }
        calls::thread_set_tag_mode(Handle::SELF, TagControl { mode, exclude: 0 })?;
        for border in BORDERS {
            check_copies_in(mode, border, &source)?;
            check_copies_out(mode, border, &source)?;
            check_record(mode, border)?;
            check_override(mode, border, &source)?;
        }
    }
    calls::thread_set_tag_mode(Handle::SELF, TagControl::default())?;
    check_mixed_content()
}

/// Returns pages whose tags change at a granule, all bytes line feeds.
fn buffer(border: usize) -> Result<Mapping, Error> {
    let pages = MapRequest::anonymous(2 * PAGE).tagged().map()?;
    pages.fill(b'\n');
    pages.set_tags(TAG);
    (border..2 * PAGE).step_by(16).for_each(|offset| pages.set_tag(offset, OTHER));
    Ok(pages)
}

/// Returns the count and the error of a copy, checked or not.
fn answer(checked: bool, border: usize) -> (u64, u64) {
    if checked {
        (Error::BadAddress as u64, border.saturating_sub(START) as u64)
    } else {
        (0, LENGTH as u64)
    }
}

fn call(call: Call, arguments: [u64; 6]) -> (u64, u64) {
    // SAFETY: the calls of this program move bytes of mappings that no Rust value lives in.
    unsafe { raw::call(call as u64, arguments) }
}

/// The kernel reads the buffer.
fn check_copies_in(mode: TagMode, border: usize, target: &Mapping) -> Result<(), Error> {
    let checked = matches!(mode, TagMode::Synchronous | TagMode::Asymmetric);
    let pages = buffer(border)?;
    let from = pages.tagged_pointer(TAG, START).addr() as u64;
    let to = target.address() as u64;
    let want = answer(checked, border);
    let name = format_args!("{mode:?}, other tag from {border} on");
    let written = call(Call::ConsoleWrite, [from, LENGTH as u64, 0, 0, 0, 0]);
    check!(format_args!("{name}: console_write"), written, want);
    let own = Handle::SELF.to_word();
    let written = call(Call::MemoryWrite, [own, to, from, LENGTH as u64, 0, 0]);
    check!(format_args!("{name}: memory_write"), written, want);
    Ok(())
}

/// The kernel writes the buffer.
fn check_copies_out(mode: TagMode, border: usize, source: &Mapping) -> Result<(), Error> {
    let checked = mode == TagMode::Synchronous;
    let pages = buffer(border)?;
    let want = answer(checked, border);
    let name = format_args!("{mode:?}, other tag from {border} on: memory_read");
    // Different bytes, so that what was written shows.
    source.fill(b'x');
    let (to, from) = (pages.tagged_pointer(TAG, START).addr() as u64, source.address() as u64);
    let own = Handle::SELF.to_word();
    let read = call(Call::MemoryRead, [own, from, to, LENGTH as u64, 0, 0]);
    source.fill(b'\n');
    check!(name, read, want);
    let end = START + want.1 as usize;
    let wrong = testing::wrong_byte(&pages, 0..PAGE, |offset| {
        if (START..end).contains(&offset) { b'x' } else { b'\n' }
    });
    check!(format_args!("{name}: bytes"), wrong, None);
    Ok(())
}

/// A record is written whole or not at all.
fn check_record(mode: TagMode, border: usize) -> Result<(), Error> {
    let pages = buffer(border)?;
    let start = 32;
    let inside = border < start + 8 * Stat::WORDS;
    let to = pages.tagged_pointer(TAG, start).addr() as u64;
    let (status, _) = call(Call::Stat, [Handle::SELF.to_word(), to, 0, 0, 0, 0]);
    // Its granules are read before they are written, which asymmetric checks see.
    let checked = matches!(mode, TagMode::Synchronous | TagMode::Asymmetric);
    let refused = checked && inside;
    let name = format_args!("{mode:?}, other tag from {border} on: record");
    check!(name, status, if refused { Error::BadAddress as u64 } else { 0 });
    let changed = testing::wrong_byte(&pages, 0..PAGE, |_| b'\n').is_some();
    check!(format_args!("{name}: written"), changed, !refused);
    Ok(())
}

/// A thread that overrides checks (PSTATE.TCO) does so for its own instructions alone: what it asks
/// the kernel for is checked by its mode, in both directions, and the override is there afterwards.
fn check_override(mode: TagMode, border: usize, source: &Mapping) -> Result<(), Error> {
    let pages = buffer(border)?;
    let buffer = pages.tagged_pointer(TAG, START).addr() as u64;
    let (own, length) = (Handle::SELF.to_word(), LENGTH as u64);
    let there = source.address() as u64;
    let loads = matches!(mode, TagMode::Synchronous | TagMode::Asymmetric);
    let stores = mode == TagMode::Synchronous;
    let name = format_args!("{mode:?}, other tag from {border} on, override");
    let arguments = [own, there, buffer, length, 0, 0];
    let (written, kept) = overridden(|| call(Call::MemoryWrite, arguments));
    check!(format_args!("{name}: memory_write"), (written, kept), (answer(loads, border), true));
    let (read, kept) = overridden(|| call(Call::MemoryRead, arguments));
    check!(format_args!("{name}: memory_read"), (read, kept), (answer(stores, border), true));
    // The override works where it is meant to.
    let wrong = pages.tagged_pointer(OTHER + 1, START);
    // SAFETY: the byte is in the mapping, which no Rust value lives in.
    let (byte, _) = overridden(|| unsafe { wrong.read_volatile() });
    check!(format_args!("{name}: the thread's own load"), byte, b'\n');
    Ok(())
}

/// Does something with tag checks overridden. Returns whether they still were at its end.
fn overridden<T>(work_fn: impl FnOnce() -> T) -> (T, bool) {
    // SAFETY: unchecked accesses are those that tags would allow or not; none is made otherwise.
    unsafe { asm!(".arch_extension memtag", "msr tco, #1", options(nostack)) };
    let value = work_fn();
    let state: u64;
    // SAFETY: as above; the register is read and cleared.
    unsafe {
        asm!(".arch_extension memtag", "mrs {}, tco", "msr tco, #0", out(reg) state, options(nostack));
    }
    (value, state >> 25 & 1 != 0)
}

/// Content of a reference object is taken with its tags, which need not be the pointer's: it is no
/// access through the pointer, and content of several tags could be named by none.
fn check_mixed_content() -> Result<(), Error> {
    let content = MapRequest::anonymous(PAGE).tagged().map()?;
    for offset in (0..PAGE).step_by(16) {
        content.set_tag(offset, testing::mixed_tag(offset / 16));
    }
    let object = testing::reference(&content, 0, PAGE)?;
    let copy = MapRequest::of(object.handle(), PAGE).tagged().map()?;
    copy.write_as(testing::mixed_tag(0), 0, 1);
    let wrong = testing::wrong_tag(&copy, 0..PAGE, |offset| testing::mixed_tag(offset / 16));
    check!("tags of mixed content", wrong, None);
    Ok(())
}
