//! What a fault asks a pager.
//!
//! Owns: who of those that fault on an absent page asks, and what for. Refuses to know: how a pager is
//! asked and what its answer is. Of several faults on one page one makes the page's slot *requested*
//! and asks; the others wait until it is not any more. Nothing is held for a request, and nothing
//! happens here but that one exchange.

use crate::addr::UserPointer;
use crate::address_space::AddressSpace;
use crate::fault::{Outcome, death};
use crate::machine::Machine;
use crate::object::MemoryObject;
use crate::page_table::Sharing;
use crate::paged::Requested;
use vellum_abi::{ExitKind, FaultAccess, PAGE_SIZE, PageWish};

/// A page that somebody needs of a pager.
pub struct PageRequest<M: Machine> {
    object: M::Shared<MemoryObject<M>>,
    index: u64,
    /// What the pager is to be told; `None` where somebody else asks.
    wish: Option<PageWish>,
}

impl<M: Machine> AddressSpace<M> {
    /// Finds what has to be asked for a page whose fault answered [`Outcome::Absent`].
    ///
    /// # Errors
    /// `Resume` where nothing has to be asked any more, and what else ends a fault; nothing has
    /// happened then.
    pub fn request_page(
        &self,
        pointer: UserPointer,
        access: FaultAccess,
    ) -> Result<PageRequest<M>, Outcome> {
        let page = pointer.page().ok_or(Outcome::Die(ExitKind::NotMapped))?;
        let state = self.shared();
        if state.is_changing(page) {
            return Err(Outcome::Changing);
        }
        // Who is refused here is refused again by the access itself, which says why.
        let mapping = state.mappings.find(page).ok_or(Outcome::Resume)?;
        let index = mapping.object_page(page);
        let stores = access == FaultAccess::Write && mapping.sharing == Sharing::Shared;
        let object = mapping.object.clone();
        let pages = mapping.range.end().number() - page.number();
        drop(state);
        let offset = index * PAGE_SIZE;
        let wish = match object.request(index, stores) {
            Ok(Requested::Asks(kind)) => {
                Some(PageWish { offset, access, kind, address: pointer.tagged(), pages })
            }
            Ok(Requested::Waits) => None,
            Ok(Requested::Nothing) => return Err(Outcome::Resume),
            Ok(Requested::Poisoned) => return Err(Outcome::Die(ExitKind::PagePoisoned)),
            Err(error) => return Err(Outcome::Die(death(error))),
        };
        Ok(PageRequest { object, index, wish })
    }
}

impl<M: Machine> PageRequest<M> {
    /// Returns the object.
    pub fn object(&self) -> &M::Shared<MemoryObject<M>> {
        &self.object
    }

    /// Returns the number of the page in the object.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns what the pager is to be told; `None` where somebody else asks.
    pub fn wish(&self) -> Option<PageWish> {
        self.wish
    }

    /// Returns whether somebody asks for the page still.
    pub fn is_pending(&self) -> bool {
        self.object.is_requested(self.index)
    }

    /// Takes the request back, if it is this one's and the page was not supplied. Done once. Returns
    /// whether somebody waits, who has to be told.
    pub fn withdraw(&self) -> bool {
        self.wish.is_some() && self.object.withdraw(self.index)
    }
}

impl<M: Machine> MemoryObject<M> {
    /// Returns whether somebody asks the pager for a page.
    pub fn is_requested(&self, index: u64) -> bool {
        self.word(index).withdrawn().is_some()
    }
}
