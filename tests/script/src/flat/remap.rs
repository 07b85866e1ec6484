//! Moving pages.

use super::space::{FlatSpace, Page};
use super::{Flat, Sharing, State};
use crate::word::Span;
use core::mem::replace;
use core::ops::Range;
use vellum_abi::{Error, RemapFlags};

impl Flat {
    /// Makes a part of a mapping larger or smaller, or moves it. Returns the first page. The length
    /// is `new`'s, its start is looked at with FIXED.
    pub(super) fn remap(
        &mut self,
        space: usize,
        old: Span,
        new: Span,
        flags: RemapFlags,
    ) -> Result<u64, Error> {
        let fixed = flags.contains(RemapFlags::FIXED);
        let retains = flags.contains(RemapFlags::RETAIN);
        let moves = flags.contains(RemapFlags::MAYMOVE);
        if !moves && (fixed || retains) {
            return Err(Error::InvalidFlags);
        }
        if fixed && old.start < new.range().end && new.start < old.range().end {
            return Err(Error::Overlap);
        }
        self.check_source(space, old, new.pages)?;
        let positional = !self.objects[&self.spaces[space].pages[&old.start].object].is_alike();
        let target = &mut self.spaces[space];
        let behind = old.range().end..old.range().end.max(old.start + new.pages);
        if !fixed && !retains && target.is_free(behind.clone()) {
            target.add(old.start, behind, old.start, positional);
            target.clear((old.start + new.pages).min(old.range().end)..old.range().end);
            return Ok(old.start);
        }
        let first = match (fixed, moves) {
            (true, _) if target.is_sealed(new.range()) => return Err(Error::Sealed),
            (true, _) => new.start,
            (false, false) => return Err(Error::OutOfAddresses),
            (false, true) => target.lowest_gap(new.pages),
        };
        target.carry(old, first..first + new.pages, retains, positional);
        Ok(first)
    }

    /// Checks that one mapping that may move covers the range, and has an object that is as long.
    fn check_source(&self, space: usize, old: Span, pages: u64) -> Result<(), Error> {
        let space = &self.spaces[space];
        let run = space.runs(self).into_iter().find(|run| run.contains(&old.start));
        let run = run.ok_or(Error::NotMapped)?;
        if run.end < old.range().end {
            let covered = space.covers(old.range());
            return Err(if covered { Error::SeveralMappings } else { Error::NotMapped });
        }
        let first = &space.pages[&old.start];
        if first.sealed {
            return Err(Error::Sealed);
        }
        let size = self.objects[&first.object].pages();
        let longer = pages > old.pages;
        if longer && size.is_some_and(|size| first.index + pages > size) {
            return Err(Error::BeyondEnd);
        }
        Ok(())
    }
}

impl FlatSpace {
    /// Maps pages as the mapping that has `like` would, if `like` lay at `start`.
    fn add(&mut self, like: u64, range: Range<u64>, start: u64, positional: bool) {
        let like = self.pages[&like].clone();
        for number in range {
            let index = if positional { like.index + (number - start) } else { 0 };
            self.pages
                .insert(number, Page { index, seam: false, state: State::Clean, ..like.clone() });
        }
    }

    /// Moves pages. Tables of the destination are there for each page that has a leaf.
    fn carry(&mut self, old: Span, new: Range<u64>, retains: bool, positional: bool) {
        for number in new.clone() {
            if let Some(page) = self.pages.remove(&number) {
                self.stat.tlbi_count += u64::from(!matches!(page.state, State::Clean));
                self.stat.private_frames -= u64::from(matches!(page.state, State::Private(_)));
            }
        }
        self.add(old.start, new.clone(), new.start, positional);
        let stays = retains && self.pages[&old.start].sharing == Sharing::Shared;
        if !stays {
            for (from, to) in old.range().zip(new.clone()) {
                self.carry_page(from, to);
            }
        }
        let rest = (old.start + new.count() as u64).min(old.range().end)..old.range().end;
        match (retains, stays) {
            (false, _) => self.clear(old.range()),
            (true, false) => self.give_back(rest),
            (true, true) => {}
        }
    }

    fn carry_page(&mut self, from: u64, to: u64) {
        let source = self.pages.get_mut(&from).expect("a mapped page");
        let state = replace(&mut source.state, State::Clean);
        let moved = u64::from(!matches!(state, State::Clean));
        if moved != 0 {
            self.grow(to);
        }
        self.stat.tlbi_count += moved;
        self.stat.leaves_moved += moved;
        self.pages.get_mut(&to).expect("a mapped page").state = state;
    }
}
