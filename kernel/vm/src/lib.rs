//! Vellum's virtual memory subsystem.
//!
//! Owns: addresses, reference objects, memory objects, mappings, address spaces, translation
//! tables, the fault handler and every operation that changes a mapping, with the order of each
//! architectural step. Refuses to know: registers, assembly, processes, handles, how a frame or a
//! lock is made. All of that is behind one trait, [`machine::Machine`], which the kernel implements
//! on hardware and `vellum-model` on the host, so that the code tested is the code that runs.
//!
//! There is no `unsafe` in this crate, yet it is trusted: one wrong descriptor breaks memory
//! safety. Read `fault` first, then `decide`, then `page_table`.
#![no_std]
#![forbid(unsafe_code)]

pub mod account;
pub mod addr;
pub mod address_space;
mod around;
pub mod asid;
pub mod audit;
mod batch;
pub mod block;
mod block_fault;
mod content;
pub mod counters;
pub mod decide;
pub mod error;
pub mod facts;
pub mod fault;
pub mod fill;
pub mod flush;
pub mod frame;
pub mod hint;
mod in_place;
pub mod instruction;
pub mod machine;
pub mod mapping;
pub mod mappings;
pub mod object;
mod object_spans;
pub mod ops;
pub mod page_store;
pub mod page_table;
pub mod paged;
mod plan;
pub mod refpage;
pub mod remains;
pub mod request;
mod reserve;
pub mod sequence;
mod span_fault;
mod stored;
mod supply;
pub mod syndrome;
pub mod tag;
pub mod tag_pages;
mod task;
mod unshare;

pub use block_fault::BlockFault;
