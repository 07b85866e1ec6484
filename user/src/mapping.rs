//! Mappings of this process, as values that unmap themselves.
//!
//! A [`Mapping`] is a range of addresses that no Rust value lives in: its bytes are reached one
//! volatile access at a time, each of which may fault, which is the point of it. Offsets are
//! checked against the range; whether the page allows the access is for the kernel to say, and a
//! refused access ends the process.

mod pages;
mod remap;

use crate::{calls, memory, tags};
use core::marker::PhantomData;
use core::ops::Range;
use vellum_abi::{
    Advice, Error, Handle, MapFlags, MapOptions, MappingInfo, PAGE_SIZE, PageState, Policy,
    Protection, Switches,
};

/// Bytes in a page, for arithmetic on offsets.
pub const PAGE: usize = PAGE_SIZE as usize;

/// What to map and how. Start from [`MapRequest::of`] or [`MapRequest::anonymous`] and change
/// fields:
///
/// ```ignore
/// let object = MemoryObject::pattern(0xaa)?;
/// let heap = MapRequest::of(object.handle(), 1000 * PAGE).map()?;
/// let text = MapRequest {
///     protection: Protection::READ,
///     address: Some(0x1000_0000),
///     ..MapRequest::of(object.handle(), PAGE)
/// }
/// .map()?;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MapRequest {
    /// The object; [`Handle::ANONYMOUS`] for zeros.
    pub object: Handle,
    /// Length in bytes.
    pub length: usize,
    /// What the mapping allows; at first READ and WRITE.
    pub protection: Protection,
    /// More flags: SHARED and SEALED. FIXED comes with an address.
    pub flags: MapFlags,
    /// How clean pages get their contents.
    pub policy: Policy,
    /// What is switched on beyond the policy.
    pub switches: Switches,
    /// log2 of the pages that one read fault maps.
    pub around: u8,
    /// The tag that `TAG_HINT` asks for.
    pub tag: u8,
    /// Where the mapping must be; `None` leaves it to the kernel.
    pub address: Option<usize>,
    /// Offset in the object in bytes.
    pub offset: u64,
}

impl MapRequest {
    /// Returns a request for a private, readable and writable mapping.
    #[must_use]
    pub fn of(object: Handle, length: usize) -> MapRequest {
        MapRequest {
            object,
            length,
            protection: Protection::READ | Protection::WRITE,
            flags: MapFlags::NONE,
            policy: Policy::default(),
            switches: Switches::NONE,
            around: 0,
            tag: 0,
            address: None,
            offset: 0,
        }
    }

    /// Returns a request for zeros.
    #[must_use]
    pub fn anonymous(length: usize) -> MapRequest {
        MapRequest::of(Handle::ANONYMOUS, length)
    }

    /// Returns the request with allocation tags kept and checked.
    #[must_use]
    pub fn tagged(self) -> MapRequest {
        MapRequest { protection: self.protection | Protection::TAGGED, ..self }
    }

    /// Returns the request with loads only.
    #[must_use]
    pub fn read_only(self) -> MapRequest {
        MapRequest { protection: Protection::READ, ..self }
    }

    /// Returns the request with stores that change the object.
    #[must_use]
    pub fn shared(self) -> MapRequest {
        MapRequest { flags: self.flags | MapFlags::SHARED, ..self }
    }

    /// Returns the request under a policy.
    #[must_use]
    pub fn under(self, policy: Policy) -> MapRequest {
        MapRequest { policy, ..self }
    }

    /// Returns the request with these switches on besides.
    #[must_use]
    pub fn with(self, switches: Switches) -> MapRequest {
        MapRequest { switches: self.switches | switches, ..self }
    }

    /// Returns the request at a fixed address.
    #[must_use]
    pub fn at(self, address: usize) -> MapRequest {
        MapRequest { address: Some(address), ..self }
    }

    /// Maps.
    ///
    /// # Errors
    /// `InvalidFlags` for REPLACE, which would pull memory away under its users (use
    /// [`calls::map`]); else those of [`calls::map`].
    pub fn map(self) -> Result<Mapping, Error> {
        if self.flags.contains(MapFlags::REPLACE) {
            return Err(Error::InvalidFlags);
        }
        let place = if self.address.is_some() { MapFlags::FIXED } else { MapFlags::NONE };
        let options = MapOptions {
            protection: self.protection,
            flags: self.flags | place,
            policy: self.policy,
            switches: self.switches,
            around: self.around,
            tag: self.tag,
        };
        let address = self.address.unwrap_or(0) as u64;
        let length = self.length as u64;
        // SAFETY: without REPLACE nothing that is mapped changes.
        let start = unsafe {
            calls::map(Handle::SELF, self.object, address, length, options, self.offset)
        }?;
        Ok(Mapping { start: start as usize, length: self.length, not_sync: PhantomData })
    }
}

/// A mapped range of this process, unmapped when dropped (a sealed one stays).
#[derive(Debug)]
pub struct Mapping {
    start: usize,
    length: usize,
    /// Volatile accesses of two threads would race.
    not_sync: PhantomData<*mut u8>,
}

impl Mapping {
    /// Maps zeros, readable and writable.
    ///
    /// # Errors
    /// Those of [`calls::map`].
    pub fn anonymous(length: usize) -> Result<Mapping, Error> {
        MapRequest::anonymous(length).map()
    }

    /// Maps an object privately from its start, readable and writable.
    ///
    /// # Errors
    /// Those of [`calls::map`].
    pub fn private(object: &crate::MemoryObject, length: usize) -> Result<Mapping, Error> {
        MapRequest::of(object.handle(), length).map()
    }

    /// Returns the first address.
    #[must_use]
    pub const fn address(&self) -> usize {
        self.start
    }

    /// Returns the length in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Returns how many pages the mapping has.
    #[must_use]
    pub const fn pages(&self) -> usize {
        self.length / PAGE
    }

    /// Returns the untagged address of a byte.
    ///
    /// # Panics
    /// If `offset` is outside the mapping.
    #[must_use]
    #[inline]
    pub fn pointer(&self, offset: usize) -> *mut u8 {
        assert!(offset < self.length, "offset {offset:#x} outside a mapping of {:#x}", self.length);
        core::ptr::with_exposed_provenance_mut(self.start + offset)
    }

    /// Returns the pointer of a byte with a logical tag.
    ///
    /// # Panics
    /// If `offset` is outside the mapping.
    #[must_use]
    pub fn tagged_pointer(&self, tag: u8, offset: usize) -> *mut u8 {
        tags::with_tag(self.pointer(offset), tag)
    }

    /// Loads a byte.
    #[must_use]
    #[inline]
    pub fn read(&self, offset: usize) -> u8 {
        // SAFETY: the mapping covers the byte, and no Rust value lives in it.
        unsafe { self.pointer(offset).read_volatile() }
    }

    /// Stores a byte.
    #[inline]
    pub fn write(&self, offset: usize, byte: u8) {
        // SAFETY: as for `read`.
        unsafe { self.pointer(offset).write_volatile(byte) }
    }

    /// Loads an aligned word.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8.
    #[must_use]
    #[inline]
    pub fn read_word(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8), "word offset");
        // SAFETY: as for `read`; mappings are whole pages, so the word ends inside.
        unsafe { self.pointer(offset).cast::<u64>().read_volatile() }
    }

    /// Stores an aligned word.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8.
    #[inline]
    pub fn write_word(&self, offset: usize, word: u64) {
        assert!(offset.is_multiple_of(8), "word offset");
        // SAFETY: as for `read_word`.
        unsafe { self.pointer(offset).cast::<u64>().write_volatile(word) }
    }

    /// Loads a byte through a pointer with a logical tag.
    #[must_use]
    pub fn read_as(&self, tag: u8, offset: usize) -> u8 {
        // SAFETY: as for `read`; the tag selects no other memory.
        unsafe { self.tagged_pointer(tag, offset).read_volatile() }
    }

    /// Stores a byte through a pointer with a logical tag.
    pub fn write_as(&self, tag: u8, offset: usize, byte: u8) {
        // SAFETY: as for `read_as`.
        unsafe { self.tagged_pointer(tag, offset).write_volatile(byte) }
    }

    /// Returns the allocation tag of a byte's tag granule (`LDG`).
    #[must_use]
    pub fn tag(&self, offset: usize) -> u8 {
        tags::load(self.pointer(offset))
    }

    /// Sets the allocation tag of a byte's tag granule (`STG`).
    pub fn set_tag(&self, offset: usize, tag: u8) {
        let granule = offset & !(tags::GRANULE - 1);
        // SAFETY: the granule is in the mapping, which no Rust value lives in.
        unsafe { tags::store(self.tagged_pointer(tag, granule)) }
    }

    /// Sets every tag of the mapping with one `STG` a granule.
    pub fn set_tags(&self, tag: u8) {
        // SAFETY: as for `set_tag`.
        unsafe { tags::store_range(self.tagged_pointer(tag, 0), self.length) }
    }

    /// Fills the mapping with the runtime's memset.
    pub fn fill(&self, byte: u8) {
        // SAFETY: the mapping covers the range, and no Rust value lives in it.
        unsafe { memory::set(self.pointer(0), byte, self.length) }
    }

    /// Returns the first byte of a range that is not `byte`, with its offset. Reads by words:
    /// `range` must start and end at multiples of 8.
    #[must_use]
    pub fn first_other(&self, range: Range<usize>, byte: u8) -> Option<(usize, u8)> {
        let want = u64::from_ne_bytes([byte; 8]);
        let word = range.step_by(8).find(|offset| self.read_word(*offset) != want)?;
        (word..word + 8).map(|offset| (offset, self.read(offset))).find(|(_, found)| *found != byte)
    }

    /// Returns the first granule of a range whose allocation tag is not `tag`, with its offset.
    #[must_use]
    pub fn first_other_tag(&self, range: Range<usize>, tag: u8) -> Option<(usize, u8)> {
        let granules = range.step_by(tags::GRANULE);
        granules.map(|offset| (offset, self.tag(offset))).find(|(_, found)| *found != tag)
    }

    /// Returns what the kernel says about the page at `offset`.
    ///
    /// # Panics
    /// If the page is mapped no more.
    #[must_use]
    pub fn query(&self, offset: usize) -> MappingInfo {
        calls::query_mapping(Handle::SELF, self.pointer(offset).addr() as u64)
            .expect("the page is mapped")
    }

    /// Returns what stands behind the page at `offset`.
    ///
    /// # Panics
    /// If the kernel gives a number that has no meaning.
    #[must_use]
    pub fn page_state(&self, offset: usize) -> PageState {
        match self.query(offset).page {
            0 => PageState::Untouched,
            1 => PageState::ReadShared,
            2 => PageState::Private,
            3 => PageState::Object,
            other => panic!("page state {other}"),
        }
    }

    /// Changes the protection of the whole mapping.
    ///
    /// # Errors
    /// Those of [`calls::protect`].
    pub fn protect(&self, protection: Protection) -> Result<(), Error> {
        // SAFETY: no Rust value lives in the mapping.
        unsafe { calls::protect(Handle::SELF, self.start as u64, self.length as u64, protection) }
    }

    /// Gives the private frames of a range back.
    ///
    /// # Errors
    /// Those of [`calls::advise`]; `OutOfRange` for a range outside the mapping.
    pub fn decommit(&self, range: Range<usize>) -> Result<(), Error> {
        if range.start > range.end || range.end > self.length {
            return Err(Error::OutOfRange);
        }
        let address = (self.start + range.start) as u64;
        // SAFETY: no Rust value lives in the mapping.
        unsafe { calls::advise(Handle::SELF, address, range.len() as u64, Advice::Decommit) }
    }

    /// Splits the value in two at a page; the mapping itself stays as it is. Dropping one half
    /// unmaps that part only.
    ///
    /// # Panics
    /// If `offset` is not a page boundary inside the mapping.
    #[must_use]
    pub fn split(self, offset: usize) -> (Mapping, Mapping) {
        assert!(offset.is_multiple_of(PAGE) && offset > 0 && offset < self.length, "no such split");
        let (start, length) = (self.start, self.length);
        core::mem::forget(self);
        (
            Mapping { start, length: offset, not_sync: PhantomData },
            Mapping { start: start + offset, length: length - offset, not_sync: PhantomData },
        )
    }

    /// Unmaps and says how that went.
    ///
    /// # Errors
    /// Those of [`calls::unmap`].
    pub fn unmap(self) -> Result<(), Error> {
        let (address, length) = (self.start as u64, self.length as u64);
        core::mem::forget(self);
        // SAFETY: no Rust value lives in the mapping, and its owner is gone.
        unsafe { calls::unmap(Handle::SELF, address, length) }
    }

    /// Leaves the range mapped for good and returns its address.
    #[must_use]
    pub fn leak(self) -> usize {
        let start = self.start;
        core::mem::forget(self);
        start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: no Rust value lives in the mapping. The one possible error is that it is sealed.
        let _ = unsafe { calls::unmap(Handle::SELF, self.start as u64, self.length as u64) };
    }
}
