//! `map`: puts an object somewhere.

use super::change::Change;
use super::policy::suits;
use super::populate::{Goal, Touch};
use super::prospect::{Joins, Made, Prospect};
use super::split::{Splits, merge_at};
use crate::addr::PageRange;
use crate::address_space::{AddressSpace, State};
use crate::counters::Counters;
use crate::error::{Refusal, VmError};
use crate::machine::Machine;
use crate::mapping::MappingKind;
use crate::mappings::{Beside, Room};
use crate::object::MemoryObject;
use crate::page_table::Sharing;
use crate::refpage;
use crate::tag_pages::TagUse;
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

    pub(super) fn sharing(&self) -> Sharing {
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
    pub(super) fn maximum(&self) -> Protection {
        match (self.options.flags.contains(MapFlags::GUARD), self.object.is_device()) {
            (true, _) => Protection::NONE,
            (false, true) => self.maximum.intersection(Protection::READ | Protection::WRITE),
            (false, false) => self.maximum,
        }
    }

    #[inline]
    pub(super) fn is_sealed(&self) -> bool {
        self.options.flags.contains(MapFlags::SEALED)
    }

    /// Returns whether the mapping is to show another object than the one that is asked for.
    #[inline]
    fn needs_another(&self) -> bool {
        let MapOptions { flags, policy, .. } = self.options;
        flags.contains(MapFlags::TAG_HINT) || policy == Policy::InMapping
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
        self.map_shown(request, kind, &request.object, None)
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
        let mapped = self.map_shown(request, kind, &made.object, made.hint.as_ref());
        mapped.inspect(|_| refpage::count(&self.counters, &counters))
    }

    /// Maps an object on the terms of a request.
    #[inline(never)]
    fn map_shown(
        &self,
        request: &MapRequest<M>,
        kind: MappingKind,
        object: &M::Shared<MemoryObject<M>>,
        hint: Option<&TagUse<M>>,
    ) -> Result<(u64, Option<Change<M>>), Refusal> {
        let prospect = Prospect::new(request, kind, object, hint);
        self.begin_change(|state| {
            let room = request.place(state)?;
            let (range, address) = (room.range, room.range.start().address());
            if !room.is_free() {
                return Ok((address, Some(self.replace(state, &prospect, range)?)));
            }
            if request.options.policy == Policy::Eager
                && let Some(touch) = Touch::eager(request.options.protection, Goal::Mapping)
            {
                // Not merged before it is populated: it may have to go again.
                state.mappings.insert(self.node(|| prospect.mapping(range))?);
                return Ok((address, Some(Change::populate(state, range, touch))));
            }
            let joins = Joins::find(&room, &prospect);
            let beside = room.beside();
            if room.is_lowest {
                state.mappings.leave_out(beside.high);
            }
            self.put(state, &prospect, range, beside, joins)?;
            Ok((address, None))
        })
    }

    /// Puts a mapping into its free range: as part of a neighbour that it continues, or as a node.
    #[inline]
    fn put(
        &self,
        state: &mut State<M>,
        prospect: &Prospect<'_, M>,
        range: PageRange,
        beside: Beside,
        joins: Joins,
    ) -> Result<(), VmError> {
        if let Joins::Below(whole) = joins {
            // The usual case of a heap that grows: no node is made to be merged at once.
            let end = range.end();
            state.mappings.alter_end(&whole, end, beside.high, |below| below.absorb(end));
            return Ok(());
        }
        state.mappings.insert_between(beside, self.node(|| prospect.mapping(range))?);
        if let Joins::Above = joins {
            merge_at(self, state, range.end());
            merge_at(self, state, range.start());
        }
        Ok(())
    }

    fn replace(
        &self,
        state: &mut State<M>,
        prospect: &Prospect<'_, M>,
        range: PageRange,
    ) -> Result<Change<M>, VmError> {
        if state.mappings.facts(&range).any_sealed() {
            return Err(VmError::Sealed);
        }
        let splits = Splits::prepare(self, state, &range)?;
        match self.node(|| prospect.mapping(range)) {
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
