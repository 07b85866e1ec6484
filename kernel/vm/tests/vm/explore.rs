//! Runs random sequences of operations and shrinks one that fails.
//!
//! The seed is fixed, so that a run repeats; `VELLUM_MODEL_SEED` sets another.

use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use std::fmt::Debug;

/// Returns a number that an environment variable may set.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Runs `cases` sequences of up to `length` operations.
///
/// # Panics
/// With the seed and the shortest sequence found, one operation a line.
pub(crate) fn explore<O: Debug + Clone>(
    cases: u64,
    length: usize,
    operation: impl Strategy<Value = O>,
    run_fn: impl Fn(Vec<O>),
) {
    let seed = setting("VELLUM_MODEL_SEED", 1);
    let config = Config {
        cases: cases.max(1) as u32,
        max_shrink_iters: 20_000,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&vec(operation, 1..=length), |sequence| {
        run_fn(sequence);
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
}
