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
use crate::flush::break_leaf;
use crate::frame::{self, OwnedFrame};
use crate::hint::{NoScene, Scene};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::MemoryObject;
use crate::page_table::{self, Descriptor, Ownership, Slot, Walk};
use crate::plan::{Plan, plan, shared_leaf};
use crate::span_fault::Step;
use crate::task::{Attempt, Effort, Manner, Origin, Task};
use crate::unshare::Unshared;
use vellum_abi::{ExitKind, FaultAccess, Protection, Switches};

/// Switches under which the instruction that faulted matters.
const AWARE: Switches = Switches::TAG_AWARE.union(Switches::ATOMIC_AWARE);

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Resolved: run the instruction again.
    Resume,
    /// A long operation has the page in hand: try again when the address space is at rest.
    Changing,
    /// The page's pager has to be asked: [`AddressSpace::request_page`] says for what.
    Absent,
    /// A block is to be made, which takes long: [`AddressSpace::begin_block`] begins that.
    Long,
    /// Nothing can resolve it.
    Die(ExitKind),
}

impl<M: Machine> AddressSpace<M> {
    /// Resolves a translation or permission fault on a page that an access on a program's behalf
    /// took. Never `Long`: the kernel's own accesses make no blocks.
    pub fn handle_fault(&self, page: Page, access: FaultAccess) -> Outcome {
        self.resolve(page, access, Effort::Tables, &NoScene)
    }

    #[inline(always)]
    fn resolve(
        &self,
        page: Page,
        access: FaultAccess,
        effort: Effort,
        scene: &impl Scene,
    ) -> Outcome {
        let manner = Manner { origin: Origin::Program, effort };
        match self.attempt(page, access, manner, scene) {
            Ok(Attempt::Done) => Outcome::Resume,
            other => self.retry(other, page, access, manner, scene),
        }
    }

    /// Tries until a fault is resolved or cannot be.
    #[cold]
    #[inline(never)]
    fn retry(
        &self,
        first: Result<Attempt, ExitKind>,
        page: Page,
        access: FaultAccess,
        mut manner: Manner,
        scene: &impl Scene,
    ) -> Outcome {
        let mut attempt = first;
        loop {
            match attempt {
                Ok(Attempt::Done | Attempt::Present) => return Outcome::Resume,
                Ok(Attempt::Again) => {}
                Ok(Attempt::Less) => manner.effort = Effort::Page,
                Ok(Attempt::Long) => return Outcome::Long,
                Ok(Attempt::Changing) => return Outcome::Changing,
                Ok(Attempt::Absent) => return Outcome::Absent,
                Err(kind) => {
                    let tag = kind == ExitKind::TagCheck;
                    self.counters.add(if tag { Counter::Tag } else { Counter::Denied }, 1);
                    return Outcome::Die(kind);
                }
            }
            attempt = self.attempt(page, access, manner, scene);
        }
    }

    /// Resolves a program's fault at an address as the syndrome gives it, of an instruction that
    /// nobody knows.
    #[inline]
    pub fn handle_fault_at(&self, pointer: UserPointer, access: FaultAccess) -> Outcome {
        self.handle_fault_in(pointer, access, &NoScene)
    }

    /// Resolves a fault of the kernel's own at an address of the program's. Never `Long`.
    pub fn handle_kernel_fault_at(&self, pointer: UserPointer, access: FaultAccess) -> Outcome {
        self.resolve_at(pointer, access, Effort::Tables, &NoScene)
    }

    /// Resolves a program's fault at an address as the syndrome gives it. `scene` is asked only
    /// about mappings that are tag-aware or atomic-aware.
    #[inline]
    pub fn handle_fault_in(
        &self,
        pointer: UserPointer,
        access: FaultAccess,
        scene: &impl Scene,
    ) -> Outcome {
        self.resolve_at(pointer, access, Effort::Blocks, scene)
    }

    #[inline]
    fn resolve_at(
        &self,
        pointer: UserPointer,
        access: FaultAccess,
        most: Effort,
        scene: &impl Scene,
    ) -> Outcome {
        match pointer.page() {
            Some(page) => self.resolve(page, access, most, scene),
            None => {
                self.counters.add(Counter::Denied, 1);
                Outcome::Die(ExitKind::NotMapped)
            }
        }
    }

    /// Looks up, decides, and acts on the decision.
    #[inline(always)]
    pub(crate) fn attempt(
        &self,
        page: Page,
        access: FaultAccess,
        manner: Manner,
        scene: &impl Scene,
    ) -> Result<Attempt, ExitKind> {
        // Lookup.
        let state = self.shared();
        if manner.origin == Origin::Program && state.is_changing(page) {
            return Ok(Attempt::Changing);
        }
        let mapping = state.mappings.find(page).ok_or(ExitKind::NotMapped)?;
        let walk = page_table::find(&self.machine, self.root, page);
        let (Walk::Leaf(slot), true) = (walk, mapping.is_plain()) else {
            let task = self.begin_otherwise(&state, (mapping, page, walk), access, manner, scene);
            drop(state);
            return self.complete_otherwise(task?);
        };
        let seen = self.machine.read(slot);
        // Decide.
        let Mapping { policy, protection, sharing, .. } = *mapping;
        let action = decide(policy, protection, sharing, Leaf::of(&self.machine, seen), access);
        let task = self.begin(&state, mapping, (page, slot, seen), action, manner)?;
        drop(state);
        self.complete(task)
    }

    /// As the rest of [`Self::attempt`], off the usual tables or with something switched on.
    #[cold]
    #[inline(never)]
    fn begin_otherwise(
        &self,
        state: &State<M>,
        (mapping, page, walk): (&Mapping<M>, Page, Walk),
        access: FaultAccess,
        manner: Manner,
        scene: &impl Scene,
    ) -> Result<Task<M>, ExitKind> {
        let (slot, seen) = (walk.slot(), page_table::leaf(&self.machine, walk, page));
        let aware = mapping.switches.intersection(AWARE) != Switches::NONE;
        let access =
            if aware { self.consider(state, mapping, seen, access, scene)? } else { access };
        let Mapping { policy, protection, sharing, .. } = *mapping;
        let action = decide(policy, protection, sharing, Leaf::of(&self.machine, seen), access);
        if mapping.switches != Switches::NONE
            && let Some(step) = self.span_step(state, mapping, page, walk, (action, manner.effort))
        {
            return Ok(match step {
                Step::Now(attempt) => Task::Over(attempt),
                Step::Later(work) => Task::Span(work),
            });
        }
        match action {
            Action::Deny | Action::Wait | Action::Nothing => {}
            _ if matches!(walk, Walk::Missing { .. }) => {
                return Ok(Task::Grow(slot, state.generation));
            }
            Action::ReadShare | Action::MapObject
                if mapping.around != 0 && access != FaultAccess::Write =>
            {
                self.map_around(state, mapping, page, slot);
            }
            Action::WriteFresh | Action::WriteCopy => {
                if mapping.switches.contains(Switches::BATCH)
                    && let Some(claim) = self.claim_ahead(state, mapping, page)
                {
                    return Ok(Task::Batch(page, state.generation, claim));
                }
            }
            _ => {}
        }
        self.begin(state, mapping, (page, slot, seen), action, manner)
    }

    /// Does what an action wants done under the lock.
    #[inline(always)]
    fn begin(
        &self,
        state: &State<M>,
        mapping: &Mapping<M>,
        (page, slot, seen): (Page, Slot, Descriptor),
        action: Action,
        manner: Manner,
    ) -> Result<Task<M>, ExitKind> {
        let attempt = match action {
            Action::Deny => return Err(ExitKind::AccessDenied),
            Action::Wait => Attempt::Again,
            Action::Nothing if manner.origin == Origin::Change => Attempt::Present,
            Action::Nothing => self.clear_way(page, slot, seen),
            Action::Upgrade => self.upgrade(mapping, page, slot, seen),
            Action::ReadShare | Action::MapObject => match shared_leaf(mapping, page) {
                Some(leaf) => self.publish_shared(slot, leaf),
                None => return Ok(Task::commit(mapping, page)),
            },
            Action::Unshare => {
                let held = Unshared::hold(self, state, mapping, page, slot, seen);
                return Ok(Task::Unshare(held));
            }
            Action::WriteFresh | Action::WriteCopy => {
                let plan = plan(state, mapping, page, slot, seen);
                return Ok(plan.map_or_else(|| Task::commit(mapping, page), Task::Private));
            }
        };
        Ok(Task::Over(attempt))
    }

    /// Does what is done without the lock.
    #[inline(always)]
    fn complete(&self, task: Task<M>) -> Result<Attempt, ExitKind> {
        let attempt = match task {
            Task::Over(attempt) => return Ok(attempt),
            Task::Private(plan) => self.write_private(plan),
            Task::Unshare(held) => self.unshare(held),
            Task::Commit(object, index) => self.commit(&object, index),
            Task::Grow(slot, generation) => self.grow(slot, generation),
            Task::Batch(page, generation, claim) => self.write_batch(page, generation, claim),
            Task::Span(work) => self.work_on_span(work),
        };
        attempt.map_err(death)
    }

    /// As [`Self::complete`], in one place for all that is off the short way.
    #[inline(never)]
    fn complete_otherwise(&self, task: Task<M>) -> Result<Attempt, ExitKind> {
        self.complete(task)
    }

    /// Returns the slot of a page's leaf in an address space that nobody else reaches, with the
    /// tables on the way to it.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub(crate) fn leaf_slot(&self, page: Page) -> Result<Slot, VmError> {
        loop {
            match page_table::find(&self.machine, self.root, page) {
                Walk::Missing { slot, .. } => {
                    let table = page_table::allocate_table(&self.machine, &self.account)?;
                    page_table::install_table(&self.machine, slot, table);
                    self.counters.add(Counter::TableFrames, 1);
                }
                // No fault has been here: there are no shared tables and no blocks.
                walk => return Ok(walk.slot()),
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

/// Returns how a process dies of an error while a page was touched.
#[cold]
pub(crate) fn death(error: VmError) -> ExitKind {
    match error {
        VmError::OutOfKernelMemory => ExitKind::OutOfKernelMemory,
        VmError::LimitReached => ExitKind::LimitReached,
        _ => ExitKind::OutOfFrames,
    }
}
