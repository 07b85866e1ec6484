//! Splitting mappings at the edges of a range, and merging what has become equal.

use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::counters::Counter;
use crate::error::VmError;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::mappings::{Node, OwnedNode};
use core::mem::size_of;

/// The most mappings of an address space: it bounds the checks over all of a range's mappings, and
/// what one process can take of the pools. An operation that splits may go a few beyond.
const MAX_MAPPINGS: u64 = 1 << 16;

/// Nodes for the splits at both edges of a range, taken before anything is changed.
pub(super) struct Splits<M: Machine>([Option<OwnedNode<M>>; 2]);

impl<M: Machine> AddressSpace<M> {
    /// Takes a node for a mapping, charged to the process.
    ///
    /// # Errors
    /// `LimitReached` at [`MAX_MAPPINGS`]; `OutOfKernelMemory`, `LimitReached`.
    #[inline]
    pub(super) fn node(
        &self,
        mapping_fn: impl FnOnce() -> Mapping<M>,
    ) -> Result<OwnedNode<M>, VmError> {
        if self.counters.value(Counter::Mappings) >= MAX_MAPPINGS {
            return Err(VmError::LimitReached);
        }
        self.account.charge_kernel(size_of::<Node<M>>())?;
        Node::allocate(&self.machine, mapping_fn).map_err(|error| {
            self.account.credit_kernel(size_of::<Node<M>>());
            error.into()
        })
    }

    /// Gives a node back. Its object may go with it, so no lock is held.
    pub(super) fn recycle(&self, node: OwnedNode<M>) {
        drop(node);
        self.account.credit_kernel(size_of::<Node<M>>());
    }
}

impl<M: Machine> Splits<M> {
    /// Takes what the splits of a range need.
    ///
    /// # Errors
    /// `OutOfKernelMemory`, `LimitReached`.
    pub(super) fn prepare(
        space: &AddressSpace<M>,
        state: &State<M>,
        range: &PageRange,
    ) -> Result<Splits<M>, VmError> {
        let first = tail_node(space, state, range.start())?;
        match tail_node(space, state, range.end()) {
            Ok(second) => Ok(Splits([first, second])),
            Err(error) => {
                first.into_iter().for_each(|node| space.recycle(node));
                Err(error)
            }
        }
    }

    /// Takes what a split at one page needs.
    ///
    /// # Errors
    /// `OutOfKernelMemory`, `LimitReached`.
    pub(super) fn prepare_at(
        space: &AddressSpace<M>,
        state: &State<M>,
        page: Page,
    ) -> Result<Splits<M>, VmError> {
        Ok(Splits([tail_node(space, state, page)?, None]))
    }

    /// Gives the nodes back unused.
    pub(super) fn abandon(self, space: &AddressSpace<M>) {
        self.0.into_iter().flatten().for_each(|node| space.recycle(node));
    }

    /// Splits. The lock has been held since [`Self::prepare`].
    pub(super) fn apply(self, state: &mut State<M>) {
        for tail in self.0.into_iter().flatten() {
            let at = tail.mapping().range.start();
            state.mappings.alter(at, |head| head.truncate(at));
            state.mappings.insert(tail);
        }
    }
}

/// Takes a node for the part behind `at` of a mapping that `at` lies inside of.
fn tail_node<M: Machine>(
    space: &AddressSpace<M>,
    state: &State<M>,
    at: Page,
) -> Result<Option<OwnedNode<M>>, VmError> {
    let inside = state.mappings.find(at).filter(|mapping| mapping.range.start() < at);
    inside.map(|mapping| space.node(|| mapping.tail(at))).transpose()
}

/// Takes an end off the mapping that covers `whole`, in its place: no memory is needed. The next
/// mapping, if there is one, starts at `high`. Returns whether the range is an end of it; otherwise nothing was done.
#[inline]
pub(super) fn cut_off<M: Machine>(
    state: &mut State<M>,
    whole: &PageRange,
    range: &PageRange,
    high: Page,
) -> bool {
    match (range.start() == whole.start(), range.end() == whole.end()) {
        (true, false) => state.mappings.alter(whole.start(), |rest| rest.begin_at(range.end())),
        (false, true) => {
            let end = range.start();
            state.mappings.alter_end(whole, end, high, |rest| rest.truncate(end));
        }
        _ => return false,
    }
    true
}

/// Merges the mappings that meet at a page if they are one in all but name.
pub(super) fn merge_at<M: Machine>(space: &AddressSpace<M>, state: &mut State<M>, at: Page) {
    let (Some(low), Some(high)) = state.mappings.around(at) else { return };
    if !low.continues_in(high) {
        return;
    }
    let start = low.range.start();
    let Some(high) = state.mappings.remove(at) else { return };
    state.mappings.alter(start, |low| low.absorb(high.mapping().range.end()));
    // Not its object's last mapping: `low` has the same object.
    space.recycle(high);
}
