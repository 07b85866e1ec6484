//! Fault-around: a read fault maps the neighbours too.
//!
//! Owns: which neighbours. Off unless the mapping asks for it ([`Mapping::around`]). Refuses to
//! take a frame: only what the object has already is shown, read-only or as the mapping's own fault
//! would show it, so that nothing but the number of faults changes.

use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::counters::Counter;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::page_table::{Descriptor, LEAF_LEVEL, Slot};
use crate::plan::leaf_of;
use vellum_abi::Protection;

impl<M: Machine> AddressSpace<M> {
    /// Maps what is empty in the aligned window of `2^around` pages around a page, which is about to
    /// be mapped at `slot`. No barrier: the one behind the page's own leaf orders all of them.
    ///
    /// A window is no wider than a table and aligned, so it lies in the table of `slot`.
    #[cold]
    pub(crate) fn map_around(
        &self,
        state: &State<M>,
        mapping: &Mapping<M>,
        page: Page,
        slot: Slot,
    ) {
        // Code would have to be synchronised frame by frame before each leaf.
        let executable = mapping.protection.contains(Protection::EXECUTE);
        if executable || state.changing.is_some() {
            return;
        }
        let Some(window) = window(mapping, page) else { return };
        let first = mapping.object_page(window.start());
        let table = slot.table();
        let start = window.start().table_index(LEAF_LEVEL);
        let (sharing, protection) = (mapping.sharing, mapping.protection);
        let mut mapped = 0;
        for number in 0..window.pages() as usize {
            let neighbour = table.slot(start + number);
            if neighbour == slot || self.machine.read(neighbour) != Descriptor::EMPTY {
                continue;
            }
            let shown = mapping.object.page(first + number as u64);
            let Some(leaf) = leaf_of(shown, sharing, protection) else { continue };
            let done = self.machine.exchange(neighbour, Descriptor::EMPTY, leaf);
            mapped += u64::from(done.is_ok());
        }
        self.counters.add(Counter::Around, mapped);
    }
}

/// Returns the part of the aligned window around a page that the mapping covers.
fn window<M: Machine>(mapping: &Mapping<M>, page: Page) -> Option<PageRange> {
    let pages = 1_u64 << mapping.around;
    let start = Page::from_number(page.number() & !(pages - 1));
    PageRange::between(start, start.add(pages))?.intersection(&mapping.range)
}
