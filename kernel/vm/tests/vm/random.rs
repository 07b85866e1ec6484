//! Random sequences of operations on two address spaces and two CPUs.
//!
//! `VELLUM_MODEL_OPS` sets how many operations are tried.

use crate::coverage;
use crate::explore::{explore, setting};
use crate::harness::Harness;
use crate::ops::{Create, Op, READ_WRITE, Span, op};
use vellum_abi::{MapFlags, Protection};

/// Operations of one sequence, on average.
const LENGTH: u64 = 100;

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
    let operations = setting("VELLUM_MODEL_OPS", 40_000);
    explore(operations / LENGTH, 2 * LENGTH as usize, op(), |sequence| {
        let mut harness = Harness::new();
        prologue().into_iter().for_each(|op| harness.run(op));
        sequence.into_iter().for_each(|op| harness.run(op));
        harness.finish();
    });
    let seen = coverage::take();
    println!("{operations} operations: {seen:#?}");
    if operations >= 20_000 {
        for name in REACHED {
            assert!(seen.contains_key(*name), "{operations} operations never came across {name}");
        }
    }
}
