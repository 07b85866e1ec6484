//! The auditor: walks everything that lives and says what is wrong.
//!
//! Owns: the invariants that no single operation can check. Refuses to know: how to mend them. For
//! debug builds and tests; the address space is at rest while it is looked at.

use crate::addr::Page;
use crate::address_space::{AddressSpace, State};
use crate::block::BLOCK_PAGES;
use crate::block_fault::BLOCK_LEVEL;
use crate::counters::Counter;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::ObjectPage;
use crate::page_table::{Descriptor, LEAF_LEVEL, Ownership, ROOT_LEVEL, SLOTS, Table};
use vellum_abi::Protection;

/// What the auditor found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A leaf that no mapping covers.
    Orphan(Page),
    /// A leaf that breaks the invariant of descriptors: writable and shared, writable and
    /// executable, or with hardware dirty management.
    Unsound(Page),
    /// A leaf that is marked busy while nobody is at work.
    Busy(Page),
    /// A leaf that allows more than its mapping, or has another memory attribute.
    Protection(Page),
    /// A shared leaf that does not show its object's frame.
    WrongFrame(Page),
    /// A private leaf whose frame has no owner, or a writable one whose frame has several.
    Count(Page),
    /// A pointer to a shared table or block that is not the one of its mapping's object and attribute.
    WrongTable(Page),
    /// The counter of private frames does not fit.
    PrivateFrames,
    /// The counter of private blocks, or the tables kept for their splits, do not fit.
    Blocks,
    /// The counter of table frames does not fit.
    TableFrames,
    /// The tree of mappings is not in order, or a node of it does not know the truth.
    Mappings,
}

/// What was counted on the way.
#[derive(Default)]
struct Tally {
    private: u64,
    tables: u64,
    blocks: u64,
}

impl<M: Machine> AddressSpace<M> {
    /// Checks everything.
    ///
    /// # Errors
    /// The first [`Finding`].
    pub fn audit(&self) -> Result<(), Finding> {
        // Exclusively: a fault counts its leaf after it has published it, both under the shared lock.
        let state = self.state.write();
        if state.changing.is_some() {
            return Ok(());
        }
        if !state.mappings.is_sound() {
            return Err(Finding::Mappings);
        }
        let mut tally = Tally::default();
        self.audit_table(&state, self.root, ROOT_LEVEL, Page::from_number(0), &mut tally)?;
        if tally.private != self.counters.value(Counter::PrivateFrames) {
            return Err(Finding::PrivateFrames);
        }
        let reserve = self.reserve.lock().count();
        if tally.blocks != reserve || tally.blocks != self.counters.value(Counter::Blocks) {
            return Err(Finding::Blocks);
        }
        if tally.tables + reserve != self.counters.value(Counter::TableFrames) {
            return Err(Finding::TableFrames);
        }
        Ok(())
    }

    fn audit_table(
        &self,
        state: &State<M>,
        table: Table,
        level: u32,
        start: Page,
        tally: &mut Tally,
    ) -> Result<(), Finding> {
        tally.tables += 1;
        for index in 0..SLOTS {
            let descriptor = self.machine.read(table.slot(index));
            let page = start.add((index as u64) << (9 * (LEAF_LEVEL - level)));
            if descriptor == Descriptor::BUSY {
                return Err(Finding::Busy(page));
            }
            if !descriptor.is_valid() {
                continue;
            }
            if level == BLOCK_LEVEL && descriptor.is_block() {
                self.audit_block(state, page, descriptor, tally)?;
            } else if level != LEAF_LEVEL && descriptor.is_shared_table() {
                audit_pointer(state, page, level, descriptor)?;
            } else if level == LEAF_LEVEL {
                self.audit_leaf(state, page, descriptor, tally)?;
            } else {
                let next = Table::new(descriptor.frame());
                self.audit_table(state, next, level + 1, page, tally)?;
            }
        }
        Ok(())
    }

    fn audit_block(
        &self,
        state: &State<M>,
        start: Page,
        block: Descriptor,
        tally: &mut Tally,
    ) -> Result<(), Finding> {
        let mapping = state.mappings.find(start).ok_or(Finding::Orphan(start))?;
        if !mapping.covers_span(start, BLOCK_LEVEL) {
            return Err(Finding::Orphan(start.max(mapping.range.end())));
        }
        if block.is_private_block() {
            tally.blocks += 1;
            let mut pages = (0..BLOCK_PAGES).map(|index| start.add(index));
            return pages.try_for_each(|page| {
                self.audit_leaf(state, page, block.page_of_block(page), tally)
            });
        }
        let shown = mapping.object.shared_block();
        let wanted = shown.map(|first| Descriptor::shared_block(first, mapping.protection));
        let right = mapping.shows_blocks() && wanted == Some(block);
        if right { Ok(()) } else { Err(Finding::WrongTable(start)) }
    }

    fn audit_leaf(
        &self,
        state: &State<M>,
        page: Page,
        leaf: Descriptor,
        tally: &mut Tally,
    ) -> Result<(), Finding> {
        let mapping = state.mappings.find(page).ok_or(Finding::Orphan(page))?;
        if !leaf.is_sound() {
            return Err(Finding::Unsound(page));
        }
        if leaf.ownership() == Ownership::Private {
            tally.private += 1;
            return self.audit_private(mapping, page, leaf);
        }
        if leaf.with_protection(mapping.protection) != leaf {
            return Err(Finding::Protection(page));
        }
        if shown_frame(mapping, page) == Some(leaf.frame()) {
            Ok(())
        } else {
            Err(Finding::WrongFrame(page))
        }
    }
}

/// Checks a slot of a table at `level` that points to a shared table: the object's for the memory
/// attribute, and nothing outside the mapping is below it.
fn audit_pointer<M: Machine>(
    state: &State<M>,
    page: Page,
    level: u32,
    pointer: Descriptor,
) -> Result<(), Finding> {
    let mapping = state.mappings.find(page).ok_or(Finding::Orphan(page))?;
    if !mapping.covers_span(page, level) {
        return Err(Finding::Orphan(page.max(mapping.range.end())));
    }
    let table = mapping.object.shared_table(mapping.protection, level + 1);
    if mapping.shares_tables() && table.map(Descriptor::shared_table) == Some(pointer) {
        Ok(())
    } else {
        Err(Finding::WrongTable(page))
    }
}

impl<M: Machine> AddressSpace<M> {
    /// Checks a leaf of the process's own frame: after a clone it may allow less than its mapping.
    fn audit_private(
        &self,
        mapping: &Mapping<M>,
        page: Page,
        leaf: Descriptor,
    ) -> Result<(), Finding> {
        let full = leaf.with_protection(mapping.protection);
        if ![full, full.read_only(), leaf.without_access()].contains(&leaf) {
            return Err(Finding::Protection(page));
        }
        let count = self.machine.frame_count(leaf.frame());
        let writable = leaf.protection().contains(Protection::WRITE);
        if count == 0 || writable && count != 1 { Err(Finding::Count(page)) } else { Ok(()) }
    }
}

/// Returns the frame that a shared leaf of a page must have.
fn shown_frame<M: Machine>(mapping: &Mapping<M>, page: Page) -> Option<crate::addr::FrameAddress> {
    match mapping.object.page(mapping.object_page(page)) {
        ObjectPage::Reference(frame, _) | ObjectPage::Fixed(frame) => Some(frame.address()),
        ObjectPage::Frameless(_) => None,
        ObjectPage::Memory(frame) => frame.map(|frame| frame.address()),
        ObjectPage::Device(frame) | ObjectPage::Watched(frame) => Some(frame.address()),
    }
}
