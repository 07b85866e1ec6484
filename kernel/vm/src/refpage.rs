//! Making reference objects.
//!
//! Owns: the checks and their order, the one snapshot of the user's content, and the choice of the
//! kind. Refuses to know: mappings of the result. The content is read once into a frame that
//! nobody else sees and judged there, so that a program that changes it meanwhile cannot make kind
//! and page disagree. All tags of the frame are written before any leaf can exist, as it will
//! be mapped both as Tagged memory and without tags.
//!
//! Source: "[PATCH v5] mm: introduce reference pages" and the reviews of Catalin Marinas.

use crate::account::Account;
use crate::addr::{FrameAddress, Page, UserPointer};
use crate::address_space::AddressSpace;
use crate::counters::{Counter, Counters};
use crate::error::{Refusal, VmError};
use crate::frame::{self, UninitFrame};
use crate::machine::Machine;
use crate::object::{Content, MemoryObject};
use crate::ops::AccessRefusal;
use crate::stored::{Stored, Take};
use crate::tag::{GRANULES_PER_PAGE, Tag};
use vellum_abi::{FaultAccess, PAGE_SIZE, Protection, TAG_BYTES_PER_PAGE, TAG_GRANULE};

/// Bytes moved at a time: the kernel's stacks are small.
const CHUNK: usize = 256;

/// Makes a reference object that repeats `size` bytes of a process's memory, and their tags if the
/// size is a tag granule or more and the memory is Tagged.
///
/// # Errors
/// In this order: `InvalidSize` unless the size is a power of two up to a page; `Misaligned`
/// unless the untagged address is a multiple of the size; `OutOfFrames`, `LimitReached`;
/// `BadAddress`; `Refusal::Changing`.
pub fn from_user<M: Machine>(
    space: &AddressSpace<M>,
    content: UserPointer,
    size: u64,
    counters: &Counters,
) -> Result<MemoryObject<M>, Refusal> {
    let page = page_of(content, size)?;
    let machine = &space.machine;
    let frame = frame::allocate(machine, &space.account)?;
    let snapshot = space.with_frame(page, FaultAccess::Read, |source, protection| {
        replicate(machine, source, content.page_offset(), size as usize, &frame);
        let tagged = protection.contains(Protection::TAGGED) && size >= TAG_GRANULE;
        let tags = tagged.then_some(size as usize);
        replicate_tags(machine, source, content.page_offset(), tags, &frame);
    });
    if let Err(refusal) = snapshot {
        frame::free(machine, &space.account, frame);
        return Err(unreadable(refusal));
    }
    let content = classify(machine, frame.address());
    Ok(reference(machine, &space.account, frame, content, counters)?)
}

/// Makes a reference object as [`from_user`] does, but without a frame: it keeps the `size` bytes and
/// their tags in kernel memory, or nothing at all if they make a page of one byte or of zeros under
/// one tag. Only policies that share no frame can map it.
///
/// # Errors
/// As [`from_user`], with `OutOfKernelMemory` for `OutOfFrames`.
pub fn frameless_from_user<M: Machine>(
    space: &AddressSpace<M>,
    content: UserPointer,
    size: u64,
    counters: &Counters,
) -> Result<MemoryObject<M>, Refusal> {
    let page = page_of(content, size)?;
    let (machine, account) = (&space.machine, &space.account);
    let mut stored = Stored::new(machine, account, size as usize)?;
    let snapshot = space.with_frame(page, FaultAccess::Read, |source, protection| {
        let tags = if protection.contains(Protection::TAGGED) { Take::Tags } else { Take::Bytes };
        stored.take(machine, source, content.page_offset(), tags);
    });
    if let Err(refusal) = snapshot {
        account.credit_kernel(stored.charged());
        return Err(unreadable(refusal));
    }
    let content = stored.classify();
    let kept = if content == Content::Bytes {
        Some(stored)
    } else {
        account.credit_kernel(stored.charged());
        None
    };
    let object = MemoryObject::frameless(machine.clone(), account.clone(), content, kept)?;
    counters.add(Counter::CreateBytes, size);
    if machine.has_tags() {
        counters.add(Counter::CreateTagBytes, size / TAG_GRANULE / 2);
    }
    Ok(object)
}

/// Checks size and place of content. Returns the one page that it lies in.
fn page_of(content: UserPointer, size: u64) -> Result<Page, VmError> {
    if !size.is_power_of_two() || size > PAGE_SIZE {
        return Err(VmError::InvalidSize);
    }
    if !content.untagged().is_multiple_of(size) {
        return Err(VmError::Misaligned);
    }
    content.page().ok_or(VmError::BadAddress)
}

/// Returns why content could not be read.
pub(crate) fn unreadable(refusal: AccessRefusal) -> Refusal {
    match refusal {
        AccessRefusal::Changing => Refusal::Changing,
        AccessRefusal::Absent(page, access) => Refusal::Absent(page, access),
        AccessRefusal::Fault(kind) => VmError::of_access(kind).into(),
    }
}

/// Makes a reference object of one byte.
///
/// # Errors
/// `OutOfFrames`, `LimitReached`.
pub fn pattern<M: Machine>(
    machine: &M,
    account: &M::Shared<Account>,
    byte: u8,
    counters: &Counters,
) -> Result<MemoryObject<M>, VmError> {
    if byte == 0 {
        return tagged(machine, account, Tag::ZERO, counters);
    }
    let frame = frame::allocate(machine, account)?;
    machine.fill_page(&frame, byte);
    if machine.has_tags() {
        machine.clear_tags(frame.address());
    }
    reference(machine, account, frame, Content::Pattern(byte), counters)
}

/// Makes a reference object of zeros under one tag. With tag zero it is anonymous memory.
///
/// # Errors
/// `OutOfFrames`, `LimitReached`; `TagsUnsupported` for another tag on a machine without tags.
pub fn tagged<M: Machine>(
    machine: &M,
    account: &M::Shared<Account>,
    tag: Tag,
    counters: &Counters,
) -> Result<MemoryObject<M>, VmError> {
    if tag != Tag::ZERO && !machine.has_tags() {
        return Err(VmError::TagsUnsupported);
    }
    let frame = frame::allocate(machine, account)?;
    if machine.has_tags() {
        machine.zero_page_with_tag(&frame, tag);
    } else {
        machine.zero_page(&frame);
    }
    reference(machine, account, frame, Content::Tagged(tag), counters)
}

/// Makes the object of an initialised frame and counts what was written to it, once nothing can
/// fail any more.
fn reference<M: Machine>(
    machine: &M,
    account: &M::Shared<Account>,
    frame: UninitFrame,
    content: Content,
    counters: &Counters,
) -> Result<MemoryObject<M>, VmError> {
    let object = MemoryObject::reference(machine.clone(), account.clone(), frame, content)?;
    counters.add(Counter::CreateBytes, PAGE_SIZE);
    if machine.has_tags() {
        counters.add(Counter::CreateTagBytes, TAG_BYTES_PER_PAGE);
    }
    Ok(object)
}

/// Counts the bytes and tag bytes that were written to make objects and that `made` has counted apart, now
/// that the objects are handed over: a refused call has changed nothing.
pub fn count(counters: &Counters, made: &Counters) {
    for counter in [Counter::CreateBytes, Counter::CreateTagBytes] {
        counters.add(counter, made.value(counter));
    }
}

/// Reads `size` bytes once and writes them all over a frame.
pub(crate) fn replicate<M: Machine>(
    machine: &M,
    source: FrameAddress,
    offset: usize,
    size: usize,
    frame: &UninitFrame,
) {
    let page = PAGE_SIZE as usize;
    let mut chunk = [0; CHUNK];
    if size < CHUNK {
        machine.read_bytes(source, offset, &mut chunk[..size]);
        (size..CHUNK).for_each(|index| chunk[index] = chunk[index - size]);
        (0..page).step_by(CHUNK).for_each(|to| machine.write_bytes(frame.address(), to, &chunk));
        return;
    }
    for from in (0..size).step_by(CHUNK) {
        machine.read_bytes(source, offset + from, &mut chunk);
        for to in (from..page).step_by(size) {
            machine.write_bytes(frame.address(), to, &chunk);
        }
    }
}

/// Writes every tag of a frame: those of the content's first `size` bytes, repeated, or zero.
pub(crate) fn replicate_tags<M: Machine>(
    machine: &M,
    source: FrameAddress,
    offset: usize,
    size: Option<usize>,
    frame: &UninitFrame,
) {
    if !machine.has_tags() {
        return;
    }
    machine.clear_tags(frame.address());
    let (Some(size), granule) = (size, TAG_GRANULE as usize) else { return };
    for from in (0..size).step_by(granule) {
        let tag = machine.read_tag(source, offset + from);
        for to in (from..PAGE_SIZE as usize).step_by(size) {
            machine.write_tag(frame.address(), to, tag);
        }
    }
}

/// Names the kind of a page that nobody else can change.
fn classify<M: Machine>(machine: &M, frame: FrameAddress) -> Content {
    let tag = machine.read_tag(frame, 0);
    let same_tag = (0..GRANULES_PER_PAGE)
        .all(|granule| machine.read_tag(frame, granule * TAG_GRANULE as usize) == tag);
    match (uniform_byte(machine, frame), same_tag) {
        (Some(0), true) => Content::Tagged(tag),
        (Some(byte), true) if tag == Tag::ZERO => Content::Pattern(byte),
        _ => Content::Bytes,
    }
}

/// Returns the byte that the whole page consists of, if it is one.
fn uniform_byte<M: Machine>(machine: &M, frame: FrameAddress) -> Option<u8> {
    let mut chunk = [0; CHUNK];
    machine.read_bytes(frame, 0, &mut chunk[..1]);
    let byte = chunk[0];
    let uniform = (0..PAGE_SIZE as usize).step_by(CHUNK).all(|offset| {
        machine.read_bytes(frame, offset, &mut chunk);
        chunk.iter().all(|other| *other == byte)
    });
    uniform.then_some(byte)
}
