//! The fuzzer of system calls: a million of them in all, on one, two and four CPUs.
//!
//! A failure names its seed: `./qemu-run.sh fuzz --calls 25000 --seed N` makes the calls of that round again, on
//! one CPU exactly so.

use crate::Named;
use crate::context::Plan;
use libtest_mimic::Failed;
use std::time::Duration;
use vellum_tests::commands::fuzz::{PROGRAM, arguments};
use vellum_tests::qemu::Machine;

pub(crate) const TESTS: &[Named] = &[
    ("fuzz/one_cpu", one_cpu),
    ("fuzz/two_cpus", two_cpus),
    ("fuzz/four_cpus", four_cpus),
    ("fuzz/a_seed_means_the_same_each_time", a_seed_means_the_same_each_time),
];

/// Calls of each of the three.
const CALLS: u64 = 334_000;
/// The watchdog's, as these tests take longer than others.
const LIMIT: Duration = Duration::from_secs(600);

fn plan(machine: Machine, calls: u64, seed: u64) -> Plan {
    let limit = crate::context::limit().max(LIMIT);
    Plan { machine, arguments: arguments(calls, seed), limit, ..Plan::new(PROGRAM) }
}

fn fuzz(smp: u32, seed: u64) -> Result<(), Failed> {
    let machine = Machine { smp, icount: smp == 1, ..Machine::default() };
    plan(machine, CALLS, seed).run()?.ends_with(0, &["calls", "audits"])
}

fn one_cpu() -> Result<(), Failed> {
    fuzz(1, 1)
}

fn two_cpus() -> Result<(), Failed> {
    fuzz(2, 1001)
}

fn four_cpus() -> Result<(), Failed> {
    fuzz(4, 2001)
}

/// Everything that is printed, the numbers of calls and refusals among it, is the same again.
fn a_seed_means_the_same_each_time() -> Result<(), Failed> {
    let runs = [(); 2].map(|()| plan(Machine::default(), 3000, 5).run());
    let [first, second] = runs;
    let (first, second) = (first?, second?);
    first.ends_with(0, &[])?;
    first.check(first.boot.output == second.boot.output, &second.boot.output)
}
