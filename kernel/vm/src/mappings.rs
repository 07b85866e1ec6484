//! The ordered, non-overlapping mappings of one address space.
//!
//! Owns: the order, in a height-balanced binary tree (Adelson-Velsky and Landis) whose nodes come
//! from a pool one by one, so that inserting never allocates and removing never fails. Each node
//! knows the widest gap below it, so that finding room costs the height of the tree. Refuses to
//! know: translation tables and faults.

use crate::addr::{Page, PageRange};
use crate::machine::{Machine, PoolExhausted, Pools};
use crate::mapping::Mapping;
use vellum_abi::Protection;

/// A subtree.
type Link<M> = Option<OwnedNode<M>>;
/// A node in its pool.
pub type OwnedNode<M> = <M as Pools>::Owned<Node<M>>;

/// A mapping and its place in the tree.
pub struct Node<M: Machine> {
    mapping: Mapping<M>,
    left: Link<M>,
    right: Link<M>,
    height: u8,
    /// The first page of the subtree.
    start: Page,
    /// The page behind the last of the subtree.
    end: Page,
    /// The most pages between two neighbours in the subtree.
    gap: u64,
}

impl<M: Machine> Node<M> {
    /// Takes a node for a mapping out of the pool.
    ///
    /// # Errors
    /// `PoolExhausted`.
    pub fn allocate(machine: &M, mapping: Mapping<M>) -> Result<OwnedNode<M>, PoolExhausted> {
        let (start, end) = (mapping.range.start(), mapping.range.end());
        machine.own(Node { mapping, left: None, right: None, height: 1, start, end, gap: 0 })
    }

    /// Returns the mapping.
    pub fn mapping(&self) -> &Mapping<M> {
        &self.mapping
    }

    /// Returns the mapping of a node that is in no tree.
    pub fn mapping_mut(&mut self) -> &mut Mapping<M> {
        &mut self.mapping
    }

    /// Computes what the node knows of its subtree from its children.
    fn update(&mut self) {
        let range = self.mapping.range;
        (self.start, self.end, self.gap) = (range.start(), range.end(), 0);
        if let Some(left) = &self.left {
            let between = range.start().number() - left.end.number();
            self.start = left.start;
            self.gap = left.gap.max(between);
        }
        if let Some(right) = &self.right {
            let between = right.start.number() - range.end().number();
            self.end = right.end;
            self.gap = self.gap.max(right.gap).max(between);
        }
        self.height = 1 + Self::height(&self.left).max(Self::height(&self.right));
    }
}

/// The mappings of an address space.
pub struct Mappings<M: Machine> {
    root: Link<M>,
    count: u64,
}

impl<M: Machine> Default for Mappings<M> {
    fn default() -> Mappings<M> {
        Mappings { root: None, count: 0 }
    }
}

impl<M: Machine> Mappings<M> {
    /// Returns how many mappings there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the height of the tree: how many nodes a search visits at most.
    #[must_use]
    pub fn height(&self) -> u8 {
        Node::<M>::height(&self.root)
    }

    /// Returns the mapping that covers a page.
    #[must_use]
    #[inline]
    pub fn find(&self, page: Page) -> Option<&Mapping<M>> {
        let mut link = &self.root;
        while let Some(node) = link {
            if page < node.mapping.range.start() {
                link = &node.left;
            } else if page < node.mapping.range.end() {
                return Some(&node.mapping);
            } else {
                link = &node.right;
            }
        }
        None
    }

    /// Returns the mapping that covers a page, or the first one above it.
    #[must_use]
    pub fn at_or_above(&self, page: Page) -> Option<&Mapping<M>> {
        let mut link = &self.root;
        let mut best = None;
        while let Some(node) = link {
            if page < node.mapping.range.end() {
                best = Some(&node.mapping);
                link = &node.left;
            } else {
                link = &node.right;
            }
        }
        best
    }

    /// Returns the last mapping that ends at or below a page.
    #[must_use]
    pub fn below(&self, page: Page) -> Option<&Mapping<M>> {
        let mut link = &self.root;
        let mut best = None;
        while let Some(node) = link {
            if node.mapping.range.end() <= page {
                best = Some(&node.mapping);
                link = &node.right;
            } else {
                link = &node.left;
            }
        }
        best
    }

    /// Returns whether no mapping covers a page of the range.
    #[must_use]
    pub fn is_free(&self, range: &PageRange) -> bool {
        self.at_or_above(range.start()).is_none_or(|next| next.range.start() >= range.end())
    }

    /// Returns whether mappings cover every page of the range.
    #[must_use]
    pub fn covers(&self, range: &PageRange) -> bool {
        self.in_range(range).try_fold(range.start(), |from, mapping| {
            (mapping.range.start() <= from).then_some(mapping.range.end())
        }) >= Some(range.end())
    }

    /// Returns the mappings that share a page with the range, from below.
    pub fn in_range(&self, range: &PageRange) -> impl Iterator<Item = &Mapping<M>> {
        let end = range.end();
        let first = self.at_or_above(range.start());
        core::iter::successors(first, |mapping| self.at_or_above(mapping.range.end()))
            .take_while(move |mapping| mapping.range.start() < end)
    }

    /// Returns the lowest range of `pages` pages from `base` on that is free.
    #[must_use]
    pub fn find_gap(&self, base: Page, pages: u64) -> Option<PageRange> {
        let start = match Node::<M>::lowest_gap(&self.root, base, pages) {
            Gap::Found(start) => start,
            Gap::Behind(end) => end,
        };
        let limit = PageRange::whole().end();
        let fits = start <= limit && pages <= limit.number() - start.number();
        if fits { PageRange::between(start, start.add(pages)) } else { None }
    }

    /// Changes the protection of the mapping that covers a page.
    pub fn set_protection(&mut self, page: Page, protection: Protection) {
        let mut link = &mut self.root;
        while let Some(node) = link {
            if page < node.mapping.range.start() {
                link = &mut node.left;
            } else if page < node.mapping.range.end() {
                node.mapping.protection = protection;
                return;
            } else {
                link = &mut node.right;
            }
        }
    }

    /// Puts a node into the tree. Its range is free.
    pub fn insert(&mut self, node: OwnedNode<M>) {
        debug_assert!(self.is_free(&node.mapping.range), "mappings never overlap");
        self.root = Some(Node::<M>::insert(self.root.take(), node));
        self.count += 1;
    }

    /// Takes the node of the mapping that covers a page out of the tree.
    pub fn remove(&mut self, page: Page) -> Option<OwnedNode<M>> {
        let (rest, node) = Node::<M>::remove(self.root.take(), page);
        self.root = rest;
        self.count -= u64::from(node.is_some());
        node
    }
}

/// The answer of [`lowest_gap`].
enum Gap {
    /// The gap starts here.
    Found(Page),
    /// None in the subtree; go on from here.
    Behind(Page),
}

/// The tree. Every function takes a subtree and returns what it has become.
impl<M: Machine> Node<M> {
    fn lowest_gap(link: &Link<M>, low: Page, pages: u64) -> Gap {
        let Some(node) = link else { return Gap::Behind(low) };
        if node.end <= low {
            return Gap::Behind(low);
        }
        let before = node.start.number().saturating_sub(low.number());
        if before < pages && node.gap < pages {
            return Gap::Behind(node.end);
        }
        let low = match Self::lowest_gap(&node.left, low, pages) {
            Gap::Behind(low) => low,
            found @ Gap::Found(_) => return found,
        };
        let range = node.mapping.range;
        if range.start().number().saturating_sub(low.number()) >= pages {
            return Gap::Found(low);
        }
        Self::lowest_gap(&node.right, low.max(range.end()), pages)
    }

    fn height(link: &Link<M>) -> u8 {
        link.as_ref().map_or(0, |node| node.height)
    }

    fn insert(link: Link<M>, mut new: OwnedNode<M>) -> OwnedNode<M> {
        let Some(mut node) = link else {
            new.update();
            return new;
        };
        if new.mapping.range.start() < node.mapping.range.start() {
            node.left = Some(Self::insert(node.left.take(), new));
        } else {
            node.right = Some(Self::insert(node.right.take(), new));
        }
        Self::balance(node)
    }

    fn remove(link: Link<M>, page: Page) -> (Link<M>, Link<M>) {
        let Some(mut node) = link else { return (None, None) };
        let removed;
        if page < node.mapping.range.start() {
            (node.left, removed) = Self::remove(node.left.take(), page);
        } else if page >= node.mapping.range.end() {
            (node.right, removed) = Self::remove(node.right.take(), page);
        } else {
            let rest = Self::join(node.left.take(), node.right.take());
            node.update();
            return (rest, Some(node));
        }
        (Some(Self::balance(node)), removed)
    }

    /// Joins the children of a removed node.
    fn join(left: Link<M>, right: Link<M>) -> Link<M> {
        let Some(right) = right else { return left };
        let (rest, mut lowest) = Self::remove_lowest(right);
        lowest.left = left;
        lowest.right = rest;
        Some(Self::balance(lowest))
    }

    fn remove_lowest(mut node: OwnedNode<M>) -> (Link<M>, OwnedNode<M>) {
        let Some(left) = node.left.take() else {
            let rest = node.right.take();
            return (rest, node);
        };
        let (rest, lowest) = Self::remove_lowest(left);
        node.left = rest;
        (Some(Self::balance(node)), lowest)
    }

    /// Restores the balance of a node whose subtrees are balanced and differ by at most two.
    fn balance(mut node: OwnedNode<M>) -> OwnedNode<M> {
        if Self::height(&node.left) > Self::height(&node.right) + 1 {
            if let Some(left) = node.left.take() {
                let leans_right = Self::height(&left.right) > Self::height(&left.left);
                node.left = Some(if leans_right { Self::rotate_left(left) } else { left });
            }
            return Self::rotate_right(node);
        }
        if Self::height(&node.right) > Self::height(&node.left) + 1 {
            if let Some(right) = node.right.take() {
                let leans_left = Self::height(&right.left) > Self::height(&right.right);
                node.right = Some(if leans_left { Self::rotate_right(right) } else { right });
            }
            return Self::rotate_left(node);
        }
        node.update();
        node
    }

    /// Makes the left child the root of the subtree.
    fn rotate_right(mut node: OwnedNode<M>) -> OwnedNode<M> {
        let Some(mut top) = node.left.take() else { return node };
        node.left = top.right.take();
        node.update();
        top.right = Some(node);
        top.update();
        top
    }

    /// Makes the right child the root of the subtree.
    fn rotate_left(mut node: OwnedNode<M>) -> OwnedNode<M> {
        let Some(mut top) = node.right.take() else { return node };
        node.right = top.left.take();
        node.update();
        top.left = Some(node);
        top.update();
        top
    }
}
