//! Do mappings of huge pages move with contents and tags exact and no byte copied, wherever they go?
//! A whole mapping that finds its tables at a congruent place keeps its blocks; any other move splits
//! them, and moves tables where both ranges lie alike in 2 MiB and leaves where they do not.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, PageState, Protection, RemapFlags, Switches};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Change, Sample, stat};
use vellum_user::{Arguments, Mapping, calls, check, system, testing};

vellum_user::test!(main);

const BLOCK: usize = 512 * PAGE;
const HERE: usize = 0x40_0000_0000;
const LENGTH: usize = 3 * BLOCK;
/// In the same table of tables, so that a move to its start needs no new one.
const THERE: usize = HERE + 16 * BLOCK;
const MOVE: RemapFlags = RemapFlags::MAYMOVE.union(RemapFlags::FIXED);
const RETAIN: RemapFlags = MOVE.union(RemapFlags::RETAIN);

/// A move of a part of a mapping of three private blocks.
struct Case {
    name: &'static str,
    /// Offset and length of what moves.
    part: (usize, usize),
    /// Bytes behind [`THERE`] where it goes.
    shift: usize,
    flags: RemapFlags,
    /// Blocks that are split, tables that move, leaves that move.
    made: (i64, i64, i64),
}

const CASES: [Case; 7] = [
    Case { name: "whole", part: (0, LENGTH), shift: 0, flags: MOVE, made: (0, 3, 0) },
    Case { name: "retained", part: (0, LENGTH), shift: 0, flags: RETAIN, made: (3, 3, 0) },
    Case { name: "one of three", part: (BLOCK, BLOCK), shift: 0, flags: MOVE, made: (1, 1, 0) },
    Case {
        name: "with parts of both sides",
        part: (BLOCK - 3 * PAGE, BLOCK + 6 * PAGE),
        shift: BLOCK - 3 * PAGE,
        flags: MOVE,
        made: (3, 1, 6),
    },
    Case {
        name: "off by five pages",
        part: (0, LENGTH),
        shift: 5 * PAGE,
        flags: MOVE,
        made: (3, 0, 3 * 512),
    },
    Case {
        name: "off by a page, retained",
        part: (0, BLOCK),
        shift: PAGE,
        flags: RETAIN,
        made: (1, 0, 512),
    },
    Case {
        name: "a few pages of a block",
        part: (BLOCK + 7 * PAGE, 9 * PAGE),
        shift: 0,
        flags: MOVE,
        made: (1, 0, 9),
    },
];

fn main(_: &Arguments) -> Result<(), Error> {
    // Stays mapped, so that the tables above the leaves are there.
    let beside = MapRequest::anonymous(PAGE).at(HERE - BLOCK).map()?;
    beside.write(0, 1);
    let above = MapRequest::anonymous(PAGE).at(HERE + 400 * BLOCK).map()?;
    above.write(0, 1);
    for sample in testing::samples()? {
        for more in testing::attributes() {
            for case in &CASES {
                moved(&sample, more, case)?;
            }
        }
        shown(&sample)?;
    }
    Ok(())
}

fn moved(sample: &Sample, more: Protection, case: &Case) -> Result<(), Error> {
    let name = format_args!("{} {}, {more:?}", case.name, sample.name);
    let pages = sample.request(LENGTH, more).with(Switches::HUGE | Switches::HUGE_WRITES);
    let pages = pages.at(HERE);
    // An object keeps its block from the first reader on.
    _ = sample.read(&pages.map()?, 0);
    let free = stat().free_frames;
    let source = pages.map()?;
    let tagged = more == Protection::TAGGED && system::tags_supported();
    fill(sample, &source, tagged);
    let before = stat();
    let whole = (before.blocks, before.private_frames);
    check!(name, whole.0, 3);
    let (at, length) = case.part;
    let target = relocate(case, (HERE + at, length))?;
    let change = Change::between(&before, &stat());
    let (splits, tables, leaves) = case.made;
    check!(name, (change.block_splits, change.blocks), (splits, -splits));
    check!(name, (change.tables_moved, change.leaves_moved), (tables, leaves));
    check!(name, (change.bytes_copied, change.bytes_filled), (0, 0));
    check!(name, change.private_frames, 0);
    let faults = testing::measure(|| {
        check!(name, wrong_page(sample, &target, 0..length, at, tagged), None);
    });
    check!(format_args!("{name}: faults"), (faults.faults(), faults.private_frames), (0, 0));
    let retained = case.flags == RETAIN;
    for (start, end) in [(0, at), (at + length, LENGTH)] {
        check!(name, wrong_page(sample, &source, start..end, 0, tagged), None);
    }
    if retained {
        // Nothing was made for it yet, and then it is the object's.
        check!(name, source.page_state(at), PageState::Untouched);
        check!(name, sample.read(&source, at + 8), sample.byte(8));
        check!(name, sample.read(&source, at + length - 1), sample.byte(PAGE - 1));
    }
    // Both sides can still be stored to.
    sample.write(&target, PAGE + 9, 0x99);
    check!(name, sample.read(&target, PAGE + 9), 0x99);
    drop((source, target));
    check!(format_args!("{name}: frames"), stat().free_frames, free);
    check!(name, stat().blocks, 0);
    Ok(())
}

/// Moves a range of this process; nothing is mapped where it goes.
fn relocate(case: &Case, (address, length): (usize, usize)) -> Result<Mapping, Error> {
    let new = THERE + case.shift;
    // A value for what will be there; its own pages go before anybody touched them.
    let target = MapRequest::anonymous(length).at(new).map()?;
    let (new, length) = (new as u64, length as u64);
    // SAFETY: no Rust value lives in the range.
    unsafe { calls::unmap(Handle::SELF, new, length) }?;
    let old = (address as u64, length);
    // SAFETY: no Rust value lives in either range.
    let answer = unsafe { calls::remap(Handle::SELF, old, length, case.flags, new) };
    check!(case.name, answer, Ok(new));
    Ok(target)
}

/// Makes three private blocks with something to recognise on each page.
fn fill(sample: &Sample, pages: &Mapping, tagged: bool) {
    for page in 0..pages.pages() {
        sample.write(pages, page * PAGE + 8, mark(page));
        if tagged {
            pages.set_tag(page * PAGE + 64, tag(page));
        }
    }
}

fn mark(page: usize) -> u8 {
    testing::mixed(page) | 1
}

fn tag(page: usize) -> u8 {
    testing::mixed_tag(page)
}

/// Returns the first page of a range that is not as [`fill`] left the one `behind` bytes above it.
fn wrong_page(
    sample: &Sample,
    pages: &Mapping,
    range: core::ops::Range<usize>,
    behind: usize,
    tagged: bool,
) -> Option<usize> {
    range.step_by(PAGE).find(|start| {
        let page = (start + behind) / PAGE;
        let rest = [0, 9, 2048, PAGE - 1];
        let bytes = sample.read(pages, start + 8) == mark(page)
            && rest.iter().all(|at| sample.read(pages, start + at) == sample.byte(*at));
        let tags = !tagged
            || pages.tag(start + 64) == tag(page)
                && [0, 48, 80, 4080].iter().all(|at| pages.tag(start + at) == sample.tag);
        !(bytes && tags)
    })
}

/// Blocks that the object shows, with one page of the process's own among them.
fn shown(sample: &Sample) -> Result<(), Error> {
    let pages = sample.request(LENGTH, Protection::NONE).with(Switches::HUGE).at(HERE);
    // An object keeps its block from the first reader on.
    _ = pages.map()?.read(0);
    for case in &CASES {
        let name = format_args!("{} {}, shown", case.name, sample.name);
        let free = stat().free_frames;
        let source = pages.map()?;
        (0..3).for_each(|block| _ = source.read(block * BLOCK + 100 * PAGE));
        let (at, length) = case.part;
        let own = at + PAGE;
        source.write(own + 8, 0x55);
        let (target, change) = testing::measure_value(|| relocate(case, (HERE + at, length)));
        let target = target?;
        check!(name, (change.bytes_copied, change.bytes_filled), (0, 0));
        check!(name, change.private_frames, 0);
        let wrong = (0..length).step_by(PAGE).find(|page| {
            let byte = if *page == PAGE { 0x55 } else { sample.byte(8) };
            (target.read(page + 8), target.read(*page)) != (byte, sample.byte(0))
        });
        check!(name, wrong, None);
        check!(name, target.page_state(PAGE), PageState::Private);
        if case.flags == RETAIN {
            check!(name, source.read(own + 8), sample.byte(8));
        }
        drop((source, target));
        check!(format_args!("{name}: frames"), stat().free_frames, free);
    }
    Ok(())
}
