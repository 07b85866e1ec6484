//! Each test program on each machine.

use crate::context::{Plan, context};
use libtest_mimic::{Completion, Failed, Trial};
use vellum_abi::options::PLAIN_FILLS;
use vellum_tests::programs;
use vellum_tests::qemu::{Machine, Verdict};

/// The exit status of a program that has nothing to test on this machine.
const SKIPPED: u8 = 77;
/// What the line starts with in which it says why.
const REASON: &str = "SKIP:";

/// A machine and kernel to test on.
#[derive(Clone)]
struct Configuration {
    name: &'static str,
    machine: Machine,
    switches: Vec<(&'static str, &'static str)>,
}

fn configurations() -> Vec<Configuration> {
    let machine = Machine::default;
    let with = |name, machine| Configuration { name, machine, switches: Vec::new() };
    vec![
        with("max", machine()),
        with("neoverse-n2", Machine { cpu: "neoverse-n2".into(), ..machine() }),
        with("no-mte", Machine { mte: false, ..machine() }),
        Configuration { switches: vec![(PLAIN_FILLS, "on")], ..with("plain-fills", machine()) },
        with("two-cpus", Machine { smp: 2, icount: false, ..machine() }),
        with("four-cpus", Machine { smp: 4, icount: false, ..machine() }),
    ]
}

/// Returns a trial for each program and machine.
pub(crate) fn trials() -> Vec<Trial> {
    let tests: Vec<_> =
        programs::own().into_iter().filter(|name| programs::is_test(name)).collect();
    let mut trials = Vec::new();
    for configuration in configurations() {
        for program in &tests {
            let name = format!("{}/{program}", configuration.name);
            let (configuration, program) = (configuration.clone(), program.clone());
            trials.push(Trial::ignorable_test(name, move || run(&configuration, &program)));
        }
    }
    trials
}

fn run(configuration: &Configuration, program: &str) -> Result<Completion, Failed> {
    let Configuration { machine, switches, .. } = configuration;
    let qemu = &context()?.qemu;
    if !qemu.has_cpu(&machine.cpu)? {
        let reason = format!("QEMU {} has no CPU {}", qemu.version(), machine.cpu);
        return Ok(Completion::ignored_with(reason));
    }
    let plan = Plan { machine: machine.clone(), switches: switches.clone(), ..Plan::new(program) };
    let run = plan.run()?;
    if run.verdict == Verdict::Program(SKIPPED) {
        let mut reasons =
            run.boot.output.lines().rev().filter_map(|l| l.trim().strip_prefix(REASON));
        return Ok(Completion::ignored_with(
            reasons.next().unwrap_or("it does not say why").trim(),
        ));
    }
    run.check(run.verdict == Verdict::Program(0), "success")?;
    Ok(Completion::Completed)
}
