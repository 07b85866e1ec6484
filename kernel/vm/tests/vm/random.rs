//! Random sequences of operations on two address spaces and two CPUs.
//!
//! The seed is fixed, so that a run repeats; `VELLUM_MODEL_SEED` sets another. A failure shrinks to
//! a short sequence, which is printed.

use crate::coverage;
use crate::harness::Harness;
use crate::ops::{Create, Op, READ_WRITE, Span, op};
use proptest::collection::vec;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use vellum_abi::{MapFlags, Protection};

/// Operations of one sequence.
const LENGTH: usize = 100;

/// What 20,000 operations come across, or they test too little.
const REACHED: &[&str] = &[
    "Execute Death(AccessDenied)",
    "Execute done",
    "Read Death(NotMapped)",
    "Read TagFault",
    "Read done",
    "Write Death(AccessDenied)",
    "Write TagFault",
    "Write done",
    "change Err(MissingRight)",
    "change Err(NotMapped)",
    "change Err(Sealed)",
    "change Err(SharedWritable)",
    "change Err(WriteAndExecute)",
    "change Ok(())",
    "change step",
    "map BeyondEnd",
    "map MissingRight",
    "map Overlap",
    "map SharedWritable",
    "map TagsUnsupported",
    "map fresh",
    "map replaced",
    "snapshot Bytes",
    "snapshot Pattern",
    "snapshot Tagged",
];

/// Returns a number that an environment variable may set.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Returns what every sequence begins with, so that most operations meet something.
fn prologue() -> Vec<Op> {
    let create = [
        Op::Create(0, Create::Memory(24)),
        Op::Create(1, Create::Tagged(5)),
        Op::Create(0, Create::Fixed(3)),
    ];
    let maps = (0..4).map(|number| Op::Map {
        space: number % 2,
        object: number,
        span: Span::window(number / 2),
        offset: 0,
        protection: if number == 1 { READ_WRITE } else { READ_WRITE | Protection::TAGGED },
        maximum: Protection::ALL,
        flags: if number == 2 { MapFlags::SHARED } else { MapFlags::NONE },
        wish: true,
    });
    create.into_iter().chain(maps).collect()
}

#[test]
fn any_sequence_of_operations_does_what_the_flat_model_does() {
    let (operations, seed) = (setting("VELLUM_MODEL_OPS", 40_000), setting("VELLUM_MODEL_SEED", 1));
    let config = Config {
        cases: (operations / LENGTH as u64).max(1) as u32,
        max_shrink_iters: 20_000,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let sequences = vec(op(), 1..=2 * LENGTH);
    let result = TestRunner::new(config).run(&sequences, |sequence| {
        let mut harness = Harness::new();
        prologue().into_iter().for_each(|op| harness.run(op));
        sequence.into_iter().for_each(|op| harness.run(op));
        harness.finish();
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, sequence)) => {
            let lines: Vec<String> = sequence.iter().map(|op| format!("{op:?}")).collect();
            panic!("seed {seed}: {reason}\nafter\n{}", lines.join("\n"));
        }
        Err(error) => panic!("seed {seed}: {error}"),
    }
    let seen = coverage::take();
    println!("{operations} operations: {seen:#?}");
    if operations >= 20_000 {
        for name in REACHED {
            assert!(seen.contains_key(*name), "{operations} operations never came across {name}");
        }
    }
}
