//! Nodes in and out on one way down the tree.
//!
//! Owns: what becomes of the sums and heights of those whom the way comes by. A leaf that comes makes
//! the subtrees around it higher, up to the lowest that leans, which it makes even; one that goes
//! makes them lower, up to the lowest that is even, which it makes lean (Knuth, 6.2.3, algorithm A).
//! Where that one leans to the wrong side, or a sum cannot be told from above, `balance` settles the
//! same way from below.

use super::room::Top;
use super::{Beside, Link, Node, OwnedNode};
use crate::addr::{Page, PageRange};
use crate::facts::Facts;
use crate::machine::Machine;

/// A page below every mapping.
const NOWHERE: Page = Page::from_number(0);

/// Which subtrees on a way change their height.
struct Way {
    /// The first page of the lowest mapping whose subtree does not, and none above it; NOWHERE if all
    /// do.
    steady: Page,
    /// Whether that one, or one below it, has to be turned.
    turns: bool,
}

impl Way {
    /// Nothing was come by yet.
    const START: Way = Way { steady: NOWHERE, turns: false };

    /// Notes the subtree of the mapping that starts at `start`, into a child of which a leaf comes:
    /// `leans` is by how much it leans to that side.
    #[inline]
    fn comes_into(&mut self, start: Page, leans: i8) {
        if leans != 0 {
            *self = Way { steady: start, turns: leans > 0 };
        }
    }

    /// Likewise, out of a child of which a leaf goes.
    #[inline]
    fn goes_out_of(&mut self, start: Page, leans: i8) {
        if leans == 0 {
            *self = Way { steady: start, turns: false };
        }
        self.turns |= leans < 0;
    }
}

impl<M: Machine> Node<M> {
    /// Puts a node into the tree. `beside` is next to its range, which is free.
    #[inline]
    pub(super) fn insert(root: &mut Link<M>, mut new: OwnedNode<M>, beside: Beside, top: Top) {
        let (range, facts) = (new.mapping.range, Facts::of(&new.mapping));
        (new.own, new.facts) = (facts, facts);
        (new.start, new.end, new.gap) = (range.start(), range.end(), 0);
        (new.height, new.leans) = (1, 0);
        let gap = gap_below(range.start(), beside, top);
        let (mut link, mut way) = (&mut *root, Way::START);
        while let Some(node) = link {
            let node = &mut **node;
            let (start, leans) = (node.mapping.range.start(), node.leans);
            node.facts = node.facts.and(facts);
            node.end = node.end.max(range.end());
            if range.start() < node.start {
                node.start = range.start();
            } else {
                node.gap = node.gap.max(gap);
            }
            if range.start() < start {
                link = &mut node.left;
                way.comes_into(start, -leans);
            } else {
                link = &mut node.right;
                way.comes_into(start, leans);
            }
        }
        *link = Some(new);
        // The gap that the mapping came into is smaller now: who has the sum looks again.
        if way.turns || !top.leaves_out(beside.high) {
            Self::settle(root, range.start(), top);
        } else {
            Self::grow(root, range.start(), way.steady);
        }
    }

    /// Makes the subtrees around a new leaf higher that are below `steady`.
    #[inline]
    fn grow(root: &mut Link<M>, leaf: Page, steady: Page) {
        let mut link = root;
        if steady != NOWHERE {
            let Some(node) = Self::find_mut(link, leaf, steady) else { return };
            node.leans = 0;
            link = node.side(leaf);
        }
        while let Some(node) = link {
            let node = &mut **node;
            let start = node.mapping.range.start();
            if start == leaf {
                return;
            }
            node.height += 1;
            node.leans = if leaf < start { -1 } else { 1 };
            link = node.side(leaf);
        }
    }

    /// Returns the node of the mapping that starts at `start`, which is on the way to a page.
    #[inline]
    fn find_mut(link: &mut Link<M>, page: Page, start: Page) -> Option<&mut Node<M>> {
        let mut node = &mut **link.as_mut()?;
        while node.mapping.range.start() != start {
            node = &mut **node.side(page).as_mut()?;
        }
        Some(node)
    }

    /// Returns the child on the way to a page.
    #[inline]
    fn side(&mut self, page: Page) -> &mut Link<M> {
        if page < self.mapping.range.start() { &mut self.left } else { &mut self.right }
    }

    /// Takes the node of the mapping of `whole` out of the tree. `beside` is next to it.
    #[inline]
    pub(super) fn remove(
        root: &mut Link<M>,
        whole: &PageRange,
        beside: Beside,
        top: Top,
    ) -> Option<OwnedNode<M>> {
        // The gap below becomes part of the one behind: who has it in a sum looks again.
        let gap = gap_below(whole.start(), beside, top);
        let (mut link, mut way, mut parent) = (&mut *root, Way::START, NOWHERE);
        let (mut is_old, mut is_parent_old) = (!top.leaves_out(beside.high), false);
        while link.as_ref()?.mapping.range.start() != whole.start() {
            let node = &mut **link.as_mut()?;
            let (start, leans) = (node.mapping.range.start(), node.leans);
            if node.start == whole.start() {
                node.start = beside.high;
            }
            if node.end == whole.end() {
                node.end = beside.low;
            }
            is_old |= is_parent_old;
            is_parent_old = gap != 0 && node.gap == gap;
            parent = start;
            if whole.start() < start {
                link = &mut node.left;
                way.goes_out_of(start, -leans);
            } else {
                link = &mut node.right;
                way.goes_out_of(start, leans);
            }
        }
        let (removed, is_leaf) = Self::unlink(link, top)?;
        let settles = way.turns || is_old || !is_leaf;
        if settles || Self::shrink(root, whole.start(), way.steady, parent, top) {
            Self::settle(root, whole.start(), top);
        }
        Some(removed)
    }

    /// Makes the subtrees around a leaf that is gone lower that are below `steady`. Returns whether
    /// its parent, if there is one, knows less of its subtree than before.
    #[inline]
    fn shrink(root: &mut Link<M>, leaf: Page, steady: Page, parent: Page, top: Top) -> bool {
        if parent == NOWHERE {
            return false;
        }
        let mut link = root;
        if steady != NOWHERE {
            let Some(node) = Self::find_mut(link, leaf, steady) else { return false };
            if steady == parent {
                return node.learns_less(top);
            }
            node.leans = if leaf < steady { 1 } else { -1 };
            link = node.side(leaf);
        }
        while let Some(node) = link {
            let node = &mut **node;
            if node.mapping.range.start() == parent {
                return node.learns_less(top);
            }
            node.height -= 1;
            node.leans = 0;
            link = node.side(leaf);
        }
        false
    }

    /// Computes what the node knows, and returns whether something holds of no mapping any more.
    #[inline]
    fn learns_less(&mut self, top: Top) -> bool {
        let facts = self.facts;
        self.update(top);
        self.facts != facts
    }
}

/// Returns how many pages count between the mapping below a page and the page.
#[inline]
fn gap_below(page: Page, beside: Beside, top: Top) -> u64 {
    if beside.low == NOWHERE { 0 } else { top.gap(beside.low, page) }
}
