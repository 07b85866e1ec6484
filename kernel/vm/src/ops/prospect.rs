//! A mapping that is to be.
//!
//! Owns: what it shows, and whether a neighbour goes on as it does. Refuses to know: where it comes
//! (`map`) and how it gets there.

use super::map::MapRequest;
use crate::addr::{Page, PageRange};
use crate::address_space::AddressSpace;
use crate::counters::Counters;
use crate::error::VmError;
use crate::machine::Machine;
use crate::mapping::{Mapping, MappingKind, Terms};
use crate::mappings::Room;
use crate::object::MemoryObject;
use crate::page_table::Sharing;
use crate::refpage;
use crate::sequence::Sequence;
use crate::tag::Tag;
use crate::tag_pages::TagUse;
use core::ptr;
use vellum_abi::{MapFlags, MapOptions, PAGE_SIZE, Policy, Protection, Switches};

/// What `map` finds or makes for a mapping to show instead of the object that was asked for. What is
/// made goes again with this, if no mapping has it by then.
pub(super) struct Made<M: Machine> {
    pub(super) object: M::Shared<MemoryObject<M>>,
    pub(super) hint: Option<TagUse<M>>,
}

impl<M: Machine> Made<M> {
    /// Finds or makes it, outside every lock. What that writes is counted in `counters`.
    pub(super) fn of(
        space: &AddressSpace<M>,
        request: &MapRequest<M>,
        counters: &Counters,
    ) -> Result<Made<M>, VmError> {
        let MapOptions { flags, policy, tag, switches, .. } = request.options;
        let machine = &space.machine;
        let (mut object, mut hint) = (request.object.clone(), None);
        // Tag zero on zeros is anonymous memory, which is there already.
        if flags.contains(MapFlags::TAG_HINT) && tag != 0 {
            let tag = Tag::new(u64::from(tag)).ok_or(VmError::TagsUnsupported)?;
            let spans = Switches::SHARED_TABLES | Switches::HUGE;
            if switches.intersection(spans) == Switches::NONE {
                let (tag_use, shown) = TagUse::new(machine, tag, counters)?;
                (object, hint) = (shown, Some(tag_use));
            } else {
                // The tables and the block of the kernel's page would be at everybody's expense.
                let own = refpage::tagged(machine, &space.account, tag, counters)?;
                object = machine.share(own)?;
            }
        }
        if policy == Policy::InMapping {
            let own = object.duplicate(&space.account, counters)?;
            (object, hint) = (machine.share(own)?, None);
        }
        Ok(Made { object, hint })
    }
}

/// A mapping that is to be: all of it but its range.
pub(super) struct Prospect<'a, M: Machine> {
    request: &'a MapRequest<M>,
    object: &'a M::Shared<MemoryObject<M>>,
    hint: Option<&'a TagUse<M>>,
    kind: MappingKind,
    /// The page of the object that the first page shows.
    offset: u64,
    maximum: Protection,
    sharing: Sharing,
}

impl<'a, M: Machine> Prospect<'a, M> {
    #[inline]
    pub(super) fn new(
        request: &'a MapRequest<M>,
        kind: MappingKind,
        object: &'a M::Shared<MemoryObject<M>>,
        hint: Option<&'a TagUse<M>>,
    ) -> Prospect<'a, M> {
        let offset = if object.is_positional() { request.offset / PAGE_SIZE } else { 0 };
        let (maximum, sharing) = (request.maximum(), request.sharing());
        Prospect { request, object, hint, kind, offset, maximum, sharing }
    }

    #[inline]
    fn terms(&self) -> u64 {
        let MapOptions { protection, policy, switches, around, .. } = self.request.options;
        let (maximum, sharing, kind) = (self.maximum, self.sharing, self.kind);
        let sealed = self.request.is_sealed();
        Terms { protection, maximum, sharing, sealed, kind, policy, switches, around }.word()
    }

    /// Returns whether a mapping could go on as this one.
    #[inline]
    fn continues(&self, low: &Mapping<M>, start: Page) -> bool {
        low.continues_at(start, self.object, self.offset, self.terms())
    }

    /// Returns whether this one could go on as a mapping.
    #[inline]
    fn goes_on_in(&self, high: &Mapping<M>, range: &PageRange) -> bool {
        high.range.start() == range.end()
            && ptr::eq(&raw const *high.object, &raw const **self.object)
            && (!self.object.is_positional() || self.offset + range.pages() == high.offset)
            && high.terms() == self.terms()
            && high.sequence.is_idle()
    }

    #[inline]
    pub(super) fn mapping(&self, range: PageRange) -> Mapping<M> {
        let MapOptions { protection, policy, switches, around, .. } = self.request.options;
        Mapping {
            range,
            object: self.object.clone(),
            hint: self.hint.cloned(),
            offset: self.offset,
            protection,
            maximum: self.maximum,
            sharing: self.sharing,
            sealed: self.request.is_sealed(),
            kind: self.kind,
            policy,
            switches,
            around,
            sequence: Sequence::default(),
        }
    }
}

/// What a mapping becomes one with.
#[derive(Clone, Copy)]
pub(super) enum Joins {
    Nothing,
    /// The mapping below, which has this range.
    Below(PageRange),
    /// The mapping above, and perhaps the one below.
    Above,
}

impl Joins {
    #[inline]
    pub(super) fn find<M: Machine>(room: &Room<'_, M>, prospect: &Prospect<'_, M>) -> Joins {
        if room.above.is_some_and(|above| prospect.goes_on_in(above, &room.range)) {
            return Joins::Above;
        }
        match room.below {
            Some(below) if prospect.continues(below, room.range.start()) => {
                Joins::Below(below.range)
            }
            _ => Joins::Nothing,
        }
    }
}
