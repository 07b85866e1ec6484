//! Calls about memory tags: a thread's checks, and tags of memory.

use super::bytes::{self, Peer};
use super::threads::thread_of;
use super::{Answer, Request, Result};
use crate::arch::features;
use crate::process::Process;
use vellum_abi::{Error, Handle, Rights, TAG_GRANULE, TagControl, TagMode};
use vellum_vm::addr::UserPointer;

pub(super) fn thread_set_tag_mode(request: &Request<'_>) -> Result {
    let [thread, mode, exclude, ..] = *request.arguments;
    let control = TagControl::from_arguments(mode, exclude)?;
    if thread == Handle::SELF.to_word() {
        is_supported(control.mode)?;
        request.thread.registers.change_tag_control(control);
    } else {
        let thread = thread_of(request, thread, Rights::MANAGE)?;
        is_supported(control.mode)?;
        thread.with_registers(|_| thread.registers.set_tag_control(control))?;
    }
    Ok(Answer::Value(0))
}

pub(super) fn thread_tag_mode(request: &Request<'_>) -> Result {
    let word = request.arguments[0];
    let control = if word == Handle::SELF.to_word() {
        request.thread.registers.tag_control()
    } else {
        thread_of(request, word, Rights::INSPECT)?.registers.tag_control()
    };
    Ok(Answer::Value(control.to_word()))
}

/// Refuses modes that this CPU does not have.
fn is_supported(mode: TagMode) -> core::result::Result<(), Error> {
    let features = features::get();
    if !features.tags {
        Err(Error::TagsUnsupported)
    } else if mode == TagMode::Asymmetric && !features.asymmetric_tags {
        Err(Error::TagModeUnsupported)
    } else {
        Ok(())
    }
}

pub(super) fn tags_read(request: &Request<'_>) -> Result {
    let [target, address, buffer, count, ..] = *request.arguments;
    let target = Process::target(request.process(), target, Rights::INSPECT)?;
    let address = granules(address, count)?;
    bytes::begin(request, Peer::TagsFrom(target.clone(), address), buffer, count)
}

pub(super) fn tags_write(request: &Request<'_>) -> Result {
    let [target, address, buffer, count, ..] = *request.arguments;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    let address = granules(address, count)?;
    bytes::begin(request, Peer::TagsTo(target.clone(), address), buffer, count)
}

/// Returns the untagged start of a range of tag granules.
fn granules(address: u64, count: u64) -> core::result::Result<u64, Error> {
    if !features::get().tags {
        return Err(Error::TagsUnsupported);
    }
    let start = UserPointer::new(address);
    let length = count.checked_mul(TAG_GRANULE).ok_or(Error::BadAddress)?;
    if !address.is_multiple_of(TAG_GRANULE) {
        return Err(Error::Misaligned);
    }
    if !start.is_user(length) {
        return Err(Error::BadAddress);
    }
    Ok(start.untagged())
}
