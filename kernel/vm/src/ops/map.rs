//! `map`: puts an object somewhere.

use super::change::Change;
use super::policy::suits;
use super::populate::{Goal, Touch};
use super::split::{Splits, put};
use crate::addr::{Page, PageRange};
use crate::address_space::{AddressSpace, State};
use crate::counters::Counters;
use crate::error::{Refusal, VmError};
use crate::machine::Machine;
use crate::mapping::{Mapping, MappingKind};
use crate::object::MemoryObject;
use crate::page_table::Sharing;
use crate::refpage;
use crate::sequence::Sequence;
use crate::tag::Tag;
use crate::tag_pages::TagUse;
use vellum_abi::{MapFlags, MapOptions, PAGE_SIZE, Policy, Protection, Switches};

/// Where mappings go that have no wish: far from where programs are linked.
pub(super) const BASE: Page = Page::containing(0x10_0000_0000);

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
    fn place(&self, state: &State<M>) -> Result<PageRange, VmError> {
        let flags = self.options.flags;
        if flags.contains(MapFlags::FIXED) || self.address != 0 {
            let range = PageRange::new(self.address, self.length)?;
            if flags.contains(MapFlags::REPLACE) || state.mappings.is_free(&range) {
                return Ok(range);
            }
            if flags.contains(MapFlags::FIXED) {
                return Err(VmError::Overlap);
            }
        }
        let gap = state.mappings.find_room(BASE, self.length / PAGE_SIZE);
        gap.ok_or(VmError::OutOfAddresses)
    }

    /// Returns what `protect` may allow later.
    fn maximum(&self) -> Protection {
        match (self.options.flags.contains(MapFlags::GUARD), self.object.is_device()) {
            (true, _) => Protection::NONE,
            (false, true) => self.maximum.intersection(Protection::READ | Protection::WRITE),
            (false, false) => self.maximum,
        }
    }

    fn mapping(&self, range: PageRange, kind: MappingKind, shown: &Shown<M>) -> Mapping<M> {
        let positional = shown.object.is_positional();
        Mapping {
            range,
            object: shown.object.clone(),
            hint: shown.hint.clone(),
            offset: if positional { self.offset / PAGE_SIZE } else { 0 },
            protection: self.options.protection,
            maximum: self.maximum(),
            sharing: self.sharing(),
            sealed: self.options.flags.contains(MapFlags::SEALED),
            kind,
            policy: self.options.policy,
            switches: self.options.switches,
            around: self.options.around,
            sequence: Sequence::default(),
        }
    }
}

/// What a mapping shows: the object that was asked for, or one that `map` finds or makes. What is
/// made goes again with this, if no mapping has it by then.
struct Shown<M: Machine> {
    object: M::Shared<MemoryObject<M>>,
    hint: Option<TagUse<M>>,
}

impl<M: Machine> Shown<M> {
    /// Finds or makes it, outside every lock. What that writes is counted in `counters`.
    fn of(
        space: &AddressSpace<M>,
        request: &MapRequest<M>,
        counters: &Counters,
    ) -> Result<Shown<M>, VmError> {
        let MapOptions { flags, policy, tag, switches, .. } = request.options;
        let machine = &space.machine;
        let mut shown = Shown { object: request.object.clone(), hint: None };
        // Tag zero on zeros is anonymous memory, which is there already.
        if flags.contains(MapFlags::TAG_HINT) && tag != 0 {
            let tag = Tag::new(u64::from(tag)).ok_or(VmError::TagsUnsupported)?;
            let spans = Switches::SHARED_TABLES | Switches::HUGE;
            shown = if switches.intersection(spans) == Switches::NONE {
                let (hint, object) = TagUse::new(machine, tag, counters)?;
                Shown { object, hint: Some(hint) }
            } else {
                // The tables and the block of the kernel's page would be at everybody's expense.
                let own = refpage::tagged(machine, &space.account, tag, counters)?;
                Shown { object: machine.share(own)?, hint: None }
            };
        }
        if policy == Policy::InMapping {
            let own = shown.object.duplicate(&space.account, counters)?;
            shown = Shown { object: machine.share(own)?, hint: None };
        }
        Ok(shown)
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

    fn map_as(
        &self,
        request: &MapRequest<M>,
        kind: MappingKind,
    ) -> Result<(u64, Option<Change<M>>), Refusal> {
        request.check(&self.machine)?;
        // A refused call has changed nothing, so what is made for it counts only when it is mapped.
        let made = Counters::new();
        let shown = Shown::of(self, request, &made)?;
        let mapped = self.begin_change(|state| {
            let range = request.place(state)?;
            let address = range.start().address();
            if !state.mappings.is_free(&range) {
                let mapping = request.mapping(range, kind, &shown);
                return Ok((address, Some(self.replace(state, mapping)?)));
            }
            let mapping = request.mapping(range, kind, &shown);
            if request.options.policy == Policy::Eager
                && let Some(touch) = Touch::eager(request.options.protection, Goal::Mapping)
            {
                // Not merged before it is populated: it may have to go again.
                state.mappings.insert(self.node(mapping)?);
                return Ok((address, Some(Change::populate(state, range, touch))));
            }
            put(self, state, mapping)?;
            Ok((address, None))
        });
        mapped.inspect(|_| refpage::count(&self.counters, refpage::created(&made)))
    }

    fn replace(&self, state: &mut State<M>, mapping: Mapping<M>) -> Result<Change<M>, VmError> {
        let range = mapping.range;
        if state.mappings.facts(&range).any_sealed() {
            return Err(VmError::Sealed);
        }
        let splits = Splits::prepare(self, state, &range)?;
        match self.node(mapping) {
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
