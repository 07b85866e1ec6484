//! The parts of a fault: for whom and how much, what is left without the lock, how it went.

use crate::addr::Page;
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::MemoryObject;
use crate::page_table::Slot;
use crate::plan::Plan;
use crate::sequence::Claim;
use crate::span_fault::Work;
use crate::unshare::Unshared;

/// How one attempt went.
pub(crate) enum Attempt {
    /// Something was published.
    Done,
    /// There was nothing to do for a long operation.
    Present,
    Again,
    /// Again, but for less at once: memory is short.
    Less,
    Long,
    Changing,
    /// A pager has to be asked.
    Absent,
}

/// On whose behalf a page is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A program's, which waits while the page is changing.
    Program,
    /// The long operation's that has the page in hand.
    Change,
}

/// How much one fault may serve at once where the mapping has that switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    /// The page alone.
    Page,
    /// Whole tables, and blocks that exist.
    Tables,
    /// Blocks that are to be made, too.
    Blocks,
}

/// On whose behalf a page is touched, and how much may be done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) origin: Origin,
    pub(crate) effort: Effort,
}

/// What is left of a fault when the lock is released.
pub(crate) enum Task<M: Machine> {
    /// Nothing.
    Over(Attempt),
    /// A page becomes private.
    Private(Plan<M>),
    /// A page gets a copy of a frame that others have.
    Unshare(Unshared),
    /// A page of a memory object has no frame yet.
    Commit(M::Shared<MemoryObject<M>>, u64),
    /// A slot lacks a table, if nobody had the lock exclusively since this generation.
    Grow(Slot, u64),
    /// Several pages become private.
    Batch(Page, u64, Claim),
    /// A span is served.
    Span(Work<M>),
}

impl<M: Machine> Task<M> {
    #[cold]
    pub(crate) fn commit(mapping: &Mapping<M>, page: Page) -> Task<M> {
        if mapping.object.is_paged() {
            return Task::Over(Attempt::Absent);
        }
        Task::Commit(mapping.object.clone(), mapping.object_page(page))
    }
}
