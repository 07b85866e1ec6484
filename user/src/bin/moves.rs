//! What does `remap` cost? Instructions of one call that moves pages, user side included, for pages
//! whose leaves move one by one and for ranges whose tables move whole.
#![no_std]
#![no_main]

use vellum_user::abi::{Error, Handle, RemapFlags};
use vellum_user::figures::{Figure, Hundredths};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, calls, counter, println, system, testing};

vellum_user::entry!(main);

/// Bytes that one table of leaves covers.
const SPAN: usize = 512 * PAGE;
const HERE: usize = 0x20_0000_0000;
const THERE: usize = HERE + 16 * SPAN;
const RETAIN: RemapFlags = RemapFlags::MAYMOVE.union(RemapFlags::RETAIN);

/// A way to move pages.
struct Case {
    name: &'static str,
    pages: usize,
    /// Pages between the place of the source in its table and that of the destination.
    shift: usize,
    flags: RemapFlags,
    /// Whether the figure is that of one page.
    each: bool,
}

const CASES: &[Case] = &[
    Case { name: "remap_per_page", pages: 1000, shift: 5, flags: RemapFlags::MAYMOVE, each: true },
    Case { name: "remap_retain_per_page", pages: 1000, shift: 5, flags: RETAIN, each: true },
    Case {
        name: "remap_2m_aligned",
        pages: 1024,
        shift: 0,
        flags: RemapFlags::MAYMOVE,
        each: false,
    },
    Case { name: "remap_2m_aligned_retain", pages: 1024, shift: 0, flags: RETAIN, each: false },
    Case { name: "remap_one_page", pages: 1, shift: 5, flags: RemapFlags::MAYMOVE, each: false },
];

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    println!("Instructions of one remap of touched pages; instructions are not cycles.");
    println!(
        "{:<26}{:>8}{:>14}{:>10}{:>8}{:>8}",
        "case", "pages", "all", "each", "leaves", "tables"
    );
    // Something stays mapped beside them, so that the tables above the leaves are there.
    let beside = MapRequest::anonymous(PAGE).at(HERE - SPAN).map()?;
    beside.write(0, 1);
    for case in CASES {
        // Once to warm the pools.
        measure(case)?;
        let (instructions, change) = measure(case)?;
        let count = case.pages as u64;
        let each = Hundredths::mean(instructions, count).unwrap_or(0.into());
        let (leaves, tables) = (change.leaves_moved, change.tables_moved);
        let name = case.name;
        println!("{name:<26}{count:>8}{instructions:>14}{each:>10}{leaves:>8}{tables:>8}");
        if arguments.has("figures") {
            let value = if case.each { Some(each) } else { Hundredths::mean(instructions, 1) };
            let value = value.unwrap_or(0.into());
            let (suffix, unit) = (system::figure_suffix(), "instructions");
            let metric = "instructions";
            println!("{}", Figure { bench: "paths", case: name, suffix, metric, unit, value });
        }
    }
    beside.unmap()
}

/// Moves touched pages once.
fn measure(case: &Case) -> Result<(u64, testing::Change), Error> {
    let bytes = case.pages * PAGE;
    let source = MapRequest::anonymous(bytes).at(HERE).map()?;
    (0..bytes).step_by(PAGE).for_each(|offset| source.write(offset, 1));
    let old = (source.leak() as u64, bytes as u64);
    let new = (THERE + case.shift * PAGE) as u64;
    let flags = case.flags | RemapFlags::FIXED;
    let mut answer = Ok(0);
    let (instructions, change) = testing::measure_value(|| {
        counter::instructions(|| {
            // SAFETY: nobody uses either range.
            answer = unsafe { calls::remap(Handle::SELF, old, bytes as u64, flags, new) };
        })
    });
    answer?;
    // SAFETY: as above.
    unsafe { calls::unmap(Handle::SELF, new, bytes as u64) }?;
    if case.flags.contains(RemapFlags::RETAIN) {
        // SAFETY: as above.
        unsafe { calls::unmap(Handle::SELF, old.0, old.1) }?;
    }
    Ok((instructions.unwrap_or(0), change))
}
