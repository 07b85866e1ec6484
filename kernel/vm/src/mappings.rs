//! The ordered, non-overlapping mappings of one address space.
//!
//! Owns: the order, in a height-balanced binary tree (Adelson-Velsky and Landis) whose nodes come
//! from a pool one by one, so that inserting never allocates and removing never fails. Each node
//! knows the widest gap below it and what stands against operations there ([`Facts`]), so that
//! finding room and checking a range cost the height of the tree, however many mappings there are.
//! Refuses to know: translation tables and faults.
//!
//! One gap is in no sum, the one that mappings without a wish went into last: who grows into it or
//! gives pages back to it changes no sum but where subtrees end.

mod balance;
mod room;
mod straight;
mod sums;

pub use room::{ROOM, Room};

use crate::addr::{Page, PageRange};
use crate::facts::Facts;
use crate::machine::{Machine, PoolExhausted, Pools};
use crate::mapping::Mapping;
use room::{Low, Top};
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
    /// By how much the right child is higher than the left one.
    leans: i8,
    /// The first page of the subtree.
    start: Page,
    /// The page behind the last of the subtree.
    end: Page,
    /// The most pages between two neighbours in the subtree, but for the gap below [`Top`].
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
    #[inline]
    pub fn allocate(
        machine: &M,
        mapping_fn: impl FnOnce() -> Mapping<M>,
    ) -> Result<OwnedNode<M>, PoolExhausted> {
        // What it knows of itself is computed when it comes into a tree.
        let (start, end, own) = (Page::END, Page::END, Facts::NONE);
        machine.make(|| {
            let (mapping, left, right) = (mapping_fn(), None, None);
            let (height, leans) = (1, 0);
            Node { mapping, left, right, height, leans, start, end, gap: 0, own, facts: own }
        })
    }

    /// Returns the mapping.
    pub fn mapping(&self) -> &Mapping<M> {
        &self.mapping
    }

    /// Returns the mapping of a node that is in no tree.
    pub fn mapping_mut(&mut self) -> &mut Mapping<M> {
        &mut self.mapping
    }
}

/// How far the pages beside a range are no mapping's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The end of the mapping below.
    pub low: Page,
    /// The start of the mapping above.
    pub high: Page,
}

impl Beside {
    /// There is no other mapping.
    const NOTHING: Beside = Beside { low: Page::from_number(0), high: Page::END };

    /// Returns what is between two mappings, or on one side of one.
    #[inline]
    fn between<M: Machine>(low: Option<&Mapping<M>>, high: Option<&Mapping<M>>) -> Beside {
        Beside {
            low: low.map_or(Beside::NOTHING.low, |low| low.range.end()),
            high: high.map_or(Beside::NOTHING.high, |high| high.range.start()),
        }
    }
}

/// The mappings of an address space.
pub struct Mappings<M: Machine> {
    root: Link<M>,
    count: u64,
    low: Low,
    top: Top,
}

impl<M: Machine> Default for Mappings<M> {
    fn default() -> Mappings<M> {
        Mappings { root: None, count: 0, low: Low::default(), top: Top::default() }
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
        self.root.as_ref().map_or(0, |root| root.height)
    }

    /// Returns whether the tree is in order and every node knows the truth, for auditors.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        Node::<M>::is_sound(&self.root, self.top)
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

    /// Returns the mapping that covers a page, and what is beside it.
    #[must_use]
    #[inline]
    pub fn at(&self, page: Page) -> Option<(&Mapping<M>, Beside)> {
        let mut link = &self.root;
        let mut beside = Beside::NOTHING;
        while let Some(node) = link {
            let range = node.mapping.range;
            if page < range.start() {
                beside.high = range.start();
                link = &node.left;
            } else if page >= range.end() {
                beside.low = range.end();
                link = &node.right;
            } else {
                // What is below the node is nearer than what is above it.
                beside.low = node.left.as_ref().map_or(beside.low, |left| left.end);
                beside.high = node.right.as_ref().map_or(beside.high, |right| right.start);
                return Some((&node.mapping, beside));
            }
        }
        None
    }

    /// Returns what is beside a range in which no mapping begins or ends.
    #[must_use]
    pub fn beside(&self, range: &PageRange) -> Beside {
        Beside::between(self.below(range.start()), self.at_or_above(range.end()))
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
        !self.left_out().is_some_and(|gap| gap.overlaps(range))
            && Node::<M>::covered_from(&self.root, range.start(), range.end()) >= range.end()
    }

    /// Returns what is true of any mapping that shares a page with the range.
    #[must_use]
    pub fn facts(&self, range: &PageRange) -> Facts {
        Node::<M>::facts_in(&self.root, range)
    }

    /// Changes the protection of the mapping that covers a page.
    pub fn set_protection(&mut self, page: Page, protection: Protection) {
        Node::<M>::set_protection(&mut self.root, page, protection, self.top);
    }

    /// Changes the range of the mapping that covers a page in its place: it may grow into free pages
    /// beside it, lose pages at an end, or go where it has the same neighbours.
    pub fn alter(&mut self, page: Page, alter_fn: impl FnOnce(&mut Mapping<M>)) {
        let low = &mut self.low;
        Node::<M>::alter(&mut self.root, page, self.top, |mapping| {
            let before = mapping.range;
            alter_fn(mapping);
            low.altered(&before, &mapping.range);
        });
    }

    /// Changes the end of the mapping of `whole` to `end`, by `alter_fn`. The next mapping, if there
    /// is one, starts at `high`.
    #[inline]
    pub fn alter_end(
        &mut self,
        whole: &PageRange,
        end: Page,
        high: Page,
        alter_fn: impl FnOnce(&mut Mapping<M>),
    ) {
        if !self.top.leaves_out(high) {
            return self.alter(whole.start(), alter_fn);
        }
        // The usual case: no sum has the gap behind it, before or afterwards.
        let mut link = &mut self.root;
        while let Some(node) = link {
            if node.end == whole.end() {
                node.end = end;
            }
            let start = node.mapping.range.start();
            if start == whole.start() {
                alter_fn(&mut node.mapping);
                debug_assert_eq!(node.mapping.range.end(), end, "its end alone changes");
                self.low.altered(whole, &node.mapping.range);
                return;
            }
            link = if start < whole.start() { &mut node.right } else { &mut node.left };
        }
    }

    /// Puts a node into the tree. Its range is free.
    pub fn insert(&mut self, node: OwnedNode<M>) {
        let beside = self.beside(&node.mapping.range);
        self.insert_between(beside, node);
    }

    /// Likewise, where it is known what is beside the range.
    pub fn insert_between(&mut self, beside: Beside, node: OwnedNode<M>) {
        debug_assert!(self.is_free(&node.mapping.range), "mappings never overlap");
        debug_assert_eq!(beside, self.beside(&node.mapping.range), "what is beside it");
        self.low.mapped(&node.mapping.range);
        Node::<M>::insert(&mut self.root, node, beside, self.top);
        self.count += 1;
    }

    /// Takes the node of the mapping that covers a page out of the tree.
    pub fn remove(&mut self, page: Page) -> Option<OwnedNode<M>> {
        let (mapping, beside) = self.at(page)?;
        let whole = mapping.range;
        self.remove_between(beside, &whole)
    }

    /// Takes the node of the mapping of `whole` out of the tree, where it is known what is beside it.
    pub fn remove_between(&mut self, beside: Beside, whole: &PageRange) -> Option<OwnedNode<M>> {
        debug_assert_eq!(beside, self.beside(whole), "what is beside it");
        let node = Node::<M>::remove(&mut self.root, whole, beside, self.top)?;
        self.count -= 1;
        self.low.unmapped(whole.start());
        Some(node)
    }
}
