//! A move of pages, sweep by sweep.
//!
//! Owns: the order of a move's sweeps, and everything taken for them beforehand. Tables are
//! *reserved*, which may fail and then has changed nothing; the destination is *vacated*; the
//! mapping appears there; pages are *carried*; what is left of the source goes. Refuses to know:
//! how a sweep is cut into steps (`change`).

use super::change::Work;
use super::reserve::Reserve;
use super::route::Route;
use super::split::{Splits, merge_at};
use crate::addr::PageRange;
use crate::address_space::{AddressSpace, State};
use crate::error::VmError;
use crate::machine::{Machine, Pools};
use crate::mapping::Mapping;
use crate::mappings::OwnedNode;

/// What is moved, and where.
#[derive(Clone, Copy)]
pub(super) struct Journey {
    /// The whole range that was named.
    pub(super) old: PageRange,
    /// Its first pages, as far as they move. None where both ranges show one object.
    pub(super) carried: Option<PageRange>,
    /// Where they go; pages behind them are as new.
    pub(super) new: PageRange,
    /// Whether the source stays mapped.
    pub(super) retains: bool,
}

/// The sweeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Loosen,
    MakeWay,
    Reserve,
    Vacate,
    Carry,
    Rest,
}

/// Mappings for the places where others are cut, and the one at the destination.
struct Nodes<M: Machine> {
    lower: Option<Splits<M>>,
    upper: Option<Splits<M>>,
    target: OwnedNode<M>,
}

/// A move under way.
pub(super) struct Relocation<M: Machine> {
    journey: Journey,
    stage: Stage,
    nodes: Option<Nodes<M>>,
    pub(super) reserve: Reserve,
}

/// A move in its pool: a [`Change`](super::Change) is moved about more often than it runs.
pub(super) type OwnedRelocation<M> = <M as Pools>::Owned<Relocation<M>>;

impl Journey {
    pub(super) fn route(&self) -> Route {
        Route::new(self.old.start(), self.new.start())
    }

    /// Returns the part of the source whose pages do not move.
    fn rest(&self) -> Option<PageRange> {
        let carried = self.carried.map_or(self.old.start(), |carried| carried.end());
        PageRange::between(carried, self.old.end())
    }

    /// Returns the part of the destination behind the pages that move.
    pub(super) fn added(&self) -> Option<PageRange> {
        let pages = self.carried.map_or(0, |carried| carried.pages());
        PageRange::between(self.new.start().add(pages), self.new.end())
    }

    /// Returns the ranges whose edges cut mappings: a source that stays is not cut.
    fn cut(&self) -> [Option<PageRange>; 2] {
        let old = (!self.retains).then_some(self.old);
        let below = self.old.start() < self.new.start();
        if below { [old, Some(self.new)] } else { [Some(self.new), old] }
    }
}

impl<M: Machine> Nodes<M> {
    /// Takes the mappings that a move needs. `mapping` is the source's.
    fn prepare(
        space: &AddressSpace<M>,
        state: &State<M>,
        mapping: &Mapping<M>,
        journey: &Journey,
    ) -> Result<Nodes<M>, VmError> {
        let splits = |range: Option<PageRange>| {
            range.map(|range| Splits::prepare(space, state, &range)).transpose()
        };
        let [lower, upper] = journey.cut();
        let above = lower.map(|lower| lower.end());
        let target = space.node(|| mapping.moved(journey.old.start(), journey.new))?;
        let mut nodes = Nodes { lower: None, upper: None, target };
        let taken = splits(lower).and_then(|lower| {
            nodes.lower = lower;
            nodes.upper = match upper.zip(above) {
                // Ranges that meet have an edge in common.
                Some((range, end)) if range.start() == end => {
                    Some(Splits::prepare_at(space, state, range.end())?)
                }
                _ => splits(upper)?,
            };
            Ok(())
        });
        match taken {
            Ok(()) => Ok(nodes),
            Err(error) => {
                nodes.abandon(space);
                Err(error)
            }
        }
    }

    fn abandon(self, space: &AddressSpace<M>) {
        self.lower.into_iter().chain(self.upper).for_each(|splits| splits.abandon(space));
        space.recycle(self.target);
    }
}

impl<M: Machine> Relocation<M> {
    /// Kernel memory that a move is charged for.
    const BYTES: usize = size_of::<Self>();

    /// Takes what a move needs but for tables. `mapping` is the source's.
    ///
    /// # Errors
    /// `OutOfKernelMemory`, `LimitReached`.
    pub(super) fn prepare(
        space: &AddressSpace<M>,
        state: &State<M>,
        mapping: &Mapping<M>,
        journey: Journey,
    ) -> Result<OwnedRelocation<M>, VmError> {
        space.account.charge_kernel(Self::BYTES)?;
        let (stage, reserve) = (Stage::Loosen, Reserve::new());
        let shell = Relocation { journey, stage, nodes: None, reserve };
        let prepared = space.machine.own(shell).map_err(VmError::from).and_then(|mut shell| {
            shell.nodes = Some(Nodes::prepare(space, state, mapping, &journey)?);
            Ok(shell)
        });
        prepared.inspect_err(|_| space.account.credit_kernel(Self::BYTES))
    }

    pub(super) fn journey(&self) -> &Journey {
        &self.journey
    }

    /// Gives everything back. Nothing has changed, and no lock is held.
    pub(super) fn abandon(mut this: OwnedRelocation<M>, space: &AddressSpace<M>) {
        if let Some(nodes) = this.nodes.take() {
            nodes.abandon(space);
        }
        this.reserve.release(space);
        drop(this);
        space.account.credit_kernel(Self::BYTES);
    }

    /// Returns the first sweep.
    pub(super) fn first(&mut self, state: &mut State<M>) -> Option<(PageRange, Work)> {
        match self.journey.carried {
            Some(carried) => Some((carried, Work::Loosen)),
            None => self.next(state),
        }
    }

    /// Returns the sweep behind the one that is done, or `None` if that was the last.
    pub(super) fn next(&mut self, state: &mut State<M>) -> Option<(PageRange, Work)> {
        loop {
            let (stage, sweep) = match self.stage {
                Stage::Loosen => {
                    let taken = !state.mappings.is_free(&self.journey.new);
                    (Stage::MakeWay, taken.then_some((self.journey.new, Work::Loosen)))
                }
                Stage::MakeWay => {
                    (Stage::Reserve, self.journey.carried.map(|range| (range, Work::Reserve)))
                }
                Stage::Reserve => (Stage::Vacate, self.vacate(state)),
                Stage::Vacate => {
                    self.appear(state);
                    (Stage::Carry, self.journey.carried.map(|range| (range, Work::Carry)))
                }
                Stage::Carry => (Stage::Rest, self.journey.rest().zip(self.work_on_rest())),
                Stage::Rest => return None,
            };
            self.stage = stage;
            if sweep.is_some() {
                return sweep;
            }
        }
    }

    /// Cuts mappings at the edges of both ranges, from below. From here on nothing can fail.
    fn vacate(&mut self, state: &mut State<M>) -> Option<(PageRange, Work)> {
        if let Some(nodes) = &mut self.nodes {
            nodes.lower.take().into_iter().for_each(|splits| splits.apply(state));
            nodes.upper.take().into_iter().for_each(|splits| splits.apply(state));
        }
        let new = self.journey.new;
        (!state.mappings.is_free(&new)).then_some((new, Work::Vacate))
    }

    /// Puts the mapping at the destination into the tree before the source's tables go, so that
    /// none that the destination needs is taken for useless.
    fn appear(&mut self, state: &mut State<M>) {
        if let Some(Nodes { target, .. }) = self.nodes.take() {
            state.mappings.insert(target);
        }
    }

    /// Returns what becomes of source pages that do not move. Shared ones stay as they are.
    fn work_on_rest(&self) -> Option<Work> {
        match (self.journey.retains, self.journey.carried) {
            (false, _) => Some(Work::Unmap),
            (true, Some(_)) => Some(Work::Decommit),
            (true, None) => None,
        }
    }

    /// Ends a move whose sweeps are all done.
    pub(super) fn complete(
        mut this: OwnedRelocation<M>,
        space: &AddressSpace<M>,
        state: &mut State<M>,
    ) {
        merge_at(space, state, this.journey.new.end());
        merge_at(space, state, this.journey.new.start());
        this.reserve.release(space);
        drop(this);
        space.account.credit_kernel(Self::BYTES);
    }
}
