//! Faults on two CPUs: how often they wait for each other, and how many more there are in a second.
//!
//! The waits are counted on a machine whose CPUs take turns, so that they are the same on every run. The rates
//! need CPUs that run side by side, are taken by the host's clock, and depend on whatever else it does: they
//! are no figures, and nothing is concluded from them here.

use super::{Benchmark, output};
use crate::command_line::Options;
use crate::failure::Failure;
use crate::figures::{self, Figure};
use crate::launch::Built;
use crate::qemu::{Machine, Qemu};
use serde_json::Number;

/// The name of the measurement, and of its program.
pub(super) const NAME: &str = "scaling";
/// What is counted.
const WAITS: &str = "lock_wait";
/// What is timed.
const RATE: &str = "faults_per_second";

/// Returns how often two CPUs wait for a lock.
///
/// # Errors
/// As of any benchmark.
pub(super) fn waits(options: &Options, qemu: &Qemu, built: &Built) -> Result<Vec<Figure>, Failure> {
    eprintln!("vellum: measuring {NAME} on two CPUs in step");
    let mut figures = run(options, Machine { smp: 2, ..options.machine() }, qemu, built)?;
    figures.retain(|figure| figure.metric == WAITS && figure.case.starts_with("two_"));
    Ok(figures)
}

/// Returns rates of faults on one CPU and on two, and how many times as many the latter are.
///
/// # Errors
/// As of any benchmark.
pub(super) fn rates(options: &Options, qemu: &Qemu, built: &Built) -> Result<Vec<Figure>, Failure> {
    let mut rates = Vec::new();
    for (smp, cases) in [(1, "one_"), (2, "two_")] {
        eprintln!("vellum: measuring {NAME} by the clock, CPUs: {smp}");
        let machine = Machine { smp, icount: false, ..options.machine() };
        let mut figures = run(options, machine, qemu, built)?;
        figures.retain(|figure| figure.metric == RATE && figure.case.starts_with(cases));
        rates.extend(figures);
    }
    let alone = rates.first().and_then(|figure| figure.value.as_f64()).unwrap_or(0.0);
    let speedups: Vec<_> = rates.iter().skip(1).filter_map(|rate| speedup(rate, alone)).collect();
    rates.extend(speedups);
    Ok(rates)
}

/// Returns how many times a rate is that of one CPU, with two places.
fn speedup(rate: &Figure, alone: f64) -> Option<Figure> {
    let times = (rate.value.as_f64()? / alone * 100.0).round() / 100.0;
    let value = Number::from_f64(times)?;
    Some(Figure { metric: "speedup".into(), unit: "times".into(), value, ..rate.clone() })
}

fn run(
    options: &Options,
    machine: Machine,
    qemu: &Qemu,
    built: &Built,
) -> Result<Vec<Figure>, Failure> {
    let bench = Benchmark::plain(NAME, NAME);
    let output = output(options, machine, qemu, built, &bench, &options.switches())?;
    figures::parse(&output, &[])
}

#[cfg(test)]
mod tests {
    use super::{RATE, speedup};
    use crate::figures::Figure;

    #[test]
    fn a_speedup_is_a_ratio_of_rates() {
        let rate = Figure {
            bench: "scaling".into(),
            case: "two_processes".into(),
            metric: RATE.into(),
            unit: "faults/s".into(),
            value: 35.into(),
            switches: Vec::new(),
        };
        assert_eq!(speedup(&rate, 20.0).unwrap().value.as_f64(), Some(1.75));
        assert!(speedup(&rate, 0.0).is_none());
    }
}
