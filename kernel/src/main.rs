//! The Vellum kernel.
//!
//! Boot and everything that touches hardware; processes and their system calls. The memory
//! subsystem itself is `vellum-vm`, which this crate gives a machine to run on. Read `boot` first,
//! then `arch::vectors`, then `trap`.
#![no_std]
#![no_main]
#![expect(unreachable_pub, reason = "nothing of a program is reachable from outside")]

extern crate alloc;

mod arch;
mod boot;
mod ipc;
mod masked;
mod memory;
mod panic;
mod percpu;
mod platform;
mod process;
mod syscall;
mod trap;
