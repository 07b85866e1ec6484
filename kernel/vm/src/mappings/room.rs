//! Where there is room for a mapping.
//!
//! Owns: the search for gaps, and how far up from [`ROOM`] there is none, so that the usual request,
//! which fits into the lowest gap of all, is one search. Refuses to know: how the tree is balanced.

use super::{Beside, Link, Mappings, Node};
use crate::addr::{Page, PageRange};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::page_table::SLOTS;

/// Where mappings go that have no wish: from here up, far from where programs are linked.
pub const ROOM: Page = Page::containing(0x10_0000_0000);

/// Mappings cover every page from [`ROOM`] up to here: the lowest gap does not start below. It may
/// start above, until a mapping is put right here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Low(Page);

impl Default for Low {
    fn default() -> Low {
        Low(ROOM)
    }
}

impl Low {
    /// Notes that a range is mapped now.
    #[inline]
    pub(super) fn mapped(&mut self, range: &PageRange) {
        if range.contains(self.0) {
            self.0 = range.end();
        }
    }

    /// Notes that pages from here up are not mapped any more.
    #[inline]
    pub(super) fn unmapped(&mut self, from: Page) {
        self.0 = self.0.min(from.max(ROOM));
    }

    /// Notes that a mapping has other ends.
    #[inline]
    pub(super) fn altered(&mut self, before: &PageRange, after: &PageRange) {
        if before.start() < after.start() {
            self.unmapped(before.start());
        }
        if after.end() < before.end() {
            self.unmapped(after.end());
        }
        self.mapped(after);
    }
}

/// The gap that ends here, below a mapping, is in no sum: the one that most mappings come into and
/// go from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Top(Page);

impl Default for Top {
    fn default() -> Top {
        Top(Page::END)
    }
}

impl Top {
    /// Returns how many pages between two neighbours count in sums.
    #[inline]
    pub(super) fn gap(self, end: Page, start: Page) -> u64 {
        if start == self.0 { 0 } else { start.number() - end.number() }
    }

    /// Returns whether no sum has the gap that ends at `high`, where the next mapping starts if there
    /// is one.
    #[inline]
    pub(super) fn leaves_out(self, high: Page) -> bool {
        high == self.0 || high == Page::END
    }
}

/// A range, and the mappings beside it.
pub struct Room<'a, M: Machine> {
    /// Where.
    pub range: PageRange,
    /// The last mapping that ends at or below the range's start.
    pub below: Option<&'a Mapping<M>>,
    /// The first mapping that ends above the range's start.
    pub above: Option<&'a Mapping<M>>,
    /// Whether the range is in the lowest gap of all.
    pub is_lowest: bool,
}

impl<M: Machine> Room<'_, M> {
    /// Returns whether no mapping covers a page of the range.
    #[must_use]
    #[inline]
    pub fn is_free(&self) -> bool {
        self.beside().high >= self.range.end()
    }

    /// Returns what is beside the range, if nothing is in it.
    #[must_use]
    #[inline]
    pub fn beside(&self) -> Beside {
        Beside::between(self.below, self.above)
    }
}

impl<M: Machine> Mappings<M> {
    /// Returns a range with what is beside it.
    #[must_use]
    #[inline]
    pub fn room(&self, range: PageRange) -> Room<'_, M> {
        let (below, above) = self.around(range.start());
        Room { range, below, above, is_lowest: false }
    }

    /// Returns where `pages` pages from [`ROOM`] on are best placed: in the lowest gap; what is as
    /// large as a table's span begins with one, so that it shares as few tables with others as can
    /// be.
    #[must_use]
    pub fn find_room(&self, pages: u64) -> Option<Room<'_, M>> {
        const SPAN: u64 = SLOTS as u64;
        let (slack, unit) = if pages < SPAN { (0, 1) } else { (SPAN - 1, SPAN) };
        let wide = pages.saturating_add(slack);
        let start_in = |gap: Page| Page::from_number(gap.number().next_multiple_of(unit));
        let (below, above) = self.around(self.low.0);
        let limit = above.map_or(PageRange::whole().end(), |above| above.range.start());
        if limit.number().saturating_sub(self.low.0.number()) >= wide {
            let start = start_in(self.low.0);
            let range = PageRange::between(start, start.add(pages))?;
            return Some(Room { range, below, above, is_lowest: true });
        }
        let start = match self.find_gap(self.low.0, wide) {
            Some(gap) => start_in(gap.start()),
            None => self.find_gap(self.low.0, pages)?.start(),
        };
        PageRange::between(start, start.add(pages)).map(|range| self.room(range))
    }

    /// Returns the lowest range of `pages` pages from `base` on that is free.
    #[must_use]
    pub fn find_gap(&self, base: Page, pages: u64) -> Option<PageRange> {
        let start = match Node::<M>::lowest_gap(&self.root, base, pages) {
            Gap::Found(start) => start,
            Gap::Behind(end) => end,
        };
        let left_out =
            self.left_out().and_then(|gap| PageRange::between(gap.start().max(base), gap.end()));
        let start = match left_out.filter(|gap| gap.pages() >= pages) {
            Some(gap) => gap.start().min(start),
            None => start,
        };
        let limit = PageRange::whole().end();
        let fits = start <= limit && pages <= limit.number() - start.number();
        if fits { PageRange::between(start, start.add(pages)) } else { None }
    }

    /// Returns the gap that is in no sum, if there is one.
    pub(super) fn left_out(&self) -> Option<PageRange> {
        let (below, above) = self.around(self.top.0);
        above.filter(|above| above.range.start() == self.top.0)?;
        PageRange::between(below?.range.end(), self.top.0)
    }

    /// Leaves out of the sums the gap that ends at `high`, where a mapping starts, and no other.
    #[inline]
    pub fn leave_out(&mut self, high: Page) {
        if !self.top.leaves_out(high) {
            self.replace_top(high);
        }
    }

    #[cold]
    fn replace_top(&mut self, high: Page) {
        let before = core::mem::replace(&mut self.top, Top(high));
        for start in [before.0, high] {
            Node::<M>::sum_up(&mut self.root, start, self.top);
        }
    }
}

/// The answer of [`Node::lowest_gap`].
enum Gap {
    /// The gap starts here.
    Found(Page),
    /// None in the subtree; go on from here.
    Behind(Page),
}

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
}
