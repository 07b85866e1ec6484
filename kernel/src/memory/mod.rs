//! Memory of the machine, as the kernel hands it out.
//!
//! Owns: the address map, frames, the heap and the pools over it, and the hardware's side of the
//! VM subsystem's machine trait. Refuses to know: mappings and processes.

pub mod accounts;
pub mod archive;
mod blocks;
pub mod contention;
pub mod frame_cache;
pub mod frames;
pub mod graves;
pub mod heap;
mod heap_tags;
pub mod injection;
pub mod layout;
pub mod machine;
pub mod plants;
mod poison;
pub mod pools;
pub mod ranges;
mod slabs;
