//! What a page will be: the leaf that shows an object, or a private frame and how it is filled.
//!
//! Owns: what each kind of object and each policy puts behind a page. Refuses to know: locks and
//! publication; a plan is made under the lock and carried out without it (`fault`).

use crate::addr::Page;
use crate::address_space::State;
use crate::fill::{Fill, Written};
use crate::frame::{OwnedFrame, UninitFrame};
use crate::machine::Machine;
use crate::mapping::Mapping;
use crate::object::{MemoryObject, ObjectPage};
use crate::page_table::{Descriptor, Sharing, Slot};
use crate::tag::Tag;
use vellum_abi::{Policy, Protection};

/// A private page that is about to be made: what was seen under the lock, and what to do.
pub(crate) struct Plan<M: Machine> {
    pub(crate) page: Page,
    pub(crate) slot: Slot,
    pub(crate) seen: Descriptor,
    pub(crate) generation: u64,
    pub(crate) protection: Protection,
    /// `None` for the bytes that the source keeps outside any frame.
    pub(crate) fill: Option<Fill>,
    /// Holds the source of a copy while no lock does.
    source: Option<M::Shared<MemoryObject<M>>>,
}

impl<M: Machine> Plan<M> {
    /// Initialises a frame for the page.
    // As `AddressSpace::write_private`.
    #[inline(always)]
    pub(crate) fn fill(&self, machine: &M, frame: UninitFrame) -> (OwnedFrame, Written) {
        match (self.fill, &self.source) {
            (None, Some(source)) => source.make_stored(frame, self.protection),
            (fill, _) => {
                fill.unwrap_or(Fill::Zero(Tag::ZERO)).apply(machine, frame, self.protection)
            }
        }
    }
}

/// Returns the leaf that shows an object's frame, or `None` if the page has no frame yet.
// As `AddressSpace::write_private`.
#[inline(always)]
pub(crate) fn shared_leaf<M: Machine>(mapping: &Mapping<M>, page: Page) -> Option<Descriptor> {
    match mapping.object.page(mapping.object_page(page)) {
        ObjectPage::Reference(frame, _) => Some(Descriptor::read_shared(frame, mapping.protection)),
        shown => leaf_of(shown, mapping.sharing, mapping.protection),
    }
}

/// As [`shared_leaf`], of a page that was looked up already.
#[inline(never)]
pub(crate) fn leaf_of(
    shown: ObjectPage,
    sharing: Sharing,
    protection: Protection,
) -> Option<Descriptor> {
    Some(match (shown, sharing) {
        (ObjectPage::Reference(frame, _) | ObjectPage::Fixed(frame), _) => {
            Descriptor::read_shared(frame, protection)
        }
        // `map` lets no policy show an object that has nothing to show.
        (ObjectPage::Frameless(_), _) => return None,
        (ObjectPage::Memory(frame), Sharing::Private) => {
            Descriptor::read_shared(frame?.read_only(), protection)
        }
        (ObjectPage::Memory(frame), Sharing::Shared) => Descriptor::object(frame?, protection),
        (ObjectPage::Watched(frame), Sharing::Private) => {
            Descriptor::read_shared(frame.read_only(), protection)
        }
        (ObjectPage::Watched(frame), Sharing::Shared) => {
            Descriptor::object(frame, protection).watched()
        }
        (ObjectPage::Device(frame), _) => Descriptor::device(frame, protection),
    })
}

/// Returns whether private pages are copies even where a fill would do: the reviewers who proposed
/// the policy knew of no content, only of a page.
#[inline]
const fn always_copies(policy: Policy) -> bool {
    matches!(policy, Policy::InMapping | Policy::Object | Policy::Wrap)
}

/// Plans a private page, or returns `None` if its source has no frame yet.
// As `write_private`.
#[inline(always)]
pub(crate) fn plan<M: Machine>(
    state: &State<M>,
    mapping: &Mapping<M>,
    page: Page,
    slot: Slot,
    seen: Descriptor,
) -> Option<Plan<M>> {
    let fill = match mapping.object.page(mapping.object_page(page)) {
        ObjectPage::Reference(frame, _) if always_copies(mapping.policy) => {
            Some(Fill::Copy(frame.address()))
        }
        ObjectPage::Reference(_, fill) => Some(fill),
        ObjectPage::Frameless(fill) => fill,
        ObjectPage::Memory(frame) => Some(Fill::Copy(frame?.address())),
        ObjectPage::Watched(frame) => Some(Fill::Copy(frame.address())),
        ObjectPage::Fixed(frame) => Some(Fill::Copy(frame.address())),
        // Mapped shared only: `map` refuses everything else.
        ObjectPage::Device(_) => return None,
    };
    let source = matches!(fill, None | Some(Fill::Copy(_))).then(|| mapping.object.clone());
    let (generation, protection) = (state.generation, mapping.protection);
    Some(Plan { page, slot, seen, generation, protection, fill, source })
}
