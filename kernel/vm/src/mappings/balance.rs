//! The tree's shape: nodes in, nodes out, and heights that differ by one at most.
//!
//! Owns: rotations. Refuses to know: what nodes are looked for. Functions return whether what the
//! nodes above know of the subtree is old: where it is not, nobody above needs to look.

use super::room::Top;
use super::sums::Updated;
use super::{Link, Node, OwnedNode};
use crate::addr::Page;
use crate::facts::Facts;
use crate::machine::Machine;

impl<M: Machine> Node<M> {
    pub(super) fn insert(link: &mut Link<M>, mut new: OwnedNode<M>, top: Top) -> bool {
        let Some(node) = link else {
            new.own = Facts::of(&new.mapping);
            new.update(top);
            *link = Some(new);
            return true;
        };
        let is_below = new.mapping.range.start() < node.mapping.range.start();
        let side = if is_below { &mut node.left } else { &mut node.right };
        Self::insert(side, new, top) && Self::balance(link, top)
    }

    /// Takes the node of the mapping that covers a page out of a subtree. Sets `is_old` to whether
    /// what the nodes above know of it is old, if there is one.
    pub(super) fn remove(
        link: &mut Link<M>,
        page: Page,
        top: Top,
        is_old: &mut bool,
    ) -> Option<OwnedNode<M>> {
        let node = link.as_mut()?;
        let removed = if page < node.mapping.range.start() {
            Self::remove(&mut node.left, page, top, is_old)
        } else if page >= node.mapping.range.end() {
            Self::remove(&mut node.right, page, top, is_old)
        } else {
            *is_old = true;
            return Self::unlink(link, top);
        };
        if *is_old {
            *is_old = Self::balance(link, top);
        }
        removed
    }

    /// Takes the root of a subtree out of it.
    #[inline(never)]
    fn unlink(link: &mut Link<M>, top: Top) -> Option<OwnedNode<M>> {
        let mut node = link.take()?;
        *link = match (node.left.take(), node.right.take()) {
            // A child alone has no children.
            (None, alone) | (alone, None) => alone,
            (left, mut right) => {
                let mut lowest = Self::remove_lowest(&mut right, top)?;
                (lowest.left, lowest.right) = (left, right);
                *link = Some(lowest);
                Self::balance(link, top);
                return Some(node);
            }
        };
        Some(node)
    }

    fn remove_lowest(link: &mut Link<M>, top: Top) -> Option<OwnedNode<M>> {
        let node = link.as_mut()?;
        if node.left.is_some() {
            let lowest = Self::remove_lowest(&mut node.left, top);
            Self::balance(link, top);
            return lowest;
        }
        let mut lowest = link.take()?;
        *link = lowest.right.take();
        Some(lowest)
    }

    /// Restores the balance of a subtree whose children are balanced and differ by at most two in
    /// height, and what its root knows.
    #[inline]
    fn balance(link: &mut Link<M>, top: Top) -> bool {
        let Some(node) = link else { return true };
        let Updated { is_new, leans } = node.update(top);
        if (-1..=1).contains(&leans) {
            return is_new;
        }
        Self::rotate(link, leans, top);
        true
    }

    #[cold]
    fn rotate(link: &mut Link<M>, leans: i32, top: Top) {
        let Some(node) = link else { return };
        if leans < 0 {
            if node.left.as_ref().is_some_and(|left| left.leans() > 0) {
                Self::rotate_left(&mut node.left, top);
            }
            Self::rotate_right(link, top);
        } else {
            if node.right.as_ref().is_some_and(|right| right.leans() < 0) {
                Self::rotate_right(&mut node.right, top);
            }
            Self::rotate_left(link, top);
        }
    }

    /// Returns by how much the right child is higher than the left one.
    fn leans(&self) -> i32 {
        i32::from(Self::height(&self.right)) - i32::from(Self::height(&self.left))
    }

    /// Makes the left child the root of the subtree.
    fn rotate_right(link: &mut Link<M>, top: Top) {
        let Some(mut node) = link.take() else { return };
        let Some(mut root) = node.left.take() else {
            *link = Some(node);
            return;
        };
        node.left = root.right.take();
        node.update(top);
        root.right = Some(node);
        root.update(top);
        *link = Some(root);
    }

    /// Makes the right child the root of the subtree.
    fn rotate_left(link: &mut Link<M>, top: Top) {
        let Some(mut node) = link.take() else { return };
        let Some(mut root) = node.right.take() else {
            *link = Some(node);
            return;
        };
        node.right = root.left.take();
        node.update(top);
        root.left = Some(node);
        root.update(top);
        *link = Some(root);
    }
}
