//! The main job: the microbenchmark of the reference-page thread, counted instead of timed.
//!
//! An iteration maps 1000 pages, prepares them (memset, `STG` loop, or not at all where a reference
//! page does it), stores one byte into the first 1, 500 or 1000 of them, and unmaps.
//!
//! This is a module and not in the program itself, because each file of `bin` is a program.

mod journey;
mod rows;
mod table;

pub use journey::{mismatch, show_faults};

use crate::system;
use rows::{Case, Row};
use vellum_abi::Error;

/// How many pages are stored to, and what the thread measured there: by how many per cent pattern
/// pages took less time than memset.
const TOUCHES: [(usize, &str); 3] = [(1, "98.8"), (500, "61.8"), (1000, "15.1")];
/// Ways to prepare pages; those of a reference object are compared with the first of their line.
const GROUPS: [&[Case]; 2] = [
    &[Case::Memset, Case::MemsetNeon, Case::Pattern, Case::PatternBatched],
    &[Case::StgLoop, Case::Tagged],
];

/// Which form of the numbers is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A table.
    Table,
    /// A table, and a line for the host tool behind each of its lines.
    TableAndFigures,
}

/// Measures every case and prints the table.
///
/// # Errors
/// What the kernel refused to an iteration.
pub fn show_table(output: Output) -> Result<(), Error> {
    table::introduce();
    let groups = if system::tags_supported() { &GROUPS[..] } else { &GROUPS[..1] };
    for (touch, theirs) in TOUCHES {
        for group in groups {
            show_group(group, touch, theirs, output)?;
        }
    }
    table::explain();
    Ok(())
}

fn show_group(group: &[Case], touch: usize, theirs: &str, output: Output) -> Result<(), Error> {
    let mut baseline = None;
    for case in group {
        let row = Row::measure(*case, touch)?;
        let compared = baseline.as_ref().filter(|_| case.is_prepared());
        table::print(&row, compared, if *case == Case::Pattern { theirs } else { "" });
        if output == Output::TableAndFigures {
            table::print_figures(&row, compared);
        }
        baseline.get_or_insert(row);
    }
    Ok(())
}
