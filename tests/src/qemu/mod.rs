//! QEMU: which one there is, how it is called, one boot from start to end and what it means.

mod boot;
mod machine;
mod verdict;
mod version;

pub use boot::{Boot, boot};
pub(crate) use machine::DEFAULT_SEED;
pub use machine::Machine;
pub use verdict::{Verdict, judge};
pub use version::{MINIMUM, Qemu, Version};
