//! Operations on an address space, one a file.
//!
//! Each has two parts. *Begin* checks everything and takes all memory that it will need; it may
//! refuse, and then nothing has changed. From there on it cannot fail, but for `remap`, whose memory
//! is taken in steps too: a change that fails there has changed nothing. What may take long is a
//! [`Change`]: it marks its range *changing* and goes on in bounded steps, between which the lock
//! is free and interrupts may be taken. Faults and operations that meet the mark come again later.

mod access;
mod advise;
mod at_once;
mod carry;
mod change;
mod clone;
mod leaves;
mod map;
mod move_frames;
mod policy;
mod populate;
mod promote;
mod prospect;
mod protect;
mod query;
mod relocation;
mod remap;
mod removal;
mod reserve;
mod route;
mod spans;
mod split;
mod sweeps;
mod unmap;

pub use access::AccessRefusal;
pub use change::{Change, Progress};
pub use clone::Cloning;
pub use map::MapRequest;
pub use promote::Promotion;
pub use remap::RemapRequest;
