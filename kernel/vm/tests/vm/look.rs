//! Objects of a program's bytes, promotion, and a look at what a script does not determine.

use crate::coverage::note;
use crate::harness::{Harness, Made};
use crate::perform::{page_range, refused};
use vellum_abi::{Error, PAGE_SIZE, PageState};
use vellum_script::flat::{ObjectId, State};
use vellum_script::op::Op;
use vellum_script::word::{Content, SPACES, Space, Span};
use vellum_vm::addr::{Page, PageRange, UserPointer};
use vellum_vm::refpage;

/// Returns a pointer to content. Whatever tag it carries, the content is the address's.
fn pointer(content: Content) -> UserPointer {
    UserPointer::new(content.address.0 | 7 << 56)
}

impl Harness {
    pub(crate) fn snapshot(&self, space: Space, content: Content) -> Result<Made, Error> {
        let made = refpage::from_user(
            self.space(space.0),
            pointer(content),
            content.size,
            self.space(space.0).counters(),
        );
        made.inspect(|made| note("snapshot", made.kind().0)).map_err(refused)
    }

    pub(crate) fn frameless(
        &mut self,
        space: Space,
        slot: usize,
        content: Content,
        wanted: Result<ObjectId, Error>,
    ) {
        let account = self.accounts[space.0].clone();
        let before = account.kernel_bytes();
        let (from, size) = (pointer(content), content.size);
        let made = refpage::frameless_from_user(
            self.space(space.0),
            from,
            size,
            self.space(space.0).counters(),
        );
        if let (Ok(made), Ok(id)) = (&made, wanted) {
            note("frameless", made.kind().0);
            let kept = account.kernel_bytes() - before - size_of::<Made>() as u64;
            self.flat.keeps(id, content.size, kept);
        }
        self.register(slot, made.map_err(refused), wanted);
    }

    pub(crate) fn promote(&self, space: usize, span: Span) -> Result<u64, Error> {
        let space = self.space(space);
        let mut promotion = space.promote(page_range(span)).map_err(refused)?;
        while !promotion.step(space) {}
        assert_eq!(promotion.result(), (0, None), "no window has room for a block");
        Ok(0)
    }

    /// Tells the flat model what only the subsystem knows.
    pub(crate) fn look(&mut self, op: &Op) {
        for space in 0..SPACES {
            if self.flat.has_batches(space) {
                self.look_ahead(space, op);
                let starts = self.starts(space);
                self.flat.seams(space, &starts);
            }
        }
    }

    /// Finds the pages that became private although nobody touched them.
    fn look_ahead(&mut self, space: usize, op: &Op) {
        let target = self.space(space);
        let mut ahead = Vec::new();
        for (number, page) in &self.flat.spaces[space].pages {
            let clean = matches!(page.state, State::Clean | State::ReadShared);
            let page = Page::from_number(*number);
            if clean && target.query(page).is_ok_and(|it| it.page == PageState::Private as u64) {
                ahead.push(*number);
            }
        }
        note("ahead", ahead.len().min(2));
        let address = match op {
            Op::Load { address, .. }
            | Op::Store { address, .. }
            | Op::Execute { address, .. }
            | Op::LoadTag { address, .. }
            | Op::StoreTag { address, .. }
            | Op::KernelRead { address, .. }
            | Op::KernelWrite { address, .. } => *address,
            Op::Snapshot { content, .. } | Op::Frameless { content, .. } => content.address,
            _ => return assert_eq!(ahead, [], "{op} makes nothing ahead"),
        };
        self.flat.made_ahead(space, address.page(), &ahead);
    }

    /// Returns the first pages of the mappings.
    fn starts(&self, space: usize) -> Vec<u64> {
        let mut all = Vec::new();
        let mut next = PageRange::whole().start();
        while let Ok(mapping) = self.space(space).query(next) {
            all.push(mapping.start / PAGE_SIZE);
            next = Page::containing(mapping.start + mapping.length);
        }
        all
    }
}
