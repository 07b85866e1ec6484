//! The model machine: an Arm machine that forgives nothing, for tests of `vellum-vm` on the host.
//!
//! Owns: frames with bytes and tags, kernel pools, translation lookaside buffers that keep every
//! translation until told otherwise, and virtual CPUs that load, store and fetch through them. It
//! implements [`vellum_vm::machine::Machine`], so the code under test is the code that runs on
//! hardware. Refuses to know: mappings, objects and what any page should hold.
//!
//! Where the architecture leaves a choice, the model takes the worst one: a walk sees the old
//! descriptor until a barrier forbids it, a TLB entry is used until its invalidation is complete,
//! a freed frame is given out again at once and full of poison. What the architecture or the
//! machine's contract forbids is a [`Violation`]: it is recorded and stops the test.
//!
//! Read `violation` first, then `walk` and `world`.
#![forbid(unsafe_op_in_unsafe_fn)]

mod audit;
mod cpu;
mod family;
mod frame;
mod lock;
mod machine;
mod options;
mod pool;
mod tlb;
mod violation;
mod walk;
mod watch;
mod world;

pub use audit::LeafView;
pub use cpu::{Cpu, Fault, FaultKind};
pub use family::{Family, Single};
pub use frame::{POISON_BYTE, POISON_TAG};
pub use lock::{SpinMutex, SpinRwLock};
pub use machine::Model;
pub use options::{Acts, ModelOptions};
pub use pool::{Pooled, PooledShared};
pub use violation::Violation;
