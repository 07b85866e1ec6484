//! Address spaces as maps from page numbers, and the operations on them.

use super::leaf::{Frame, Hardware, State};
use super::mapping::{Manner, check_protection};
use super::{Flat, Object, ObjectId, Sharing};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;
use vellum_abi::{Error, MapFlags, MappingInfo, PAGE_SIZE, PageState, Policy, Protection, Stat};

/// One mapped page.
#[derive(Clone, Debug)]
pub struct Page {
    pub object: ObjectId,
    /// The page of the object; zero where all are alike.
    pub index: u64,
    pub protection: Protection,
    pub maximum: Protection,
    pub sharing: Sharing,
    pub sealed: bool,
    pub manner: Manner,
    /// Whether a mapping begins here that could be the continuation of the one before.
    pub seam: bool,
    pub state: State,
}

/// One address space.
#[derive(Clone, Debug, Default)]
pub struct FlatSpace {
    pub pages: BTreeMap<u64, Page>,
    /// Tables below the root, by level and span.
    tables: BTreeSet<(u32, u64)>,
    /// Tables that are there for other mappings, and not counted.
    pub resident: BTreeSet<(u32, u64)>,
    pub stat: Stat,
}

fn span(page: u64, level: u32) -> u64 {
    page >> (9 * (4 - level))
}

impl FlatSpace {
    pub fn shows(&self, id: ObjectId) -> bool {
        self.pages.values().any(|page| page.object == id)
    }

    pub fn mappings_of(&self, flat: &Flat, id: ObjectId) -> u64 {
        let runs = self.runs(flat).into_iter();
        runs.filter(|run| self.pages[&run.start].object == id).count() as u64
    }

    /// Returns the frames of root, tables and private pages.
    pub fn frames(&self) -> u64 {
        1 + self.tables.len() as u64 + self.stat.private_frames
    }

    /// Returns the mappings: the longest ranges of pages that are one in all but number.
    pub fn runs(&self, flat: &Flat) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (number, page) in &self.pages {
            let joins = runs.last().is_some_and(|run| {
                let last = &self.pages[&(run.end - 1)];
                run.end == *number
                    && last.object == page.object
                    && last.protection == page.protection
                    && last.maximum == page.maximum
                    && last.sharing == page.sharing
                    && last.sealed == page.sealed
                    && last.manner == page.manner
                    && !page.seam
                    && (flat.objects[&page.object].is_alike() || last.index + 1 == page.index)
            });
            match runs.last_mut() {
                Some(run) if joins => run.end += 1,
                _ => runs.push(*number..number + 1),
            }
        }
        runs
    }

    /// Installs the tables on the way to a page.
    pub(super) fn grow(&mut self, page: u64) {
        for level in 1..=3 {
            if !self.resident.contains(&(level, span(page, level))) {
                self.tables.insert((level, span(page, level)));
            }
        }
    }

    /// Returns the counters, complete.
    pub fn counters(&self, flat: &Flat) -> Stat {
        let mut stat = self.stat;
        stat.pt_frames = 1 + self.tables.len() as u64;
        stat.mappings = self.runs(flat).len() as u64;
        stat
    }

    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.pages.range(range).next().is_none()
    }

    pub(super) fn covers(&self, range: Range<u64>) -> bool {
        self.pages.range(range.clone()).count() as u64 == range.end - range.start
    }

    pub(super) fn is_sealed(&self, range: Range<u64>) -> bool {
        self.pages.range(range).any(|(_, page)| page.sealed)
    }

    /// Unmaps.
    pub fn unmap(&mut self, range: Range<u64>) -> Result<(), Error> {
        if self.is_free(range.clone()) {
            return Err(Error::NotMapped);
        }
        if self.is_sealed(range.clone()) {
            return Err(Error::Sealed);
        }
        self.clear(range);
        Ok(())
    }

    pub(super) fn clear(&mut self, range: Range<u64>) {
        for number in range {
            if let Some(page) = self.pages.remove(&number) {
                self.stat.tlbi_count += u64::from(!matches!(page.state, State::Clean));
                self.stat.private_frames -= u64::from(matches!(page.state, State::Private(_)));
            }
        }
        let before = self.tables.len();
        let needed: BTreeSet<(u32, u64)> = self
            .pages
            .keys()
            .flat_map(|page| (1..=3).map(|level| (level, span(*page, level))))
            .collect();
        self.tables.retain(|table| needed.contains(table));
        self.stat.tlbi_count += (before - self.tables.len()) as u64;
    }

    /// Changes the protection.
    pub fn protect(
        &mut self,
        objects: &BTreeMap<ObjectId, Object>,
        range: Range<u64>,
        protection: Protection,
        tags: bool,
        shared: &BTreeSet<u64>,
    ) -> Result<(), Error> {
        check_protection(protection, tags)?;
        if !self.covers(range.clone()) {
            return Err(Error::NotMapped);
        }
        // One reason after the other, each of the whole range.
        let any = |reason_fn: &dyn Fn(&Page, &Object) -> bool| {
            let mut pages = self.pages.range(range.clone());
            pages.any(|(_, page)| reason_fn(page, &objects[&page.object]))
        };
        let writes = protection.contains(Protection::WRITE);
        let tagged = protection.contains(Protection::TAGGED);
        if any(&|page, _| page.sealed) {
            return Err(Error::Sealed);
        }
        let is_shared = |page: &Page| page.sharing == Sharing::Shared;
        if writes && any(&|page, object| is_shared(page) && !object.is_memory()) {
            return Err(Error::SharedWritable);
        }
        if tagged && any(&|_, object| !object.has_tags()) {
            return Err(Error::TagsUnsupported);
        }
        if any(&|page, _| !page.maximum.contains(protection)) {
            return Err(Error::MissingRight);
        }
        for (_, page) in self.pages.range_mut(range) {
            let old = core::mem::replace(&mut page.protection, protection);
            let changes = match &mut page.state {
                State::Clean => false,
                State::ReadShared => {
                    let leaf_fn = |protection| Hardware::of(protection, Frame::Shared);
                    leaf_fn(old) != leaf_fn(protection)
                }
                State::Object => {
                    let leaf_fn = |protection| Hardware::of(protection, Frame::Alone);
                    leaf_fn(old) != leaf_fn(protection)
                }
                State::Private(own) => {
                    let several = shared.contains(&own.frame);
                    let frame = if several { Frame::Shared } else { Frame::Alone };
                    let new = own.leaf.protected(protection, frame);
                    let before = core::mem::replace(&mut own.leaf, new);
                    if new.tagged && !before.tagged {
                        own.contents.clear_tags();
                        self.stat.tag_bytes_written += vellum_abi::TAG_BYTES_PER_PAGE;
                    }
                    before != new
                }
            };
            self.stat.tlbi_count += u64::from(changes);
        }
        Ok(())
    }

    /// Returns what a clone of the address space begins with.
    #[must_use]
    pub fn cloned(&mut self) -> FlatSpace {
        self.stat.tlbi_count += 1;
        for page in self.pages.values_mut() {
            if let State::Private(own) = &mut page.state {
                own.leaf.writes = false;
            }
        }
        let mut clone = FlatSpace { pages: self.pages.clone(), ..FlatSpace::default() };
        let mut touched = Vec::new();
        for (number, page) in &mut clone.pages {
            if page.manner.policy == Policy::InMapping && matches!(page.state, State::ReadShared) {
                // It shows the page of the parent's mapping.
                page.state = State::Clean;
            }
            clone.stat.private_frames += u64::from(matches!(page.state, State::Private(_)));
            if !matches!(page.state, State::Clean) {
                touched.push(*number);
            }
        }
        touched.into_iter().for_each(|number| clone.grow(number));
        clone
    }

    /// Gives private frames back.
    pub fn decommit(&mut self, range: Range<u64>) -> Result<(), Error> {
        if !self.covers(range.clone()) {
            return Err(Error::NotMapped);
        }
        if self.is_sealed(range.clone()) {
            return Err(Error::Sealed);
        }
        self.give_back(range);
        Ok(())
    }

    pub(super) fn give_back(&mut self, range: Range<u64>) {
        for (_, page) in self.pages.range_mut(range) {
            if matches!(page.state, State::Private(_)) {
                page.state = State::Clean;
                self.stat.private_frames -= 1;
                self.stat.tlbi_count += 1;
            }
        }
    }

    /// Tells what is mapped at or above a page.
    pub fn query(&self, flat: &Flat, number: u64) -> Option<MappingInfo> {
        let run = self.runs(flat).into_iter().find(|run| run.end > number)?;
        let first = &self.pages[&run.start];
        let writes = first.protection.contains(Protection::WRITE);
        let implied = if writes { Protection::READ } else { Protection::NONE };
        let shared = first.sharing == Sharing::Shared;
        let (kind, detail) = flat.objects[&first.object].described();
        let page = match self.pages[&number.max(run.start)].state {
            State::Clean => PageState::Untouched,
            State::ReadShared => PageState::ReadShared,
            State::Private(_) => PageState::Private,
            State::Object => PageState::Object,
        };
        Some(MappingInfo {
            start: run.start * PAGE_SIZE,
            length: (run.end - run.start) * PAGE_SIZE,
            protection: (first.protection | implied).bits(),
            flags: (if shared { MapFlags::SHARED } else { MapFlags::NONE }
                | if first.sealed { MapFlags::SEALED } else { MapFlags::NONE })
            .bits(),
            policy: first.manner.policy as u64,
            offset: first.index * PAGE_SIZE,
            kind,
            detail,
            page: page as u64,
        })
    }
}
