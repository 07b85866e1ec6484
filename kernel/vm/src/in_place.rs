//! Faults on leaves that stay where they are: one word changes, and no frame.
//!
//! Owns: giving a live leaf permissions or its access flag, and forgetting stale copies of it.
//! Refuses to know: whether it may have them, which `decide` has said. Others rely on this: a change is one compare-and-exchange from what
//! was seen, so that a flag that hardware sets meanwhile is never lost.

use crate::addr::Page;
use crate::address_space::AddressSpace;
use crate::counters::Counter;
use crate::decide::{Obstacle, obstacle};
use crate::flush::flush_pages;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::ObjectPage;
use crate::page_table::{Descriptor, Slot};
use crate::task::Attempt;

impl<M: Machine> AddressSpace<M> {
    /// Gives a leaf the permissions of its mapping; frame and attribute stay, so one store does.
    /// The old permissions may stay cached, and the access would fault for ever: they are flushed.
    #[cold]
    pub(crate) fn upgrade(
        &self,
        mapping: &Mapping<M>,
        page: Page,
        slot: Slot,
        seen: Descriptor,
    ) -> Attempt {
        // A watched leaf allows all but stores.
        if seen.is_watched()
            && matches!(mapping.object.page(mapping.object_page(page)), ObjectPage::Watched(_))
        {
            return Attempt::Absent;
        }
        // Its process has the frame alone, or `decide` would have had it copied. The page is about
        // to be used: without the flag, a CPU that does not set it would fault once more.
        let leaf = seen.unwatched().with_protection(mapping.protection).accessed();
        debug_assert!(seen.may_become(leaf), "a change that needs break-before-make");
        if self.machine.exchange(slot, seen, leaf).is_err() {
            return Attempt::Again;
        }
        flush_pages(self, core::iter::once(page));
        self.counters.add(Counter::Upgrade, 1);
        Attempt::Done
    }

    /// Takes away what stops an access that a leaf allows.
    #[cold]
    pub(crate) fn clear_way(&self, page: Page, slot: Slot, seen: Descriptor) -> Attempt {
        match obstacle(seen) {
            // A stale entry is legal after a leaf was given more permission without TLBI.
            Obstacle::Translation => flush_pages(self, core::iter::once(page)),
            Obstacle::AccessFlag => {
                // CPUs may be unlike: one made the leaf and counts on its flag, another uses it.
                if self.machine.exchange(slot, seen, seen.accessed()).is_err() {
                    return Attempt::Again;
                }
                // Orders the flag before the access that is tried again. No TLB holds a leaf
                // without it, so nothing is flushed.
                self.machine.dsb_ishst();
            }
        }
        self.counters.add(Counter::Spurious, 1);
        Attempt::Done
    }
}
