//! The ordered, non-overlapping mappings of one address space.
//!
//! Owns: the order, in a height-balanced binary tree (Adelson-Velsky and Landis) whose nodes come
//! from a pool one by one, so that inserting never allocates and removing never fails. Each node
//! knows the widest gap below it and what stands against operations there ([`Facts`]), so that
//! finding room and checking a range cost the height of the tree, however many mappings there are.
//! Refuses to know: translation tables and faults.

mod balance;

use crate::addr::{Page, PageRange};
use crate::facts::Facts;
use crate::machine::{Machine, PoolExhausted, Pools};
use crate::mapping::Mapping;
use crate::page_table::SLOTS;
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
    /// What is true of this mapping, and of any mapping of the subtree.
    own: Facts,
    facts: Facts,
}

impl<M: Machine> Node<M> {
    /// Takes a node for a mapping out of the pool.
    ///
    /// # Errors
    /// `PoolExhausted`.
    pub fn allocate(machine: &M, mapping: Mapping<M>) -> Result<OwnedNode<M>, PoolExhausted> {
        let (start, end) = (mapping.range.start(), mapping.range.end());
        let facts = Facts::of(&mapping);
        let (left, right) = (None, None);
        machine.own(Node { mapping, left, right, height: 1, start, end, gap: 0, own: facts, facts })
    }

    /// Returns the mapping.
    pub fn mapping(&self) -> &Mapping<M> {
        &self.mapping
    }

    /// Returns the mapping of a node that is in no tree.
    pub fn mapping_mut(&mut self) -> &mut Mapping<M> {
        &mut self.mapping
    }

    /// Computes what the node knows of its subtree from its children. Returns whether anything is
    /// new: if not, those above it know the truth still.
    fn update(&mut self) -> bool {
        let range = self.mapping.range;
        let (mut start, mut end, mut gap) = (range.start(), range.end(), 0);
        let (mut low, mut high, mut facts) = (0, 0, self.own);
        if let Some(left) = &self.left {
            gap = left.gap.max(range.start().number() - left.end.number());
            (start, low, facts) = (left.start, left.height, facts.and(left.facts));
        }
        if let Some(right) = &self.right {
            gap = gap.max(right.gap).max(right.start.number() - range.end().number());
            (end, high, facts) = (right.end, right.height, facts.and(right.facts));
        }
        let height = 1 + low.max(high);
        let same = self.start == start
            && self.end == end
            && self.gap == gap
            && self.height == height
            && self.facts == facts;
        (self.start, self.end, self.gap) = (start, end, gap);
        (self.height, self.facts) = (height, facts);
        !same
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

    /// Returns the last mapping that ends at or below a page, and the one that covers it or is
    /// the first above it.
    #[must_use]
    pub fn around(&self, page: Page) -> (Option<&Mapping<M>>, Option<&Mapping<M>>) {
        let mut link = &self.root;
        let (mut below, mut above) = (None, None);
        while let Some(node) = link {
            if page < node.mapping.range.end() {
                above = Some(&node.mapping);
                link = &node.left;
            } else {
                below = Some(&node.mapping);
                link = &node.right;
            }
        }
        (below, above)
    }

    /// Returns whether no mapping covers a page of the range.
    #[must_use]
    pub fn is_free(&self, range: &PageRange) -> bool {
        self.at_or_above(range.start()).is_none_or(|next| next.range.start() >= range.end())
    }

    /// Returns whether mappings cover every page of the range.
    #[must_use]
    pub fn covers(&self, range: &PageRange) -> bool {
        Node::<M>::covered_from(&self.root, range.start(), range.end()) >= range.end()
    }

    /// Returns what is true of any mapping that shares a page with the range.
    #[must_use]
    pub fn facts(&self, range: &PageRange) -> Facts {
        Node::<M>::facts_in(&self.root, range)
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

    /// Returns where `pages` pages from `base` on are best placed: what is as large as a table's
    /// span begins with one, so that it shares as few tables with others as can be.
    #[must_use]
    pub fn find_room(&self, base: Page, pages: u64) -> Option<PageRange> {
        const SPAN: u64 = SLOTS as u64;
        if pages < SPAN {
            return self.find_gap(base, pages);
        }
        let wide = pages.checked_add(SPAN - 1).and_then(|pages| self.find_gap(base, pages));
        let Some(wide) = wide else { return self.find_gap(base, pages) };
        let start = Page::from_number(wide.start().number().next_multiple_of(SPAN));
        PageRange::between(start, start.add(pages))
    }

    /// Changes the protection of the mapping that covers a page.
    pub fn set_protection(&mut self, page: Page, protection: Protection) {
        self.alter(page, |mapping| mapping.protection = protection);
    }

    /// Changes the mapping that covers a page in its place: it may grow into free pages beside it,
    /// or lose pages at an end.
    pub fn alter(&mut self, page: Page, alter_fn: impl FnOnce(&mut Mapping<M>)) {
        Node::<M>::alter(&mut self.root, page, alter_fn);
    }

    /// Puts a node into the tree. Its range is free.
    pub fn insert(&mut self, node: OwnedNode<M>) {
        debug_assert!(self.is_free(&node.mapping.range), "mappings never overlap");
        Node::<M>::insert(&mut self.root, node);
        self.count += 1;
    }

    /// Takes the node of the mapping that covers a page out of the tree.
    pub fn remove(&mut self, page: Page) -> Option<OwnedNode<M>> {
        let node = Node::<M>::remove(&mut self.root, page);
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

/// The tree. Functions that change a subtree return whether what the nodes above know of it is old.
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

    /// Returns the first page from `from` on that no mapping of the subtree covers, or any page
    /// at or above `end` if there is none below it.
    fn covered_from(link: &Link<M>, from: Page, end: Page) -> Page {
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

    fn facts_in(link: &Link<M>, range: &PageRange) -> Facts {
        let reaches = |node: &&OwnedNode<M>| node.start < range.end() && range.start() < node.end;
        let Some(node) = link.as_ref().filter(reaches) else { return Facts::NONE };
        if range.start() <= node.start && node.end <= range.end() {
            return node.facts;
        }
        let own = node.mapping.range.intersection(range).map_or(Facts::NONE, |_| node.own);
        own.and(Self::facts_in(&node.left, range)).and(Self::facts_in(&node.right, range))
    }

    fn alter(link: &mut Link<M>, page: Page, alter_fn: impl FnOnce(&mut Mapping<M>)) -> bool {
        let Some(node) = link else { return false };
        let range = node.mapping.range;
        let is_old = if page < range.start() {
            Self::alter(&mut node.left, page, alter_fn)
        } else if page >= range.end() {
            Self::alter(&mut node.right, page, alter_fn)
        } else {
            alter_fn(&mut node.mapping);
            node.own = Facts::of(&node.mapping);
            true
        };
        is_old && node.update()
    }
}
