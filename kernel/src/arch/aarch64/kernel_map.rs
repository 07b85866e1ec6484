//! The kernel's translation tables.
//!
//! Owns: descriptors of the upper half and their permissions; no page is writable and executable,
//! none is reachable from EL0, all are global. Refuses to know: which ranges there are (`boot`).
//! The tables are made once, at boot, and never change afterwards.

use crate::memory::layout::{BLOCK_SIZE, direct};
use vellum_abi::PAGE_SIZE;
use vellum_vm::addr::FrameAddress;
use vellum_vm::page_table::{MemoryKind, SLOTS};

/// What a range of the upper half is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Code: executable, read-only.
    Code,
    /// Constants: read-only.
    Constants,
    /// Variables and stacks.
    Data,
    /// RAM at its physical address, with tags.
    Direct,
    /// Device registers.
    Device,
}

// Arm ARM, "VMSAv8-64 Block descriptor and Page descriptor formats".
const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 1 << 1;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 0b11 << 8;
const ACCESS_FLAG: u64 = 1 << 10;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const FRAME: u64 = 0x0000_ffff_ffff_f000;

impl Area {
    /// Returns the bits of a leaf, its address and its level's bit 1 left out.
    const fn bits(self) -> u64 {
        let kind = match self {
            Area::Code | Area::Constants | Area::Data => MemoryKind::Normal,
            Area::Direct => MemoryKind::Tagged,
            Area::Device => MemoryKind::Device,
        };
        let permission = match self {
            Area::Code => READ_ONLY,
            Area::Constants => READ_ONLY | PXN,
            Area::Data | Area::Direct | Area::Device => PXN,
        };
        VALID | INNER_SHAREABLE | ACCESS_FLAG | UXN | kind.bits() | permission
    }
}

/// Tables under construction. `allocate_fn` gives the physical address of a zeroed frame that the
/// direct map covers.
pub struct KernelMap<F> {
    root: u64,
    allocate_fn: F,
}

impl<F: FnMut() -> u64> KernelMap<F> {
    /// Makes an empty root table.
    pub fn new(mut allocate_fn: F) -> KernelMap<F> {
        KernelMap { root: allocate_fn(), allocate_fn }
    }

    /// Returns the root table.
    pub fn root(&self) -> FrameAddress {
        FrameAddress::containing(self.root)
    }

    /// Maps `length` bytes, by the largest leaves that fit.
    ///
    /// # Panics
    /// Where something is mapped already, or a value is not a multiple of the page size.
    pub fn map(&mut self, address: u64, physical: u64, length: u64, area: Area) {
        assert!((address | physical | length).is_multiple_of(PAGE_SIZE), "unaligned kernel map");
        let mut done = 0;
        while done < length {
            let (address, physical) = (address + done, physical + done);
            let level = leaf_level(address | physical, length - done);
            self.map_leaf(address, physical, level, area);
            done += leaf_size(level);
        }
    }

    fn map_leaf(&mut self, address: u64, physical: u64, level: u32, area: Area) {
        let mut table = self.root;
        for above in 0..level {
            table = self.next_table(slot(table, address, above));
        }
        let page = if level == 3 { TABLE_OR_PAGE } else { 0 };
        let slot = slot(table, address, level);
        assert!(read(slot) == 0, "kernel map has two meanings for {address:#x}");
        write(slot, physical | area.bits() | page);
    }

    fn next_table(&mut self, slot: *mut u64) -> u64 {
        let descriptor = read(slot);
        if descriptor == 0 {
            let table = (self.allocate_fn)();
            write(slot, table | VALID | TABLE_OR_PAGE);
            return table;
        }
        assert!(descriptor & TABLE_OR_PAGE != 0, "kernel map has a block in the way");
        descriptor & FRAME
    }
}

/// Returns the bytes that a leaf of a level covers.
const fn leaf_size(level: u32) -> u64 {
    PAGE_SIZE << (9 * (3 - level))
}

/// Returns the level of the largest leaf for an aligned start and a length.
fn leaf_level(start: u64, length: u64) -> u32 {
    let fits = |level: &u32| start.is_multiple_of(leaf_size(*level)) && length >= leaf_size(*level);
    (1..3).find(fits).unwrap_or(3)
}

/// Returns where the descriptor for an address is in a table.
fn slot(table: u64, address: u64, level: u32) -> *mut u64 {
    let index = (address >> (12 + 9 * (3 - level))) as usize % SLOTS;
    core::ptr::with_exposed_provenance_mut(direct(table) as usize + 8 * index)
}

fn read(slot: *mut u64) -> u64 {
    // SAFETY: `slot` is inside a table frame that only this builder has, reached by the direct map.
    unsafe { slot.read() }
}

fn write(slot: *mut u64, descriptor: u64) {
    // SAFETY: As in `read`.
    unsafe { slot.write(descriptor) }
}

const _: () = assert!(leaf_size(2) == BLOCK_SIZE);
