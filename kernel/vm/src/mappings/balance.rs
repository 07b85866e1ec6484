//! The tree's shape: heights of children differ by one at most.
//!
//! Owns: rotations, and what everybody on a way knows, from below. Refuses to know: what nodes are
//! looked for.

use super::room::Top;
use super::{Link, Node, OwnedNode};
use crate::addr::Page;
use crate::machine::Machine;

impl<M: Machine> Node<M> {
    /// Restores the balance on the way to a page, and what is known there.
    #[cold]
    #[inline(never)]
    pub(super) fn settle(link: &mut Link<M>, page: Page, top: Top) {
        let Some(node) = link else { return };
        let is_below = page < node.mapping.range.start();
        Self::settle(if is_below { &mut node.left } else { &mut node.right }, page, top);
        Self::balance(link, top);
    }

    /// Takes the root of a subtree out of it. Returns whether it had one child at most, too, so that
    /// the subtree is lower by one now.
    #[inline]
    pub(super) fn unlink(link: &mut Link<M>, top: Top) -> Option<(OwnedNode<M>, bool)> {
        let mut node = link.take()?;
        if node.left.is_none() {
            *link = node.right.take();
        } else if node.right.is_none() {
            *link = node.left.take();
        } else {
            Self::replace(link, &mut node, top);
            return Some((node, false));
        }
        Some((node, true))
    }

    /// Puts the lowest node above another, which has two children, into its place.
    #[cold]
    fn replace(link: &mut Link<M>, node: &mut Node<M>, top: Top) {
        let (left, mut right) = (node.left.take(), node.right.take());
        if let Some(mut lowest) = Self::remove_lowest(&mut right, top) {
            (lowest.left, lowest.right) = (left, right);
            *link = Some(lowest);
        }
        Self::balance(link, top);
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
    fn balance(link: &mut Link<M>, top: Top) {
        let Some(node) = link else { return };
        node.update(top);
        if (-1..=1).contains(&node.leans) {
            return;
        }
        if node.leans < 0 {
            if node.left.as_ref().is_some_and(|left| left.leans > 0) {
                Self::rotate_left(&mut node.left, top);
            }
            Self::rotate_right(link, top);
        } else {
            if node.right.as_ref().is_some_and(|right| right.leans < 0) {
                Self::rotate_right(&mut node.right, top);
            }
            Self::rotate_left(link, top);
        }
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
