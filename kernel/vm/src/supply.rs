//! Supplying the pages of a paged object.
//!
//! Owns: where a page comes from: a copy of the supplier's memory, a page of the supplier's own that
//! moves, or a reference object. Refuses to know: who asked. Everything that may fail comes before
//! the page is put; of two that supply one page at once, one is told so and its page goes back.
//!
//! Whoever made the object pays for its pages: a page that moves is charged there before it leaves,
//! and credited to the process that gave it. Each function returns whether somebody waits for the page, who
//! has to be told.

use crate::addr::Page;
use crate::address_space::{AddressSpace, State};
use crate::counters::Counter;
use crate::error::{Refusal, VmError};
use crate::fault::Outcome;
use crate::fill::copied_in_pieces;
use crate::flush::break_leaf;
use crate::frame::{self, OwnedFrame};
use crate::machine::Machine;
use crate::object::{MemoryObject, ObjectPage};
use crate::page_table::{self, Descriptor, Ownership, Sharing, Walk};
use crate::paged::Supplied;
use crate::refpage::{replicate, replicate_tags, unreadable};
use vellum_abi::{FaultAccess, PAGE_SIZE, Protection, TAG_BYTES_PER_PAGE};

/// How often a page that is to move is made private before it is refused.
const TRIES: u32 = 3;

impl<M: Machine> MemoryObject<M> {
    /// Supplies a page with a copy of one of an address space, tags included where that one's memory is
    /// Tagged.
    ///
    /// # Errors
    /// `BeyondEnd`, `PagePresent`, `OutOfFrames`, `LimitReached`; what stops the supplier from
    /// reading its page.
    pub fn supply_copy(
        &self,
        index: u64,
        space: &AddressSpace<M>,
        source: Page,
        watch: bool,
    ) -> Result<bool, Refusal> {
        self.may_supply(index)?;
        let blank = frame::allocate(&self.machine, &self.account)?;
        // In small pieces, as nothing else may hold the page: the supplier could take it away.
        let copied = space.with_frame(source, FaultAccess::Read, |from, protection| {
            replicate(&self.machine, from, 0, PAGE_SIZE as usize, &blank);
            let tags = protection.contains(Protection::TAGGED).then_some(PAGE_SIZE as usize);
            replicate_tags(&self.machine, from, 0, tags, &blank);
        });
        if let Err(refusal) = copied {
            frame::free(&self.machine, &self.account, blank);
            return Err(unreadable(refusal));
        }
        let (frame, written) = copied_in_pieces(&self.machine, blank);
        let awaited = self.put_frame(index, frame, watch)?;
        written.count(space.counters());
        Ok(awaited)
    }

    /// Supplies a page with one of an address space, which loses it: it shows its object again.
    ///
    /// # Errors
    /// `BeyondEnd`, `PagePresent`, `LimitReached`; `NotMapped`, `Sealed`, and `NotPermitted` where the page
    /// is not one that the address space could store to and has alone.
    pub fn supply_move(
        &self,
        index: u64,
        space: &AddressSpace<M>,
        source: Page,
        watch: bool,
    ) -> Result<bool, Refusal> {
        let slot = self.vacant(index)?;
        self.account.charge_frame()?;
        let frame = space.take_page(source).inspect_err(|_| self.account.credit_frame())?;
        space.account().credit_frame();
        Ok(self.put(slot, Supplied::Frame(frame), watch)?)
    }

    /// Supplies a page with that of a reference object, which is kept from then on. Where shared mappings
    /// may store to the object, the page gets a frame of its own, filled as a private page would be.
    ///
    /// # Errors
    /// `BeyondEnd`, `PagePresent`, `OutOfFrames`, `LimitReached`; `WrongPolicy` for another kind of object.
    pub fn supply_reference(
        &self,
        index: u64,
        source: &M::Shared<MemoryObject<M>>,
        space: &AddressSpace<M>,
        watch: bool,
    ) -> Result<bool, VmError> {
        self.may_supply(index)?;
        let ObjectPage::Reference(shown, fill) = source.page(0) else {
            return Err(VmError::WrongPolicy);
        };
        if !self.owns_its_frames() {
            self.keep_source(source)?;
            return self.put(self.vacant(index)?, Supplied::Reference(shown), watch);
        }
        let blank = frame::allocate(&self.machine, &self.account)?;
        // With all its tags, for whoever maps the object as Tagged memory, now or later.
        let tagged = if self.machine.has_tags() { Protection::TAGGED } else { Protection::NONE };
        let (frame, written) = fill.apply(&self.machine, blank, tagged);
        let awaited = self.put_frame(index, frame, watch)?;
        written.count(space.counters());
        Ok(awaited)
    }

    /// Says that there will never be a page.
    ///
    /// # Errors
    /// `BeyondEnd`, `PagePresent`, `OutOfFrames`, `LimitReached`.
    pub fn poison(&self, index: u64) -> Result<bool, VmError> {
        self.put(self.vacant(index)?, Supplied::Poison, false)
    }
}

impl<M: Machine> AddressSpace<M> {
    /// Takes a private page away from where it is mapped. No translation of it is left, and its tags are
    /// defined. Its charge is left to the caller.
    fn take_page(&self, page: Page) -> Result<OwnedFrame, Refusal> {
        for _ in 0..TRIES {
            if let Some(leaf) = self.begin_change(|state| self.take_leaf(state, page))? {
                if self.machine.has_tags() && !leaf.protection().contains(Protection::TAGGED) {
                    // The frame was filled without tags: they are still its last owner's.
                    self.machine.clear_tags(leaf.frame());
                    self.counters.add(Counter::TagBytes, TAG_BYTES_PER_PAGE);
                }
                return Ok(OwnedFrame::from_slot(leaf.frame()));
            }
            match self.handle_fault(page, FaultAccess::Write) {
                Outcome::Resume | Outcome::Long => {}
                Outcome::Changing => return Err(Refusal::Changing),
                Outcome::Absent => return Err(Refusal::Absent(page, FaultAccess::Write)),
                Outcome::Die(kind) => return Err(VmError::of_access(kind).into()),
            }
        }
        Err(VmError::NotPermitted.into())
    }

    /// Takes the leaf of a page that is the process's own and nobody else's, if it is there.
    ///
    /// Under the exclusive lock nobody has read the leaf and not yet come to hold its frame, and its
    /// count cannot rise.
    fn take_leaf(&self, state: &State<M>, page: Page) -> Result<Option<Descriptor>, Refusal> {
        let mapping = state.mappings.find(page).ok_or(VmError::NotMapped)?;
        if mapping.sealed {
            return Err(VmError::Sealed.into());
        }
        if mapping.sharing == Sharing::Shared {
            return Err(VmError::NotPermitted.into());
        }
        let Walk::Leaf(slot) = page_table::find(&self.machine, self.root, page) else {
            return Ok(None);
        };
        let leaf = self.machine.read(slot);
        let alone = leaf.is_valid()
            && leaf.ownership() == Ownership::Private
            && self.machine.frame_count(leaf.frame()) == 1;
        // Hardware alone may change the leaf meanwhile: then it is tried again.
        let broken = alone.then(|| break_leaf(self, slot, page, leaf)).flatten();
        Ok(broken.map(|broken| {
            broken.make(&self.machine, Descriptor::EMPTY);
            // With the lock: whoever has it next finds as many private leaves as are counted.
            self.counters.subtract(Counter::PrivateFrames, 1);
            leaf
        }))
    }
}
