//! Long operations.
//!
//! Owns: the cursor. A change goes on from its cursor, never from the arguments it was decoded
//! from. Refuses to know: who drives it; the kernel keeps it with the thread that began it.

use super::populate::{Goal, Touch};
use super::relocation::{OwnedRelocation, Relocation};
use super::{leaves, move_frames, removal, spans, split};
use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::error::VmError;
use crate::machine::Machine;
use crate::mappings::{Beside, OwnedNode};
use crate::page_table;
use vellum_abi::Protection;

/// How far [`Change::run`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The operation is complete and the mark is gone.
    Done,
    /// Something waits; run again later.
    Paused,
}

/// What a change does to the part of a mapping in its range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Unmap,
    Protect(Protection),
    Decommit,
    Populate(Touch),
    /// Takes away what spans more than a page of what moves, or of what is in its way.
    Loosen,
    /// Takes the tables that a move needs, or fails and has changed nothing.
    Reserve,
    /// Removes mappings where a move goes, and leaves the tables there.
    Vacate,
    /// Moves pages, and removes the mapping that they leave unless it is retained.
    Carry,
    Move,
}

/// An operation under way. It must be run until it is done.
#[must_use = "the range stays marked until the change is done"]
pub struct Change<M: Machine> {
    pub(super) range: PageRange,
    pub(super) cursor: Page,
    work: Work,
    /// What `map` with REPLACE puts into the emptied range.
    insert: Option<OwnedNode<M>>,
    /// What the sweeps belong to.
    pub(super) relocation: Option<OwnedRelocation<M>>,
    /// Why the change could not do what it was begun for.
    pub(super) failure: Option<VmError>,
    /// Whether the range was cut off an end of a mapping and is no mapping's any more.
    is_cut_off: bool,
}

impl<M: Machine> Change<M> {
    /// Removes everything, sealed mappings too, from an address space that nobody else reaches.
    pub(crate) fn teardown() -> Change<M> {
        Change::new(PageRange::whole(), Work::Unmap, None)
    }

    fn new(range: PageRange, work: Work, insert: Option<OwnedNode<M>>) -> Change<M> {
        let cursor = range.start();
        let (relocation, failure) = (None, None);
        Change { range, cursor, work, insert, relocation, failure, is_cut_off: false }
    }

    /// Marks a range for removal, and for a mapping that takes its place.
    pub(super) fn unmap(
        state: &mut State<M>,
        range: PageRange,
        insert: Option<OwnedNode<M>>,
    ) -> Change<M> {
        state.changing = Some(range);
        Change::new(range, Work::Unmap, insert)
    }

    /// Removes a range that is all of a mapping, or was cut off one (`beside` is next to the range
    /// as it is now): at once as far as one step goes. Returns the rest, with the range marked.
    #[inline]
    pub(super) fn remove(
        space: &AddressSpace<M>,
        state: &mut State<M>,
        range: PageRange,
        beside: Beside,
        is_cut_off: bool,
        removed: &mut Option<OwnedNode<M>>,
    ) -> Option<Change<M>> {
        let cursor = removal::remove(space, &range, &range, beside);
        if cursor < range.end() {
            return Some(Change { cursor, is_cut_off, ..Change::unmap(state, range, None) });
        }
        if !is_cut_off {
            *removed = state.mappings.remove_between(beside, &range);
        }
        None
    }

    /// Marks a range for another protection.
    pub(super) fn protect(
        state: &mut State<M>,
        range: PageRange,
        protection: Protection,
    ) -> Change<M> {
        state.changing = Some(range);
        Change::new(range, Work::Protect(protection), None)
    }

    /// Marks a range for giving its private frames back.
    pub(super) fn decommit(state: &mut State<M>, range: PageRange) -> Change<M> {
        state.changing = Some(range);
        Change::new(range, Work::Decommit, None)
    }

    /// Marks a range whose pages are to be made present.
    pub(super) fn populate(state: &mut State<M>, range: PageRange, touch: Touch) -> Change<M> {
        state.changing = Some(range);
        Change::new(range, Work::Populate(touch), None)
    }

    /// Marks both ranges of a move. Returns `None` if there is nothing to sweep.
    pub(super) fn relocate(
        space: &AddressSpace<M>,
        state: &mut State<M>,
        mut relocation: OwnedRelocation<M>,
    ) -> Option<Change<M>> {
        let Some((range, work)) = relocation.first(state) else {
            Relocation::complete(relocation, space, state);
            return None;
        };
        state.changing = Some(relocation.journey().old);
        state.destination = Some(relocation.journey().new);
        Some(Change { relocation: Some(relocation), ..Change::new(range, work, None) })
    }

    /// Returns why a change that is done could not do what it was begun for: a frame or a table was missing
    /// half way. Every other change says what it needs when it begins.
    #[must_use]
    pub fn failure(&self) -> Option<VmError> {
        self.failure
    }

    /// Marks everything for moving private pages to other frames.
    pub(super) fn move_frames(state: &mut State<M>) -> Change<M> {
        state.changing = Some(PageRange::whole());
        Change::new(PageRange::whole(), Work::Move, None)
    }

    /// Leaves out what nobody waits for any more, as whoever began it ends: making pages present, which may
    /// go on as long as a mapping is large. What has to be put in order still is.
    pub fn cut_short(&mut self) {
        if let Work::Populate(touch) = self.work {
            self.stop_touching(touch.goal);
        }
    }

    /// Makes no more pages present.
    fn stop_touching(&mut self, goal: Goal) {
        match goal {
            Goal::Advice | Goal::Growth => self.cursor = self.range.end(),
            Goal::Mapping => (self.work, self.cursor) = (Work::Unmap, self.range.start()),
        }
    }

    /// Steps until the change is done or something waits.
    pub fn run(&mut self, space: &AddressSpace<M>) -> Progress {
        while !self.step(space) {
            if space.machine.should_pause() {
                return Progress::Paused;
            }
        }
        Progress::Done
    }

    /// Does a bounded piece: at most the leaves of one table. Returns whether the change is done.
    pub fn step(&mut self, space: &AddressSpace<M>) -> bool {
        match self.work {
            Work::Move => return self.step_move(space),
            Work::Populate(touch) => self.touch(space, touch),
            Work::Reserve => {
                if let Err(error) = self.reserve(space) {
                    self.fail(space, error);
                    return true;
                }
            }
            _ => {}
        }
        // A removed mapping may be its object's last: it is dropped behind the lock.
        let mut removed = None;
        let done = space.exclusive(|state| {
            self.advance(space, state, &mut removed);
            self.cursor >= self.range.end() && self.finish(space, state)
        });
        if let Some(node) = removed {
            space.recycle(node);
        }
        done
    }

    /// Makes the next pages present, as a fault would and so without the lock that a change has.
    fn touch(&mut self, space: &AddressSpace<M>, touch: Touch) {
        match touch.some(space, self.cursor, self.range.end()) {
            Ok(next) => self.cursor = next,
            Err(error) => {
                self.stop_touching(touch.goal);
                // What grew is moved already, and what is missing comes when it is touched.
                if !matches!(touch.goal, Goal::Growth) {
                    self.failure = Some(error);
                }
            }
        }
    }

    /// Moves some pages: leaves away, copies without a lock, leaves back.
    fn step_move(&mut self, space: &AddressSpace<M>) -> bool {
        let mut taken = None;
        space.exclusive(|state| {
            let rest = PageRange::between(self.cursor, self.range.end());
            let mapping = state.mappings.at_or_above(self.cursor);
            let part = rest.zip(mapping).and_then(|(rest, at)| at.range.intersection(&rest));
            self.cursor = match part {
                Some(part) => move_frames::take(space, &part, &mut taken),
                None => self.range.end(),
            };
        });
        let moved = taken.as_ref().map(|taken| move_frames::copy(space, taken));
        let done = self.cursor >= self.range.end();
        space.exclusive(|state| {
            moved.iter().for_each(|moved| move_frames::put(space, moved));
            if done {
                self.finish(space, state);
            }
        });
        if let (Some(taken), Some(moved)) = (taken, moved) {
            move_frames::free(space, &taken, &moved);
        }
        done
    }

    /// Works on the first mapping at or above the cursor.
    fn advance(
        &mut self,
        space: &AddressSpace<M>,
        state: &mut State<M>,
        removed: &mut Option<OwnedNode<M>>,
    ) {
        let rest = PageRange::between(self.cursor, self.range.end());
        if let Some(part) = rest.filter(|_| self.is_cut_off) {
            let beside = state.mappings.beside(&self.range);
            self.cursor = removal::remove(space, &self.range, &part, beside);
            return;
        }
        let whole = state.mappings.at_or_above(self.cursor).map(|mapping| mapping.range);
        let found =
            rest.zip(whole).and_then(|(rest, whole)| Some((whole, whole.intersection(&rest)?)));
        let Some((whole, part)) = found else {
            self.cursor = self.range.end();
            return;
        };
        match self.work {
            Work::Unmap => {
                let beside = state.mappings.beside(&whole);
                self.cursor = removal::remove(space, &whole, &part, beside);
                if self.cursor == part.end() {
                    *removed = state.mappings.remove(part.start());
                }
            }
            Work::Protect(protection) => {
                self.cursor = leaves::protect(space, &part, protection);
                if self.cursor == part.end() {
                    state.mappings.set_protection(part.start(), protection);
                    split::merge_at(space, state, whole.start());
                }
            }
            Work::Decommit => {
                self.cursor = leaves::clear_private(space, &part);
                if self.cursor == part.end() && whole.is_within(&self.range) {
                    // Whose frames are all gone has none ahead any more.
                    let mapping = state.mappings.find(whole.start());
                    mapping.into_iter().for_each(|mapping| mapping.sequence.reset());
                }
            }
            Work::Loosen => self.cursor = spans::loosen(space, &part),
            Work::Vacate => {
                let walk = page_table::find(&space.machine, space.root, part.start());
                self.cursor = leaves::clear(space, &part, walk);
                if self.cursor == part.end() {
                    *removed = state.mappings.remove(part.start());
                }
            }
            Work::Carry => self.carry(space, state, &whole, &part, removed),
            // Pages are touched and tables taken without the lock.
            Work::Populate(_) | Work::Reserve => {}
            // Never comes here: copies are made without a lock.
            Work::Move => self.cursor = part.end(),
        }
    }

    /// Goes on to the next sweep of a move, or takes the marks off and completes what only the
    /// whole range allows. Returns whether the change is done.
    fn finish(&mut self, space: &AddressSpace<M>, state: &mut State<M>) -> bool {
        if let Some((range, work)) =
            self.relocation.as_mut().and_then(|relocation| relocation.next(state))
        {
            (self.range, self.cursor, self.work) = (range, range.start(), work);
            return false;
        }
        state.rest();
        if let Some(relocation) = self.relocation.take() {
            let added = relocation.journey().added();
            Relocation::complete(relocation, space, state);
            return !added.is_some_and(|added| self.populate_added(state, added));
        }
        let emptied = matches!(self.work, Work::Unmap) && self.insert.is_none();
        if let Some(node) = self.insert.take() {
            state.mappings.insert(node);
        }
        // What was removed leaves a hole, and nothing that could have become one.
        if !emptied {
            split::merge_at(space, state, self.range.end());
            split::merge_at(space, state, self.range.start());
        }
        true
    }
}
