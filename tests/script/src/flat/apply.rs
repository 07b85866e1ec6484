//! What each operation does to the flat model, and what it must answer.

use super::{Contents, Flat, FlatMap, FlatSpace, Kind, Memory, OUTSIDE, Object, ObjectId};
use crate::op::Op;
use crate::word::{self, Address, Content, Count, Cpu, Space, Span, Style};
use alloc::vec::Vec;
use vellum_abi::{Error, ExitKind, FaultAccess, MapFlags, MappingInfo, PAGE_SIZE, Protection};

/// How an access of a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the value that was loaded; 0 for a store.
    Value(u8),
    /// With the end of the process.
    Death(ExitKind),
}

/// What an operation must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is nothing to do: the slot is empty, or its object cannot be used from here.
    Nothing,
    /// A call: its value.
    Call(Result<u64, Error>),
    /// A mapping: what is asked for, and where it goes.
    Map(FlatMap, Result<u64, Error>),
    /// An object was made in place of one that is gone now.
    Object(Result<ObjectId, Error>),
    /// Bytes that the kernel reads.
    Bytes(Result<Vec<u8>, Error>),
    /// An access through a pointer.
    Access(u64, End),
    /// What is mapped.
    Mapping(Option<MappingInfo>),
}

impl Flat {
    /// Does an operation and returns what it must answer.
    pub fn apply(&mut self, op: &Op) -> Expected {
        let expected = self.perform(op);
        self.collect();
        expected
    }

    fn perform(&mut self, op: &Op) -> Expected {
        match *op {
            Op::Create { slot, kind } if slot.0 > 0 => {
                self.close(slot.0);
                Expected::Object(self.create(slot.0, kind))
            }
            Op::Snapshot { space, slot, content } if slot.0 > 0 => {
                self.close(slot.0);
                Expected::Object(self.content_into(space, slot.0, content, Flat::snapshot))
            }
            Op::Close { slot } if slot.0 > 0 => {
                let there = self.slots[slot.0].is_some();
                self.close(slot.0);
                if there { Expected::Call(Ok(0)) } else { Expected::Nothing }
            }
            Op::Frameless { space, slot, content } if slot.0 > 0 => {
                self.close(slot.0);
                Expected::Object(self.content_into(space, slot.0, content, Flat::frameless))
            }
            Op::Create { .. } | Op::Snapshot { .. } | Op::Frameless { .. } | Op::Close { .. } => {
                Expected::Nothing
            }
            Op::Map { space, .. } => match self.request(op) {
                Some(request) => {
                    let mapped = self.map(space.0, &request);
                    Expected::Map(request, mapped.map(|first| first * PAGE_SIZE))
                }
                None => Expected::Nothing,
            },
            Op::Unmap { space, span } => call(self.spaces[space.0].unmap(span.range())),
            Op::Protect { space, span, protection } => {
                call(self.protect(space, span, protection.0))
            }
            Op::Decommit { space, span } => call(self.spaces[space.0].decommit(span.range())),
            Op::Remap { space, old, new, moving } => {
                let first = self.remap(space.0, old, new, moving.0);
                if let Ok(first) = first {
                    self.populate_eager(space.0, first + old.pages..first + new.pages);
                }
                Expected::Call(first.map(|first| first * PAGE_SIZE))
            }
            Op::PopulateRead { space, span } => {
                call(self.populate(space.0, span.range(), FaultAccess::Read))
            }
            Op::PopulateWrite { space, span } => {
                call(self.populate(space.0, span.range(), FaultAccess::Write))
            }
            Op::Promote { space, span } => call(self.promote(space.0, span.range())),
            Op::Load { .. }
            | Op::Store { .. }
            | Op::Execute { .. }
            | Op::LoadTag { .. }
            | Op::StoreTag { .. } => self.access(op),
            Op::KernelRead { space, address, count } => {
                Expected::Bytes(self.kernel_read(space, address, count))
            }
            Op::KernelWrite { space, address, count, byte } => {
                Expected::Call(self.kernel_write(space, address, count, byte.0))
            }
            Op::Query { space, address } => {
                Expected::Mapping(self.spaces[space.0].query(self, address.page()))
            }
            Op::Switch { cpu, space } => {
                self.running[cpu.0] = space.0;
                Expected::Call(Ok(0))
            }
            Op::Clone { space, target } if space == target => Expected::Nothing,
            Op::Clone { space, target } => {
                self.renew(target.0);
                let resident = core::mem::take(&mut self.spaces[target.0].resident);
                self.spaces[target.0] = self.spaces[space.0].cloned();
                self.spaces[target.0].resident = resident;
                self.duplicate_own(target.0);
                Expected::Call(Ok(0))
            }
            Op::Renew { space } => {
                self.renew(space.0);
                Expected::Call(Ok(0))
            }
        }
    }

    /// Puts an empty address space in the place of one. Its handles go with it.
    fn renew(&mut self, space: usize) {
        let resident = core::mem::take(&mut self.spaces[space].resident);
        self.spaces[space] = FlatSpace::default();
        self.spaces[space].resident = resident;
        for slot in 0..self.slots.len() {
            let id = self.slots[slot];
            if id.is_some_and(|id| self.objects[&id].home == Some(space)) {
                self.close(slot);
            }
        }
        for object in self.objects.values_mut().filter(|object| object.payer == space) {
            object.payer = super::GONE;
        }
    }

    fn close(&mut self, slot: usize) {
        if let Some(id) = self.slots[slot].take() {
            self.objects.get_mut(&id).expect("its handle was open").handle = false;
        }
    }

    fn create(&mut self, slot: usize, kind: word::Kind) -> Result<ObjectId, Error> {
        let reference = |contents: Contents| {
            let content = contents.classify();
            Kind::Reference(contents, content)
        };
        let kind = match kind {
            word::Kind::Pattern(byte) => reference(Contents::uniform(byte, 0)),
            word::Kind::Tagged(tag) if tag != 0 && !self.tags => {
                return Err(Error::TagsUnsupported);
            }
            word::Kind::Tagged(tag) => reference(Contents::uniform(0, tag)),
            word::Kind::Memory(0) | word::Kind::Wrap(0) => return Err(Error::InvalidSize),
            word::Kind::Memory(pages) => Kind::Memory(Memory::new(pages)),
            word::Kind::Wrap(pages) => Kind::Memory(Memory { wraps: true, ..Memory::new(pages) }),
            word::Kind::Fixed(pages) => Kind::Fixed { pages },
        };
        let object = Object { kind, handle: true, payer: OUTSIDE, home: None, hint: None };
        if object.is_reference() {
            self.created(OUTSIDE);
        }
        let id = self.add(object);
        self.slots[slot] = Some(id);
        Ok(id)
    }

    /// Makes an object of a program's bytes by `make_fn`.
    fn content_into(
        &mut self,
        space: Space,
        slot: usize,
        content: Content,
        make_fn: impl FnOnce(&mut Flat, usize, u64, usize, usize) -> Object,
    ) -> Result<ObjectId, Error> {
        let Content { address, size } = content;
        if !address.0.is_multiple_of(size) {
            return Err(Error::Misaligned);
        }
        let touched = self.touch(space.0, address.page(), FaultAccess::Read);
        touched.map_err(|_| Error::BadAddress)?;
        let object = make_fn(self, space.0, address.page(), address.offset(), size as usize);
        let id = self.add(object);
        self.slots[slot] = Some(id);
        Ok(id)
    }

    /// Returns what a line asks `map` for, or `None` if the object cannot be named there.
    fn request(&self, op: &Op) -> Option<FlatMap> {
        let Op::Map { space, slot, span, offset, protection, maximum, placing, style } = *op else {
            return None;
        };
        let id = self.slots[slot.0]?;
        let object = &self.objects[&id];
        if object.home.is_some_and(|home| home != space.0) {
            return None;
        }
        let rights = if id == super::ZERO {
            Protection::ALL
        } else {
            object.rights().intersection(maximum.0)
        };
        let mut style = Style { tag: style.tag.filter(|_| id == super::ZERO), ..style };
        if id == super::ZERO && style.tag.unwrap_or(0) == 0 {
            // The kernel makes anonymous memory that goes by spans an object of its maker's own.
            style.switches = style.switches.intersection(super::mapping::PLAIN);
        }
        let mut most = rights | Protection::TAGGED;
        if !placing.flags.contains(MapFlags::SHARED) {
            most = most | Protection::WRITE;
        }
        Some(FlatMap {
            object: id,
            address: if placing.anywhere { 0 } else { span.address() },
            length: span.length(),
            offset: offset.0 * PAGE_SIZE,
            protection: protection.0,
            rights,
            maximum: most,
            flags: placing.flags,
            style,
        })
    }

    fn protect(&mut self, space: Space, span: Span, protection: Protection) -> Result<(), Error> {
        let (tags, shared, objects) = (self.tags, self.shared_frames(), &self.objects);
        self.spaces[space.0].protect(objects, span.range(), protection, tags, &shared)
    }

    fn kernel_read(
        &mut self,
        space: Space,
        address: Address,
        count: Count,
    ) -> Result<Vec<u8>, Error> {
        let touched = self.touch(space.0, address.page(), FaultAccess::Read);
        touched.map_err(|_| Error::BadAddress)?;
        let contents = self.contents(space.0, address.page());
        Ok(offsets(address, count).map(|offset| contents.byte(offset)).collect())
    }

    fn kernel_write(
        &mut self,
        space: Space,
        address: Address,
        count: Count,
        byte: u8,
    ) -> Result<u64, Error> {
        let touched = self.touch(space.0, address.page(), FaultAccess::Write);
        touched.map_err(|_| Error::BadAddress)?;
        let offsets = offsets(address, count);
        let length = offsets.len() as u64;
        self.change(space.0, address.page(), |contents| {
            offsets.for_each(|offset| contents.set_byte(offset, byte));
        });
        Ok(length)
    }

    /// Makes an access of a program. One that cannot be ends the process, and an empty one takes
    /// its place.
    fn access(&mut self, op: &Op) -> Expected {
        let Some(cpu) = cpu_of(op) else { return Expected::Nothing };
        let space = self.running[cpu.0];
        let (pointer, end) = self.access_in(space, op);
        if matches!(end, End::Death(_)) {
            self.renew(space);
        }
        Expected::Access(pointer, end)
    }

    fn access_in(&mut self, space: usize, op: &Op) -> (u64, End) {
        let (address, access, tag) = match *op {
            Op::Load { address, tag, .. } => (address, FaultAccess::Read, tag.0),
            Op::Store { address, tag, .. } => (address, FaultAccess::Write, tag.0),
            Op::Execute { address, .. } => (Address(address.0 & !3), FaultAccess::Execute, Some(0)),
            Op::LoadTag { address, .. } => (Address(address.0 & !15), FaultAccess::Read, None),
            Op::StoreTag { address, .. } => (Address(address.0 & !15), FaultAccess::Write, None),
            _ => unreachable!("accesses only"),
        };
        let (page, offset) = (address.page(), address.offset());
        if let Err(death) = self.touch(space, page, access) {
            let pointer = address.0 | u64::from(tag.unwrap_or(0)) << 56;
            return (pointer, End::Death(death));
        }
        let (tagged, contents) = (self.is_tagged(space, page), self.contents(space, page));
        let right = if tagged { contents.tag(offset) } else { 0 };
        let tag = tag.unwrap_or(right);
        let pointer = address.0 | u64::from(tag) << 56;
        let wrong = tagged && right != tag;
        let value = match *op {
            Op::Load { .. } | Op::Store { .. } if wrong => {
                return (pointer, End::Death(ExitKind::TagCheck));
            }
            Op::Store { byte, .. } => {
                self.change(space, page, |contents| contents.set_byte(offset, byte.0));
                0
            }
            Op::StoreTag { tag, .. } => {
                if tagged {
                    self.change(space, page, |contents| contents.set_tag(offset, tag.0));
                }
                0
            }
            Op::LoadTag { .. } => right,
            _ => contents.byte(offset),
        };
        (pointer, End::Value(value))
    }

    /// Returns whether an operation would end a process by an access.
    #[must_use]
    pub fn would_die(&self, op: &Op) -> bool {
        let Some(cpu) = cpu_of(op) else { return false };
        let (_, end) = self.clone().access_in(self.running[cpu.0], op);
        matches!(end, End::Death(_))
    }
}

fn call(result: Result<(), Error>) -> Expected {
    Expected::Call(result.map(|()| 0))
}

/// Returns the CPU of an access.
fn cpu_of(op: &Op) -> Option<Cpu> {
    match *op {
        Op::Load { cpu, .. }
        | Op::Store { cpu, .. }
        | Op::Execute { cpu, .. }
        | Op::LoadTag { cpu, .. }
        | Op::StoreTag { cpu, .. } => Some(cpu),
        _ => None,
    }
}

/// Returns the offsets of the bytes that the kernel moves: up to the end of the page.
fn offsets(address: Address, count: Count) -> core::ops::Range<usize> {
    let start = address.offset();
    start..(start + count.0 as usize).min(PAGE_SIZE as usize)
}
