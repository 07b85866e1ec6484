//! Virtual CPUs: user accesses that go through TLB and tables as hardware's do.

use crate::family::Family;
use crate::machine::Model;
use crate::violation::Violation;
use crate::walk::{is_tagged, limited, permits};
use crate::world::{Context, World};
use vellum_abi::FaultAccess;
use vellum_vm::addr::{FrameAddress, Page, UserPointer};
use vellum_vm::machine::Asid;
use vellum_vm::page_table::Table;
use vellum_vm::tag::Tag;

/// What went wrong with an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No valid descriptor, or no user address: a matter for the fault handler.
    Translation,
    /// The leaf has no access flag, and the CPU does not set it: a matter for the fault handler.
    AccessFlag,
    /// The leaf does not allow it: a matter for the fault handler.
    Permission,
    /// The pointer's tag is not the memory's.
    TagCheck,
    /// A tag store to an address that is no multiple of the tag granule.
    Alignment,
}

/// An access that was not performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The pointer with its tag.
    pub pointer: UserPointer,
    /// What was tried.
    pub access: FaultAccess,
    /// What went wrong.
    pub kind: FaultKind,
}

/// A virtual CPU.
pub struct Cpu<F: Family> {
    model: Model<F>,
    index: usize,
}

impl<F: Family> Model<F> {
    /// Returns a virtual CPU.
    #[must_use]
    pub fn cpu(&self, index: usize) -> Cpu<F> {
        Cpu { model: self.clone(), index }
    }

    /// Lets every CPU run nothing, see [`Cpu::park`].
    pub fn park_all(&self) {
        self.world().contexts.fill(None);
    }
}

/// How an access ends that nothing stops.
type Performed<T> = Result<T, FaultKind>;

impl<F: Family> Cpu<F> {
    /// Writes the translation base register: root and identifier.
    pub fn activate(&self, root: Table, asid: Asid) {
        F::step();
        let context = Context { root: root.frame().to_physical(), asid: asid.0 };
        self.model.world().activate(self.index, context);
    }

    /// Writes the translation base register so that nothing can be walked.
    pub fn park(&self) {
        F::step();
        self.model.world().contexts[self.index] = None;
    }

    /// Walks to a page as hardware may at any time, and keeps what it finds.
    pub fn speculate(&self, page: Page) {
        F::step();
        let mut world = self.model.world();
        if let Some(context) = world.contexts[self.index] {
            let _ = world.translate(self.index, context, page);
        }
    }

    /// Loads a byte.
    ///
    /// # Errors
    /// See [`FaultKind`]. Translation and permission come before the tag check.
    pub fn load(&self, pointer: UserPointer) -> Result<u8, Fault> {
        self.perform(pointer, FaultAccess::Read, |world, frame, leaf| {
            world.check_tag(frame, leaf, pointer)?;
            Ok(world.user_byte(frame, pointer.page_offset()))
        })
    }

    /// Stores a byte.
    ///
    /// # Errors
    /// See [`Self::load`].
    pub fn store(&self, pointer: UserPointer, byte: u8) -> Result<(), Fault> {
        self.perform(pointer, FaultAccess::Write, |world, frame, leaf| {
            world.check_tag(frame, leaf, pointer)?;
            world.user_byte(frame, pointer.page_offset());
            world.frame(frame).set_byte(pointer.page_offset(), byte);
            Ok(())
        })
    }

    /// Fetches an instruction. Returns its byte and whether fetch is sure to see what was written.
    ///
    /// # Errors
    /// See [`Self::load`]; fetches are not tag-checked.
    pub fn execute(&self, pointer: UserPointer) -> Result<(u8, bool), Fault> {
        self.perform(pointer, FaultAccess::Execute, |world, frame, _| {
            let byte = world.user_byte(frame, pointer.page_offset());
            Ok((byte, !world.frame(frame).unsynced))
        })
    }

    /// Loads the allocation tag (LDG): zero unless the page is Tagged memory.
    ///
    /// # Errors
    /// See [`Self::load`]; not tag-checked.
    pub fn load_tag(&self, pointer: UserPointer) -> Result<Tag, Fault> {
        self.perform(pointer, FaultAccess::Read, |world, frame, leaf| {
            Ok(world.user_tag(frame, leaf, pointer).unwrap_or(Tag::ZERO))
        })
    }

    /// Stores the allocation tag (STG); without effect unless the page is Tagged memory.
    ///
    /// # Errors
    /// See [`Self::load`]; not tag-checked. `Alignment` comes first.
    pub fn store_tag(&self, pointer: UserPointer, tag: Tag) -> Result<(), Fault> {
        if !pointer.untagged().is_multiple_of(vellum_abi::TAG_GRANULE) {
            return Err(Fault { pointer, access: FaultAccess::Write, kind: FaultKind::Alignment });
        }
        self.perform(pointer, FaultAccess::Write, |world, frame, leaf| {
            if world.user_tag(frame, leaf, pointer).is_some() {
                world.frame(frame).set_tag(pointer.page_offset(), tag.value());
            }
            Ok(())
        })
    }

    fn perform<T>(
        &self,
        pointer: UserPointer,
        access: FaultAccess,
        access_fn: impl FnOnce(&mut World, FrameAddress, u64) -> Performed<T>,
    ) -> Result<T, Fault> {
        F::step();
        let fault = |kind| Fault { pointer, access, kind };
        let page = pointer.page().ok_or(fault(FaultKind::Translation))?;
        let mut world = self.model.world();
        let context = world.contexts[self.index].ok_or(fault(FaultKind::Translation))?;
        let entry = world.translate(self.index, context, page).map_err(fault)?;
        if !permits(limited(entry.word, entry.limits), access) {
            return Err(fault(FaultKind::Permission));
        }
        let frame = FrameAddress::containing(entry.target());
        access_fn(&mut world, frame, entry.word).map_err(fault)
    }
}

impl World {
    fn user_byte(&mut self, frame: FrameAddress, offset: usize) -> u8 {
        if !self.contents(frame).is_written(offset) {
            self.violate(Violation::UninitialisedBytes(frame));
        }
        self.frame(frame).byte(offset)
    }

    /// Returns the allocation tag, or `None` where there are none.
    fn user_tag(&mut self, frame: FrameAddress, leaf: u64, pointer: UserPointer) -> Option<Tag> {
        if !self.has_tags || !is_tagged(leaf) {
            return None;
        }
        if !self.contents(frame).is_tagged(pointer.page_offset()) {
            self.violate(Violation::UninitialisedTags(frame));
        }
        Tag::new(u64::from(self.frame(frame).tag(pointer.page_offset())))
    }

    fn check_tag(&mut self, frame: FrameAddress, leaf: u64, pointer: UserPointer) -> Performed<()> {
        match self.user_tag(frame, leaf, pointer) {
            Some(tag) if tag != pointer.tag() => Err(FaultKind::TagCheck),
            _ => Ok(()),
        }
    }
}
