//! Memory objects: page-indexed contents that can be mapped.
//!
//! Owns: the contents and the frames that hold them, charged to the creator's account. Stays
//! outside: who maps the object and where; a mapping holds the object alive, and an object's
//! frames stay its own until it is dropped.
//!
//! States: a *reference* object has its one frame from creation to the end, read-only for ever.
//! A *memory* object commits pages on first use. A *fixed* object has frames that the allocator
//! never had, such as the boot archive.

use crate::account::Account;
use crate::addr::FrameAddress;
use crate::error::VmError;
use crate::fill::{Fill, Written};
use crate::frame::{self, ObjectFrame, SharedFrame, UninitFrame};
use crate::machine::Machine;
use crate::page_store::PageStore;
use crate::page_table;
use crate::remains::Remains;
use crate::tag::Tag;
use vellum_abi::{ObjectInfo, ObjectKind, PAGE_SIZE};

/// What every page of a reference object reads as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Anything, tags included: private pages are copies.
    Bytes,
    /// One byte throughout, under tag zero.
    Pattern(u8),
    /// Zeros under one tag.
    Tagged(Tag),
}

enum Contents<M: Machine> {
    Reference {
        frame: FrameAddress,
        content: Content,
    },
    /// Always there but while the object is dropped.
    Memory(Option<M::Owned<Remains<M>>>),
    Fixed {
        first: FrameAddress,
        pages: u64,
    },
}

/// Page-indexed contents that can be mapped.
pub struct MemoryObject<M: Machine> {
    machine: M,
    account: M::Shared<Account>,
    contents: Contents<M>,
}

/// What a fault needs to know of an object's page before it may touch anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectPage {
    /// Every page is this reference page, and private pages are made so.
    Reference(SharedFrame, Fill),
    /// A page of a memory object, and its frame if it has one.
    Memory(Option<ObjectFrame>),
    /// A page of a fixed object.
    Fixed(SharedFrame),
}

impl<M: Machine> MemoryObject<M> {
    /// Kernel memory that an object is charged for.
    const BYTES: usize = size_of::<Self>();

    /// Makes a reference object of a frame that was just initialised, tags included.
    ///
    /// # Errors
    /// `LimitReached`; the frame is given back.
    pub(crate) fn reference(
        machine: M,
        account: M::Shared<Account>,
        frame: UninitFrame,
        content: Content,
    ) -> Result<MemoryObject<M>, VmError> {
        if let Err(error) = account.charge_kernel(Self::BYTES) {
            frame::free(&machine, &account, frame);
            return Err(error);
        }
        machine.system().refpage_made();
        let contents = Contents::Reference { frame: frame.into_address(), content };
        Ok(MemoryObject { machine, account, contents })
    }

    /// Makes a memory object of `length` zero bytes.
    ///
    /// # Errors
    /// `InvalidSize` for zero, for more than a user half can map; `Misaligned`; `OutOfFrames`,
    /// `LimitReached`.
    pub fn memory(
        machine: M,
        account: M::Shared<Account>,
        length: u64,
    ) -> Result<MemoryObject<M>, VmError> {
        if !length.is_multiple_of(PAGE_SIZE) {
            return Err(VmError::Misaligned);
        }
        account.charge_kernel(Self::BYTES)?;
        match Self::pages_of(&machine, &account, length / PAGE_SIZE) {
            Ok(pages) => {
                Ok(MemoryObject { machine, account, contents: Contents::Memory(Some(pages)) })
            }
            Err(error) => {
                account.credit_kernel(Self::BYTES);
                Err(error)
            }
        }
    }

    fn pages_of(
        machine: &M,
        account: &M::Shared<Account>,
        pages: u64,
    ) -> Result<M::Owned<Remains<M>>, VmError> {
        let store = PageStore::new(machine, account, pages)?;
        let root = store.root();
        let remains = Remains::new(machine.clone(), account.clone(), store);
        let owned = remains.and_then(|remains| Ok(machine.own(remains)?));
        owned.inspect_err(|_| {
            // Nothing was committed yet: the root is all there is.
            page_table::free_table(machine, account, root);
        })
    }

    fn store(&self) -> Option<&PageStore> {
        match &self.contents {
            Contents::Memory(pages) => pages.as_ref().map(|pages| &pages.store),
            Contents::Reference { .. } | Contents::Fixed { .. } => None,
        }
    }

    /// Makes an object of frames that the allocator does not manage and that never change.
    ///
    /// # Errors
    /// `LimitReached`.
    pub fn fixed(
        machine: M,
        account: M::Shared<Account>,
        first: FrameAddress,
        pages: u64,
    ) -> Result<MemoryObject<M>, VmError> {
        account.charge_kernel(Self::BYTES)?;
        Ok(MemoryObject { machine, account, contents: Contents::Fixed { first, pages } })
    }

    /// Returns the number of pages, or `None` for an endless reference object.
    pub fn pages(&self) -> Option<u64> {
        match &self.contents {
            Contents::Reference { .. } => None,
            Contents::Memory(_) => self.store().map(PageStore::pages),
            Contents::Fixed { pages, .. } => Some(*pages),
        }
    }

    /// Returns whether a shared mapping may write the object.
    pub fn is_writable(&self) -> bool {
        matches!(self.contents, Contents::Memory(_))
    }

    /// Returns whether the tags of the object's frames are defined.
    pub fn has_defined_tags(&self) -> bool {
        !matches!(self.contents, Contents::Fixed { .. })
    }

    /// Returns what stands behind a page. The index is inside the object.
    #[inline]
    pub fn page(&self, index: u64) -> ObjectPage {
        match &self.contents {
            Contents::Reference { frame, content } => {
                let fill = match *content {
                    Content::Bytes => Fill::Copy(*frame),
                    Content::Pattern(byte) => Fill::Pattern(byte),
                    Content::Tagged(tag) => Fill::Zero(tag),
                };
                ObjectPage::Reference(SharedFrame::of_object(*frame), fill)
            }
            Contents::Memory(pages) => {
                let store = pages.as_ref().map(|pages| &pages.store);
                ObjectPage::Memory(store.and_then(|store| store.frame(&self.machine, index)))
            }
            Contents::Fixed { first, .. } => {
                let address = first.to_physical() + index * PAGE_SIZE;
                ObjectPage::Fixed(SharedFrame::of_object(FrameAddress::containing(address)))
            }
        }
    }

    /// Gives a page of a memory object its frame. Returns what was written, if anything was.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub fn commit(&self, index: u64) -> Result<Option<Written>, VmError> {
        match self.store() {
            Some(store) => store.commit(&self.machine, &self.account, index),
            None => Ok(None),
        }
    }

    /// Returns kind and detail as `vellum_abi` numbers them.
    pub fn kind(&self) -> (ObjectKind, u64) {
        match &self.contents {
            Contents::Reference { content: Content::Bytes, .. } => (ObjectKind::Bytes, 0),
            Contents::Reference { content: Content::Pattern(byte), .. } => {
                (ObjectKind::Pattern, u64::from(*byte))
            }
            Contents::Reference { content: Content::Tagged(tag), .. } => {
                (ObjectKind::Tagged, u64::from(tag.value()))
            }
            Contents::Memory(_) => (ObjectKind::Memory, 0),
            Contents::Fixed { .. } => (ObjectKind::Fixed, 0),
        }
    }

    /// Returns what the object is, for `object_query`. `references` is the count of its owners.
    pub fn info(&self, references: u64) -> ObjectInfo {
        let (kind, detail) = self.kind();
        let frames = match &self.contents {
            Contents::Reference { .. } => 1,
            Contents::Memory(_) => self.store().map_or(0, PageStore::committed),
            Contents::Fixed { pages, .. } => *pages,
        };
        let length = self.pages().unwrap_or(0) * PAGE_SIZE;
        ObjectInfo { kind: kind as u64, detail, length, references, frames }
    }
}

impl<M: Machine> Drop for MemoryObject<M> {
    fn drop(&mut self) {
        match &mut self.contents {
            Contents::Reference { frame, .. } => {
                let page = UninitFrame::from_allocator(*frame);
                frame::free(&self.machine, &self.account, page);
                self.machine.system().refpage_gone();
            }
            Contents::Memory(pages) => {
                if let Some(pages) = pages.take() {
                    self.machine.bury(pages);
                }
            }
            Contents::Fixed { .. } => {}
        }
        self.account.credit_kernel(Self::BYTES);
    }
}
