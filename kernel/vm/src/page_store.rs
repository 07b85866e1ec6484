//! The pages of a memory object.
//!
//! Owns: which frame holds which page, in a radix tree of 512-way nodes that are frames of words,
//! reached through the machine as translation tables are. Refuses to know: who maps the object.
//! A page is committed by one compare-and-exchange and stays until the object goes, so a frame
//! that was found once may be used as long as the object is held. What else a slot may hold, of
//! an object with a pager, is `paged`'s.

use crate::account::Account;
use crate::error::VmError;
use crate::fill::{Fill, Written};
use crate::frame::{ObjectFrame, OwnedFrame, allocate, free};
use crate::machine::Machine;
use crate::page_table::{Descriptor, SLOTS, Slot, Table, allocate_table, free_table};
use crate::tag::Tag;
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::Protection;

/// The most pages that an object may have: what a user half can map.
pub const MAX_PAGES: u64 = 1 << 35;

/// The frames of one memory object.
#[derive(Debug)]
pub struct PageStore {
    root: Table,
    /// Levels of nodes above the pages, at least one.
    depth: u32,
    pages: u64,
    committed: AtomicU64,
}

/// Where the search for a page ended.
enum Place {
    /// The slot of the page.
    Page(Slot),
    /// The slot of the next node, which is missing.
    Node(Slot),
}

impl PageStore {
    /// Returns a store of `pages` uncommitted pages.
    ///
    /// # Errors
    /// `InvalidSize` for zero or more than [`MAX_PAGES`]; `OutOfFrames`, `LimitReached`.
    pub fn new<M: Machine>(
        machine: &M,
        account: &Account,
        pages: u64,
    ) -> Result<PageStore, VmError> {
        if pages == 0 || pages > MAX_PAGES {
            return Err(VmError::InvalidSize);
        }
        let mut depth = 1;
        while pages > 1 << (9 * depth) {
            depth += 1;
        }
        let root = allocate_table(machine, account)?;
        Ok(PageStore { root, depth, pages, committed: AtomicU64::new(0) })
    }

    /// Returns the root node.
    pub(crate) fn root(&self) -> Table {
        self.root
    }

    /// Returns how many pages the object has.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Returns how many pages have a frame.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Returns the frame of a committed page.
    pub fn frame<M: Machine>(&self, machine: &M, page: u64) -> Option<ObjectFrame> {
        let word = self.word(machine, page);
        word.is_valid().then(|| ObjectFrame::of_object(word.frame()))
    }

    /// Gives a page a frame of zeros under tag zero unless it has one.
    ///
    /// Takes no lock. Of two callers at once one finds the other's frame and frees its own.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub fn commit<M: Machine>(
        &self,
        machine: &M,
        account: &Account,
        page: u64,
    ) -> Result<Option<Written>, VmError> {
        let slot = self.slot(machine, account, page)?;
        if machine.read(slot).is_valid() {
            return Ok(None);
        }
        self.fill_slot(machine, account, slot)
    }

    /// Returns what the slot of a page holds.
    pub(crate) fn word<M: Machine>(&self, machine: &M, page: u64) -> Descriptor {
        match self.find(machine, page) {
            Place::Page(slot) => machine.read(slot),
            Place::Node(_) => Descriptor::EMPTY,
        }
    }

    /// Returns the slot of a page, with the nodes on the way to it.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub(crate) fn slot<M: Machine>(
        &self,
        machine: &M,
        account: &Account,
        page: u64,
    ) -> Result<Slot, VmError> {
        loop {
            match self.find(machine, page) {
                Place::Page(slot) => return Ok(slot),
                Place::Node(slot) => {
                    let node = allocate_table(machine, account)?;
                    let link = Descriptor::table(node);
                    if machine.exchange(slot, Descriptor::EMPTY, link).is_err() {
                        free_table(machine, account, node);
                    }
                }
            }
        }
    }

    /// Gives at most `budget` pages back. Returns whether they were the last; then the store is gone.
    /// The caller knows that nobody can reach the object any more.
    pub fn clear_some<M: Machine>(&self, machine: &M, account: &Account, budget: u32) -> bool {
        let mut budget = budget;
        clear_node(machine, account, self.root, self.depth, &mut budget)
    }

    fn find<M: Machine>(&self, machine: &M, page: u64) -> Place {
        let mut node = self.root;
        for level in (1..self.depth).rev() {
            let slot = node.slot((page >> (9 * level)) as usize);
            let word = machine.read(slot);
            if !word.is_valid() {
                return Place::Node(slot);
            }
            node = Table::new(word.frame());
        }
        Place::Page(node.slot(page as usize))
    }

    fn fill_slot<M: Machine>(
        &self,
        machine: &M,
        account: &Account,
        slot: Slot,
    ) -> Result<Option<Written>, VmError> {
        // Tags are cleared for whoever maps the object as Tagged memory, now or later.
        let tagged = if machine.has_tags() { Protection::TAGGED } else { Protection::NONE };
        let frame = allocate(machine, account)?;
        let (frame, written) = Fill::Zero(Tag::ZERO).apply(machine, frame, tagged);
        let word = Descriptor::stored(frame);
        if machine.exchange(slot, Descriptor::EMPTY, word).is_err() {
            free(machine, account, OwnedFrame::from_slot(word.frame()).discard());
            return Ok(None);
        }
        self.count_one();
        Ok(Some(written))
    }

    /// Counts a page that has got a frame.
    pub(crate) fn count_one(&self) {
        self.committed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Empties a node as far as the budget goes. Returns whether it is empty, and then gives it back.
fn clear_node<M: Machine>(
    machine: &M,
    account: &Account,
    node: Table,
    depth: u32,
    budget: &mut u32,
) -> bool {
    for slot in (0..SLOTS).map(|index| node.slot(index)) {
        let word = machine.read(slot);
        if !word.is_valid() {
            continue;
        }
        if *budget == 0 {
            return false;
        }
        if depth == 1 && word.is_stored_reference() {
            // The frame is another object's.
            *budget -= 1;
        } else if depth == 1 {
            *budget -= 1;
            free(machine, account, OwnedFrame::from_slot(word.frame()).discard());
        } else if !clear_node(machine, account, Table::new(word.frame()), depth - 1, budget) {
            return false;
        }
        machine.write(slot, Descriptor::EMPTY);
    }
    free_table(machine, account, node);
    true
}
