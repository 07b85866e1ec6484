//! The host side of Vellum: everything behind `qemu-run.sh`, and what its tests share.
//!
//! Owns: building the kernel and the programs, writing the boot archive, starting and ending QEMU,
//! judging how it ended, figures, set-up of missing tools and the checks of the tree. Refuses to
//! know: how the kernel works. All that crosses between the two is `vellum-abi`, the text on the
//! serial line and the exit status.
//!
//! Read `commands` first: one file for each sub-command.
#![forbid(unsafe_code)]

pub mod build;
pub mod checks;
pub mod child;
pub mod command_line;
pub mod commands;
pub mod failure;
pub mod figures;
pub mod image;
pub mod install;
pub mod launch;
pub mod linux;
pub mod mutants;
pub mod programs;
pub mod qemu;
pub mod tree;
