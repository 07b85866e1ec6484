//! The long operations of a play, and their steps.

use super::patience;
use super::play::{Child, Host, Play};
use crate::coverage::note;
use crate::support::{READ, RW, RWT, WRITE, new_space};
use std::sync::Arc;
use vellum_abi::{PAGE_SIZE, Protection};
use vellum_vm::addr::PageRange;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::ops::{Change, Cloning, Progress, Promotion};

/// Acts of neighbours before a step, at most.
const BETWEEN: u64 = 9;
/// Children at a time.
const CHILDREN: usize = 2;
/// What may be begun.
const KINDS: [Kind; 9] = [
    Kind::Map,
    Kind::Unmap,
    Kind::Protect,
    Kind::Decommit,
    Kind::Populate,
    Kind::Promote,
    Kind::MoveFrames,
    Kind::Clone,
    Kind::Remap,
];
/// How often each is.
const ODDS: [u64; KINDS.len()] = [3, 1, 2, 2, 2, 2, 1, 1, 4];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Map,
    Unmap,
    Protect,
    Decommit,
    Populate,
    Promote,
    MoveFrames,
    Clone,
    Remap,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Map => "map",
            Kind::Unmap => "unmap",
            Kind::Protect => "protect",
            Kind::Decommit => "decommit",
            Kind::Populate => "populate",
            Kind::Promote => "promote",
            Kind::MoveFrames => "move_frames",
            Kind::Clone => "clone",
            Kind::Remap => "remap",
        }
    }
}

/// A long operation under way.
enum Long {
    Change(Change<Host>),
    Promotion(Promotion<Host>),
    Cloning(Cloning, Child),
}

impl Play {
    /// Begins a long operation and completes it, with neighbours' acts before each step. Returns whether
    /// there was one: it may be refused, or done at once.
    pub(super) fn perform(&mut self) -> bool {
        let kind = self.draw_kind();
        patience::long(kind.name());
        let begun = self.begin(kind);
        let outcome = begun.as_ref().map(|long| if long.is_some() { "begun" } else { "done" });
        note(kind.name(), outcome.map_err(|refusal| *refusal));
        let Ok(Some(mut long)) = begun else { return false };
        loop {
            let calm = self.draw.below(4) == 0;
            self.neighbours(if calm { 0 } else { BETWEEN });
            self.try_another();
            patience::step();
            if self.step(&mut long) {
                break;
            }
        }
        if let Long::Cloning(_, child) = long {
            assert_eq!(child.0.audit(), Ok(()));
            self.children.push(child);
        }
        true
    }

    fn draw_kind(&mut self) -> Kind {
        let mut number = self.draw.below(ODDS.iter().sum());
        for (kind, odds) in KINDS.into_iter().zip(ODDS) {
            if number < odds {
                return kind;
            }
            number -= odds;
        }
        unreachable!("the number is below the sum of the odds")
    }

    fn begin(&mut self, kind: Kind) -> Result<Option<Long>, Refusal> {
        match kind {
            Kind::Map => return Ok(self.begin_map()?.map(Long::Change)),
            Kind::Remap => return Ok(self.begin_remap()?.map(Long::Change)),
            Kind::Clone => return self.begin_clone().map(Some),
            _ => {}
        }
        let range = self.draw_range();
        self.begin_on(kind, range)
    }

    /// Draws a range, mostly a part of a mapping.
    fn draw_range(&mut self) -> PageRange {
        let range = self.draw.range();
        // The mapping there, or the next.
        match self.rig.space.query(range.start()) {
            Ok(info) if !self.draw.one_in(4) => {
                let start = range.start().address().max(info.start);
                let room = info.start + info.length - start;
                self.draw.hold(start, room.min(range.pages() * PAGE_SIZE))
            }
            _ => range,
        }
    }

    fn begin_on(&mut self, kind: Kind, range: PageRange) -> Result<Option<Long>, Refusal> {
        let (space, draw) = (&self.rig.space, &mut self.draw);
        let change = match kind {
            Kind::Promote => return Ok(Some(Long::Promotion(space.promote(range)?))),
            Kind::Unmap => return Ok(space.unmap(range)?.map(Long::Change)),
            Kind::Decommit => space.decommit(range)?,
            Kind::Populate => space.populate(range, draw.pick(&[READ, WRITE]))?,
            Kind::Protect => {
                let protections = [RW, RWT, Protection::READ, Protection::NONE];
                space.protect(range, draw.pick(&protections))?
            }
            _ => space.move_frames()?,
        };
        Ok(Some(Long::Change(change)))
    }

    fn begin_clone(&mut self) -> Result<Long, Refusal> {
        self.leave_alone();
        if self.children.len() == CHILDREN || self.rig.model.free_frames() < 2 {
            return Err(VmError::OutOfFrames.into());
        }
        // First: nothing may fail once the operation has begun.
        let child = Child(Arc::new(new_space(&self.rig.model, &self.rig.account)));
        Ok(Long::Cloning(self.rig.space.clone_space()?, child))
    }

    /// Sometimes tries to begin another operation, which is refused.
    fn try_another(&mut self) {
        if self.draw.one_in(20) {
            let kind = self.draw_kind();
            patience::act("an operation that is refused");
            assert!(self.begin(kind).is_err(), "{} begins during another", kind.name());
        }
    }

    /// Goes one step further. Returns whether the operation is done.
    fn step(&mut self, long: &mut Long) -> bool {
        let (space, model) = (&self.rig.space, &self.rig.model);
        match long {
            Long::Change(change) => {
                if self.draw.one_in(60) {
                    change.cut_short();
                }
                change.step(space)
            }
            Long::Promotion(promotion) => promotion.step(space),
            Long::Cloning(cloning, child) => {
                model.set_pause(true);
                let progress = cloning.run(space, &child.0);
                model.set_pause(false);
                !matches!(progress, Ok(Progress::Paused))
            }
        }
    }
}
