//! Cache maintenance for code that was written as data.
//!
//! Owns: line sizes and what the CPU makes unnecessary (CTR_EL0). Refuses to know: when a page
//! becomes executable.

use crate::arch::sysreg::CTR_EL0;
use crate::arch::{cpu, tlb};
use aarch64_cpu::registers::Readable;
use core::arch::asm;
use vellum_abi::PAGE_SIZE;

/// Makes what was written to a page visible to instruction fetch on every CPU
/// (Arm ARM, "Synchronization and coherency issues between data and instruction accesses").
///
/// # Safety
/// `page` is the start of a page in the direct map.
pub unsafe fn sync_executable(page: *mut u8) {
    if !CTR_EL0.is_set(CTR_EL0::IDC) {
        for_each_line(page, 4 << CTR_EL0.read(CTR_EL0::DMINLINE), |line| {
            // SAFETY: Cleans a line of mapped memory; no content changes.
            unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
        });
    }
    // Data is at the point of unification before any instruction line is invalidated.
    tlb::dsb_ish();
    if !CTR_EL0.is_set(CTR_EL0::DIC) {
        if CTR_EL0.matches_all(CTR_EL0::L1IP::PhysicallyIndexed) {
            for_each_line(page, 4 << CTR_EL0.read(CTR_EL0::IMINLINE), |line| {
                // SAFETY: Invalidates a line of mapped memory; no content changes.
                unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
            });
        } else {
            // An instruction cache indexed by virtual address may hold the page's user alias.
            // SAFETY: Invalidates instruction caches; no content changes.
            unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) };
        }
        // Invalidation is complete on every CPU before anybody is told of the page.
        tlb::dsb_ish();
    }
    cpu::isb();
}

fn for_each_line(page: *mut u8, line_bytes: usize, line_fn: impl Fn(usize)) {
    let start = page.addr();
    (start..start + PAGE_SIZE as usize).step_by(line_bytes).for_each(line_fn);
}
