//! Figures: read from what programs print, ordered, and written as table, JSON and CSV.
//!
//! A program prints a line for each:
//! `@figure bench=<b> case=<c> metric=<m> unit=<u> value=<number>`. Invariant: the same output of
//! the same programs gives the same files, byte for byte.

mod write;

pub use write::{csv, json, table};

use crate::failure::Failure;
use serde::Serialize;
use serde_json::Number;

/// What a figure's line starts with.
const MARK: &str = "@figure ";
/// What is put behind the cases of a second run, with the memory copy and set instructions on.
pub const MOPS_SUFFIX: &str = "_mops";

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Which measurement it belongs to.
    pub bench: String,
    /// Which case of it.
    pub case: String,
    /// What was measured.
    pub metric: String,
    /// In which unit.
    pub unit: String,
    /// How much.
    pub value: Number,
    /// What was switched on for it; nothing in a plain run.
    pub switches: Vec<String>,
}

impl Figure {
    /// Returns what makes a figure different from others, and their order.
    #[must_use]
    pub fn key(&self) -> [&str; 3] {
        [&self.bench, &self.case, &self.metric]
    }
}

/// Returns the figures in a program's output, marked as measured with `switches` on, in the order
/// in which they were printed.
///
/// # Errors
/// `MissingTool` for a line that has the mark and is no figure.
pub fn parse(output: &str, switches: &[String]) -> Result<Vec<Figure>, Failure> {
    let lines = output.lines().filter_map(|line| Some((line, line.trim().strip_prefix(MARK)?)));
    lines
        .map(|(line, pairs)| {
            let figure = parse_pairs(pairs, switches);
            figure.ok_or_else(|| Failure::tool(format!("this is no figure: {line}")))
        })
        .collect()
}

fn parse_pairs(pairs: &str, switches: &[String]) -> Option<Figure> {
    let pairs: Vec<_> =
        pairs.split_whitespace().map(|pair| pair.split_once('=')).collect::<Option<_>>()?;
    let text = |key: &str| {
        let mut values = pairs.iter().filter(|(name, _)| *name == key).map(|(_, value)| *value);
        values.next().filter(|value| !value.is_empty() && values.next().is_none())
    };
    let own = |key| text(key).map(String::from);
    Some(Figure {
        bench: own("bench")?,
        case: own("case")?,
        metric: own("metric")?,
        unit: own("unit")?,
        value: serde_json::from_str(text("value")?).ok()?,
        switches: switches.to_vec(),
    })
}

/// Marks figures as measured with the memory copy and set instructions. A program may have marked
/// its cases itself.
pub fn mark_mops(figures: &mut [Figure]) {
    for figure in figures {
        if !figure.case.ends_with(MOPS_SUFFIX) {
            figure.case.push_str(MOPS_SUFFIX);
        }
    }
}

/// Sorts figures for files.
///
/// # Errors
/// `MissingTool` if two have the same name: one would hide the other.
pub fn sort(figures: &mut [Figure]) -> Result<(), Failure> {
    figures.sort_by(|a, b| a.key().cmp(&b.key()));
    for pair in figures.windows(2) {
        if pair[0].key() == pair[1].key() {
            let name = pair[0].key().join(" ");
            return Err(Failure::tool(format!("the figure {name} was printed twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{mark_mops, parse, sort};

    const OUTPUT: &str = "banner\n\
        @figure bench=b case=two metric=instructions unit=instructions value=12.50\n\
        some prose about a @figure\n\
        @figure bench=b case=one metric=faults unit=faults value=-3\n";

    #[test]
    fn figures_are_found_between_other_lines() {
        let mut figures = parse(OUTPUT, &["x".into()]).unwrap();
        assert_eq!(figures.len(), 2);
        assert_eq!(figures[0].value.as_f64(), Some(12.5));
        assert_eq!(figures[1].value.as_i64(), Some(-3));
        assert_eq!(figures[1].switches, ["x"]);
        sort(&mut figures).unwrap();
        assert_eq!(figures[0].case, "one");
        mark_mops(&mut figures);
        mark_mops(&mut figures);
        assert_eq!(figures[0].case, "one_mops");
    }

    #[test]
    fn broken_and_repeated_figures_are_refused() {
        for line in [
            "@figure bench=b case=c metric=m unit=u",
            "@figure bench=b case=c metric=m unit=u value=many",
            "@figure bench=b case=c metric=m unit=u value=NaN",
            "@figure bench=b case= metric=m unit=u value=1",
            "@figure bench=b case=c case=d metric=m unit=u value=1",
            "@figure bench=b case=c stray metric=m unit=u value=1",
        ] {
            assert!(parse(line, &[]).is_err(), "{line}");
        }
        let line = "@figure bench=b case=c metric=m unit=u value=1\n";
        assert!(sort(&mut parse(&line.repeat(2), &[]).unwrap()).is_err());
    }
}
