//! The table and the figures.

use super::rows::{ITERATIONS, Row};
use crate::figures::{Figure, Hundredths};
use crate::{println, system};
use vellum_abi::PAGE_SIZE;

/// Says what is counted, before the table.
pub(super) fn introduce() {
    println!(
        "The thread's benchmark: map 1000 pages of {PAGE_SIZE} bytes, prepare them, store one"
    );
    println!(
        "byte into some, unmap. Each line is one iteration, the mean of {ITERATIONS} after a warm-up."
    );
    if system::mops_in_use() {
        println!("Memory set instructions are in use, each counted once whatever it writes.");
    }
    if !system::instruction_counter() {
        println!("No instruction counter here (it needs --icount): that column stays empty.");
    }
    if !system::tags_supported() {
        println!("No memory tagging on this machine: the stg_loop and tagged lines are left out.");
    }
    println!();
    println!(
        "{:>5} {:<15} {:>12} {:>7} {:>12} {:>11} {:>10} {:>9} {:>6} {:>8} {:>6}",
        "touch",
        "pages from",
        "instructions",
        "private",
        "kernel bytes",
        "kernel tags",
        "user bytes",
        "user tags",
        "faults",
        "better %",
        "thread"
    );
}

/// Prints a row; `theirs` is what the thread measured for it.
pub(super) fn print(row: &Row, baseline: Option<&Row>, theirs: &str) {
    println!(
        "{:>5} {:<15} {:>12} {:>7} {:>12} {:>11} {:>10} {:>9} {:>6} {:>8} {:>6}",
        row.touch,
        row.case.name(),
        Cell(row.instructions()),
        row.private_frames,
        Cell(row.kernel_bytes_written()),
        Cell(row.kernel_tag_bytes_written()),
        Cell(row.user_bytes_declared()),
        Cell(row.user_tag_bytes_declared()),
        Cell(row.faults()),
        Cell(baseline.and_then(|baseline| row.improvement_percent(baseline))),
        theirs,
    );
}

/// Says what the numbers do not mean, behind the table.
pub(super) fn explain() {
    println!();
    println!(
        "better %: fewer instructions than the line that prepares the pages by hand (memset or"
    );
    println!(
        "stg_loop). thread: what the thread measured, wall-clock time on a phone's CPU, for pattern"
    );
    println!(
        "pages only. Instructions are not cycles: a store that misses every cache and an addition"
    );
    println!("count one each, so compare signs and order with the thread, not the digits.");
}

/// A value or nothing.
struct Cell(Option<Hundredths>);

impl core::fmt::Display for Cell {
    fn fmt(&self, formatter: &mut core::fmt::Formatter) -> core::fmt::Result {
        match self.0 {
            Some(value) => value.fmt(formatter),
            None => formatter.pad(""),
        }
    }
}

/// Prints a row's figures for the host tool.
pub(super) fn print_figures(row: &Row, baseline: Option<&Row>) {
    let frames = u32::try_from(row.private_frames).map(Hundredths::from).ok();
    let values = [
        ("instructions", "instructions", row.instructions()),
        ("private_frames", "frames", frames),
        ("kernel_bytes_written", "bytes", row.kernel_bytes_written()),
        ("kernel_tag_bytes_written", "bytes", row.kernel_tag_bytes_written()),
        ("user_bytes_declared", "bytes", row.user_bytes_declared()),
        ("user_tag_bytes_declared", "bytes", row.user_tag_bytes_declared()),
        ("faults", "faults", row.faults()),
        (
            "improvement_percent",
            "percent",
            baseline.and_then(|baseline| row.improvement_percent(baseline)),
        ),
    ];
    for (metric, unit, value) in values {
        if let Some(value) = value {
            let case = format_args!("touch_{}_{}", row.touch, row.case.name());
            let suffix = system::figure_suffix();
            println!("{}", Figure { bench: "thread", case, suffix, metric, unit, value });
        }
    }
}
