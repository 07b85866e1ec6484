//! Memory objects: page-indexed contents that can be mapped.
//!
//! Owns: the contents and the frames that hold them, charged to the creator's account. Stays
//! outside: who maps the object and where; a mapping holds the object alive, and an object's
//! frames stay its own until it is dropped.
//!
//! States: a *reference* object has its one frame from creation to the end, read-only for ever.
//! A *frameless* object has the content of one without the frame: every page is made privately.
//! A *memory* object commits pages on first use; a *wrap* object is one whose pages repeat without
//! end. A *fixed* object has frames that the allocator never had, such as the boot archive. A
//! *device* object has registers instead of memory. The pages of a *paged* object come from a
//! program (`paged`).

mod frames;
mod info;

use crate::account::Account;
use crate::addr::FrameAddress;
use crate::block::{self, SharedBlock};
pub use crate::content::{Content, Extent};
use crate::counters::{Counter, Counters};
use crate::error::VmError;
use crate::fill::{Fill, Written, apply_stored};
use crate::frame::{self, ObjectFrame, OwnedFrame, SharedFrame, UninitFrame};
use crate::machine::Machine;
use crate::page_store::PageStore;
use crate::page_table::{self, SharedTables};
use crate::paged::Paged;
use crate::remains::Remains;
use crate::stored::Stored;
use crate::tag::Tag;
use frames::frame_behind;
use vellum_abi::{PAGE_SIZE, Protection, TAG_BYTES_PER_PAGE};

pub(crate) enum Contents<M: Machine> {
    Reference {
        frame: FrameAddress,
        content: Content,
        /// How private pages are made, chosen when the object was.
        fill: Fill,
        tables: SharedTables,
        block: SharedBlock,
    },
    /// Stored content is there for `Content::Bytes` alone.
    Frameless {
        content: Content,
        stored: Option<M::Owned<Stored<M>>>,
    },
    /// The pages are always there but while the object is dropped.
    Memory {
        pages: Option<M::Owned<Remains<M>>>,
        extent: Extent,
    },
    Paged(M::Owned<Paged<M>>),
    Fixed {
        first: FrameAddress,
        pages: u64,
    },
    Device {
        first: FrameAddress,
        pages: u64,
    },
}

/// Page-indexed contents that can be mapped.
pub struct MemoryObject<M: Machine> {
    pub(crate) machine: M,
    pub(crate) account: M::Shared<Account>,
    pub(crate) contents: Contents<M>,
}

/// What a fault needs to know of an object's page before it may touch anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectPage {
    /// Every page is this reference page, and private pages are made so.
    Reference(SharedFrame, Fill),
    /// There is no frame to share. Private pages are made so, or of the bytes that the object
    /// keeps.
    Frameless(Option<Fill>),
    /// A page of a memory object, and its frame if it has one.
    Memory(Option<ObjectFrame>),
    /// A page of a paged object, which nobody may store to before its pager was asked.
    Watched(ObjectFrame),
    /// A page of a fixed object.
    Fixed(SharedFrame),
    /// A page of device registers.
    Device(ObjectFrame),
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
        let (tables, block) = (SharedTables::default(), SharedBlock::default());
        let frame = frame.into_address();
        let fill = content.fill().unwrap_or(Fill::Copy(frame));
        let contents = Contents::Reference { frame, content, fill, tables, block };
        Ok(MemoryObject { machine, account, contents })
    }

    /// Makes a reference object without a frame. Stored content was charged to the account.
    ///
    /// # Errors
    /// `LimitReached`; the charge of the content is taken back.
    pub(crate) fn frameless(
        machine: M,
        account: M::Shared<Account>,
        content: Content,
        stored: Option<M::Owned<Stored<M>>>,
    ) -> Result<MemoryObject<M>, VmError> {
        if let Err(error) = account.charge_kernel(Self::BYTES) {
            account.credit_kernel(stored.as_ref().map_or(0, |stored| stored.charged()));
            return Err(error);
        }
        Ok(MemoryObject { machine, account, contents: Contents::Frameless { content, stored } })
    }

    /// Makes a reference object of the same content with a frame of its own, for one mapping.
    ///
    /// # Errors
    /// `WrongPolicy` for other objects and those without a frame; `OutOfFrames`, `LimitReached`.
    pub(crate) fn duplicate(
        &self,
        account: &M::Shared<Account>,
        counters: &Counters,
    ) -> Result<MemoryObject<M>, VmError> {
        let Contents::Reference { frame: source, content, .. } = &self.contents else {
            return Err(VmError::WrongPolicy);
        };
        let machine = &self.machine;
        let frame = frame::allocate(machine, account)?;
        // Tags too: the copy may be mapped as Tagged memory now or later.
        if machine.has_tags() {
            machine.copy_page_with_tags(*source, &frame);
        } else {
            machine.copy_page(*source, &frame);
        }
        let object = Self::reference(machine.clone(), account.clone(), frame, *content)?;
        counters.add(Counter::CreateBytes, PAGE_SIZE);
        if machine.has_tags() {
            counters.add(Counter::CreateTagBytes, TAG_BYTES_PER_PAGE);
        }
        Ok(object)
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
        Self::memory_of(machine, account, length, Extent::Ends)
    }

    /// Makes a memory object of `length` zero bytes that ends or repeats.
    ///
    /// # Errors
    /// As [`Self::memory`].
    pub fn memory_of(
        machine: M,
        account: M::Shared<Account>,
        length: u64,
        extent: Extent,
    ) -> Result<MemoryObject<M>, VmError> {
        if !length.is_multiple_of(PAGE_SIZE) {
            return Err(VmError::Misaligned);
        }
        account.charge_kernel(Self::BYTES)?;
        match Self::pages_of(&machine, &account, length / PAGE_SIZE) {
            Ok(pages) => {
                let contents = Contents::Memory { pages: Some(pages), extent };
                Ok(MemoryObject { machine, account, contents })
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

    /// Returns a memory object that nobody has used yet with its pages in the care of a pager.
    pub(crate) fn with_pager(mut self, mut paged: M::Owned<Paged<M>>) -> MemoryObject<M> {
        if let Contents::Memory { pages, .. } = &mut self.contents {
            paged.pages = pages.take();
        }
        self.contents = Contents::Paged(paged);
        self
    }

    fn store(&self) -> Option<&PageStore> {
        match &self.contents {
            Contents::Memory { pages, .. } => pages.as_ref().map(|pages| &pages.store),
            Contents::Paged(paged) => paged.pages.as_ref().map(|pages| &pages.store),
            Contents::Reference { .. }
            | Contents::Frameless { .. }
            | Contents::Fixed { .. }
            | Contents::Device { .. } => None,
        }
    }

    /// Returns whether the object is device registers: mapped shared, never copied, never
    /// executed, and never read by the kernel.
    pub fn is_device(&self) -> bool {
        matches!(self.contents, Contents::Device { .. })
    }

    /// Returns the number of pages, or `None` for an endless object.
    pub fn pages(&self) -> Option<u64> {
        match &self.contents {
            Contents::Reference { .. }
            | Contents::Frameless { .. }
            | Contents::Memory { extent: Extent::Wraps, .. } => None,
            Contents::Memory { extent: Extent::Ends, .. } | Contents::Paged(_) => {
                self.store().map(PageStore::pages)
            }
            Contents::Fixed { pages, .. } | Contents::Device { pages, .. } => Some(*pages),
        }
    }

    /// Returns whether the pages differ, so that the offset of a mapping means something.
    pub fn is_positional(&self) -> bool {
        !matches!(self.contents, Contents::Reference { .. } | Contents::Frameless { .. })
    }

    /// Returns whether the pages repeat without end.
    pub fn wraps(&self) -> bool {
        matches!(self.contents, Contents::Memory { extent: Extent::Wraps, .. })
    }

    /// Returns whether the object has frames that mappings can show.
    pub fn has_frames(&self) -> bool {
        !matches!(self.contents, Contents::Frameless { .. })
    }

    /// Returns whether every page shows one and the same frame.
    pub fn has_reference_frame(&self) -> bool {
        matches!(self.contents, Contents::Reference { .. })
    }

    /// Returns whether a shared mapping may write the object.
    pub fn is_writable(&self) -> bool {
        match &self.contents {
            Contents::Memory { .. } | Contents::Device { .. } => true,
            Contents::Paged(paged) => paged.is_writable(),
            _ => false,
        }
    }

    /// Returns whether the tags of the object's frames are defined.
    pub fn has_defined_tags(&self) -> bool {
        !matches!(self.contents, Contents::Fixed { .. } | Contents::Device { .. })
    }

    /// Returns what stands behind a page. The index is inside the object.
    #[inline]
    pub fn page(&self, index: u64) -> ObjectPage {
        match &self.contents {
            Contents::Reference { frame, fill, .. } => {
                ObjectPage::Reference(SharedFrame::of_object(*frame), *fill)
            }
            Contents::Frameless { content, .. } => ObjectPage::Frameless(content.fill()),
            Contents::Memory { extent, .. } => ObjectPage::Memory(self.committed(*extent, index)),
            Contents::Paged(paged) => paged.page(&self.machine, index),
            Contents::Fixed { first, .. } => {
                ObjectPage::Fixed(SharedFrame::of_object(frame_behind(*first, index)))
            }
            Contents::Device { first, .. } => {
                ObjectPage::Device(ObjectFrame::of_object(frame_behind(*first, index)))
            }
        }
    }

    /// Returns the frame of a page of a memory object, if it has one.
    #[cold]
    fn committed(&self, extent: Extent, index: u64) -> Option<ObjectFrame> {
        let store = self.store()?;
        store.frame(&self.machine, extent.place(index, store))
    }

    /// Gives a page of a memory object its frame. Returns what was written, if anything was.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`.
    pub fn commit(&self, index: u64) -> Result<Option<Written>, VmError> {
        match &self.contents {
            Contents::Memory { pages: Some(pages), extent } => {
                let index = extent.place(index, &pages.store);
                pages.store.commit(&self.machine, &self.account, index)
            }
            _ => Ok(None),
        }
    }

    /// Initialises a frame for a page of this protection of the bytes that an object without a frame
    /// keeps.
    #[cold]
    pub(crate) fn make_stored(
        &self,
        frame: UninitFrame,
        protection: Protection,
    ) -> (OwnedFrame, Written) {
        match &self.contents {
            Contents::Frameless { stored: Some(stored), .. } => {
                apply_stored(stored, &self.machine, frame, protection)
            }
            // No other object keeps bytes; zeros leak nothing.
            _ => Fill::Zero(Tag::ZERO).apply(&self.machine, frame, protection),
        }
    }
}

impl<M: Machine> Drop for MemoryObject<M> {
    fn drop(&mut self) {
        match &mut self.contents {
            Contents::Reference { frame, tables, block, .. } => {
                // Before the frame that they name.
                tables.free(&self.machine, &self.account);
                if let Some(first) = block.take() {
                    block::free(&self.machine, &self.account, first);
                }
                let page = UninitFrame::from_allocator(*frame);
                frame::free(&self.machine, &self.account, page);
                self.machine.system().refpage_gone();
            }
            Contents::Frameless { stored, .. } => {
                let charged = stored.as_ref().map_or(0, |stored| stored.charged());
                self.account.credit_kernel(charged);
            }
            Contents::Memory { pages, .. } => {
                if let Some(pages) = pages.take() {
                    self.machine.bury(pages);
                }
            }
            Contents::Paged(paged) => {
                if let Some(pages) = paged.pages.take() {
                    self.machine.bury(pages);
                }
                self.account.credit_kernel(Paged::<M>::BYTES);
            }
            Contents::Fixed { .. } | Contents::Device { .. } => {}
        }
        self.account.credit_kernel(Self::BYTES);
    }
}
