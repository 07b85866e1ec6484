//! The runtime of Vellum programs: everything between a program and the kernel.
//!
//! Owns: the entry point, system-call stubs, console, heap, memory and tag routines, the loader,
//! and what tests and demonstrations share. Refuses to know: how the kernel does its part; that
//! is in `vellum_abi` alone.
//!
//! A program is a `no_std`, `no_main` binary for `aarch64-unknown-none`:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! use vellum_user::{Arguments, println};
//!
//! vellum_user::entry!(main);
//!
//! fn main(arguments: &Arguments) {
//!     println!("hello from {}", arguments.program());
//! }
//! ```
//!
//! Read [`mod@entry`] and [`calls`] first, then [`mapping`], [`loader`] and, for tests, [`testing`].
//!
//! The modules that need no kernel ([`loader::image`], [`start_block`], [`figures`], [`monitor`]) also build on
//! the host, where their unit tests run; all others exist on bare metal only.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub use vellum_abi as abi;

pub mod figures;
pub mod loader;
pub mod monitor;
pub mod services;
pub mod start_block;

#[cfg(target_os = "none")]
pub mod allocators;
#[cfg(target_os = "none")]
pub mod benchmark;
#[cfg(target_os = "none")]
pub mod calls;
#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod counter;
#[cfg(target_os = "none")]
pub mod devices;
#[cfg(target_os = "none")]
pub mod entry;
#[cfg(target_os = "none")]
pub mod fork;
#[cfg(target_os = "none")]
pub mod handles;
#[cfg(target_os = "none")]
pub mod heap;
#[cfg(target_os = "none")]
pub mod lock;
#[cfg(target_os = "none")]
pub mod mapping;
#[cfg(target_os = "none")]
pub mod memory;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod promotion;
#[cfg(target_os = "none")]
pub mod raw;
#[cfg(target_os = "none")]
pub mod scaling;
#[cfg(target_os = "none")]
pub mod sweep;
#[cfg(target_os = "none")]
pub mod system;
#[cfg(target_os = "none")]
pub mod tags;
#[cfg(target_os = "none")]
pub mod testing;
#[cfg(target_os = "none")]
pub mod threads;
#[cfg(target_os = "none")]
pub mod time;
#[cfg(target_os = "none")]
pub mod ways;

#[cfg(target_os = "none")]
pub use {
    entry::Arguments,
    handles::{Account, Endpoint, Interrupt, MemoryObject, Notification, Process, Thread},
    mapping::{MapRequest, Mapping},
};
