//! What a node knows of the mappings below it.
//!
//! Owns: the sums, and which of them a change makes old. Refuses to know: shape (`balance`) and room.
//! Functions that change a subtree return whether what the nodes above know of it is old.

use super::room::Top;
use super::{Link, Node, OwnedNode};
use crate::addr::{Page, PageRange};
use crate::facts::Facts;
use crate::machine::Machine;
use crate::mapping::Mapping;
use vellum_abi::Protection;

impl<M: Machine> Node<M> {
    /// Computes what the node knows of its subtree from its children. Returns whether anything is
    /// new: if not, those above it know the truth still.
    #[inline]
    pub(super) fn update(&mut self, top: Top) -> bool {
        let range = self.mapping.range;
        let (mut start, mut end, mut gap) = (range.start(), range.end(), 0);
        let (mut left_height, mut right_height, mut facts) = (0, 0, self.own);
        if let Some(left) = &self.left {
            gap = left.gap.max(top.gap(left.end, range.start()));
            (start, left_height, facts) = (left.start, left.height, facts.and(left.facts));
        }
        if let Some(right) = &self.right {
            gap = gap.max(right.gap).max(top.gap(range.end(), right.start));
            (end, right_height, facts) = (right.end, right.height, facts.and(right.facts));
        }
        let height = 1 + left_height.max(right_height);
        let is_new = (self.start != start)
            | (self.end != end)
            | (self.gap != gap)
            | (self.height != height)
            | (self.facts != facts);
        (self.start, self.end, self.gap) = (start, end, gap);
        (self.height, self.facts) = (height, facts);
        self.leans = right_height.wrapping_sub(left_height).cast_signed();
        is_new
    }

    /// Computes the part of that which ranges alone have to do with. Returns whether anything is
    /// new: if not, those above it know the truth still.
    #[inline]
    pub(super) fn measure(&mut self, top: Top) -> bool {
        let range = self.mapping.range;
        let (mut start, mut end, mut gap) = (range.start(), range.end(), 0);
        if let Some(left) = &self.left {
            gap = left.gap.max(top.gap(left.end, range.start()));
            start = left.start;
        }
        if let Some(right) = &self.right {
            gap = gap.max(right.gap).max(top.gap(range.end(), right.start));
            end = right.end;
        }
        let is_new = (self.start != start) | (self.end != end) | (self.gap != gap);
        (self.start, self.end, self.gap) = (start, end, gap);
        is_new
    }

    /// Returns whether every node of a subtree knows the truth and is balanced.
    pub(super) fn is_sound(link: &Link<M>, top: Top) -> bool {
        let Some(node) = link else { return true };
        let range = node.mapping.range;
        let (left, right) = (node.left.as_ref(), node.right.as_ref());
        let below = left.map(|left| (left.gap, top.gap(left.end, range.start())));
        let above = right.map(|right| (right.gap, top.gap(range.end(), right.start)));
        let gaps = below.into_iter().chain(above).map(|(inside, beside)| inside.max(beside));
        let children = || left.into_iter().chain(right);
        let facts = children().fold(Facts::of(&node.mapping), |sum, child| sum.and(child.facts));
        let heights = [left, right].map(|child| child.map_or(0, |child| i32::from(child.height)));
        let leans = heights[1] - heights[0];
        node.start == left.map_or(range.start(), |left| left.start)
            && node.end == right.map_or(range.end(), |right| right.end)
            && left.is_none_or(|left| left.end <= range.start())
            && right.is_none_or(|right| range.end() <= right.start)
            && node.gap == gaps.max().unwrap_or(0)
            && (node.own, node.facts) == (Facts::of(&node.mapping), facts)
            && i32::from(node.height) == 1 + heights[0].max(heights[1])
            && i32::from(node.leans) == leans
            && leans.abs() <= 1
            && Self::is_sound(&node.left, top)
            && Self::is_sound(&node.right, top)
    }

    /// Returns the first page from `from` on that no mapping of the subtree covers, or any page
    /// at or above `end` if there is none below it.
    pub(super) fn covered_from(link: &Link<M>, from: Page, end: Page) -> Page {
        let Some(node) = link.as_ref().filter(|node| node.start <= from && from < node.end) else {
            return from;
        };
        if node.gap == 0 {
            return node.end;
        }
        let range = node.mapping.range;
        let reached = Self::covered_from(&node.left, from, end);
        if reached >= end || reached < range.start() {
            return reached;
        }
        Self::covered_from(&node.right, reached.max(range.end()), end)
    }

    pub(super) fn facts_in(link: &Link<M>, range: &PageRange) -> Facts {
        let reaches = |node: &&OwnedNode<M>| node.start < range.end() && range.start() < node.end;
        let Some(node) = link.as_ref().filter(reaches) else { return Facts::NONE };
        if range.start() <= node.start && node.end <= range.end() {
            return node.facts;
        }
        let own = node.mapping.range.intersection(range).map_or(Facts::NONE, |_| node.own);
        own.and(Self::facts_in(&node.left, range)).and(Self::facts_in(&node.right, range))
    }

    pub(super) fn set_protection(
        link: &mut Link<M>,
        page: Page,
        protection: Protection,
        top: Top,
    ) -> bool {
        let Some(node) = link else { return false };
        let range = node.mapping.range;
        let is_old = if page < range.start() {
            Self::set_protection(&mut node.left, page, protection, top)
        } else if page >= range.end() {
            Self::set_protection(&mut node.right, page, protection, top)
        } else {
            node.mapping.protection = protection;
            node.own = Facts::of(&node.mapping);
            true
        };
        is_old && node.update(top)
    }

    pub(super) fn alter(
        link: &mut Link<M>,
        page: Page,
        top: Top,
        alter_fn: impl FnOnce(&mut Mapping<M>),
    ) -> bool {
        let Some(node) = link else { return false };
        let range = node.mapping.range;
        let is_old = if page < range.start() {
            Self::alter(&mut node.left, page, top, alter_fn)
        } else if page >= range.end() {
            Self::alter(&mut node.right, page, top, alter_fn)
        } else {
            alter_fn(&mut node.mapping);
            debug_assert_eq!(node.own, Facts::of(&node.mapping), "its range alone changes");
            true
        };
        is_old && node.measure(top)
    }

    /// Computes the sums of all who have the gap that ends at `start`, where a mapping starts.
    pub(super) fn sum_up(link: &mut Link<M>, start: Page, top: Top) {
        let Some(node) = link else { return };
        if node.mapping.range.start() < start {
            Self::sum_up(&mut node.right, start, top);
        } else {
            // The gap may be below the mapping's left child, too.
            Self::sum_up(&mut node.left, start, top);
        }
        node.measure(top);
    }
}
