//! Break-before-make.
//!
//! Owns: the order invalid descriptor, DSB, TLBI, DSB, new descriptor (Arm ARM, "Using
//! break-before-make when updating translation table entries"). Refuses to know: why a leaf
//! changes. A [`Broken`] proves that the first four are done; it can only be spent by writing the
//! new descriptor.

use crate::addr::Page;
use crate::address_space::AddressSpace;
use crate::counters::Counter;
use crate::machine::Machine;
use crate::page_table::{Descriptor, Slot};

/// A slot whose leaf is gone from memory and from every TLB.
#[must_use = "the slot stays busy until a descriptor is made"]
pub struct Broken(Slot);

impl Broken {
    /// Publishes the new descriptor.
    #[inline]
    pub fn make<M: Machine>(self, machine: &M, descriptor: Descriptor) {
        machine.write(self.0, descriptor);
        // Orders the new leaf before the access that is tried again.
        machine.dsb_ishst();
        machine.isb();
    }
}

/// Breaks the leaf of a page if it is still `leaf`; other CPUs see BUSY until it is made.
#[inline]
pub fn break_leaf<M: Machine>(
    space: &AddressSpace<M>,
    slot: Slot,
    page: Page,
    leaf: Descriptor,
) -> Option<Broken> {
    space.machine.exchange(slot, leaf, Descriptor::BUSY).ok()?;
    flush_pages(space, core::iter::once(page));
    Some(Broken(slot))
}

/// Breaks what a slot above the last level holds, on the way to a page, if it is still
/// `descriptor`; walks that meet BUSY until it is made come again.
///
/// One invalidation by address does where what is made translates every other page as before.
pub(crate) fn break_table<M: Machine>(
    space: &AddressSpace<M>,
    slot: Slot,
    page: Page,
    descriptor: Descriptor,
) -> Option<Broken> {
    let machine = &space.machine;
    machine.exchange(slot, descriptor, Descriptor::BUSY).ok()?;
    // Orders the invalid descriptor, and the words of the table that comes, before the TLBI.
    machine.dsb_ishst();
    // VAE1IS and not VALE1IS: walk caches hold the descriptor that goes.
    machine.tlbi_page(space.asid(), page);
    space.counters.add(Counter::Tlbi, 1);
    // Nobody walks by the old descriptor when this completes.
    machine.dsb_ish();
    Some(Broken(slot))
}

/// Removes everything of an address space from every TLB: leaves that were made
/// read-only before, or descriptors above the last level that were made invalid, below which any number
/// of leaves may be cached.
pub fn flush_space<M: Machine>(space: &AddressSpace<M>) {
    // Orders the new descriptors before the TLBI, as in `flush_pages`.
    space.machine.dsb_ishst();
    space.machine.tlbi_asid(space.asid());
    // The old translations are used by nobody when this completes.
    space.machine.dsb_ish();
    space.counters.add(Counter::Tlbi, 1);
}

/// Removes the leaves of pages from every TLB. Their descriptors were made invalid, or given more
/// permissions, before.
#[inline]
pub fn flush_pages<M: Machine>(space: &AddressSpace<M>, pages: impl Iterator<Item = Page>) {
    let machine = &space.machine;
    // Orders the new descriptors before the TLBI: no walk after it can find an old leaf. The
    // identifier is read behind it, so that a CPU that takes a new one later walks later too.
    machine.dsb_ishst();
    let asid = space.asid();
    let mut count = 0;
    for page in pages {
        machine.tlbi_leaf(asid, page);
        count += 1;
    }
    space.counters.add(Counter::Tlbi, count);
    // The old translations are used by nobody when this completes.
    machine.dsb_ish();
}
