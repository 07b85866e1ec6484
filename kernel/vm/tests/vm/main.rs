//! The VM subsystem on the model machine: random operations against a flat model, exhaustion,
//! races of several virtual CPUs, and the rows of the requirements that need no QEMU.
//!
//! `VELLUM_MODEL_OPS` sets how many random operations are tried (default 40000; `./qemu-run.sh test`
//! tries a million), `VELLUM_MODEL_SEED` where they begin, `VELLUM_MODEL_SCRIPT` a file to run instead, `VELLUM_MODEL_SCHEDULES` how many schedules of each race,
//! `VELLUM_MODEL_PLAYS` how many plays of long operations, `VELLUM_MODEL_PLAY` the number of a single one.
#![expect(clippy::disallowed_methods, reason = "tests on the host may allocate")]

mod around;
mod asid;
mod aware;
mod batch;
mod between;
mod blocks;
mod changes;
mod cloning;
mod coverage;
mod exhaustion;
mod explore;
mod explored;
mod harness;
mod instruction;
mod interleave;
mod look;
mod mover;
mod page_store;
mod paged;
mod parts;
mod perform;
mod policies;
mod query;
mod races;
mod races_of_contents;
mod races_of_moves;
mod races_of_pagers;
mod random;
mod remap;
mod remap_at_once;
mod remap_policies;
mod remap_refusals;
mod remap_spans;
mod rows;
mod span_edges;
mod spans;
mod support;
mod tags;
mod tree;
