//! Machines that differ in what the kernel must not assume.

use crate::Named;
use crate::context::{Plan, Run};
use libtest_mimic::Failed;
use vellum_abi::options::{ASID_BITS, MOPS};
use vellum_tests::qemu::Machine;

pub(crate) const TESTS: &[Named] = &[
    ("machine/memory_of_64_mebibytes", memory_of_64_mebibytes),
    ("machine/memory_of_128_mebibytes", memory_of_128_mebibytes),
    ("machine/memory_of_1_gibibyte", memory_of_1_gibibyte),
    ("machine/memory_of_8_gibibytes", memory_of_8_gibibytes),
    ("machine/banner_tells_whether_there_are_tags", banner_tells_whether_there_are_tags),
    ("machine/two_cpus_in_step", two_cpus_in_step),
    ("machine/eight_cpus", eight_cpus),
    ("machine/four_cpus_and_a_gicv2", four_cpus_and_a_gicv2),
    ("machine/four_cpus_from_el2", four_cpus_from_el2),
    ("machine/four_cpus_of_other_models", four_cpus_of_other_models),
    ("machine/identifiers_of_few_bits", identifiers_of_few_bits),
    ("machine/identifiers_of_too_few_bits", identifiers_of_too_few_bits),
    ("machine/entry_at_el2_on_max", entry_at_el2_on_max),
    ("machine/entry_at_el2_on_neoverse_n2", entry_at_el2_on_neoverse_n2),
    ("machine/entry_at_el2_without_tags", entry_at_el2_without_tags),
    ("machine/entry_at_el2_with_memory_set_instructions", entry_at_el2_with_memory_instructions),
    ("machine/power_goes_off_by_smc_from_el2", power_goes_off_by_smc_from_el2),
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

/// Runs programs whose threads and processes depend on every CPU.
fn shares_work(machine: &Machine) -> Result<(), Failed> {
    for program in ["test_threads", "test_messages", "test_process_deaths"] {
        let run = Plan { machine: machine.clone(), ..Plan::new(program) }.run()?;
        run.check(run.verdict.status() == 0, "success")?;
    }
    Ok(())
}

fn two_cpus_in_step() -> Result<(), Failed> {
    shares_work(&Machine { smp: 2, ..Machine::default() })
}

fn eight_cpus() -> Result<(), Failed> {
    shares_work(&Machine { smp: 8, icount: false, ..Machine::default() })
}

fn four_cpus_and_a_gicv2() -> Result<(), Failed> {
    shares_work(&Machine { smp: 4, gic: 2, icount: false, ..Machine::default() })
}

fn four_cpus_from_el2() -> Result<(), Failed> {
    shares_work(&Machine { smp: 4, el2: true, icount: false, ..Machine::default() })
}

fn four_cpus_of_other_models() -> Result<(), Failed> {
    for cpu in ["neoverse-n2", "cortex-a710"] {
        shares_work(&Machine { cpu: cpu.into(), smp: 4, icount: false, ..Machine::default() })?;
    }
    // One of Armv8.0: without tags, and without PAN.
    let old = Machine {
        cpu: "cortex-a53".into(),
        mte: false,
        smp: 4,
        icount: false,
        ..Machine::default()
    };
    for program in ["test_threads", "test_messages"] {
        let run = Plan { machine: old.clone(), ..Plan::new(program) }.run()?;
        run.check(run.verdict.status() == 0, "success")?;
    }
    Ok(())
}

fn identifiers_of_few_bits() -> Result<(), Failed> {
    for (smp, bits) in [(4, "3"), (2, "2")] {
        let plan = Plan {
            machine: Machine { smp, icount: false, ..Machine::default() },
            arguments: vec![bits.to_owned()],
            switches: vec![(ASID_BITS, bits)],
            ..Plan::new("test_address_spaces_take_turns")
        };
        let run = plan.run()?;
        run.ends_with(0, &[&format!("{bits}-bit asids")])?;
    }
    Ok(())
}

fn identifiers_of_too_few_bits() -> Result<(), Failed> {
    for (smp, bits) in [(8, "3"), (1, "1"), (1, "17"), (1, "many")] {
        let machine = Machine { smp, icount: false, ..Machine::default() };
        let switches = vec![(ASID_BITS, bits)];
        let run = Plan { machine, switches, ..Plan::crash("exit=0") }.run()?;
        run.ends_with(103, &["asid_bits"])?;
        run.has_not_panicked()?;
    }
    Ok(())
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

/// Runs programs on a machine that starts at EL2: one that says hello, and tests of tags, of the
/// interrupt controller and the timer, and of counters.
fn runs_from_el2(
    machine: &Machine,
    switches: &[(&'static str, &'static str)],
) -> Result<(), Failed> {
    for program in [
        "hello",
        "row_10_tagged_zeros_are_made_in_one_pass",
        "test_tag_modes",
        "test_process_time_slicing",
        "row_20_the_benchmark_runs_as_shipped",
    ] {
        let machine = Machine { el2: true, ..machine.clone() };
        let run = Plan { machine, switches: switches.to_vec(), ..Plan::new(program) }.run()?;
        let skipped = run.boot.output.contains("SKIP:");
        run.check(run.verdict.status() == if skipped { 77 } else { 0 }, "success")?;
        run.ends_with(run.verdict.status(), &["psci by smc"])?;
    }
    Ok(())
}

fn entry_at_el2_on_max() -> Result<(), Failed> {
    runs_from_el2(&Machine::default(), &[])
}

fn entry_at_el2_on_neoverse_n2() -> Result<(), Failed> {
    runs_from_el2(&Machine { cpu: "neoverse-n2".into(), ..Machine::default() }, &[])
}

fn entry_at_el2_without_tags() -> Result<(), Failed> {
    runs_from_el2(&Machine { mte: false, ..Machine::default() }, &[])
}

fn entry_at_el2_with_memory_instructions() -> Result<(), Failed> {
    runs_from_el2(&Machine::default(), &[(MOPS, "on")])
}

/// Without semihosting the machine's end is PSCI's, whose conduit is SMC where there is EL2: a call
/// by HVC would come back to the kernel's own EL2 and end nothing. QEMU's status is 0 then.
fn power_goes_off_by_smc_from_el2() -> Result<(), Failed> {
    let machine = Machine { el2: true, semihosting: false, ..Machine::default() };
    let run = Plan { machine, ..Plan::crash("exit=7") }.run()?;
    run.ends_with(0, &["psci by smc"])?;
    run.has_not_panicked()
}
