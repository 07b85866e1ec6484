//! Accesses: what they see, and what they cost.

use super::leaf::{Frame, Hardware, Own};
use super::{Contents, Flat, Kind, Object, Sharing, State};
use alloc::collections::BTreeSet;
use vellum_abi::{ExitKind, FaultAccess, PAGE_SIZE, Protection, TAG_BYTES_PER_PAGE};

/// Returns whether a protection allows an access. WRITE implies READ, EXECUTE does not.
fn allows(protection: Protection, access: FaultAccess) -> bool {
    let writes = protection.contains(Protection::WRITE);
    match access {
        FaultAccess::Read => writes || protection.contains(Protection::READ),
        FaultAccess::Write => writes,
        FaultAccess::Execute => protection.contains(Protection::EXECUTE),
    }
}

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
    ) -> Result<(), ExitKind> {
        let tag_bytes = self.tag_bytes();
        let space = &mut self.spaces[index];
        let Some(page) = space.pages.get(&number) else {
            space.stat.faults_denied += 1;
            return Err(ExitKind::NotMapped);
        };
        if !allows(page.protection, access) {
            space.stat.faults_denied += 1;
            return Err(ExitKind::AccessDenied);
        }
        let stores = access == FaultAccess::Write && page.sharing == Sharing::Private;
        match &page.state {
            State::Private(own) if own.leaf.allows(access) => return Ok(()),
            State::Private(_) => {
                self.unshare(index, number, access);
                return Ok(());
            }
            State::Object => return Ok(()),
            State::ReadShared if access != FaultAccess::Write => return Ok(()),
            State::ReadShared | State::Clean => {}
        }
        space.grow(number);
        let page = space.pages.get_mut(&number).expect("a mapped page");
        let object = self.objects.get_mut(&page.object).expect("a live object");
        let stat = &mut space.stat;
        if object.commit(page.index) {
            stat.bytes_filled += PAGE_SIZE;
            stat.tag_bytes_written += tag_bytes;
        }
        if !stores {
            if page.sharing == Sharing::Shared && object.is_memory() {
                stat.faults_object += 1;
                page.state = State::Object;
            } else {
                stat.faults_read_map += 1;
                page.state = State::ReadShared;
            }
            return Ok(());
        }
        if matches!(page.state, State::ReadShared) {
            stat.faults_write_cow += 1;
            stat.tlbi_count += 1;
        } else {
            stat.faults_write_fresh += 1;
        }
        stat.private_frames += 1;
        let copied = u64::from(object.is_copied());
        stat.bytes_copied += copied * PAGE_SIZE;
        stat.bytes_filled += (1 - copied) * PAGE_SIZE;
        let tagged = page.protection.contains(Protection::TAGGED);
        stat.tag_bytes_written += u64::from(tagged) * tag_bytes;
        let contents = object.page(page.index).expect("committed");
        let leaf = Hardware::of(page.protection, Frame::Alone);
        page.state = State::Private(Own { contents, frame: self.next_frame, leaf });
        self.next_frame += 1;
        Ok(())
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
        Object { kind, handle: true, payer: space, home: Some(space) }
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
