//! The architecture: everything that knows its registers or its assembly.

mod aarch64;

pub use aarch64::{
    boot, cache, context, cpu, features, kernel_map, mmu, mte, page_fill, pmu, syndrome, sysreg,
    thread_registers, timer, tlb, user_copy, vectors,
};
