//! `map`: puts an object somewhere.

use super::change::Change;
use super::policy::suits;
use super::populate::{Goal, Touch};
use super::split::{Splits, merge_at};
use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::counters::Counters;
use crate::error::{Refusal, VmError};
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

/// What `map` asks for.
pub struct MapRequest<M: Machine> {
    /// What to map.
    pub object: M::Shared<MemoryObject<M>>,
    /// Where: exactly there with FIXED, else a wish; 0 for none. Bytes.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// Bytes from the start of the object.
    pub offset: u64,
    /// Protection, flags and policy.
    pub options: MapOptions,
    /// What the caller's rights to the object allow at most.
    pub maximum: Protection,
}

impl<M: Machine> MapRequest<M> {
    /// Checks what can be checked without the address space.
    fn check(&self, machine: &M) -> Result<(), VmError> {
        let protection = self.options.protection;
        check_protection(machine, protection)?;
        if !self.is_served() || !suits(&self.options, self.sharing(), &self.object) {
            return Err(VmError::WrongPolicy);
        }
        let pages = self.length / PAGE_SIZE;
        if ![self.address, self.length, self.offset].iter().all(|n| n.is_multiple_of(PAGE_SIZE)) {
            return Err(VmError::Misaligned);
        }
        if pages == 0 {
            return Err(VmError::InvalidSize);
        }
        if pages > PageRange::whole().pages() {
            return Err(VmError::OutOfRange);
        }
        if self.object.is_positional() && !self.ends_in_object() {
            return Err(VmError::BeyondEnd);
        }
        if protection.contains(Protection::TAGGED) && !self.object.has_defined_tags() {
            return Err(VmError::TagsUnsupported);
        }
        if self.sharing() == Sharing::Shared
            && protection.contains(Protection::WRITE)
            && !self.object.is_writable()
        {
            return Err(VmError::SharedWritable);
        }
        if self.object.is_device()
            && (self.sharing() == Sharing::Private || protection.contains(Protection::EXECUTE))
        {
            return Err(VmError::NotPermitted);
        }
        if !self.maximum().contains(protection) { Err(VmError::MissingRight) } else { Ok(()) }
    }

    /// Returns whether every page has an offset in bytes, and an endless object or one that is long
    /// enough.
    fn ends_in_object(&self) -> bool {
        let fits = |end| self.object.pages().is_none_or(|size| end / PAGE_SIZE <= size);
        self.offset.checked_add(self.length).is_some_and(fits)
    }

    /// Returns whether everything that the options ask for exists.
    fn is_served(&self) -> bool {
        let MapOptions { switches, .. } = self.options;
        let spans = Switches::SHARED_TABLES | Switches::HUGE | Switches::HUGE_WRITES;
        switches.intersection(spans) == Switches::NONE || self.serves_spans()
    }

    /// Returns whether reads may go by spans: of a reference object that is mapped privately.
    fn serves_spans(&self) -> bool {
        self.options.policy == Policy::ReferencePage
            && self.sharing() == Sharing::Private
            && self.object.has_reference_frame()
    }

    fn sharing(&self) -> Sharing {
        let shared = self.options.flags.contains(MapFlags::SHARED);
        if shared { Sharing::Shared } else { Sharing::Private }
    }

    /// Chooses the range: the one that FIXED names, the wish if it is free, or the lowest gap.
    #[inline]
    fn place<'a>(&self, state: &'a State<M>) -> Result<Room<'a, M>, VmError> {
        let flags = self.options.flags;
        if flags.contains(MapFlags::FIXED) || self.address != 0 {
            let room = state.mappings.room(PageRange::new(self.address, self.length)?);
            if flags.contains(MapFlags::REPLACE) || room.is_free() {
                return Ok(room);
            }
            if flags.contains(MapFlags::FIXED) {
                return Err(VmError::Overlap);
            }
        }
        state.mappings.find_room(self.length / PAGE_SIZE).ok_or(VmError::OutOfAddresses)
    }

    /// Returns what `protect` may allow later.
    #[inline]
    fn maximum(&self) -> Protection {
        match (self.options.flags.contains(MapFlags::GUARD), self.object.is_device()) {
            (true, _) => Protection::NONE,
            (false, true) => self.maximum.intersection(Protection::READ | Protection::WRITE),
            (false, false) => self.maximum,
        }
    }

    #[inline]
    fn is_sealed(&self) -> bool {
        self.options.flags.contains(MapFlags::SEALED)
    }

    /// Returns whether the mapping is to show another object than the one that is asked for.
    #[inline]
    fn needs_another(&self) -> bool {
        let MapOptions { flags, policy, .. } = self.options;
        flags.contains(MapFlags::TAG_HINT) || policy == Policy::InMapping
    }
}

/// What `map` finds or makes for a mapping to show instead of the object that was asked for. What is
/// made goes again with this, if no mapping has it by then.
struct Made<M: Machine> {
    object: M::Shared<MemoryObject<M>>,
    hint: Option<TagUse<M>>,
}

impl<M: Machine> Made<M> {
    /// Finds or makes it, outside every lock. What that writes is counted in `counters`.
    fn of(
        space: &AddressSpace<M>,
        request: &MapRequest<M>,
        counters: &Counters,
    ) -> Result<Made<M>, VmError> {
        let MapOptions { flags, policy, tag, switches, .. } = request.options;
        let machine = &space.machine;
        let mut made = Made { object: request.object.clone(), hint: None };
        // Tag zero on zeros is anonymous memory, which is there already.
        if flags.contains(MapFlags::TAG_HINT) && tag != 0 {
            let tag = Tag::new(u64::from(tag)).ok_or(VmError::TagsUnsupported)?;
            let spans = Switches::SHARED_TABLES | Switches::HUGE;
            made = if switches.intersection(spans) == Switches::NONE {
                let (hint, object) = TagUse::new(machine, tag, counters)?;
                Made { object, hint: Some(hint) }
            } else {
                // The tables and the block of the kernel's page would be at everybody's expense.
                let own = refpage::tagged(machine, &space.account, tag, counters)?;
                Made { object: machine.share(own)?, hint: None }
            };
        }
        if policy == Policy::InMapping {
            let own = made.object.duplicate(&space.account, counters)?;
            made = Made { object: machine.share(own)?, hint: None };
        }
        Ok(made)
    }
}

/// A mapping that is to be: all of it but its range.
struct Plan<'a, M: Machine> {
    request: &'a MapRequest<M>,
    object: &'a M::Shared<MemoryObject<M>>,
    hint: Option<&'a TagUse<M>>,
    kind: MappingKind,
    /// The page of the object that the first page shows.
    offset: u64,
    maximum: Protection,
    sharing: Sharing,
}

impl<'a, M: Machine> Plan<'a, M> {
    #[inline]
    fn new(
        request: &'a MapRequest<M>,
        kind: MappingKind,
        object: &'a M::Shared<MemoryObject<M>>,
        hint: Option<&'a TagUse<M>>,
    ) -> Plan<'a, M> {
        let offset = if object.is_positional() { request.offset / PAGE_SIZE } else { 0 };
        let (maximum, sharing) = (request.maximum(), request.sharing());
        Plan { request, object, hint, kind, offset, maximum, sharing }
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
    fn mapping(&self, range: PageRange) -> Mapping<M> {
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

/// Checks a protection that `map` or `protect` is asked for.
pub(super) fn check_protection<M: Machine>(
    machine: &M,
    protection: Protection,
) -> Result<(), VmError> {
    if protection.contains(Protection::WRITE | Protection::EXECUTE) {
        return Err(VmError::WriteAndExecute);
    }
    if protection.contains(Protection::TAGGED) && !machine.has_tags() {
        return Err(VmError::TagsUnsupported);
    }
    Ok(())
}

impl<M: Machine> AddressSpace<M> {
    /// Maps an object. Returns the address, and the change to run first if a range is replaced or
    /// the policy is to populate it. A change that fails ([`Change::failure`]) has taken the mapping
    /// away again.
    ///
    /// With `TAG_HINT` the request's object is the zero object, and what is mapped the kernel's
    /// reference page of the tag, or one that the process pays for where its tables and blocks may
    /// come to be.
    ///
    /// # Errors
    /// `WrongPolicy`, `OutOfFrames`, `WriteAndExecute`, `TagsUnsupported`, `Misaligned`,
    /// `InvalidSize`, `OutOfRange`, `BeyondEnd`, `SharedWritable`, `NotPermitted`, `MissingRight`,
    /// `Overlap`, `OutOfAddresses`, `Sealed`, `OutOfKernelMemory`, `LimitReached`.
    pub fn map(&self, request: &MapRequest<M>) -> Result<(u64, Option<Change<M>>), Refusal> {
        let guard = request.options.flags.contains(MapFlags::GUARD);
        self.map_as(request, if guard { MappingKind::Guard } else { MappingKind::Plain })
    }

    /// Maps what a program was not asked for: memory of the first one.
    ///
    /// # Errors
    /// As [`Self::map`].
    pub fn map_for_kernel(
        &self,
        request: &MapRequest<M>,
    ) -> Result<(u64, Option<Change<M>>), Refusal> {
        self.map_as(request, MappingKind::Kernel)
    }

    #[inline]
    fn map_as(
        &self,
        request: &MapRequest<M>,
        kind: MappingKind,
    ) -> Result<(u64, Option<Change<M>>), Refusal> {
        request.check(&self.machine)?;
        if request.needs_another() {
            return self.map_another(request, kind);
        }
        self.map_planned(&Plan::new(request, kind, &request.object, None))
    }

    #[cold]
    fn map_another(
        &self,
        request: &MapRequest<M>,
        kind: MappingKind,
    ) -> Result<(u64, Option<Change<M>>), Refusal> {
        // A refused call has changed nothing, so what is made for it counts only when it is mapped.
        let counters = Counters::new();
        let made = Made::of(self, request, &counters)?;
        let plan = Plan::new(request, kind, &made.object, made.hint.as_ref());
        let mapped = self.map_planned(&plan);
        mapped.inspect(|_| refpage::count(&self.counters, refpage::created(&counters)))
    }

    fn map_planned(&self, plan: &Plan<'_, M>) -> Result<(u64, Option<Change<M>>), Refusal> {
        self.begin_change(|state| {
            let room = plan.request.place(state)?;
            let (range, high, is_lowest) = (room.range, room.high(), room.is_lowest);
            let address = range.start().address();
            if !room.is_free() {
                return Ok((address, Some(self.replace(state, plan, range)?)));
            }
            let options = &plan.request.options;
            if options.policy == Policy::Eager
                && let Some(touch) = Touch::eager(options.protection, Goal::Mapping)
            {
                // Not merged before it is populated: it may have to go again.
                let node = self.node(|| plan.mapping(range))?;
                state.mappings.insert(node);
                return Ok((address, Some(Change::populate(state, range, touch))));
            }
            let joins_high = room.above.is_some_and(|above| plan.goes_on_in(above, &range));
            if !joins_high
                && let Some(below) = room.below
                && plan.continues(below, range.start())
            {
                // The usual case of a heap that grows: no node is made to be merged at once.
                let (whole, end) = (below.range, range.end());
                if is_lowest {
                    state.mappings.leave_out(high);
                }
                state.mappings.alter_end(&whole, end, high, |below| below.absorb(end));
                return Ok((address, None));
            }
            let node = self.node(|| plan.mapping(range))?;
            if is_lowest {
                state.mappings.leave_out(high);
            }
            state.mappings.insert(node);
            if joins_high {
                merge_at(self, state, range.end());
                merge_at(self, state, range.start());
            }
            Ok((address, None))
        })
    }

    fn replace(
        &self,
        state: &mut State<M>,
        plan: &Plan<'_, M>,
        range: PageRange,
    ) -> Result<Change<M>, VmError> {
        if state.mappings.facts(&range).any_sealed() {
            return Err(VmError::Sealed);
        }
        let splits = Splits::prepare(self, state, &range)?;
        match self.node(|| plan.mapping(range)) {
            Ok(node) => {
                splits.apply(state);
                Ok(Change::unmap(state, range, Some(node)))
            }
            Err(error) => {
                splits.abandon(self);
                Err(error)
            }
        }
    }
}
