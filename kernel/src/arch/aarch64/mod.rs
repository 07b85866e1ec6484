//! AArch64: the only assembly and the only system registers of Vellum.
//!
//! Owns: how an act is done on this architecture. Refuses to know: when and why; the order of acts
//! is the VM subsystem's and the callers'. Baseline is Armv8.0-A; everything above it is detected
//! by `features` and used only then.

pub mod boot;
pub mod cache;
pub mod context;
mod copy;
pub mod cpu;
mod entry_el2;
pub mod features;
pub mod kernel_map;
pub mod mmu;
pub mod mte;
pub mod page_fill;
mod page_loops;
pub mod pmu;
pub mod syndrome;
pub mod sysreg;
pub mod thread_registers;
pub mod timer;
pub mod tlb;
pub mod user_copy;
pub mod vectors;
