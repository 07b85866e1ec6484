//! The scheduler on virtual CPUs.

#![expect(clippy::disallowed_methods, reason = "tests on the host may allocate")]

mod fair;
mod lists;
mod machine;
mod races;
mod shares;
mod stops;
mod timers;
