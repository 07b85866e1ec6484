//! The scheduler on virtual CPUs.

#![expect(clippy::disallowed_methods, reason = "tests on the host may allocate")]

mod lists;
mod machine;
mod races;
mod stops;
mod timers;
