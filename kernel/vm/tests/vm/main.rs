//! The VM subsystem on the model machine: random operations against a flat model, exhaustion,
//! races of several virtual CPUs, and the rows of the requirements that need no QEMU.
//!
//! `VELLUM_MODEL_OPS` sets how many random operations are tried (default 40000).
#![expect(clippy::disallowed_methods, reason = "tests on the host may allocate")]

mod coverage;
mod exhaustion;
mod flat;
mod harness;
mod ops;
mod perform;
mod random;
mod support;
mod tree;
