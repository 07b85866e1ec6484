//! `advise` with `Promote`: makes a private block of every aligned 2 MiB of a range.
//!
//! Owns: one block at a time on its way: the old table is unlinked, so that nobody can store to a
//! page that is being copied, the block is filled page by page, a clean page with what its object
//! shows and never with zeros for want of better, and takes the table's place. Refuses to know: who
//! drives it. All memory for a block is taken before anything is changed; where there is none, the
//! operation ends there, and what is promoted stays so: no content has changed.

use super::Progress;
use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::block::{BLOCK_PAGES, Filling};
use crate::block_fault::BLOCK_LEVEL;
use crate::counters::Counter;
use crate::error::{Refusal, VmError};
use crate::fill::Fill;
use crate::flush::flush_space;
use crate::machine::Machine;
use crate::object::ObjectPage;
use crate::page_table::{
    self, Descriptor, Ownership, SLOTS, Slot, Table, Walk, span_end, span_start,
};
use vellum_abi::Protection;

/// A block that is being filled.
struct Span<M: Machine> {
    slot: Slot,
    /// What the slot led to, if that was a table of the process's own.
    old: Option<Table>,
    filling: Filling<M>,
    /// For the split of the block.
    table: Table,
    protection: Protection,
    /// What a clean page is filled with.
    clean: Fill,
}

/// An operation under way. It must be run until it is done.
#[must_use = "the range stays marked until the promotion is done"]
pub struct Promotion<M: Machine> {
    range: PageRange,
    cursor: Page,
    span: Option<Span<M>>,
    promoted: u64,
    error: Option<VmError>,
}

/// Spans that one step looks at for the next candidate.
const LOOKS: usize = 64;

/// What a look at some spans found.
enum Next {
    /// A span that can become a block.
    Candidate(Candidate),
    /// None yet: a later step goes on.
    More,
    /// None any more.
    End,
}

/// A span that can become a block.
struct Candidate {
    page: Page,
    protection: Protection,
    clean: Fill,
}

impl<M: Machine> AddressSpace<M> {
    /// Begins to make a private block of every aligned 2 MiB that lies in a wholly mapped range and
    /// in one mapping.
    ///
    /// # Errors
    /// `NotMapped`; `WrongPolicy` unless every mapping has HUGE switched on; `NotPermitted` where
    /// one allows no write or allows execution.
    pub fn promote(&self, range: PageRange) -> Result<Promotion<M>, Refusal> {
        self.begin_change(|state| {
            if !state.mappings.covers(&range) {
                return Err(VmError::NotMapped.into());
            }
            let facts = state.mappings.facts(&range);
            if facts.any_not_huge() {
                return Err(VmError::WrongPolicy.into());
            }
            if facts.any_without_blocks() {
                return Err(VmError::NotPermitted.into());
            }
            state.changing = Some(range);
            let cursor = range.start();
            Ok(Promotion { range, cursor, span: None, promoted: 0, error: None })
        })
    }
}

impl<M: Machine> Promotion<M> {
    /// Returns how many blocks were made, and what ended the operation before its range did.
    #[must_use]
    pub fn result(&self) -> (u64, Option<VmError>) {
        (self.promoted, self.error)
    }

    /// Steps until the promotion is done or something waits.
    pub fn run(&mut self, space: &AddressSpace<M>) -> Progress {
        while !self.step(space) {
            if space.machine.should_pause() {
                return Progress::Paused;
            }
        }
        Progress::Done
    }

    /// Does a bounded piece: a few pages of a block. Returns whether the promotion is done.
    pub fn step(&mut self, space: &AddressSpace<M>) -> bool {
        if self.span.is_some() {
            self.fill(space);
            return false;
        }
        match space.exclusive(|state| self.next(space, state)) {
            Next::Candidate(candidate) => match self.begin(space, &candidate) {
                Ok(()) => return false,
                Err(error) => self.error = Some(error),
            },
            Next::More => return false,
            Next::End => {}
        }
        space.exclusive(|state| state.changing = None);
        true
    }

    /// Looks for the next span that is no private block yet.
    fn next(&mut self, space: &AddressSpace<M>, state: &State<M>) -> Next {
        for _ in 0..LOOKS {
            let start = span_start(self.cursor.add(BLOCK_PAGES - 1), BLOCK_LEVEL);
            self.cursor = span_end(start, BLOCK_LEVEL);
            if self.cursor > self.range.end() {
                return Next::End;
            }
            let Some(mapping) = state.mappings.find(start) else { return Next::End };
            let walk = page_table::find(&space.machine, space.root, start);
            let done = matches!(walk, Walk::Block { block, .. } if block.is_private_block());
            if let ObjectPage::Reference(_, clean) = mapping.object.page(0)
                && mapping.covers_span(start, BLOCK_LEVEL)
                && !done
            {
                let (page, protection) = (start, mapping.protection);
                return Next::Candidate(Candidate { page, protection, clean });
            }
        }
        Next::More
    }

    /// Takes all memory for a block, then unlinks what the span has.
    fn begin(&mut self, space: &AddressSpace<M>, candidate: &Candidate) -> Result<(), VmError> {
        let slot = grow(space, candidate.page)?;
        let filling = Filling::new(&space.machine, &space.account)?;
        let table = page_table::allocate_table(&space.machine, &space.account)?;
        let old = space.exclusive(|_| {
            let old = space.machine.read(slot);
            if old.is_valid() {
                space.machine.write(slot, Descriptor::EMPTY);
                flush_space(space);
            }
            old.is_own_table().then(|| Table::new(old.frame()))
        });
        let Candidate { protection, clean, .. } = *candidate;
        self.span = Some(Span { slot, old, filling, table, protection, clean });
        Ok(())
    }

    /// Fills some pages of the block, and puts it into place behind the last.
    fn fill(&mut self, space: &AddressSpace<M>) {
        let Some(span) = &mut self.span else { return };
        let machine = &space.machine;
        let (old, clean) = (span.old, span.clean);
        let fill_fn = |index: u64| {
            let leaf = old.map(|table| machine.read(table.slot(index as usize)));
            match leaf {
                // Tags that the leaf does not show are others'.
                Some(leaf) if is_private(leaf) => {
                    let tagged = leaf.protection().contains(Protection::TAGGED);
                    let frame = leaf.frame();
                    if tagged { Fill::Copy(frame) } else { Fill::CopyBytes(frame) }
                }
                _ => clean,
            }
        };
        let uniform = if old.is_none() { Some(clean) } else { None };
        if !span.filling.step(uniform, fill_fn, span.protection) {
            return;
        }
        if let Some(span) = self.span.take() {
            span.publish(space);
            self.promoted += 1;
        }
    }
}

impl<M: Machine> Span<M> {
    /// Maps the block and gives back what was there before.
    fn publish(mut self, space: &AddressSpace<M>) {
        let machine = &space.machine;
        let Some((block, written)) = self.filling.take() else { return };
        written.count(&space.counters);
        space.exclusive(|_| {
            space.put_block(self.slot, Descriptor::private_block(block, self.protection));
            space.reserve.lock().push(machine, self.table);
        });
        let freed = self.old.map_or(0, |table| free_old(space, table));
        let counters = &space.counters;
        counters.add(Counter::PrivateFrames, BLOCK_PAGES - freed);
        counters.add(Counter::TableFrames, u64::from(self.old.is_none()));
        counters.add(Counter::Blocks, 1);
        counters.add(Counter::Promotion, 1);
    }
}

fn is_private(leaf: Descriptor) -> bool {
    leaf.is_valid() && leaf.ownership() == Ownership::Private
}

/// Leaves that are emptied under one barrier.
const BATCH: usize = 64;

/// Gives back an unlinked table and the private frames of its leaves. Returns how many those were.
fn free_old<M: Machine>(space: &AddressSpace<M>, table: Table) -> u64 {
    let freed = (0..SLOTS).step_by(BATCH).map(|first| free_some(space, table, first)).sum();
    page_table::free_table(&space.machine, &space.account, table);
    freed
}

/// Gives back the private frames of one batch of leaves.
fn free_some<M: Machine>(space: &AddressSpace<M>, table: Table, first: usize) -> u64 {
    let machine = &space.machine;
    let mut leaves = [Descriptor::EMPTY; BATCH];
    for (index, leaf) in leaves.iter_mut().enumerate() {
        *leaf = machine.read(table.slot(first + index));
        machine.write(table.slot(first + index), Descriptor::EMPTY);
    }
    // Orders the empty slots before the frames' next use: no walk, not even one that was led into
    // the table before it was unlinked, finds them.
    machine.dsb_ishst();
    let private = leaves.into_iter().filter(|leaf| is_private(*leaf));
    private.fold(0, |freed, leaf| {
        if let Some(frame) = machine.release_frame(leaf.frame()) {
            machine.free_frame(frame);
        }
        space.account.credit_frame();
        freed + 1
    })
}

/// Returns the slot of level 2 of a page, with the tables above it made.
fn grow<M: Machine>(space: &AddressSpace<M>, page: Page) -> Result<Slot, VmError> {
    loop {
        match page_table::descend(&space.machine, space.root, page, BLOCK_LEVEL) {
            Walk::Missing { slot, .. } => {
                let table = page_table::allocate_table(&space.machine, &space.account)?;
                if page_table::install_table(&space.machine, slot, table) {
                    space.counters.add(Counter::TableFrames, 1);
                } else {
                    page_table::free_table(&space.machine, &space.account, table);
                }
            }
            // The pages that it shows outside this span fault again. One of them may have been
            // written since the walk, and the table be the process's own.
            Walk::Shared { slot, pointer, .. } => space.exclusive(|_| {
                if space.machine.read(slot) == pointer {
                    space.machine.write(slot, Descriptor::EMPTY);
                    flush_space(space);
                }
            }),
            // Another CPU is replacing such a table now.
            Walk::Busy(_) => {}
            walk => return Ok(walk.slot()),
        }
    }
}
