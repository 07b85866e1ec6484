//! Machines that differ in what the kernel must not assume.

use crate::Named;
use crate::context::{Plan, Run};
use libtest_mimic::Failed;
use vellum_tests::qemu::Machine;

pub(crate) const TESTS: &[Named] = &[
    ("machine/memory_of_64_mebibytes", memory_of_64_mebibytes),
    ("machine/memory_of_128_mebibytes", memory_of_128_mebibytes),
    ("machine/memory_of_1_gibibyte", memory_of_1_gibibyte),
    ("machine/memory_of_8_gibibytes", memory_of_8_gibibytes),
    ("machine/banner_tells_whether_there_are_tags", banner_tells_whether_there_are_tags),
    ("machine/four_cpus", four_cpus),
];

fn boots(machine: Machine) -> Result<(), Failed> {
    Plan { machine, ..Plan::crash("exit=0") }.run()?.ends_with(0, &[])
}

fn boots_with(memory: &str) -> Result<(), Failed> {
    boots(Machine { memory: memory.into(), ..Machine::default() })
}

fn memory_of_64_mebibytes() -> Result<(), Failed> {
    boots_with("64M")
}

fn memory_of_128_mebibytes() -> Result<(), Failed> {
    boots_with("128M")
}

fn memory_of_1_gibibyte() -> Result<(), Failed> {
    boots_with("1G")
}

fn memory_of_8_gibibytes() -> Result<(), Failed> {
    boots_with("8G")
}

fn four_cpus() -> Result<(), Failed> {
    boots(Machine { smp: 4, icount: false, ..Machine::default() })
}

fn banner_tells_whether_there_are_tags() -> Result<(), Failed> {
    let with_tags = Plan::crash("exit=0").run()?;
    let machine = Machine { mte: false, ..Machine::default() };
    let without = Plan { machine, ..Plan::crash("exit=0") }.run()?;
    let without_tags = |run: &Run| {
        let mut lines = run.boot.output.lines().map(str::trim);
        lines.any(|line| line.starts_with("tags") && line.contains("none"))
    };
    with_tags.check(!without_tags(&with_tags), "a banner that tells of tags")?;
    without.ends_with(0, &[])?;
    without.check(without_tags(&without), "a banner that tells of no tags")
}
