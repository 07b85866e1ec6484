//! Which address space each CPU has active.
//!
//! Owns: the identifiers, and the CPU's hold of the process whose tables its translation base register
//! names, so that no root table is freed before. Refuses to know: threads.

use super::{Process, parting};
use crate::arch::mmu;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::percpu;
use core::ptr;
use vellum_vm::asid::AsidAllocator;

/// Who has which identifier.
static ASIDS: AsidAllocator<Hardware> = AsidAllocator::new();

/// Sets how many bits identifiers have, before any process runs. Returns whether that is enough for
/// `cpus` CPUs and one more; identifier 0 is nobody's.
pub fn set_asid_bits(bits: u32, cpus: usize) -> bool {
    ASIDS.set_bits(bits);
    cpus + 2 <= 1 << bits
}

/// Returns how many bits identifiers have.
pub fn asid_bits() -> u32 {
    ASIDS.bits()
}

/// Activates a process's tables on this CPU.
#[inline(always)]
pub(super) fn activate(process: &PoolArc<Process>) {
    let is_it = |active: &PoolArc<Process>| ptr::eq(&raw const **active, &raw const **process);
    if !percpu::active().is_some_and(is_it) {
        enter_space(process);
    }
}

/// Activates the tables of a process other than the one whose are.
#[inline(always)]
fn enter_space(process: &PoolArc<Process>) {
    let enter = |asid| mmu::activate(process.space.root().frame(), asid);
    let slot = process.space.asid_slot();
    ASIDS.activate(&Hardware, percpu::id(), slot, enter);
    // Perhaps the last to hold the one before: behind the write of the base register.
    drop(percpu::set_active(Some(process.clone())));
    parting::has_active(Some(process));
}

/// Leaves this CPU without an address space.
pub(super) fn leave_space() {
    if percpu::active().is_none() {
        return;
    }
    mmu::activate_none();
    ASIDS.deactivate(percpu::id());
    drop(percpu::set_active(None));
    parting::has_active(None);
}
