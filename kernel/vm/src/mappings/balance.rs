//! The tree's shape: nodes in, nodes out, and heights that differ by one at most.
//!
//! Owns: rotations. Refuses to know: what nodes are looked for. Functions return whether what the
//! nodes above know of the subtree is old: where it is not, nobody above needs to look.

use super::{Link, Node, OwnedNode};
use crate::addr::Page;
use crate::facts::Facts;
use crate::machine::Machine;

impl<M: Machine> Node<M> {
    pub(super) fn insert(link: &mut Link<M>, mut new: OwnedNode<M>) -> bool {
        let Some(node) = link else {
            new.own = Facts::of(&new.mapping);
            new.update();
            *link = Some(new);
            return true;
        };
        let is_below = new.mapping.range.start() < node.mapping.range.start();
        let side = if is_below { &mut node.left } else { &mut node.right };
        Self::insert(side, new) && Self::balance(link)
    }

    pub(super) fn remove(link: &mut Link<M>, page: Page) -> Option<OwnedNode<M>> {
        let node = link.as_mut()?;
        let removed = if page < node.mapping.range.start() {
            Self::remove(&mut node.left, page)
        } else if page >= node.mapping.range.end() {
            Self::remove(&mut node.right, page)
        } else {
            return Self::unlink(link);
        };
        Self::balance(link);
        removed
    }

    /// Takes the root of a subtree out of it.
    fn unlink(link: &mut Link<M>) -> Option<OwnedNode<M>> {
        let mut node = link.take()?;
        *link = match (node.left.take(), node.right.take()) {
            (left, None) => left,
            (None, right) => right,
            (left, mut right) => {
                let mut lowest = Self::remove_lowest(&mut right)?;
                (lowest.left, lowest.right) = (left, right);
                Some(lowest)
            }
        };
        Self::balance(link);
        node.update();
        Some(node)
    }

    fn remove_lowest(link: &mut Link<M>) -> Option<OwnedNode<M>> {
        let node = link.as_mut()?;
        if node.left.is_some() {
            let lowest = Self::remove_lowest(&mut node.left);
            Self::balance(link);
            return lowest;
        }
        let mut lowest = link.take()?;
        *link = lowest.right.take();
        Some(lowest)
    }

    /// Restores the balance of a subtree whose children are balanced and differ by at most two in
    /// height, and what its root knows.
    fn balance(link: &mut Link<M>) -> bool {
        let Some(node) = link else { return true };
        let (low, high) = (Self::height(&node.left), Self::height(&node.right));
        if low.abs_diff(high) <= 1 {
            return node.update();
        }
        if low > high {
            if node.left.as_ref().is_some_and(|left| left.leans() > 0) {
                Self::rotate_left(&mut node.left);
            }
            Self::rotate_right(link);
        } else {
            if node.right.as_ref().is_some_and(|right| right.leans() < 0) {
                Self::rotate_right(&mut node.right);
            }
            Self::rotate_left(link);
        }
        true
    }

    /// Returns by how much the right child is higher than the left one.
    fn leans(&self) -> i32 {
        i32::from(Self::height(&self.right)) - i32::from(Self::height(&self.left))
    }

    /// Makes the left child the root of the subtree.
    fn rotate_right(link: &mut Link<M>) {
        let Some(mut node) = link.take() else { return };
        let Some(mut top) = node.left.take() else {
            *link = Some(node);
            return;
        };
        node.left = top.right.take();
        node.update();
        top.right = Some(node);
        top.update();
        *link = Some(top);
    }

    /// Makes the right child the root of the subtree.
    fn rotate_left(link: &mut Link<M>) {
        let Some(mut node) = link.take() else { return };
        let Some(mut top) = node.right.take() else {
            *link = Some(node);
            return;
        };
        node.right = top.left.take();
        node.update();
        top.left = Some(node);
        top.update();
        *link = Some(top);
    }
}
