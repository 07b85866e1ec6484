//! The tree's shape: nodes in, nodes out, and heights that differ by one at most.
//!
//! Owns: rotations. Refuses to know: what nodes are looked for. Functions return whether what the
//! nodes above know of the subtree is old: where it is not, nobody above needs to look.

use super::room::Low;
use super::sums::Updated;
use super::{Link, Node, OwnedNode};
use crate::addr::Page;
use crate::facts::Facts;
use crate::machine::Machine;

impl<M: Machine> Node<M> {
    pub(super) fn insert(link: &mut Link<M>, mut new: OwnedNode<M>, low: Low) -> bool {
        let Some(node) = link else {
            new.own = Facts::of(&new.mapping);
            new.update(low);
            *link = Some(new);
            return true;
        };
        let is_below = new.mapping.range.start() < node.mapping.range.start();
        let side = if is_below { &mut node.left } else { &mut node.right };
        Self::insert(side, new, low) && Self::balance(link, low)
    }

    pub(super) fn remove(link: &mut Link<M>, page: Page, low: &mut Low) -> Option<OwnedNode<M>> {
        let node = link.as_mut()?;
        let range = node.mapping.range;
        let removed = if page < range.start() {
            Self::remove(&mut node.left, page, low)
        } else if page >= range.end() {
            Self::remove(&mut node.right, page, low)
        } else {
            low.unmapped(range.start());
            return Self::unlink(link, *low);
        };
        Self::balance(link, *low);
        removed
    }

    /// Takes the root of a subtree out of it.
    fn unlink(link: &mut Link<M>, low: Low) -> Option<OwnedNode<M>> {
        let mut node = link.take()?;
        *link = match (node.left.take(), node.right.take()) {
            // A child alone has no children.
            (None, alone) | (alone, None) => alone,
            (left, mut right) => {
                let mut lowest = Self::remove_lowest(&mut right, low)?;
                (lowest.left, lowest.right) = (left, right);
                *link = Some(lowest);
                Self::balance(link, low);
                return Some(node);
            }
        };
        Some(node)
    }

    fn remove_lowest(link: &mut Link<M>, low: Low) -> Option<OwnedNode<M>> {
        let node = link.as_mut()?;
        if node.left.is_some() {
            let lowest = Self::remove_lowest(&mut node.left, low);
            Self::balance(link, low);
            return lowest;
        }
        let mut lowest = link.take()?;
        *link = lowest.right.take();
        Some(lowest)
    }

    /// Restores the balance of a subtree whose children are balanced and differ by at most two in
    /// height, and what its root knows.
    #[inline]
    fn balance(link: &mut Link<M>, low: Low) -> bool {
        let Some(node) = link else { return true };
        let Updated { is_new, leans } = node.update(low);
        if (-1..=1).contains(&leans) {
            return is_new;
        }
        Self::rotate(link, leans, low);
        true
    }

    #[cold]
    fn rotate(link: &mut Link<M>, leans: i32, low: Low) {
        let Some(node) = link else { return };
        if leans < 0 {
            if node.left.as_ref().is_some_and(|left| left.leans() > 0) {
                Self::rotate_left(&mut node.left, low);
            }
            Self::rotate_right(link, low);
        } else {
            if node.right.as_ref().is_some_and(|right| right.leans() < 0) {
                Self::rotate_right(&mut node.right, low);
            }
            Self::rotate_left(link, low);
        }
    }

    /// Returns by how much the right child is higher than the left one.
    fn leans(&self) -> i32 {
        i32::from(Self::height(&self.right)) - i32::from(Self::height(&self.left))
    }

    /// Makes the left child the root of the subtree.
    fn rotate_right(link: &mut Link<M>, low: Low) {
        let Some(mut node) = link.take() else { return };
        let Some(mut top) = node.left.take() else {
            *link = Some(node);
            return;
        };
        node.left = top.right.take();
        node.update(low);
        top.right = Some(node);
        top.update(low);
        *link = Some(top);
    }

    /// Makes the right child the root of the subtree.
    fn rotate_left(link: &mut Link<M>, low: Low) {
        let Some(mut node) = link.take() else { return };
        let Some(mut top) = node.right.take() else {
            *link = Some(node);
            return;
        };
        node.right = top.left.take();
        node.update(low);
        top.left = Some(node);
        top.update(low);
        *link = Some(top);
    }
}
