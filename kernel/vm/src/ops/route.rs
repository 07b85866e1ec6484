//! Which page goes where: pure arithmetic of a move.

use crate::addr::{Page, PageRange};
use crate::page_table::SLOTS;

/// Pages that one table of leaves covers.
pub(super) const TABLE_PAGES: u64 = SLOTS as u64;

/// From the first page of a source to the first page of its destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    from: Page,
    to: Page,
}

impl Route {
    pub(super) fn new(from: Page, to: Page) -> Route {
        Route { from, to }
    }

    /// Returns where a page of the source goes.
    #[inline]
    pub(super) fn target(self, page: Page) -> Page {
        self.to.add(page.number() - self.from.number())
    }

    /// Returns whether the first table of `source` moves as a whole: its span begins and ends
    /// inside, and is the span of a table at the destination too.
    #[inline]
    pub(super) fn moves_table(self, source: &PageRange) -> bool {
        source.start().number().is_multiple_of(TABLE_PAGES)
            && self.target(source.start()).number().is_multiple_of(TABLE_PAGES)
            && source.pages() >= TABLE_PAGES
    }
}
