//! What a play draws: where things happen, and how much.
//!
//! Owns: the odds. They favour what lies close to edges: of tables, and of the range that was drawn last,
//! which is the one in hand while an operation is under way.

use crate::spans::SPAN;
use vellum_abi::PAGE_SIZE;
use vellum_script::random::{Rng, Setting};
use vellum_vm::addr::PageRange;

/// The first addresses of the arenas where everything happens: the last but two spans below a table of tables,
/// or of tables of these.
const ARENAS: [u64; 3] = [
    (1 << 39) + (1 << 30) - 2 * SPAN * PAGE_SIZE,
    (1 << 40) + (1 << 30) - 2 * SPAN * PAGE_SIZE,
    (1 << 41) - 2 * SPAN * PAGE_SIZE,
];
/// Pages of an arena.
pub(super) const ARENA: u64 = 5 * SPAN;
/// Bytes of a span.
const SPAN_SIZE: u64 = SPAN * PAGE_SIZE;

/// A stream of what is drawn.
pub(super) struct Draw {
    rng: Rng,
    /// The ends of the range that was drawn last.
    edges: [u64; 2],
}

impl Draw {
    pub(super) fn new(seed: u64) -> Draw {
        let rng = Rng::new(seed, Setting { tags: true, on_kernel: false });
        Draw { rng, edges: [ARENAS[0]; 2] }
    }

    /// Draws a number below another, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.rng.below(end)
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }

    /// Draws a page of an arena, by its index.
    pub(super) fn page(&mut self) -> u64 {
        let edge = self.below(6) * SPAN;
        let page = match self.below(4) {
            0 => edge,
            1 => edge + self.below(6),
            2 => edge.saturating_sub(self.below(6)),
            _ => self.below(ARENA),
        };
        page.min(ARENA - 1)
    }

    /// Draws a number of pages.
    pub(super) fn pages(&mut self) -> u64 {
        match self.below(6) {
            0 => 1 + self.below(4),
            1 => SPAN,
            2 => 2 * SPAN,
            3 => 1 + self.below(100),
            4 => SPAN - 3 + self.below(6),
            _ => 1 + self.below(ARENA),
        }
    }

    /// Draws an address of a page, often close to an end of the range that was drawn last.
    pub(super) fn address(&mut self) -> u64 {
        if self.one_in(2) {
            let (edge, far) = (self.pick(&self.edges.clone()), self.pick(&[8, 600]));
            return edge + self.below(far) * PAGE_SIZE - self.below(far) * PAGE_SIZE;
        }
        self.pick(&ARENAS) + self.page() * PAGE_SIZE
    }

    /// Draws an address, half of the time as far into its span as another is into its own.
    pub(super) fn address_like(&mut self, other: u64) -> u64 {
        let address = self.address();
        if self.one_in(2) {
            return address / SPAN_SIZE * SPAN_SIZE + other % SPAN_SIZE;
        }
        address
    }

    /// Draws a range of an arena, half of the time of whole spans.
    pub(super) fn range(&mut self) -> PageRange {
        let (arena, mut page, mut pages) = (self.pick(&ARENAS), self.page(), self.pages());
        if self.one_in(2) {
            (page, pages) = (page / SPAN * SPAN, pages.next_multiple_of(SPAN));
        }
        self.hold(arena + page * PAGE_SIZE, pages.min(ARENA - page).max(1) * PAGE_SIZE)
    }

    /// Makes a range the one that was drawn last.
    pub(super) fn hold(&mut self, start: u64, length: u64) -> PageRange {
        self.edges = [start, start + length];
        PageRange::new(start, length).expect("a range of an arena")
    }
}
