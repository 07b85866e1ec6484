//! Batched first writes: a fault of an ascending run makes the pages behind its own private too.
//!
//! Owns: the frames of a batch from the allocator to their leaves, under one lookup, one pair of
//! locks and one pair of barriers. Refuses to know: when a batch is due and how large it may be
//! (`sequence`). A page ahead gets what its own fault would give it, so the object must never
//! change: batches are made of reference objects alone. Short memory makes a batch smaller; it
//! never fails a fault that would succeed alone.
//!
//! Leaves ahead are made without the access flag, which hardware sets at the first use. So the leaf
//! itself tells whether its frame is still untouched. Where hardware does not set it, the leaves
//! have it at once, and their frames count as untouched for good.

use crate::addr::Page;
use crate::address_space::{AddressSpace, State};
use crate::counters::Counter;
use crate::error::VmError;
use crate::fill::Written;
use crate::flush::flush_pages;
use crate::frame::{self, OwnedFrame};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::page_table::{self, Descriptor, Ownership, Slot, Walk};
use crate::plan::{Plan, plan};
use crate::sequence::{Claim, MOST_AHEAD};
use crate::task::Attempt;
use vellum_abi::Protection;

/// Pages of the largest batch: the one that faulted and those ahead of it.
const MOST: usize = 1 + MOST_AHEAD as usize;

/// A batch under way. Numbers count from the page that faulted.
struct Batch {
    leaves: [Descriptor; MOST],
    /// Leaves that have a frame.
    made: usize,
    /// Leaves that are in their slots or on the way there.
    published: usize,
    /// Those of them whose slots are between break and make, one bit each.
    broken: u32,
    /// What the fill of each frame wrote.
    written: Option<Written>,
}

impl<M: Machine> AddressSpace<M> {
    /// Notes a first write to a mapping with batches, and claims the pages that may be made with
    /// it.
    #[cold]
    pub(crate) fn claim_ahead(
        &self,
        state: &State<M>,
        mapping: &Mapping<M>,
        page: Page,
    ) -> Option<Claim> {
        if !mapping.object.has_reference_frame() || state.changing.is_some() {
            return None;
        }
        let room = |most| self.room_behind(mapping, page, most);
        let untouched = |start, pages| self.untouched(Page::from_number(start), pages);
        mapping.sequence.note(page.number(), state.generation, room, untouched)
    }

    /// Returns how many pages right behind a page, of at most `most`, are clean.
    fn room_behind(&self, mapping: &Mapping<M>, page: Page, most: u64) -> u64 {
        let most = most.min(mapping.range.end().number() - page.number() - 1);
        let slots = slots(self, page.add(1)).take(most as usize);
        slots.take_while(|(_, slot)| self.machine.read(*slot).is_clean()).count() as u64
    }

    /// Returns how many pages of a window are private and untouched. Its tables are all there: a
    /// table goes with a part of the mapping, and then there is no window any more.
    fn untouched(&self, start: Page, pages: u64) -> u64 {
        let is_untouched = |leaf: Descriptor| {
            leaf.is_valid() && leaf.ownership() == Ownership::Private && !leaf.is_accessed()
        };
        let window = slots(self, start).take(pages as usize);
        window.filter(|(_, slot)| is_untouched(self.machine.read(*slot))).count() as u64
    }

    /// Makes a page private, and those of the claim behind it. The claim was made under
    /// `generation`.
    #[cold]
    pub(crate) fn write_batch(
        &self,
        page: Page,
        generation: u64,
        claim: Claim,
    ) -> Result<Attempt, VmError> {
        let mut batch = Batch {
            leaves: [Descriptor::EMPTY; MOST],
            made: 0,
            published: 0,
            broken: 0,
            written: None,
        };
        let plan = self.plan_batch(page, generation);
        let filled = plan.as_ref().map_or(Ok(()), |plan| self.fill_batch(plan, claim, &mut batch));
        let state = self.shared();
        if let Some(plan) = &plan
            && state.generation == generation
        {
            self.publish(plan, &mut batch);
        }
        self.settle(&state, page, claim, batch.published.saturating_sub(1) as u64);
        drop(state);
        self.discard_rest(&batch);
        filled.map(|()| if batch.published == 0 { Attempt::Again } else { Attempt::Done })
    }

    /// Looks the page up again, now that the claim is there. Returns `None` if it is not what it
    /// was when the claim was made.
    fn plan_batch(&self, page: Page, generation: u64) -> Option<Plan<M>> {
        let state = self.shared();
        let mapping = state.mappings.find(page).filter(|_| state.generation == generation)?;
        let (_, slot) = slots(self, page).next()?;
        let seen = self.machine.read(slot);
        seen.is_clean().then(|| plan(&state, mapping, page, slot, seen))?
    }

    /// Ends the claim, if the mapping that it was made of is still there.
    fn settle(&self, state: &State<M>, page: Page, claim: Claim, made: u64) {
        if let Some(mapping) = state.mappings.find(page) {
            mapping.sequence.settle(claim, made, self.machine.sets_access_flags());
        }
    }

    /// Takes and fills the frames, no lock held. Fails only if there is none for the fault itself.
    fn fill_batch(&self, plan: &Plan<M>, claim: Claim, batch: &mut Batch) -> Result<(), VmError> {
        let marks = self.machine.sets_access_flags();
        let protection = plan.protection;
        for (number, leaf) in batch.leaves[..=claim.pages() as usize].iter_mut().enumerate() {
            let frame = match frame::allocate(&self.machine, &self.account) {
                Ok(frame) => frame,
                Err(error) if number == 0 => return Err(error),
                Err(_) => break,
            };
            let (frame, written) = plan.fill(&self.machine, frame);
            if protection.contains(Protection::EXECUTE) {
                self.machine.sync_executable(frame.address());
            }
            *leaf = if marks && number != 0 {
                Descriptor::private_ahead(frame, protection)
            } else {
                Descriptor::private(frame, protection)
            };
            batch.made = number + 1;
            if number == 0 {
                batch.written = Some(written);
            }
        }
        Ok(())
    }

    /// Publishes the leaves from the first on, up to the first page that is no longer clean.
    fn publish(&self, plan: &Plan<M>, batch: &mut Batch) {
        for ((_, slot), leaf) in slots(self, plan.page).zip(&batch.leaves[..batch.made]) {
            let first = batch.published == 0;
            let seen = if first { plan.seen } else { self.machine.read(slot) };
            let empty = seen == Descriptor::EMPTY;
            // A shared leaf is broken now, and its slot gets the new one behind the flush.
            let new = if empty { *leaf } else { Descriptor::BUSY };
            if !seen.is_clean() || self.machine.exchange(slot, seen, new).is_err() {
                break;
            }
            batch.broken |= u32::from(!empty) << batch.published;
            batch.published += 1;
        }
        if batch.published != 0 {
            self.make(plan, batch);
            self.count(plan, batch);
        }
    }

    /// Flushes what was broken, all at once, and makes it.
    fn make(&self, plan: &Plan<M>, batch: &Batch) {
        if batch.broken != 0 {
            let is_broken = |number: &usize| batch.broken >> number & 1 != 0;
            let broken = (0..batch.published).filter(is_broken);
            flush_pages(self, broken.map(|number| plan.page.add(number as u64)));
            for (number, (_, slot)) in slots(self, plan.page).take(batch.published).enumerate() {
                if is_broken(&number) {
                    self.machine.write(slot, batch.leaves[number]);
                }
            }
        }
        // Orders every new leaf of the batch before the access that is tried again.
        self.machine.dsb_ishst();
        self.machine.isb();
    }

    fn count(&self, plan: &Plan<M>, batch: &Batch) {
        let published = batch.published as u64;
        if let Some(written) = batch.written {
            written.times(published).count(&self.counters);
        }
        self.counters.add(Counter::PrivateFrames, published);
        self.counters.add(Counter::Speculative, published - 1);
        let fresh = plan.seen == Descriptor::EMPTY;
        self.counters.add(if fresh { Counter::WriteFresh } else { Counter::WriteCopy }, 1);
    }

    /// Gives back the frames that were not published.
    fn discard_rest(&self, batch: &Batch) {
        for leaf in &batch.leaves[batch.published..batch.made] {
            let frame = OwnedFrame::from_slot(leaf.frame()).discard();
            frame::free(&self.machine, &self.account, frame);
        }
    }
}

/// Returns the slots of pages from a page on, as far as there are tables.
fn slots<M: Machine>(
    space: &AddressSpace<M>,
    start: Page,
) -> impl Iterator<Item = (Page, Slot)> + '_ {
    let find = |page| match page_table::find(&space.machine, space.root, page) {
        Walk::Leaf(slot) => Some((page, slot)),
        _ => None,
    };
    core::iter::successors(find(start), move |(page, slot)| {
        let next = page.add(1);
        slot.next().map_or_else(|| find(next), |slot| Some((next, slot)))
    })
}
