//! One fault of each kind, in plain words.

use super::rows::{PATTERN, TAG};
use crate::loader::ending::Ending;
use crate::mapping::{MapRequest, PAGE};
use crate::testing::{Change, measure_value, run_self};
use crate::{Arguments, Mapping, MemoryObject, counter, println, system};
use vellum_abi::Error;

/// The tag that the pointer of the mismatch has; the memory has [`TAG`].
const WRONG_TAG: u8 = TAG - 2;
/// The page that the faults are shown on. The page before it is touched first, so that translation
/// tables exist, as they do for all but one fault in 512.
const SHOWN: usize = PAGE;

/// Shows every kind of fault once, in plain words with its numbers. For the tag mismatch the
/// program runs itself again with the argument `mismatch`, and has to call [`mismatch`] then.
///
/// # Errors
/// What the kernel refused.
pub fn show_faults(arguments: &Arguments) -> Result<(), Error> {
    println!("One fault of each kind, on a page next to one that is in use already:");
    let pattern = MemoryObject::pattern(PATTERN)?;
    let page = prepared(MapRequest::of(pattern.handle(), 2 * PAGE), 0)?;
    step("read a page of a pattern object: all readers share one frame", || {
        _ = page.read(SHOWN);
    });
    step("write to it after that: a private frame replaces the shared one", || {
        page.write(SHOWN, 1);
    });
    let fresh = prepared(MapRequest::of(pattern.handle(), 2 * PAGE), 0)?;
    step("write to an untouched page: a frame, filled with the pattern once", || {
        fresh.write(SHOWN, 1);
    });
    println!("    the bytes beside the written one: {:#x}", fresh.read(SHOWN + 1));
    let zeros = prepared(MapRequest::anonymous(2 * PAGE), 0)?;
    step("the same with anonymous memory, the reference object of zeros", || {
        zeros.write(SHOWN, 1);
    });
    if system::tags_supported() {
        show_tags(arguments)?;
    } else {
        println!("  no memory tagging on this machine: nothing to show about tags");
    }
    Ok(())
}

fn show_tags(arguments: &Arguments) -> Result<(), Error> {
    let tagged = MemoryObject::tagged(TAG)?;
    let page = prepared(MapRequest::of(tagged.handle(), 2 * PAGE).tagged(), TAG)?;
    step("write to an untouched page of a tagged object: zeros and tags at once", || {
        page.write_as(TAG, SHOWN, 1);
    });
    println!("    the tag of the page's last 16 bytes: {}", page.tag(SHOWN + PAGE - 1));
    if arguments.archive().is_some() {
        println!("  a load with the wrong tag, in a child that it ends:");
        println!("    {}", Ending(&run_self(&["mismatch"])));
    }
    Ok(())
}

/// Loads with the wrong tag from a page of a tagged object, which ends the program.
///
/// # Errors
/// What the kernel refused before it came to that.
pub fn mismatch() -> Result<(), Error> {
    let tagged = MemoryObject::tagged(TAG)?;
    let page = MapRequest::of(tagged.handle(), PAGE).tagged().map()?;
    println!("no fault: read {}", page.read_as(WRONG_TAG, 0));
    Ok(())
}

/// Maps two pages, the first of which is in use.
fn prepared(request: MapRequest, tag: u8) -> Result<Mapping, Error> {
    let mapping = request.map()?;
    mapping.write_as(tag, 0, 1);
    Ok(mapping)
}

/// Does something that faults once, and says what it took beyond doing it again without a fault.
fn step(words: &str, access_fn: impl Fn()) {
    let (first, change) = measure_value(|| counter::instructions(&access_fn));
    let again = counter::instructions(&access_fn);
    println!("  {words}");
    describe(&change);
    if let (Some(first), Some(again)) = (first, again) {
        println!("    {} instructions more than without a fault", first.saturating_sub(again));
    }
}

fn describe(change: &Change) {
    let kinds = [
        (change.faults_read_map, "read-share"),
        (change.faults_write_fresh, "fresh write"),
        (change.faults_write_cow, "write-copy"),
    ];
    for (count, kind) in kinds.into_iter().filter(|(count, _)| *count != 0) {
        println!("    {count} {kind} fault of {} in all", change.faults());
    }
    println!(
        "    private frames {:+}, {} bytes filled, {} copied, {} of tags, {} TLB operations",
        change.private_frames,
        change.bytes_filled,
        change.bytes_copied,
        change.tag_bytes_written,
        change.tlbi_count,
    );
}
