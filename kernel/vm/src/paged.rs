//! Objects whose pages a program supplies.
//!
//! Owns: what may become of a page of such an object, all of it by compare-and-exchange of the page's
//! slot in the store. Refuses to know: who the pager is and how it is asked; it is held here for
//! whoever asks (`request`).
//!
//! ```text
//! absent -> requested -> supplied: own frame, own frame watched, or a reference page
//!   ^ `-------- ' |   \-> poisoned                     watched -> watched, asked -> own frame
//!   `-------------'                                       ^--------------'
//! ```
//!
//! Nobody holds a lock for a request: the slot says that one is under way, and whoever put that there
//! is the *asker*, who alone takes it away again if nobody supplies the page. What is supplied
//! stays until the object goes, so that what was found once may be used as long as the object is held.
//!
//! Memory order: a frame is filled before the exchange that publishes it (release), and whoever
//! finds it has read that slot (acquire), as for every memory object.

use crate::account::Account;
use crate::error::VmError;
use crate::frame::{self, ObjectFrame, OwnedFrame, SharedFrame};
use crate::machine::Machine;
use crate::object::{Contents, MemoryObject, ObjectPage};
use crate::page_store::PageStore;
use crate::page_table::{Descriptor, Slot};
use crate::remains::Remains;
use lock_api::Mutex;
use vellum_abi::{PagerFlags, WishKind};

/// Reference objects whose pages one object may show.
pub const MAX_SOURCES: usize = 16;

/// Reference objects that the object keeps.
type Sources<M> = [Option<<M as crate::machine::Pools>::Shared<MemoryObject<M>>>; MAX_SOURCES];

/// The contents of an object whose pages are supplied.
pub(crate) struct Paged<M: Machine> {
    /// There but while the object is dropped.
    pub(crate) pages: Option<M::Owned<Remains<M>>>,
    /// Who is asked.
    pager: M::Pager,
    flags: PagerFlags,
    /// Entries are added, and stay until the object goes.
    sources: Mutex<M::Mutex, Sources<M>>,
}

impl<M: Machine> Paged<M> {
    /// Kernel memory that the contents are charged for.
    pub(crate) const BYTES: usize = size_of::<Self>();

    fn store(&self) -> Option<&PageStore> {
        self.pages.as_ref().map(|pages| &pages.store)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.flags.contains(PagerFlags::WRITABLE)
    }

    /// Returns what stands behind a page. Out of line, as [`MemoryObject::page`] is in the way of every fault.
    #[cold]
    #[inline(never)]
    pub(crate) fn page(&self, machine: &M, index: u64) -> ObjectPage {
        let word = self.store().map_or(Descriptor::EMPTY, |store| store.word(machine, index));
        if !word.is_valid() {
            return ObjectPage::Memory(None);
        }
        if word.is_stored_reference() {
            return self.reference_page(SharedFrame::of_object(word.frame()));
        }
        let frame = ObjectFrame::of_object(word.frame());
        if word.is_watched() { ObjectPage::Watched(frame) } else { ObjectPage::Memory(Some(frame)) }
    }

    /// Returns a reference page with the way in which its object makes private ones.
    fn reference_page(&self, frame: SharedFrame) -> ObjectPage {
        let sources = self.sources.lock();
        let pages = sources.iter().flatten().map(|source| source.page(0));
        let shows =
            |page: &ObjectPage| matches!(page, ObjectPage::Reference(it, _) if *it == frame);
        pages.into_iter().find(shows).unwrap_or(ObjectPage::Fixed(frame))
    }
}

/// What came of saying that a page is needed.
pub(crate) enum Requested {
    /// The caller asks the pager, for this.
    Asks(WishKind),
    /// Somebody else does.
    Waits,
    /// There is nothing to ask for.
    Nothing,
    /// There never will be.
    Poisoned,
}

/// What is put behind a page.
pub(crate) enum Supplied {
    /// A frame, which the object's account is charged for.
    Frame(OwnedFrame),
    /// The page of a reference object that the object keeps.
    Reference(SharedFrame),
    /// Nothing, for good.
    Poison,
}

impl<M: Machine> MemoryObject<M> {
    /// Makes an object of `length` bytes that a pager supplies, page by page.
    ///
    /// # Errors
    /// `InvalidSize` for zero, for more than a user half can map; `Misaligned`;
    /// `OutOfKernelMemory`, `OutOfFrames`, `LimitReached`.
    pub fn paged(
        machine: M,
        account: M::Shared<Account>,
        length: u64,
        flags: PagerFlags,
        pager: M::Pager,
    ) -> Result<MemoryObject<M>, VmError> {
        // Its pages and what a memory object is charged for; the rest stands in their place.
        let memory = MemoryObject::memory(machine.clone(), account.clone(), length)?;
        account.charge_kernel(Paged::<M>::BYTES)?;
        let sources = Mutex::new([const { None }; MAX_SOURCES]);
        let contents = Paged { pages: None, pager, flags, sources };
        let made = machine.own(contents);
        let paged = made.inspect_err(|_| account.credit_kernel(Paged::<M>::BYTES))?;
        Ok(memory.with_pager(paged))
    }

    /// Returns whether a pager supplies the pages.
    pub fn is_paged(&self) -> bool {
        matches!(self.contents, Contents::Paged(_))
    }

    /// Returns who supplies the pages.
    pub fn pager(&self) -> Option<&M::Pager> {
        self.as_paged().map(|paged| &paged.pager)
    }

    fn as_paged(&self) -> Option<&Paged<M>> {
        match &self.contents {
            Contents::Paged(paged) => Some(paged),
            _ => None,
        }
    }

    /// Returns what the slot of a page holds.
    pub(crate) fn word(&self, index: u64) -> Descriptor {
        let store = self.as_paged().and_then(Paged::store);
        store.map_or(Descriptor::EMPTY, |store| store.word(&self.machine, index))
    }

    /// Says that the pager is about to be asked for a page, or that somebody waits for its answer.
    /// `stores` says whether a watched page matters.
    ///
    /// # Errors
    /// `OutOfFrames`, `LimitReached`: there is no room to say so.
    pub(crate) fn request(&self, index: u64, stores: bool) -> Result<Requested, VmError> {
        let Some(store) = self.as_paged().and_then(Paged::store) else {
            return Ok(Requested::Nothing);
        };
        let slot = store.slot(&self.machine, &self.account, index)?;
        loop {
            let seen = self.machine.read(slot);
            let kind = if seen.is_watched() { WishKind::Store } else { WishKind::Page };
            let (new, requested) = match seen.requested() {
                _ if seen.is_watched() && !stores => return Ok(Requested::Nothing),
                Some(new) => (new, Requested::Asks(kind)),
                None if seen.withdrawn().is_some() => (seen.awaited(), Requested::Waits),
                None if seen == Descriptor::POISONED => return Ok(Requested::Poisoned),
                None => return Ok(Requested::Nothing),
            };
            if seen == new || self.machine.exchange(slot, seen, new).is_ok() {
                return Ok(requested);
            }
        }
    }

    /// Says that somebody waits for what comes of a request. Returns whether there is one.
    pub fn await_request(&self, index: u64) -> bool {
        let Some(store) = self.as_paged().and_then(Paged::store) else { return false };
        loop {
            let seen = store.word(&self.machine, index);
            if seen.withdrawn().is_none() {
                return false;
            }
            // A page that is asked for has its slot: nothing is taken.
            let Ok(slot) = store.slot(&self.machine, &self.account, index) else { return false };
            if self.machine.exchange(slot, seen, seen.awaited()).is_ok() {
                return true;
            }
        }
    }

    /// Takes back that the pager is asked for a page, unless it was supplied. The asker alone does.
    /// Returns whether somebody waits, who has to be told.
    #[must_use = "who waits has to be told"]
    pub fn withdraw(&self, index: u64) -> bool {
        let Some(store) = self.as_paged().and_then(Paged::store) else { return false };
        // The asker has made the way to the slot: nothing is taken.
        let Ok(slot) = store.slot(&self.machine, &self.account, index) else { return false };
        loop {
            let seen = self.machine.read(slot);
            // What was supplied meanwhile is told by whoever did.
            let Some(old) = seen.withdrawn() else { return false };
            if self.machine.exchange(slot, seen, old).is_ok() {
                return seen.is_awaited();
            }
        }
    }

    /// Returns whether a page may be supplied, as far as that is known before memory is taken.
    ///
    /// # Errors
    /// `PagePresent`; `BeyondEnd`.
    pub(crate) fn may_supply(&self, index: u64) -> Result<(), VmError> {
        let store = self.as_paged().and_then(Paged::store);
        store.filter(|store| index < store.pages()).ok_or(VmError::BeyondEnd)?;
        if self.word(index).is_absent() { Ok(()) } else { Err(VmError::PagePresent) }
    }

    /// Puts a frame behind a page, with the way to its slot. One that is not put there goes back. Returns
    /// whether somebody waits, who has to be told.
    ///
    /// # Errors
    /// `PagePresent`; `OutOfFrames`, `LimitReached`.
    pub(crate) fn put_frame(
        &self,
        index: u64,
        frame: OwnedFrame,
        watch: bool,
    ) -> Result<bool, VmError> {
        match self.vacant(index) {
            Ok(slot) => self.put(slot, Supplied::Frame(frame), watch),
            Err(error) => {
                frame::free(&self.machine, &self.account, frame.discard());
                Err(error)
            }
        }
    }

    /// Returns the slot of a page that may be supplied.
    ///
    /// # Errors
    /// `PagePresent` if there is something behind the page already; `BeyondEnd`; `OutOfFrames`,
    /// `LimitReached`.
    pub(crate) fn vacant(&self, index: u64) -> Result<Slot, VmError> {
        let store = self.as_paged().and_then(Paged::store);
        let store = store.filter(|store| index < store.pages()).ok_or(VmError::BeyondEnd)?;
        let slot = store.slot(&self.machine, &self.account, index)?;
        if self.machine.read(slot).is_absent() { Ok(slot) } else { Err(VmError::PagePresent) }
    }

    /// Puts something into the slot of a page that has nothing yet, whether or not it was asked for. A
    /// frame that is not put there goes back. Returns whether somebody waits, who has to be told.
    ///
    /// # Errors
    /// `PagePresent`.
    pub(crate) fn put(&self, slot: Slot, what: Supplied, watch: bool) -> Result<bool, VmError> {
        let word = match what {
            Supplied::Frame(frame) if watch => Descriptor::stored(frame).watched(),
            Supplied::Frame(frame) => Descriptor::stored(frame),
            Supplied::Reference(frame) => Descriptor::stored_reference(frame),
            Supplied::Poison => Descriptor::POISONED,
        };
        loop {
            let seen = self.machine.read(slot);
            if !seen.is_absent() {
                if word.is_stored_frame() {
                    let frame = OwnedFrame::from_slot(word.frame()).discard();
                    frame::free(&self.machine, &self.account, frame);
                }
                return Err(VmError::PagePresent);
            }
            if self.machine.exchange(slot, seen, word).is_ok() {
                if word.is_stored_frame() {
                    self.as_paged()
                        .and_then(Paged::store)
                        .into_iter()
                        .for_each(PageStore::count_one);
                }
                return Ok(seen.is_awaited());
            }
        }
    }

    /// Lets a watched page be stored to. Returns whether somebody waits, who has to be told.
    ///
    /// # Errors
    /// `BeyondEnd`; `NotWatched`.
    pub fn allow_stores(&self, index: u64) -> Result<bool, VmError> {
        let store = self.as_paged().and_then(Paged::store);
        let store = store.filter(|store| index < store.pages()).ok_or(VmError::BeyondEnd)?;
        loop {
            let seen = store.word(&self.machine, index);
            if !seen.is_stored_frame() || !seen.is_watched() {
                return Err(VmError::NotWatched);
            }
            let slot = store.slot(&self.machine, &self.account, index)?;
            if self.machine.exchange(slot, seen, seen.allowed()).is_ok() {
                return Ok(seen.is_awaited());
            }
        }
    }

    /// Keeps a reference object, so that pages may show it.
    ///
    /// # Errors
    /// `WrongPolicy` unless it has one frame for all pages; `LimitReached` beyond [`MAX_SOURCES`].
    pub fn keep_source(&self, source: &M::Shared<MemoryObject<M>>) -> Result<(), VmError> {
        let paged = self.as_paged().ok_or(VmError::WrongPolicy)?;
        if !source.has_reference_frame() {
            return Err(VmError::WrongPolicy);
        }
        let mut sources = paged.sources.lock();
        let is_it = |kept: &M::Shared<MemoryObject<M>>| {
            core::ptr::eq(&raw const **kept, &raw const **source)
        };
        if sources.iter().flatten().any(is_it) {
            return Ok(());
        }
        let free = sources.iter_mut().find(|place| place.is_none()).ok_or(VmError::LimitReached)?;
        *free = Some(source.clone());
        Ok(())
    }

    /// Returns whether shared mappings may store to the object, so that its pages cannot show frames of
    /// other objects.
    pub(crate) fn owns_its_frames(&self) -> bool {
        self.as_paged().is_some_and(Paged::is_writable)
    }
}
