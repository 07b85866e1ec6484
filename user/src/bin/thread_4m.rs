//! The thread's benchmark on 4 MiB, every page of it touched: memory tagged by hand, by reference
//! pages of 4 KiB, and by blocks of 2 MiB.
//!
//! An iteration maps, prepares (memset, `STG` loop, or not at all), stores a byte into each page and
//! unmaps.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, Switches};
use vellum_user::figures::{Figure, Hundredths};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Change, stat};
use vellum_user::{Arguments, Mapping, MemoryObject, check, counter, println, system, testing};

vellum_user::entry!(main);

const BYTES: usize = 4 << 20;
/// Aligned to blocks, and with nothing beside it.
const PLACE: usize = 0x40_0000_0000;
const ITERATIONS: u64 = 10;
const TAG: u8 = 9;
const PATTERN: u8 = 0xaa;

/// How an iteration gets prepared memory.
struct Case {
    name: &'static str,
    request: MapRequest,
    tag: u8,
    prepare_fn: fn(&Mapping),
}

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::warm();
    let pattern = MemoryObject::pattern(PATTERN)?;
    let huge = Switches::HUGE | Switches::HUGE_WRITES;
    let of = |object: Handle| MapRequest::of(object, BYTES).at(PLACE);
    let nothing = |_: &Mapping| {};
    let case = |name, request, prepare_fn| Case { name, request, tag: 0, prepare_fn };
    let figures = arguments.has("figures");
    println!("{:<20}{:>14}{:>8}{:>10}", "case", "instructions", "faults", "frames");
    let memset = |mapping: &Mapping| mapping.fill(PATTERN);
    measure(&case("memset", of(Handle::ANONYMOUS), memset), figures)?;
    measure(&case("memset_huge", of(Handle::ANONYMOUS).with(huge), memset), figures)?;
    measure(&case("pattern", of(pattern.handle()), nothing), figures)?;
    measure(&case("huge_pattern", of(pattern.handle()).with(huge), nothing), figures)?;
    if !system::tags_supported() {
        println!("no memory tagging on this machine: nothing to say about tagged pages");
        return Ok(());
    }
    let tagged = MemoryObject::tagged(TAG)?;
    let case = |name, request: MapRequest, prepare_fn| Case {
        tag: TAG,
        ..case(name, request.tagged(), prepare_fn)
    };
    measure(&case("stg_loop", of(Handle::ANONYMOUS), |mapping| mapping.set_tags(TAG)), figures)?;
    measure(&case("tagged", of(tagged.handle()), nothing), figures)?;
    measure(&case("huge_tagged", of(tagged.handle()).with(huge), nothing), figures)
}

/// Stores a byte into each page.
fn touch(mapping: &Mapping, tag: u8) {
    let start = mapping.tagged_pointer(tag, 0);
    for offset in (0..BYTES).step_by(PAGE) {
        // SAFETY: the mapping is this long, and no Rust value lives in it.
        unsafe { start.wrapping_add(offset).write_volatile(1) }
    }
}

fn iterate(case: &Case) -> Result<Mapping, Error> {
    let mapping = case.request.map()?;
    (case.prepare_fn)(&mapping);
    touch(&mapping, case.tag);
    Ok(mapping)
}

/// Measures a case: once to fill caches and look at the result, then what counts.
fn measure(case: &Case, figures: bool) -> Result<(), Error> {
    let frames = stat().private_frames;
    let mapping = iterate(case)?;
    let frames = stat().private_frames - frames;
    check!(case.name, frames, (BYTES / PAGE) as u64);
    if case.tag != 0 {
        check!(case.name, mapping.first_other_tag(0..BYTES, TAG), None);
    }
    mapping.unmap()?;
    let before = stat();
    let mut result = Ok(());
    let instructions = counter::instructions(|| {
        for _ in 0..ITERATIONS {
            result = result.and(iterate(case).map(drop));
        }
    });
    let change = Change::between(&before, &stat());
    result?;
    let each = |sum: Option<u64>| sum.and_then(|sum| Hundredths::mean(sum, ITERATIONS));
    let written = change.kernel_bytes_written().unsigned_abs();
    let values = [
        ("instructions", "instructions", each(instructions)),
        ("faults", "faults", each(Some(change.faults().unsigned_abs()))),
        ("kernel_bytes_written", "bytes", each(Some(written))),
    ];
    let zero = Hundredths::from(0);
    let shown = values.map(|(.., value)| value.unwrap_or(zero));
    println!("{:<20}{:>14}{:>8}{frames:>10}", case.name, shown[0], shown[1]);
    if figures {
        let suffix = system::figure_suffix();
        for (metric, unit, value) in values {
            if let Some(value) = value {
                let case = format_args!("touch_all_{}", case.name);
                println!("{}", Figure { bench: "thread_4m", case, suffix, metric, unit, value });
            }
        }
    }
    Ok(())
}
