//! Figures: exact decimal numbers and the line that the host tool reads.
//!
//! Owns: the arithmetic between counters and what is printed. Integers only, so that a figure has
//! the same digits on every machine.

use core::fmt::{self, Display, Formatter};

/// A decimal number with two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hundredths(i64);

impl Hundredths {
    /// Returns `numerator / denominator`, rounded half away from zero, or `None` for a denominator
    /// of 0 or a result out of range.
    #[must_use]
    pub fn ratio(numerator: i128, denominator: u64) -> Option<Hundredths> {
        let denominator = i128::from(denominator);
        if denominator == 0 {
            return None;
        }
        let doubled = numerator.checked_mul(200)?;
        let rounded = (doubled + denominator * doubled.signum()) / (2 * denominator);
        i64::try_from(rounded).ok().map(Hundredths)
    }

    /// Returns the mean of `count` values with this sum.
    #[must_use]
    pub fn mean(sum: u64, count: u64) -> Option<Hundredths> {
        Hundredths::ratio(i128::from(sum), count)
    }

    /// Returns by how many per cent `after` is below `before` (negative where it is above).
    #[must_use]
    pub fn improvement_percent(before: u64, after: u64) -> Option<Hundredths> {
        Hundredths::ratio((i128::from(before) - i128::from(after)) * 100, before)
    }

    /// Returns the median, the mean of the middle two where there are two, or `None` of nothing.
    /// Sorts `samples`.
    #[must_use]
    pub fn median(samples: &mut [u64]) -> Option<Hundredths> {
        samples.sort_unstable();
        let (&low, &high) =
            (samples.get(samples.len().checked_sub(1)? / 2)?, samples.get(samples.len() / 2)?);
        Hundredths::ratio(i128::from(low) + i128::from(high), 2)
    }
}

impl From<u32> for Hundredths {
    fn from(whole: u32) -> Hundredths {
        Hundredths(i64::from(whole) * 100)
    }
}

impl Display for Hundredths {
    /// Writes no places where they are zero, both otherwise. Widths are kept.
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        let mut text = Text::default();
        let (sign, value) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        if value.is_multiple_of(100) {
            fmt::Write::write_fmt(&mut text, format_args!("{sign}{}", value / 100))?;
        } else {
            let (whole, places) = (value / 100, value % 100);
            fmt::Write::write_fmt(&mut text, format_args!("{sign}{whole}.{places:02}"))?;
        }
        formatter.pad_integral(true, "", text.as_str())
    }
}

/// Room for the digits of a number, so that padding sees all of it at once.
#[derive(Default)]
struct Text {
    bytes: [u8; 24],
    length: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("")
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// One figure. Its text is the line that the host tool collects.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a, C, V> {
    /// Which measurement it belongs to.
    pub bench: &'a str,
    /// Which case of it.
    pub case: C,
    /// What is behind the case's name: `_mops` where the memory set instructions are in use.
    pub suffix: &'a str,
    /// What was measured.
    pub metric: &'a str,
    /// In which unit.
    pub unit: &'a str,
    /// How much.
    pub value: V,
}

impl<C: Display, V: Display> Display for Figure<'_, C, V> {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        let Figure { bench, case, suffix, metric, unit, value } = self;
        write!(
            formatter,
            "@figure bench={bench} case={case}{suffix} metric={metric} unit={unit} value={value}"
        )
    }
}

/// Samples of one case of the measurement "paths", in instructions.
#[derive(Debug)]
pub struct Samples<'a> {
    /// Which case.
    pub case: &'a str,
    /// One number each; their order is lost.
    pub samples: &'a mut [u64],
    /// The mean, where it is not that of the samples as they are.
    pub mean: Option<Hundredths>,
    /// As in [`Figure`].
    pub suffix: &'a str,
    /// Whether the host tool wants the figures besides.
    pub figures: bool,
}

impl Samples<'_> {
    /// Writes one line for humans and, if they were asked for, the figures, by `line_fn`.
    pub fn print(self, mut line_fn: impl FnMut(fmt::Arguments)) {
        let Samples { case, samples, mean, suffix, figures } = self;
        let mean = mean.or_else(|| Hundredths::mean(samples.iter().sum(), samples.len() as u64));
        let mean = mean.unwrap_or(0.into());
        let median = Hundredths::median(samples).unwrap_or(0.into());
        let bound = |sample: Option<&u64>| sample.copied().unwrap_or(0);
        let (least, most) = (bound(samples.first()), bound(samples.last()));
        line_fn(format_args!("{case:<26}{mean:>10}{median:>10}{least:>8}{most:>8}"));
        if figures {
            let (bench, unit) = ("paths", "instructions");
            for (metric, value) in [("instructions", mean), ("instructions_median", median)] {
                line_fn(format_args!("{}", Figure { bench, case, suffix, metric, unit, value }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Hundredths};
    use std::format;
    use std::string::{String, ToString};

    fn text(value: Option<Hundredths>) -> String {
        value.unwrap().to_string()
    }

    #[test]
    fn ratios_round_half_away_from_zero() {
        assert_eq!(text(Hundredths::ratio(1, 3)), "0.33");
        assert_eq!(text(Hundredths::ratio(2, 3)), "0.67");
        assert_eq!(text(Hundredths::ratio(1, 200)), "0.01");
        assert_eq!(text(Hundredths::ratio(-1, 200)), "-0.01");
        assert_eq!(text(Hundredths::ratio(500, 5)), "100");
        assert_eq!(Hundredths::ratio(1, 0), None);
    }

    #[test]
    fn improvement_can_be_negative() {
        assert_eq!(text(Hundredths::improvement_percent(3_962_194, 26_726)), "99.33");
        assert_eq!(text(Hundredths::improvement_percent(100, 150)), "-50");
        assert_eq!(text(Hundredths::improvement_percent(100, 100)), "0");
    }

    #[test]
    fn median_takes_the_middle() {
        assert_eq!(text(Hundredths::median(&mut [3, 1, 2])), "2");
        assert_eq!(text(Hundredths::median(&mut [4, 1, 2, 3])), "2.50");
        assert_eq!(Hundredths::median(&mut []), None);
    }

    #[test]
    fn widths_are_kept() {
        assert_eq!(format!("[{:>8}]", Hundredths::from(7)), "[       7]");
        assert_eq!(format!("[{:>8}]", Hundredths::ratio(-1, 3).unwrap()), "[   -0.33]");
    }

    #[test]
    fn figure_is_one_line_of_pairs() {
        let figure = Figure {
            bench: "thread",
            case: "touch_1_memset",
            suffix: "",
            metric: "faults",
            unit: "faults",
            value: 1000,
        };
        assert_eq!(
            figure.to_string(),
            "@figure bench=thread case=touch_1_memset metric=faults unit=faults value=1000"
        );
    }
}
