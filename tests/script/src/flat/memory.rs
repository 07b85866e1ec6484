//! Accesses: what they see, and what they cost.

use super::leaf::{Frame, Hardware, Own};
use super::space::Page;
use super::{Contents, Flat, Kind, Object, Sharing, State};
use alloc::collections::BTreeSet;
use core::ops::Range;
use vellum_abi::{ExitKind, FaultAccess, PAGE_SIZE, Protection, TAG_BYTES_PER_PAGE, TAG_GRANULE};

/// Returns whether a protection allows an access. WRITE implies READ, EXECUTE does not.
pub(super) fn allows(protection: Protection, access: FaultAccess) -> bool {
    let writes = protection.contains(Protection::WRITE);
    match access {
        FaultAccess::Read => writes || protection.contains(Protection::READ),
        FaultAccess::Write => writes,
        FaultAccess::Execute => protection.contains(Protection::EXECUTE),
    }
}

/// What a touch found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Whether there was something to do.
    pub is_new: bool,
}

const NEW: Touched = Touched { is_new: true };
const PRESENT: Touched = Touched { is_new: false };

impl Flat {
    /// Makes a page ready for an access, as its faults would.
    ///
    /// # Errors
    /// How the process dies.
    pub fn touch(
        &mut self,
        index: usize,
        number: u64,
        access: FaultAccess,
    ) -> Result<Touched, ExitKind> {
        let space = &mut self.spaces[index];
        let Some(page) = space.pages.get(&number) else {
            space.stat.faults_denied += 1;
            return Err(ExitKind::NotMapped);
        };
        if !allows(page.protection, access) {
            space.stat.faults_denied += 1;
            return Err(ExitKind::AccessDenied);
        }
        match &page.state {
            State::Private(own) if own.leaf.allows(access) => return Ok(PRESENT),
            State::Private(_) => {
                self.unshare(index, number, access);
                return Ok(NEW);
            }
            State::Object => return Ok(PRESENT),
            State::ReadShared if access != FaultAccess::Write => return Ok(PRESENT),
            State::ReadShared | State::Clean => {}
        }
        space.grow(number);
        self.commit(index, number);
        let page = &self.spaces[index].pages[&number];
        let makes = access == FaultAccess::Write || !page.manner.shares_frames();
        if page.sharing == Sharing::Private && makes {
            let shown = matches!(page.state, State::ReadShared);
            let stat = &mut self.spaces[index].stat;
            *(if shown { &mut stat.faults_write_cow } else { &mut stat.faults_write_fresh }) += 1;
            self.make_private(index, number);
        } else {
            self.show(index, number, access);
        }
        Ok(NEW)
    }

    /// Gives the page of a memory object behind a page its frame.
    fn commit(&mut self, index: usize, number: u64) {
        let tag_bytes = self.tag_bytes();
        let space = &mut self.spaces[index];
        let page = &space.pages[&number];
        let object = self.objects.get_mut(&page.object).expect("a live object");
        if object.commit(page.index) {
            space.stat.bytes_filled += PAGE_SIZE;
            space.stat.tag_bytes_written += tag_bytes;
        }
    }

    /// Shows a clean page's object, and that of its neighbours if the mapping has that switched on.
    fn show(&mut self, index: usize, number: u64, access: FaultAccess) {
        let page = &self.spaces[index].pages[&number];
        let manner = page.manner;
        if self.goes_by_spans(page) {
            let table = number & !511;
            self.show_all(index, number, table..table + 512);
            self.spaces[index].stat.faults_read_map += 1;
            return;
        }
        let code = page.protection.contains(Protection::EXECUTE);
        let shown = self.show_all(index, number, number..number + 1);
        let stat = &mut self.spaces[index].stat;
        match shown {
            Sharing::Shared => stat.faults_object += 1,
            Sharing::Private => stat.faults_read_map += 1,
        }
        let alone = code || self.is_changing || access == FaultAccess::Write;
        if manner.around != 0 && !alone {
            let start = number >> manner.around << manner.around;
            let clean = self.count_clean(index);
            self.show_all(index, number, start..start + (1 << manner.around));
            self.spaces[index].stat.pages_around += clean - self.count_clean(index);
        }
    }

    fn count_clean(&self, index: usize) -> u64 {
        let pages = self.spaces[index].pages.values();
        pages.filter(|page| matches!(page.state, State::Clean)).count() as u64
    }

    /// Shows the object's frames, where there are some, of those clean pages of a range that lie in
    /// the mapping of a page. Returns whether stores to them are everybody's.
    fn show_all(&mut self, index: usize, number: u64, range: Range<u64>) -> Sharing {
        let run = self.spaces[index]
            .runs(self)
            .into_iter()
            .find(|run| run.contains(&number))
            .expect("a mapped page");
        let range = range.start.max(run.start)..range.end.min(run.end);
        let object = self.spaces[index].pages[&number].object;
        let object = &self.objects[&object];
        let shared = |page: &Page| page.sharing == Sharing::Shared && object.is_memory();
        let everybodys = shared(&self.spaces[index].pages[&number]);
        for (_, page) in self.spaces[index].pages.range_mut(range) {
            if matches!(page.state, State::Clean) && object.page(page.index).is_some() {
                page.state = if shared(page) { State::Object } else { State::ReadShared };
            }
        }
        if everybodys { Sharing::Shared } else { Sharing::Private }
    }

    /// Gives a clean page a frame of its own, and breaks what it showed.
    pub(super) fn make_private(&mut self, index: usize, number: u64) {
        let tag_bytes = self.tag_bytes();
        let space = &mut self.spaces[index];
        let page = space.pages.get_mut(&number).expect("a mapped page");
        let object = &self.objects[&page.object];
        let stat = &mut space.stat;
        stat.tlbi_count += u64::from(matches!(page.state, State::ReadShared));
        stat.private_frames += 1;
        let always = page.manner.always_copies() && object.has_frames();
        let copied = u64::from(always || object.is_copied());
        stat.bytes_copied += copied * PAGE_SIZE;
        stat.bytes_filled += (1 - copied) * PAGE_SIZE;
        let tagged = page.protection.contains(Protection::TAGGED);
        stat.tag_bytes_written += u64::from(tagged) * tag_bytes;
        let contents = object.page(page.index).expect("committed");
        let leaf = Hardware::of(page.protection, Frame::Alone);
        page.state = State::Private(Own { contents, frame: self.next_frame, leaf });
        self.next_frame += 1;
    }

    /// Gives a private page of a clone or its parent what an access needs: a frame of its own, or
    /// the permission to store that the clone took.
    fn unshare(&mut self, index: usize, number: u64, access: FaultAccess) {
        let (shared, tag_bytes) = (self.shared_frames(), self.tag_bytes());
        let space = &mut self.spaces[index];
        let page = space.pages.get_mut(&number).expect("a mapped page");
        let State::Private(own) = &mut page.state else { unreachable!("a private page") };
        let full = Hardware::of(page.protection, Frame::Alone);
        let others = shared.contains(&own.frame) && access == FaultAccess::Write;
        if others || full.tagged && !own.leaf.tagged {
            if full.tagged && !own.leaf.tagged {
                own.contents.clear_tags();
            }
            own.frame = self.next_frame;
            self.next_frame += 1;
            space.stat.faults_write_cow += 1;
            space.stat.bytes_copied += PAGE_SIZE;
            space.stat.tag_bytes_written += u64::from(full.tagged) * tag_bytes;
        } else {
            space.stat.faults_write_upgrade += 1;
        }
        own.leaf = full;
        space.stat.tlbi_count += 1;
    }

    /// Returns the frames that several pages have.
    pub(super) fn shared_frames(&self) -> BTreeSet<u64> {
        let (mut once, mut again) = (BTreeSet::new(), BTreeSet::new());
        for page in self.spaces.iter().flat_map(|space| space.pages.values()) {
            if let State::Private(own) = &page.state
                && !once.insert(own.frame)
            {
                again.insert(own.frame);
            }
        }
        again
    }

    /// Returns what a page holds that was touched.
    pub fn contents(&self, space: usize, number: u64) -> Contents {
        let page = &self.spaces[space].pages[&number];
        match &page.state {
            State::Private(own) => own.contents.clone(),
            _ => self.objects[&page.object].page(page.index).expect("touched"),
        }
    }

    /// Returns whether a page is Tagged memory.
    pub fn is_tagged(&self, space: usize, number: u64) -> bool {
        self.spaces[space].pages[&number].protection.contains(Protection::TAGGED)
    }

    /// Changes a page that was touched for writing.
    pub fn change(&mut self, space: usize, number: u64, change_fn: impl FnOnce(&mut Contents)) {
        let page = self.spaces[space].pages.get_mut(&number).expect("a mapped page");
        match &mut page.state {
            State::Private(own) => change_fn(&mut own.contents),
            _ => {
                let object = self.objects.get_mut(&page.object).expect("a live object");
                change_fn(object.page_mut(page.index).expect("a committed page"));
            }
        }
    }

    /// Makes the object that `from_user` makes of a page that was touched.
    pub fn snapshot(&mut self, space: usize, number: u64, offset: usize, size: usize) -> Object {
        let tagged = self.is_tagged(space, number);
        let contents = self.contents(space, number).repeated(offset, size, tagged);
        let content = contents.classify();
        self.created(space);
        let kind = Kind::Reference(contents, content);
        Object { kind, handle: true, payer: space, home: Some(space), hint: None }
    }

    /// As [`Self::snapshot`], of an object without a frame.
    pub fn frameless(&mut self, space: usize, number: u64, offset: usize, size: usize) -> Object {
        let tagged = self.is_tagged(space, number);
        let contents = self.contents(space, number).repeated(offset, size, tagged);
        let content = contents.classify();
        let stat = &mut self.spaces[space].stat;
        stat.create_bytes_written += size as u64;
        stat.create_tag_bytes_written += if self.tags { size as u64 / TAG_GRANULE / 2 } else { 0 };
        let kind = Kind::Frameless(contents, content, 0);
        Object { kind, handle: true, payer: space, home: Some(space), hint: None }
    }

    /// Returns the bytes of a page's tags.
    fn tag_bytes(&self) -> u64 {
        if self.tags { TAG_BYTES_PER_PAGE } else { 0 }
    }

    /// Counts what the creation of a reference object writes.
    pub fn created(&mut self, payer: usize) {
        let tag_bytes = self.tag_bytes();
        let space = self.spaces.get_mut(payer);
        let stat = space.map_or(&mut self.outside, |space| &mut space.stat);
        stat.create_bytes_written += PAGE_SIZE;
        stat.create_tag_bytes_written += tag_bytes;
    }
}
