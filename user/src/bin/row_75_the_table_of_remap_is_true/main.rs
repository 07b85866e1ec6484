//! Row 75: is the truth table of `docs/remap.md` true? Every case of every row is executed.
#![no_std]
#![no_main]

extern crate alloc;

mod scene;
mod table;

use alloc::vec::Vec;
use scene::{PAGES, Scene, THERE, WRITTEN};
use table::{Case, Expected, Flags, Kind, Length, Outcome, Pages, Place};
use vellum_user::abi::{Error, Handle};
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, calls, check, testing};

vellum_user::test!(main);

fn main(arguments: &Arguments) -> Result<(), Error> {
    let scene = Scene::new(arguments)?;
    let mut seen = Vec::new();
    table::cases(|case, expected| {
        check!(format_args!("{case:?} has one row"), !seen.contains(&case));
        seen.push(case);
        if scene.has(&case)
            && let Err(error) = execute(&scene, case, expected)
        {
            check!(format_args!("{case:?}: preparing it"), Err::<(), _>(error), Ok(()));
        }
    });
    for kind in Kind::ALL.iter().copied() {
        for length in Length::ALL.iter().copied() {
            for flags in Flags::ALL.iter().copied() {
                let case = Case { kind, length, flags };
                let impossible = kind == Kind::Device && length == Length::Shorter;
                check!(format_args!("{case:?} has a row"), impossible || seen.contains(&case));
            }
        }
    }
    Ok(())
}

fn execute(scene: &Scene, case: Case, expected: Expected) -> Result<(), Error> {
    let (start, length) = scene.prepare(&case)?;
    let new_length = match case.length {
        Length::Same => length,
        Length::Longer | Length::Room => length + 2 * PAGE,
        Length::Shorter => length / 2,
    };
    let (old, flags) = ((start as u64, length as u64), case.flags.bits());
    let (answer, change) = testing::measure_value(|| {
        // SAFETY: nobody uses the ranges.
        unsafe { calls::remap(Handle::SELF, old, new_length as u64, flags, THERE as u64) }
    });
    check!(format_args!("{case:?}: bytes"), change.kernel_bytes_written(), 0);
    match expected {
        Expected::Refused(error) => {
            check!(format_args!("{case:?}"), answer, Err(error));
            let untouched =
                [change.mappings, change.private_frames, change.pt_frames, change.free_frames];
            check!(format_args!("{case:?}: what it changed"), untouched, [0; 4]);
        }
        Expected::Answered(place, outcome) => {
            let address = answer.unwrap_or(0) as usize;
            let right = match place {
                Place::Here => address == start,
                Place::There => address == THERE,
                Place::Elsewhere => ![0, start, THERE].contains(&address),
            };
            if check!(format_args!("{case:?}: {answer:x?} is {place:?}"), right) {
                let kept = length.min(new_length);
                check_outcome(case, outcome, [start, address], [length, kept, new_length]);
            }
        }
    }
    scene.clear(answer.unwrap_or(0) as usize);
    Ok(())
}

/// Compares the pages of source and destination with what the row says.
fn check_outcome(
    case: Case,
    outcome: Outcome,
    [source, destination]: [usize; 2],
    [length, kept, new_length]: [usize; 3],
) {
    let pages = |name: &str, base: usize, offsets: core::ops::Range<usize>, pages: Pages| {
        if pages == Pages::Absent {
            return;
        }
        check!(format_args!("{case:?}, {name}: there are such pages"), !offsets.is_empty());
        for offset in offsets.step_by(PAGE) {
            let name = format_args!("{case:?}, {name} at {offset:#x}");
            check_page(&name, case.kind, base + offset, offset, pages);
        }
    };
    pages("destination", destination, 0..kept, outcome.destination);
    pages("added", destination, length..new_length.max(length), outcome.added);
    pages("source", source, 0..kept, outcome.source);
    pages("tail", source, kept..length, outcome.tail);
    if outcome.source == Pages::Object {
        let byte = [7];
        // SAFETY: both ranges are mappings of the scene.
        let written = unsafe { calls::memory_write(Handle::SELF, destination as u64, &byte) };
        check!(format_args!("{case:?}: written there"), written, (1, Ok(())));
        check!(format_args!("{case:?}: seen here"), byte_at(source), Some(7));
    }
}

fn check_page(
    name: &core::fmt::Arguments,
    kind: Kind,
    address: usize,
    offset: usize,
    pages: Pages,
) {
    let was_written = offset == 0 || offset == (PAGES - 1) * PAGE;
    let (clean, written) =
        (Scene::clean(kind), if was_written { WRITTEN } else { Scene::clean(kind) });
    let mapped = calls::query_mapping(Handle::SELF, address as u64)
        .is_ok_and(|info| info.start <= address as u64);
    let wanted = match pages {
        Pages::Same | Pages::Object => Some(written),
        Pages::New => Some(clean),
        Pages::Unmapped | Pages::NoAccess | Pages::Absent => None,
    };
    check!(name, byte_at(address), wanted);
    check!(format_args!("{name}: mapped"), mapped, pages != Pages::Unmapped);
}

/// Returns a byte if it can be read.
fn byte_at(address: usize) -> Option<u8> {
    let mut byte = [0];
    let (count, _) = calls::memory_read(Handle::SELF, address as u64, &mut byte);
    (count == 1).then_some(byte[0])
}
