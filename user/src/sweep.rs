//! The sweep: what each way to fill pages costs, by what a program does with them.
//!
//! Owns: the mixes and the measuring; [`show`] has the table. Refuses to know: what ways there are and how they
//! work ([`crate::ways`]). Each value is one mapping of [`PAGES`] pages of one byte: mapped, used, unmapped. All
//! that is done for it counts, in this program, in the kernel and in a pager.
//!
//! Source: David Hildenbrand's question in the thread of "[PATCH v5] mm: introduce reference pages",
//! which the thread's own benchmark cannot answer, as it only writes.

mod table;

pub use table::show;

use crate::figures::Hundredths;
use crate::mapping::PAGE;
use crate::services::Trouble;
use crate::services::pager::Pager;
use crate::testing::{self, Change, stat};
use crate::ways::{Content, Shown, Way};
use crate::{Mapping, calls, counter};
use vellum_abi::{Error, Stat};

/// The pages of a mapping.
pub const PAGES: usize = 1000;
/// The percentages of pages only read that the line has; the others are read and then written.
pub const LINE: [usize; 11] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
/// Mixes off the line, with their names in figures.
const MIXES: [(Mix, &str); 8] = [
    (Mix::of(1000, 0, 0, 0), "untouched"),
    (Mix::of(0, 1000, 0, 0), "read_only"),
    (Mix::of(0, 0, 1000, 0), "read_then_write"),
    (Mix::of(0, 0, 0, 1000), "write_first"),
    (Mix::of(500, 500, 0, 0), "half_read_only"),
    (Mix::of(500, 0, 500, 0), "half_read_then_write"),
    (Mix::of(500, 0, 0, 500), "half_write_first"),
    (Mix::of(250, 250, 250, 250), "quarters"),
];
const PATTERN: u8 = 0xaa;

/// How many pages are used in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Never touched.
    pub untouched: usize,
    /// Loaded from.
    pub read_only: usize,
    /// Loaded from, then stored to.
    pub read_then_write: usize,
    /// Stored to.
    pub write_first: usize,
}

impl Mix {
    const fn of(
        untouched: usize,
        read_only: usize,
        read_then_write: usize,
        write_first: usize,
    ) -> Mix {
        Mix { untouched, read_only, read_then_write, write_first }
    }

    /// Returns the mix of the line with so many per cent only read.
    #[must_use]
    pub const fn line(percent: usize) -> Mix {
        let read_only = PAGES * percent / 100;
        Mix::of(0, read_only, PAGES - read_only, 0)
    }

    /// Uses the pages of a mapping.
    fn touch(self, pages: &Mapping) {
        let first = self.untouched;
        let written = first + self.read_only;
        let end = written + self.read_then_write;
        for page in first..end {
            core::hint::black_box(pages.read(page * PAGE));
        }
        for page in written..end + self.write_first {
            pages.write(page * PAGE, 1);
        }
    }
}

/// What a way costs for a mix, the program's pager included if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    counted: Option<u64>,
    /// Frames in use after the accesses, reference frames included, tables not.
    pub frames: i64,
    /// Bytes of frames that the kernel wrote for the pages.
    pub bytes: i64,
    /// Faults.
    pub faults: i64,
    /// TLB maintenance before the mapping went.
    pub tlbi: i64,
    /// How often a pager was asked.
    pub wishes: u64,
}

impl Cost {
    /// Returns the instructions from `map` to the end of `unmap`; 0 where nothing counts them. Under a pager
    /// what is there for this mapping alone is made and ends between them.
    #[must_use]
    pub fn instructions(&self) -> i64 {
        self.counted.and_then(|count| i64::try_from(count).ok()).unwrap_or(0)
    }
}

/// What measures: this program and its pager, which share an account.
#[derive(Debug)]
pub struct Sweep {
    pager: Pager,
}

/// Counters of the program and of its pager.
struct Both([Stat; 2]);

impl Both {
    /// Returns by how much a counter of both has grown.
    fn grown(&self, after: &Both, count_fn: impl Fn(&Change) -> i64) -> i64 {
        let pairs = self.0.iter().zip(&after.0);
        pairs.map(|(before, after)| count_fn(&Change::between(before, after))).sum()
    }
}

impl Sweep {
    /// Starts the pager.
    ///
    /// # Errors
    /// Those of [`Pager::start`].
    pub fn new() -> Result<Sweep, Trouble> {
        Ok(Sweep { pager: Pager::start(&testing::archive())? })
    }

    /// Stops the pager.
    ///
    /// # Errors
    /// Those of [`Pager::stop`].
    pub fn end(self) -> Result<(), Trouble> {
        self.pager.stop()
    }

    /// Measures a way: once for the counters, which also fills caches, then for instructions.
    ///
    /// # Errors
    /// What the kernel or the pager refused.
    pub fn measure(&self, way: Way, mix: Mix) -> Result<Cost, Trouble> {
        let nothing = self.both()?;
        let content = Content::of_byte(way, PATTERN, &self.pager)?;
        let before = self.both()?;
        let (pages, shown) = map(&content)?;
        mix.touch(&pages);
        let after = self.both()?;
        pages.unmap()?;
        let wishes = shown.end()?;
        let mut result = Ok(());
        let counted = counter::instructions(|| result = use_once(&content, mix));
        result?;
        let tables = nothing.grown(&after, |change| change.pt_frames);
        let frames = Change::between(&nothing.0[0], &after.0[0]).account_frames - tables;
        Ok(Cost {
            counted,
            frames,
            bytes: before.grown(&after, Change::kernel_bytes_written),
            faults: before.grown(&after, |change| change.faults() - change.pages_populated),
            tlbi: before.grown(&after, |change| change.tlbi_count),
            wishes,
        })
    }

    fn both(&self) -> Result<Both, Error> {
        Ok(Both([stat(), calls::stat(self.pager.process().handle())?]))
    }
}

fn map<'a>(content: &Content<'a>) -> Result<(Mapping, Shown<'a>), Trouble> {
    let shown = content.begin(PAGES * PAGE)?;
    Ok((shown.request().map()?, shown))
}

/// All that a program does with a mapping of the content.
fn use_once(content: &Content<'_>, mix: Mix) -> Result<(), Trouble> {
    let (pages, shown) = map(content)?;
    mix.touch(&pages);
    pages.unmap()?;
    shown.end().map(|_| ())
}

/// Returns at which percentage a difference that falls along the line is zero.
#[must_use]
pub fn crossover(line: &[(usize, i64)]) -> Option<Hundredths> {
    line.windows(2).find_map(|pair| {
        let [(from, above), (to, below)] = *pair else { return None };
        if above <= 0 || below > 0 {
            return None;
        }
        let drop = i128::from(above) - i128::from(below);
        let way = (to - from) as i128 * i128::from(above);
        Hundredths::ratio(from as i128 * drop + way, u64::try_from(drop).ok()?)
    })
}
