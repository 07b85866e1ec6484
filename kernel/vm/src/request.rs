//! What a fault asks a pager.
//!
//! Owns: who of those that fault on an absent page asks, and what for. Refuses to know: how a pager is
//! asked and what its answer is. Of several faults on one page one makes the page's slot *requested*
//! and asks; the others wait until it is not any more. Nothing is held for a request, and nothing
//! happens here but that one exchange.

use crate::addr::{Page, UserPointer};
use crate::address_space::AddressSpace;
use crate::fault::{Outcome, death};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::{MemoryObject, ObjectPage};
use crate::page_table::{Descriptor, Sharing};
use vellum_abi::{ExitKind, FaultAccess, PAGE_SIZE, PageWish, WishKind};

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
        let kind = kind_of_wish(mapping, index, access)?;
        let object = mapping.object.clone();
        let pages = mapping.range.end().number() - page.number();
        drop(state);
        let offset = index * PAGE_SIZE;
        let wish = PageWish { offset, access, kind, address: pointer.tagged(), pages };
        match object.request(index) {
            Ok(true) => Ok(PageRequest { object, index, wish: Some(wish) }),
            Ok(false) => {
                let request = PageRequest { object, index, wish: None };
                if request.is_pending() { Ok(request) } else { Err(Outcome::Resume) }
            }
            Err(error) => Err(Outcome::Die(death(error))),
        }
    }

    /// As [`Self::request_page`], of a page that the kernel needs.
    ///
    /// # Errors
    /// As for [`Self::request_page`].
    pub fn request(&self, page: Page, access: FaultAccess) -> Result<PageRequest<M>, Outcome> {
        self.request_page(UserPointer::new(page.address()), access)
    }
}

/// Says what an access to a page needs of the pager.
fn kind_of_wish<M: Machine>(
    mapping: &Mapping<M>,
    index: u64,
    access: FaultAccess,
) -> Result<WishKind, Outcome> {
    if mapping.object.word(index) == Descriptor::POISONED {
        return Err(Outcome::Die(ExitKind::PagePoisoned));
    }
    match mapping.object.page(index) {
        _ if !mapping.object.is_paged() => Err(Outcome::Resume),
        ObjectPage::Memory(None) => Ok(WishKind::Page),
        ObjectPage::Watched(_)
            if mapping.sharing == Sharing::Shared && access == FaultAccess::Write =>
        {
            Ok(WishKind::Store)
        }
        _ => Err(Outcome::Resume),
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

    /// Takes the request back, if it is this one's and the page was not supplied. Done once.
    pub fn withdraw(&self) {
        if self.wish.is_some() {
            self.object.withdraw(self.index);
        }
    }
}

impl<M: Machine> MemoryObject<M> {
    /// Returns whether somebody asks the pager for a page.
    pub fn is_requested(&self, index: u64) -> bool {
        self.word(index).withdrawn().is_some()
    }
}
