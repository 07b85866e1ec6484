//! Contents: bytes that no fill can make, reference objects of them, and what a page should show.

use crate::mapping::{MapRequest, Mapping};
use crate::{MemoryObject, calls, system};
use core::ops::Range;
use vellum_abi::{Error, Handle, Protection};

/// Returns a byte that depends on the whole index, so that neither a wrong page nor a wrong offset
/// shows the right one for long.
#[must_use]
pub const fn mixed(index: usize) -> u8 {
    ((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as u8
}

/// Returns a tag that depends on the whole number of a tag granule.
#[must_use]
pub const fn mixed_tag(granule: usize) -> u8 {
    mixed(granule + 0x1000) & 0xf
}

/// Makes a reference object of `size` bytes of a mapping, which need not be present, readable or
/// aligned: that is for the kernel to say.
///
/// # Errors
/// Those of [`calls::refpage_create`].
pub fn reference(content: &Mapping, offset: usize, size: usize) -> Result<MemoryObject, Error> {
    let pointer = content.pointer(offset);
    calls::refpage_create(pointer, size as u64, 0).map(MemoryObject::from_handle)
}

/// Stores `byte_fn` of each offset of a range.
pub fn write_bytes(mapping: &Mapping, range: Range<usize>, byte_fn: impl Fn(usize) -> u8) {
    range.for_each(|offset| mapping.write(offset, byte_fn(offset)));
}

/// Returns the first byte of a range that is not `byte_fn` of its offset. Each byte is loaded
/// through a pointer with the tag that its memory has: what the tags are is another question.
#[must_use]
pub fn wrong_byte(
    mapping: &Mapping,
    mut range: Range<usize>,
    byte_fn: impl Fn(usize) -> u8,
) -> Option<(usize, u8)> {
    let has_tags = system::tags_supported();
    range.find_map(|offset| {
        let tag = if has_tags { mapping.tag(offset) } else { 0 };
        let found = mapping.read_as(tag, offset);
        (found != byte_fn(offset)).then_some((offset, found))
    })
}

/// Returns the first tag granule of a range whose tag is not `tag_fn` of its offset.
#[must_use]
pub fn wrong_tag(
    mapping: &Mapping,
    range: Range<usize>,
    tag_fn: impl Fn(usize) -> u8,
) -> Option<(usize, u8)> {
    range.step_by(crate::tags::GRANULE).find_map(|offset| {
        let found = mapping.tag(offset);
        (found != tag_fn(offset)).then_some((offset, found))
    })
}

/// An object of each kind that fills pages in its own way, and what its pages show.
#[derive(Debug)]
pub struct Sample {
    /// For messages.
    pub name: &'static str,
    /// Whether private pages are made by copying; the others are filled.
    pub is_copied: bool,
    /// The tag throughout its pages where they are mapped as tagged memory.
    pub tag: u8,
    /// `None` for anonymous memory.
    object: Option<MemoryObject>,
    byte_fn: fn(usize) -> u8,
}

/// A page of bytes that no fill can make.
#[repr(align(4096))]
struct Page([u8; 4096]);

static MIXED: Page = {
    let mut page = Page([0; 4096]);
    let mut index = 0;
    while index < page.0.len() {
        page.0[index] = mixed(index);
        index += 1;
    }
    page
};

impl Sample {
    /// Returns the bytes that a page of the sample has at an offset.
    #[must_use]
    pub fn byte(&self, offset: usize) -> u8 {
        (self.byte_fn)(offset % MIXED.0.len())
    }

    /// Returns the object's handle; [`Handle::ANONYMOUS`] for zeros.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.object.as_ref().map_or(Handle::ANONYMOUS, MemoryObject::handle)
    }

    /// Returns a request for a readable and writable mapping with these bits besides.
    #[must_use]
    pub fn request(&self, length: usize, more: Protection) -> MapRequest {
        let request = MapRequest::of(self.handle(), length);
        MapRequest { protection: request.protection | more, ..request }
    }

    /// Loads a byte as the owner of the memory would.
    #[must_use]
    pub fn read(&self, mapping: &Mapping, offset: usize) -> u8 {
        mapping.read_as(self.tag, offset)
    }

    /// Stores a byte as the owner of the memory would.
    pub fn write(&self, mapping: &Mapping, offset: usize, byte: u8) {
        mapping.write_as(self.tag, offset, byte);
    }
}

/// Makes a sample of each kind that this machine has: zeros, a pattern, bytes, and tagged zeros.
///
/// # Errors
/// What the kernel refused.
pub fn samples() -> Result<impl Iterator<Item = Sample>, Error> {
    let sample = |name, object, byte_fn| Sample { name, is_copied: false, tag: 0, object, byte_fn };
    let bytes = Some(MemoryObject::reference(&MIXED.0)?);
    let tagged = if system::tags_supported() {
        let object = Some(MemoryObject::tagged(9)?);
        Some(Sample { tag: 9, ..sample("tagged", object, |_| 0) })
    } else {
        None
    };
    let others = [
        sample("zero", None, |_| 0),
        sample("pattern", Some(MemoryObject::pattern(0xaa)?), |_| 0xaa),
        Sample { is_copied: true, ..sample("bytes", bytes, mixed) },
    ];
    Ok(others.into_iter().chain(tagged))
}

/// Returns what a mapping may have besides READ and WRITE on this machine: nothing, and TAGGED.
pub fn attributes() -> impl Iterator<Item = Protection> {
    [Protection::NONE].into_iter().chain(system::tags_supported().then_some(Protection::TAGGED))
}
