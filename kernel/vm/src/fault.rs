//! The fault handler.
//!
//! Owns: the stages *lookup*, *decide*, *allocate*, *fill* and *publish* of a fault's journey
//! (*entry*, *decode* and *exit* are the vector's and `syndrome`'s). Refuses to know: who faulted
//! and what becomes of it. A handler never blocks: it answers [`Outcome`].
//!
//! Nothing has a side effect before `decide` has answered. Frames are taken and filled outside
//! every lock; to publish, the shared lock is taken again, and a changed generation or a leaf that
//! is no more what was seen sends the frame back and the fault round again.

use crate::addr::{Page, UserPointer};
use crate::address_space::{AddressSpace, State};
use crate::counters::Counter;
use crate::decide::{Action, Leaf, decide};
use crate::error::VmError;
use crate::fill::{Fill, Written};
use crate::flush::{break_leaf, flush_pages};
use crate::frame::{self, OwnedFrame, UninitFrame};
use crate::hint::{NoScene, Scene};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::{MemoryObject, ObjectPage};
use crate::page_table::{self, Descriptor, Ownership, Sharing, Slot, Walk};
use crate::tag::Tag;
use crate::unshare::Unshared;
use vellum_abi::{ExitKind, FaultAccess, Policy, Protection, Switches};

/// Switches under which the instruction that faulted matters.
const AWARE: Switches = Switches::TAG_AWARE.union(Switches::ATOMIC_AWARE);

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Resolved: run the instruction again.
    Resume,
    /// A long operation has the page in hand: try again when the address space is at rest.
    Changing,
    /// Nothing can resolve it.
    Die(ExitKind),
}

/// How one attempt went.
pub(crate) enum Attempt {
    /// Something was published.
    Done,
    /// There was nothing to do for a long operation.
    Present,
    Again,
    Changing,
}

/// On whose behalf a page is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A program's, which waits while the page is changing.
    Program,
    /// The long operation's that has the page in hand.
    Change,
}

/// A private page that is about to be made: what was seen under the lock, and what to do.
pub(crate) struct Plan<M: Machine> {
    pub(crate) page: Page,
    pub(crate) slot: Slot,
    pub(crate) seen: Descriptor,
    pub(crate) generation: u64,
    pub(crate) protection: Protection,
    /// `None` for the bytes that the source keeps outside any frame.
    pub(crate) fill: Option<Fill>,
    /// Holds the source of a copy while no lock does.
    source: Option<M::Shared<MemoryObject<M>>>,
}

impl<M: Machine> Plan<M> {
    /// Initialises a frame for the page.
    #[inline]
    pub(crate) fn fill(&self, machine: &M, frame: UninitFrame) -> (OwnedFrame, Written) {
        match &self.source {
            Some(source) => source.make(self.fill, frame, self.protection),
            None => {
                self.fill.unwrap_or(Fill::Zero(Tag::ZERO)).apply(machine, frame, self.protection)
            }
        }
    }
}

impl<M: Machine> AddressSpace<M> {
    /// Resolves a translation or permission fault on a page that an access on a program's behalf
    /// took.
    pub fn handle_fault(&self, page: Page, access: FaultAccess) -> Outcome {
        self.resolve(page, access, &NoScene)
    }

    #[inline]
    fn resolve(&self, page: Page, access: FaultAccess, scene: &impl Scene) -> Outcome {
        loop {
            match self.attempt(page, access, Origin::Program, scene) {
                Ok(Attempt::Done | Attempt::Present) => return Outcome::Resume,
                Ok(Attempt::Again) => {}
                Ok(Attempt::Changing) => return Outcome::Changing,
                Err(kind) => {
                    let tag = kind == ExitKind::TagCheck;
                    self.counters.add(if tag { Counter::Tag } else { Counter::Denied }, 1);
                    return Outcome::Die(kind);
                }
            }
        }
    }

    /// Resolves a fault at an address as the syndrome gives it, of an instruction that nobody knows.
    #[inline]
    pub fn handle_fault_at(&self, pointer: UserPointer, access: FaultAccess) -> Outcome {
        self.handle_fault_in(pointer, access, &NoScene)
    }

    /// Resolves a fault at an address as the syndrome gives it. `scene` is asked only about
    /// mappings that are tag-aware or atomic-aware.
    #[inline]
    pub fn handle_fault_in(
        &self,
        pointer: UserPointer,
        access: FaultAccess,
        scene: &impl Scene,
    ) -> Outcome {
        match pointer.page() {
            Some(page) => self.resolve(page, access, scene),
            None => {
                self.counters.add(Counter::Denied, 1);
                Outcome::Die(ExitKind::NotMapped)
            }
        }
    }

    /// Looks up, decides, and acts on the decision.
    #[inline]
    pub(crate) fn attempt(
        &self,
        page: Page,
        access: FaultAccess,
        origin: Origin,
        scene: &impl Scene,
    ) -> Result<Attempt, ExitKind> {
        // Lookup.
        let state = self.shared();
        if origin == Origin::Program && state.is_changing(page) {
            return Ok(Attempt::Changing);
        }
        let mapping = state.mappings.find(page).ok_or(ExitKind::NotMapped)?;
        let walk = page_table::find(&self.machine, self.root, page);
        let (slot, seen) = match walk {
            Walk::Leaf(slot) => (slot, self.machine.read(slot)),
            Walk::Missing { slot, .. } => (slot, Descriptor::EMPTY),
        };
        let aware = mapping.switches.intersection(AWARE) != Switches::NONE;
        let access =
            if aware { self.consider(&state, mapping, seen, access, scene)? } else { access };
        // Decide.
        let Mapping { policy, protection, sharing, .. } = *mapping;
        match decide(policy, protection, sharing, Leaf::of(&self.machine, seen), access) {
            Action::Deny => return Err(ExitKind::AccessDenied),
            Action::Wait => return Ok(Attempt::Again),
            Action::Nothing if origin == Origin::Change => return Ok(Attempt::Present),
            Action::Nothing => {
                // A stale entry is legal after a leaf was given more permission without TLBI.
                flush_pages(self, core::iter::once(page));
                self.counters.add(Counter::Spurious, 1);
                return Ok(Attempt::Done);
            }
            _ if matches!(walk, Walk::Missing { .. }) => {
                let generation = state.generation;
                drop(state);
                return self.grow(slot, generation).map_err(death);
            }
            Action::Upgrade => return Ok(self.upgrade(mapping, page, slot, seen)),
            Action::ReadShare | Action::MapObject => {
                if let Some(leaf) = shared_leaf(mapping, page) {
                    if mapping.around != 0 && access != FaultAccess::Write {
                        self.map_around(&state, mapping, page, slot);
                    }
                    return Ok(self.publish_shared(slot, leaf));
                }
            }
            Action::Unshare => {
                let page = Unshared::hold(self, &state, mapping, page, slot, seen);
                drop(state);
                return self.unshare(page).map_err(death);
            }
            Action::WriteFresh | Action::WriteCopy => {
                if mapping.switches.contains(Switches::BATCH)
                    && let Some(claim) = self.claim_ahead(&state, mapping, page)
                {
                    let generation = state.generation;
                    drop(state);
                    return self.write_batch(page, generation, claim).map_err(death);
                }
                if let Some(plan) = plan(&state, mapping, page, slot, seen) {
                    drop(state);
                    return self.write_private(plan).map_err(death);
                }
            }
        }
        // The page of a memory object has no frame yet.
        let (object, index) = (mapping.object.clone(), mapping.object_page(page));
        drop(state);
        self.commit(&object, index).map_err(death)
    }

    /// Returns the slot of a page's leaf in an address space that nobody else reaches, with the
    /// tables on the way to it.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub(crate) fn leaf_slot(&self, page: Page) -> Result<Slot, VmError> {
        loop {
            match page_table::find(&self.machine, self.root, page) {
                Walk::Leaf(slot) => return Ok(slot),
                Walk::Missing { slot, .. } => {
                    let table = page_table::allocate_table(&self.machine, &self.account)?;
                    page_table::install_table(&self.machine, slot, table);
                    self.counters.add(Counter::TableFrames, 1);
                }
            }
        }
    }

    /// Installs the table that a walk missed.
    #[cold]
    fn grow(&self, slot: Slot, generation: u64) -> Result<Attempt, VmError> {
        let table = page_table::allocate_table(&self.machine, &self.account)?;
        let state = self.shared();
        // The slot is still one only if nobody had the lock exclusively meanwhile.
        if state.generation == generation && page_table::install_table(&self.machine, slot, table) {
            self.counters.add(Counter::TableFrames, 1);
        } else {
            page_table::free_table(&self.machine, &self.account, table);
        }
        Ok(Attempt::Again)
    }

    /// Gives a page of a memory object its frame.
    #[cold]
    fn commit(&self, object: &MemoryObject<M>, index: u64) -> Result<Attempt, VmError> {
        if let Some(written) = object.commit(index)? {
            written.count(&self.counters);
        }
        Ok(Attempt::Again)
    }

    /// Gives a leaf the permissions of its mapping; frame and attribute stay, so one store does.
    /// The old permissions may stay cached, and the access would fault for ever: they are flushed.
    #[cold]
    fn upgrade(&self, mapping: &Mapping<M>, page: Page, slot: Slot, seen: Descriptor) -> Attempt {
        // Its process has the frame alone, or `decide` would have had it copied.
        let leaf = seen.with_protection(mapping.protection);
        debug_assert!(seen.may_become(leaf), "a change that needs break-before-make");
        if self.machine.exchange(slot, seen, leaf).is_err() {
            return Attempt::Again;
        }
        flush_pages(self, core::iter::once(page));
        self.counters.add(Counter::Upgrade, 1);
        Attempt::Done
    }

    /// Publishes a leaf of a frame that the object keeps, under the shared lock.
    #[inline]
    fn publish_shared(&self, slot: Slot, leaf: Descriptor) -> Attempt {
        if leaf.protection().contains(Protection::EXECUTE) {
            // Code may have been written to the frame through another mapping.
            self.machine.sync_executable(leaf.frame());
        }
        if self.machine.exchange(slot, Descriptor::EMPTY, leaf).is_err() {
            return Attempt::Again;
        }
        // Orders the leaf before the access that is tried again.
        self.machine.dsb_ishst();
        let mapped_for_all = leaf.ownership() == Ownership::Object;
        self.counters.add(if mapped_for_all { Counter::Object } else { Counter::ReadMap }, 1);
        Attempt::Done
    }

    /// Allocates and fills a frame without a lock and publishes it if nothing has changed.
    // The handler exists for programs and for the kernel: a call would move the plan through memory.
    #[inline(always)]
    fn write_private(&self, plan: Plan<M>) -> Result<Attempt, VmError> {
        // Allocate.
        let frame = frame::allocate(&self.machine, &self.account)?;
        // Fill: the one write pass over the frame.
        let (frame, written) = plan.fill(&self.machine, frame);
        if plan.protection.contains(Protection::EXECUTE) {
            self.machine.sync_executable(frame.address());
        }
        let leaf = Descriptor::private(frame, plan.protection);
        // Publish.
        let state = self.shared();
        if state.generation != plan.generation || !self.publish_private(&plan, leaf) {
            drop(state);
            let frame = OwnedFrame::from_slot(leaf.frame()).discard();
            frame::free(&self.machine, &self.account, frame);
            return Ok(Attempt::Again);
        }
        written.count(&self.counters);
        self.counters.add(Counter::PrivateFrames, 1);
        let fresh = plan.seen == Descriptor::EMPTY;
        self.counters.add(if fresh { Counter::WriteFresh } else { Counter::WriteCopy }, 1);
        Ok(Attempt::Done)
    }

    /// Puts a private leaf where the plan saw none, or a shared one. Returns whether it is there.
    #[inline(always)]
    fn publish_private(&self, plan: &Plan<M>, leaf: Descriptor) -> bool {
        if plan.seen == Descriptor::EMPTY {
            let published = self.machine.exchange(plan.slot, plan.seen, leaf).is_ok();
            // Orders the leaf before the access that is tried again.
            self.machine.dsb_ishst();
            return published;
        }
        match break_leaf(self, plan.slot, plan.page, plan.seen) {
            Some(broken) => {
                broken.make(&self.machine, leaf);
                true
            }
            None => false,
        }
    }
}

/// Returns the leaf that shows an object's frame, or `None` if the page has no frame yet.
#[inline]
fn shared_leaf<M: Machine>(mapping: &Mapping<M>, page: Page) -> Option<Descriptor> {
    let shown = mapping.object.page(mapping.object_page(page));
    leaf_of(shown, mapping.sharing, mapping.protection)
}

/// As [`shared_leaf`], of a page that was looked up already.
#[inline]
pub(crate) fn leaf_of(
    shown: ObjectPage,
    sharing: Sharing,
    protection: Protection,
) -> Option<Descriptor> {
    Some(match (shown, sharing) {
        (ObjectPage::Reference(frame, _) | ObjectPage::Fixed(frame), _) => {
            Descriptor::read_shared(frame, protection)
        }
        // `map` lets no policy show an object that has nothing to show.
        (ObjectPage::Frameless(_), _) => return None,
        (ObjectPage::Memory(frame), Sharing::Private) => {
            Descriptor::read_shared(frame?.read_only(), protection)
        }
        (ObjectPage::Memory(frame), Sharing::Shared) => Descriptor::object(frame?, protection),
    })
}

/// Returns whether private pages are copies even where a fill would do: the reviewers who proposed
/// the policy knew of no content, only of a page.
#[inline]
const fn always_copies(policy: Policy) -> bool {
    matches!(policy, Policy::InMapping | Policy::Object | Policy::Wrap)
}

/// Plans a private page, or returns `None` if its source has no frame yet.
// As `write_private`.
#[inline(always)]
pub(crate) fn plan<M: Machine>(
    state: &State<M>,
    mapping: &Mapping<M>,
    page: Page,
    slot: Slot,
    seen: Descriptor,
) -> Option<Plan<M>> {
    let fill = match mapping.object.page(mapping.object_page(page)) {
        ObjectPage::Reference(frame, _) if always_copies(mapping.policy) => {
            Some(Fill::Copy(frame.address()))
        }
        ObjectPage::Reference(_, fill) => Some(fill),
        ObjectPage::Frameless(fill) => fill,
        ObjectPage::Memory(frame) => Some(Fill::Copy(frame?.address())),
        ObjectPage::Fixed(frame) => Some(Fill::Copy(frame.address())),
    };
    let source = matches!(fill, None | Some(Fill::Copy(_))).then(|| mapping.object.clone());
    let (generation, protection) = (state.generation, mapping.protection);
    Some(Plan { page, slot, seen, generation, protection, fill, source })
}

/// Returns how a process dies of an error while a page was touched.
#[cold]
fn death(error: VmError) -> ExitKind {
    match error {
        VmError::OutOfKernelMemory => ExitKind::OutOfKernelMemory,
        VmError::LimitReached => ExitKind::LimitReached,
        _ => ExitKind::OutOfFrames,
    }
}
