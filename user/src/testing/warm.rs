//! Making a program's own pages present, so that later faults are those of the test.

use crate::calls;
use alloc::vec::Vec;
use core::arch::asm;
use core::hint::black_box;
use vellum_abi::{Handle, MappingInfo, PAGE_SIZE, Protection, USER_START};

/// How much heap is there afterwards.
const HEAP_BYTES: usize = 16 * 1024;

/// Touches every page of every mapping of this process: reads it, and writes back what it read
/// where that is allowed. Also gives the heap its first chunk.
pub fn warm() {
    drop(black_box(Vec::<u8>::with_capacity(HEAP_BYTES)));
    let mut address = USER_START;
    while let Ok(mapping) = calls::query_mapping(Handle::SELF, address) {
        touch(&mapping);
        address = mapping.start + mapping.length;
    }
}

fn touch(mapping: &MappingInfo) {
    let allows = |protection: Protection| mapping.protection & protection.bits() != 0;
    for offset in (0..mapping.length).step_by(PAGE_SIZE as usize) {
        let page = core::ptr::with_exposed_provenance_mut((mapping.start + offset) as usize);
        if allows(Protection::WRITE) {
            write_back(page);
        } else if allows(Protection::READ) {
            read(page);
        }
    }
}

/// Stores the byte that is there. In one block, because the page may be the stack of this very
/// function: between load and store the compiler must not change it.
fn write_back(page: *mut u8) {
    // SAFETY: the mapping allows both accesses, and no byte changes.
    unsafe {
        asm!(
            "ldrb {byte:w}, [{page}]",
            "strb {byte:w}, [{page}]",
            byte = out(reg) _,
            page = in(reg) page,
            options(nostack, preserves_flags),
        );
    }
}

fn read(page: *mut u8) {
    // SAFETY: the mapping allows the load, whose result nobody uses.
    unsafe {
        asm!(
            "ldrb {byte:w}, [{page}]",
            byte = out(reg) _,
            page = in(reg) page,
            options(nostack, preserves_flags, readonly),
        );
    }
}
