//! The sweep: what each policy costs, by what a program does with its pages.
//!
//! Owns: the mixes, the measuring and the table. Refuses to know: how a policy works. Each value is one
//! mapping of [`PAGES`] pages of one byte: mapped, used, unmapped.
//!
//! Source: David Hildenbrand's question in the thread of "[PATCH v5] mm: introduce reference pages",
//! which the thread's own benchmark cannot answer, as it only writes.

use crate::figures::{Figure, Hundredths};
use crate::mapping::{MapRequest, PAGE};
use crate::testing::{Change, stat};
use crate::{Mapping, MemoryObject, counter, println, system};
use vellum_abi::{Error, Policy};

/// The pages of a mapping.
pub const PAGES: usize = 1000;
/// The percentages of pages only read that the line has; the others are read and then written.
pub const LINE: [usize; 11] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
/// Every policy, with its name in figures.
const POLICIES: [(Policy, &str); 6] = [
    (Policy::ReferencePage, "reference_page"),
    (Policy::Eager, "eager"),
    (Policy::PatternOnAnyFault, "pattern_on_any_fault"),
    (Policy::InMapping, "in_mapping"),
    (Policy::Object, "object"),
    (Policy::Wrap, "wrap"),
];
/// Mixes off the line, with their names in figures.
const MIXES: [(Mix, &str); 8] = [
    (Mix::of(1000, 0, 0, 0), "untouched"),
    (Mix::of(0, 1000, 0, 0), "read_only"),
    (Mix::of(0, 0, 1000, 0), "read_then_write"),
    (Mix::of(0, 0, 0, 1000), "write_first"),
    (Mix::of(500, 500, 0, 0), "half_read_only"),
    (Mix::of(500, 0, 500, 0), "half_read_then_write"),
    (Mix::of(500, 0, 0, 500), "half_write_first"),
    (Mix::of(250, 250, 250, 250), "quarters"),
];
const PATTERN: u8 = 0xaa;

/// How many pages are used in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Never touched.
    pub untouched: usize,
    /// Loaded from.
    pub read_only: usize,
    /// Loaded from, then stored to.
    pub read_then_write: usize,
    /// Stored to.
    pub write_first: usize,
}

impl Mix {
    const fn of(
        untouched: usize,
        read_only: usize,
        read_then_write: usize,
        write_first: usize,
    ) -> Mix {
        Mix { untouched, read_only, read_then_write, write_first }
    }

    /// Returns the mix of the line with so many per cent only read.
    #[must_use]
    pub const fn line(percent: usize) -> Mix {
        let read_only = PAGES * percent / 100;
        Mix::of(0, read_only, PAGES - read_only, 0)
    }

    /// Uses the pages of a mapping.
    fn touch(self, pages: &Mapping) {
        let first = self.untouched;
        let written = first + self.read_only;
        let end = written + self.read_then_write;
        for page in first..end {
            core::hint::black_box(pages.read(page * PAGE));
        }
        for page in written..end + self.write_first {
            pages.write(page * PAGE, 1);
        }
    }
}

/// What a policy costs for a mix.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    counted: Option<u64>,
    /// Frames in use after the accesses, reference frames included, tables not.
    pub frames: i64,
    /// Bytes of frames that the kernel wrote for the pages.
    pub bytes: i64,
    /// Faults.
    pub faults: i64,
    /// TLB maintenance before the mapping went.
    pub tlbi: i64,
}

impl Cost {
    /// Returns the instructions from `map` to the end of `unmap`; 0 where nothing counts them.
    #[must_use]
    pub fn instructions(&self) -> i64 {
        self.counted.and_then(|count| i64::try_from(count).ok()).unwrap_or(0)
    }
}

/// Makes what a policy maps: an object of the byte.
fn object(policy: Policy) -> Result<MemoryObject, Error> {
    match policy {
        Policy::PatternOnAnyFault => MemoryObject::frameless(&[PATTERN]),
        Policy::Wrap => {
            let object = MemoryObject::wrap(PAGE as u64)?;
            MapRequest::of(object.handle(), PAGE).shared().map()?.fill(PATTERN);
            Ok(object)
        }
        _ => MemoryObject::pattern(PATTERN),
    }
}

/// Measures a policy: once for the counters, which also fills caches, then for instructions.
///
/// # Errors
/// What the kernel refused.
pub fn measure(policy: Policy, mix: Mix) -> Result<Cost, Error> {
    let nothing = stat();
    let object = object(policy)?;
    let request = MapRequest::of(object.handle(), PAGES * PAGE).under(policy);
    let before = stat();
    let pages = request.map()?;
    mix.touch(&pages);
    let after = stat();
    pages.unmap()?;
    let mut result = Ok(());
    let counted = counter::instructions(|| {
        result = request.map().and_then(|pages| {
            mix.touch(&pages);
            pages.unmap()
        });
    });
    result?;
    let (all, change) = (Change::between(&nothing, &after), Change::between(&before, &after));
    Ok(Cost {
        counted,
        frames: all.account_frames - all.pt_frames,
        bytes: change.kernel_bytes_written(),
        faults: change.faults() - change.pages_populated,
        tlbi: change.tlbi_count,
    })
}

/// Returns at which percentage a difference that falls along the line is zero.
#[must_use]
pub fn crossover(line: &[(usize, i64)]) -> Option<Hundredths> {
    line.windows(2).find_map(|pair| {
        let [(from, above), (to, below)] = *pair else { return None };
        if above <= 0 || below > 0 {
            return None;
        }
        let drop = i128::from(above) - i128::from(below);
        let way = (to - from) as i128 * i128::from(above);
        Hundredths::ratio(from as i128 * drop + way, u64::try_from(drop).ok()?)
    })
}

/// Measures everything and prints the tables, and the figures for the host tool if they are asked for.
///
/// # Errors
/// What the kernel refused.
pub fn show(figures: bool) -> Result<(), Error> {
    println!("One mapping of {PAGES} pages of one byte: mapped, used, unmapped.");
    println!("Instructions in thousands, frames, KiB of frames that the kernel wrote.");
    heading();
    for (mix, name) in MIXES {
        row(mix, format_args!("{name}"), figures)?;
    }
    println!();
    println!("Pages only read, in per cent; the others are read and then written:");
    heading();
    let mut behind = [(0, 0); LINE.len()];
    for (point, share) in behind.iter_mut().zip(LINE) {
        let costs = row(Mix::line(share), format_args!("line_{share}_read_only"), figures)?;
        *point = (share, costs[0].instructions() - costs[2].instructions());
    }
    println!();
    match crossover(&behind) {
        Some(value) => {
            println!("reference_page takes fewer instructions than pattern_on_any_fault from");
            println!("{value} % of pages only read; it never takes more frames than one more.");
            print_figure(figures, format_args!("crossover"), "read_only_share", "percent", value);
        }
        None => println!("The line has no crossover."),
    }
    println!("Instructions are not cycles.");
    Ok(())
}

fn heading() {
    println!();
    println!("{:<22}{}", "", "instructions/1000, frames, KiB written");
    for (_, name) in POLICIES {
        crate::print!("{name:>24}");
    }
    println!();
}

/// Measures every policy for a mix and prints it.
fn row(
    mix: Mix,
    name: core::fmt::Arguments,
    figures: bool,
) -> Result<[Cost; POLICIES.len()], Error> {
    let nothing = Cost { counted: None, frames: 0, bytes: 0, faults: 0, tlbi: 0 };
    let mut costs = [nothing; POLICIES.len()];
    println!("{name}");
    for (cost, (policy, _)) in costs.iter_mut().zip(POLICIES) {
        *cost = measure(policy, mix)?;
        let thousands = cost.instructions() / 1000;
        crate::print!("{thousands:>10}{:>6}{:>8}", cost.frames, cost.bytes / 1024);
    }
    println!();
    for (cost, (_, policy)) in costs.iter().zip(POLICIES) {
        let case = format_args!("{name}_{policy}");
        if system::instruction_counter() {
            print_figure(figures, case, "instructions", "instructions", cost.instructions());
        }
        print_figure(figures, case, "frames", "frames", cost.frames);
        print_figure(figures, case, "kernel_bytes_written", "bytes", cost.bytes);
    }
    Ok(costs)
}

fn print_figure(
    figures: bool,
    case: core::fmt::Arguments,
    metric: &str,
    unit: &str,
    value: impl core::fmt::Display,
) {
    if figures {
        let suffix = system::figure_suffix();
        println!("{}", Figure { bench: "sweep", case, suffix, metric, unit, value });
    }
}
