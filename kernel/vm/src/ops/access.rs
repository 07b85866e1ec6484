//! The kernel's own reads and writes of a process's memory.
//!
//! A page is made present as the process's own access would make it, then used under the shared
//! lock, so that nobody can unmap it meanwhile. So a read takes a frame only where the process's own
//! would; writes get a private one first and never reach a frame that is not the process's to write.

use crate::addr::{FrameAddress, PAGE_SHIFT, Page, UserPointer};
use crate::address_space::AddressSpace;
use crate::decide::{Leaf, allows};
use crate::fault::Outcome;
use crate::machine::Machine;
use crate::page_table;
use crate::tag::Tag;
use vellum_abi::{ExitKind, FaultAccess, PAGE_SIZE, Protection, TAG_GRANULE};

/// Bytes that share a tag.
const GRANULE: usize = TAG_GRANULE as usize;

/// Why memory could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessRefusal {
    /// A fault that nothing resolves.
    Fault(ExitKind),
    /// A long operation has the page in hand.
    Changing,
    /// A pager has to be asked for the page.
    Absent(Page, FaultAccess),
}

impl<M: Machine> AddressSpace<M> {
    /// Lends the frame of a page, and the protection of its leaf, to `use_fn` under the lock.
    ///
    /// # Errors
    /// See [`AccessRefusal`].
    pub fn with_frame<R>(
        &self,
        page: Page,
        access: FaultAccess,
        use_fn: impl FnOnce(FrameAddress, Protection) -> R,
    ) -> Result<R, AccessRefusal> {
        loop {
            let state = self.shared();
            let descriptor = page_table::translation(&self.machine, self.root, page);
            if descriptor.is_valid() && descriptor.is_device() {
                // Not memory: the kernel's view of RAM does not have it.
                return Err(AccessRefusal::Fault(ExitKind::AccessDenied));
            }
            if let Leaf::Valid { protection, .. } = Leaf::of(&self.machine, descriptor)
                && allows(protection, access)
                && !state.is_changing(page)
            {
                return Ok(use_fn(descriptor.frame(), protection));
            }
            drop(state);
            match self.handle_fault(page, access) {
                // `handle_fault` never asks for a block.
                Outcome::Resume | Outcome::Long => {}
                Outcome::Changing => return Err(AccessRefusal::Changing),
                Outcome::Absent => return Err(AccessRefusal::Absent(page, access)),
                Outcome::Die(kind) => return Err(AccessRefusal::Fault(kind)),
            }
        }
    }

    /// Returns the allocation tag of a page that is present, or that it will have, for reports.
    #[must_use]
    pub fn tag_at(&self, pointer: UserPointer) -> Option<Tag> {
        let (state, page) = (self.shared(), pointer.page()?);
        let leaf = page_table::translation(&self.machine, self.root, page);
        if leaf.is_valid() {
            let memory = !leaf.is_device();
            return memory.then(|| self.machine.read_tag(leaf.frame(), pointer.page_offset()));
        }
        self.clean_tag(state.mappings.find(page)?, pointer)
    }

    /// Copies bytes from an untagged user address, up to the end of its page. Returns how many.
    ///
    /// # Errors
    /// See [`AccessRefusal`].
    pub fn read_page(&self, address: u64, bytes: &mut [u8]) -> Result<usize, AccessRefusal> {
        let (page, offset, length) = part_in_page(address, bytes.len())?;
        self.with_frame(page, FaultAccess::Read, |frame, _| {
            self.machine.read_bytes(frame, offset, &mut bytes[..length]);
            length
        })
    }

    /// Reads the tags of granules from an untagged user address on, a byte each, up to the end of
    /// its page. Returns how many, or `None` if the page is not mapped TAGGED. No frame is taken.
    ///
    /// # Errors
    /// See [`AccessRefusal`].
    pub fn read_tags(&self, address: u64, tags: &mut [u8]) -> Result<Option<usize>, AccessRefusal> {
        let (page, offset, length) = part_in_page(address, tags.len() * GRANULE)?;
        self.with_frame(page, FaultAccess::Read, |frame, protection| {
            is_tagged(frame, protection).then(|| {
                for (index, tag) in tags[..length / GRANULE].iter_mut().enumerate() {
                    *tag = self.machine.read_tag(frame, offset + index * GRANULE).value();
                }
                length / GRANULE
            })
        })
    }

    /// Sets the tags of granules from an untagged user address on, a byte each, of which bits 3:0
    /// count, up to the end of its page. Returns how many, or `None` if the page is not mapped
    /// TAGGED. A clean page gets a private frame first, as by a store.
    ///
    /// # Errors
    /// See [`AccessRefusal`].
    pub fn write_tags(&self, address: u64, tags: &[u8]) -> Result<Option<usize>, AccessRefusal> {
        let (page, offset, length) = part_in_page(address, tags.len() * GRANULE)?;
        // A page without tags stays as it is: looked at before it is written.
        if !self.with_frame(page, FaultAccess::Read, is_tagged)? {
            return Ok(None);
        }
        self.with_frame(page, FaultAccess::Write, |frame, protection| {
            is_tagged(frame, protection).then(|| {
                for (index, tag) in tags[..length / GRANULE].iter().enumerate() {
                    let tag = Tag::from_pointer(u64::from(*tag) << 56);
                    self.machine.write_tag(frame, offset + index * GRANULE, tag);
                }
                length / GRANULE
            })
        })
    }

    /// Copies bytes to an untagged user address, up to the end of its page. Returns how many.
    ///
    /// # Errors
    /// See [`AccessRefusal`].
    pub fn write_page(&self, address: u64, bytes: &[u8]) -> Result<usize, AccessRefusal> {
        let (page, offset, length) = part_in_page(address, bytes.len())?;
        self.with_frame(page, FaultAccess::Write, |frame, _| {
            self.machine.write_bytes(frame, offset, &bytes[..length]);
            length
        })
    }
}

/// Returns whether a leaf is of Tagged memory.
fn is_tagged(_: FrameAddress, protection: Protection) -> bool {
    protection.contains(Protection::TAGGED)
}

/// Returns the page of an address, the offset in it and how many of `length` bytes it holds.
fn part_in_page(address: u64, length: usize) -> Result<(Page, usize, usize), AccessRefusal> {
    if address >> (PAGE_SHIFT + 36) != 0 {
        return Err(AccessRefusal::Fault(ExitKind::NotMapped));
    }
    let offset = (address % PAGE_SIZE) as usize;
    Ok((Page::containing(address), offset, length.min(PAGE_SIZE as usize - offset)))
}
