//! The tables of the sweep, and its figures for the host tool.

use super::{Cost, LINE, MIXES, Mix, PAGES, Sweep, crossover};
use crate::figures::Figure;
use crate::services::Trouble;
use crate::ways::Way;
use crate::{print, println, system};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

/// A mix and what each way costs for it, in the order of [`Way::ALL`].
struct Row {
    name: String,
    costs: Vec<Cost>,
}

impl Row {
    fn instructions(&self, way: Way) -> i64 {
        let costs = Way::ALL.iter().zip(&self.costs);
        costs.filter(|(it, _)| **it == way).map(|(_, cost)| cost.instructions()).sum()
    }
}

/// Measures everything and prints the tables, and the figures for the host tool if they are asked for.
///
/// # Errors
/// What the kernel or the pager refused.
pub fn show(figures: bool) -> Result<(), Trouble> {
    let sweep = Sweep::new()?;
    println!(
        "One mapping of {PAGES} pages of one byte: mapped, used, unmapped. What is done with its pages"
    );
    println!(
        "stands to the left, \"line\" is the per cent only read of pages else read and then written."
    );
    println!();
    for (number, way) in (1..).zip(Way::ALL) {
        println!("{number:>4}  {:<26}{}", way.name(), way.text());
    }
    let line = LINE.map(|share| (Mix::line(share), format!("line_{share}_read_only")));
    let mixes = MIXES.map(|(mix, name)| (mix, name.to_string())).into_iter().chain(line);
    let mut rows = Vec::with_capacity(MIXES.len() + LINE.len());
    for (mix, name) in mixes {
        let costs = Way::ALL.iter().map(|way| sweep.measure(*way, mix));
        rows.push(Row { name, costs: costs.collect::<Result<_, _>>()? });
    }
    sweep.end()?;
    table(&rows, "Instructions in thousands", |cost| cost.instructions() / 1000);
    table(&rows, "Frames, without translation tables", |cost| cost.frames);
    table(&rows, "KiB that the kernel wrote into frames", |cost| cost.bytes / 1024);
    table(&rows, "Faults, the pager's included", |cost| cost.faults);
    if figures {
        rows.iter().for_each(print_row);
    }
    println!();
    print_crossovers(&rows[MIXES.len()..], figures);
    println!("Instructions are not cycles.");
    Ok(())
}

fn table(rows: &[Row], title: &str, value_fn: fn(&Cost) -> i64) {
    println!();
    println!("{title}:");
    println!();
    print!("{:22}", "");
    (1..=Way::ALL.len()).for_each(|number| print!("{number:>6}"));
    println!();
    for row in rows {
        print!("{:<22}", row.name);
        row.costs.iter().for_each(|cost| print!("{:>6}", value_fn(cost)));
        println!();
    }
}

fn print_row(row: &Row) {
    for (cost, way) in row.costs.iter().zip(Way::ALL) {
        let case = &format!("{}_{}", row.name, way.name());
        if system::instruction_counter() {
            print_figure(case, "instructions", "instructions", cost.instructions());
        }
        print_figure(case, "frames", "frames", cost.frames);
        print_figure(case, "kernel_bytes_written", "bytes", cost.bytes);
        print_figure(case, "faults", "faults", cost.faults);
        if way.terms().is_some() {
            print_figure(case, "pager_wishes", "wishes", cost.wishes);
        }
    }
}

/// Prints from which share of pages only read a way takes fewer instructions than one that fills a page at any
/// fault.
fn print_crossovers(line: &[Row], figures: bool) {
    let any = Way::PatternOnAnyFault;
    println!("Fewer instructions than {}, by pages that are only read:", any.name());
    for way in Way::ALL.iter().copied().filter(|way| *way != any) {
        let behind = |row: &Row| row.instructions(way) - row.instructions(any);
        let points: Vec<_> = LINE.iter().copied().zip(line.iter().map(behind)).collect();
        let name = way.name();
        match crossover(&points) {
            Some(value) => {
                println!("  {name:<26}from {value} % on");
                if figures {
                    print_figure(crossover_name(way), "read_only_share", "percent", value);
                }
            }
            None if points.iter().all(|(_, behind)| *behind < 0) => println!("  {name:<26}always"),
            None if points.iter().all(|(_, behind)| *behind > 0) => println!("  {name:<26}never"),
            None => println!("  {name:<26}not from one share on"),
        }
    }
}

/// Returns the name of a figure: that of the question itself has no addition.
fn crossover_name(way: Way) -> String {
    match way {
        Way::ReferencePage => "crossover".to_string(),
        _ => format!("crossover_{}", way.name()),
    }
}

fn print_figure(case: impl Display, metric: &str, unit: &str, value: impl Display) {
    let suffix = system::figure_suffix();
    println!("{}", Figure { bench: "sweep", case, suffix, metric, unit, value });
}
