//! Calls that change what a process has mapped.

use super::{Answer, Request, Result, Stop, range};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::process::handle::Object;
use crate::process::{Operation, Outcome, Process, first};
use vellum_abi::{Advice, Error, Handle, MapFlags, MapOptions, Protection, Rights};
use vellum_vm::error::Refusal;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::{Change, MapRequest};

pub(super) fn map(request: &Request<'_>) -> Result {
    let [target, object, address, length, options, offset] = request.arguments;
    let options = MapOptions::from_word(options)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    let (object, maximum) = mappable(request, object, options)?;
    let map = MapRequest { object, address, length, offset, options, maximum };
    match target.space.map(&map) {
        Ok((address, None)) => Ok(Answer::Value(address)),
        Ok((address, Some(change))) => Ok(Answer::Then(address, perform(request, &target, change))),
        Err(refusal) => Err(Stop::from_refusal(refusal, &target)),
    }
}

pub(super) fn unmap(request: &Request<'_>) -> Result {
    let [target, address, length, ..] = request.arguments;
    let range = range(address, length)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    begin(request, &target, target.space.unmap(range))
}

pub(super) fn protect(request: &Request<'_>) -> Result {
    let [target, address, length, protection, ..] = request.arguments;
    let protection = Protection::from_bits(protection).ok_or(Error::InvalidProtection)?;
    let range = range(address, length)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    begin(request, &target, target.space.protect(range, protection))
}

pub(super) fn advise(request: &Request<'_>) -> Result {
    let [target, address, length, advice, ..] = request.arguments;
    let advice = Advice::from_number(advice).ok_or(Error::InvalidAdvice)?;
    let range = range(address, length)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    match advice {
        Advice::Decommit => begin(request, &target, target.space.decommit(range)),
        _ => Err(Error::InvalidAdvice.into()),
    }
}

fn begin(
    request: &Request<'_>,
    target: &PoolArc<Process>,
    begun: core::result::Result<Change<Hardware>, Refusal>,
) -> Result {
    match begun {
        Ok(change) => Ok(Answer::Then(0, perform(request, target, change))),
        Err(refusal) => Err(Stop::from_refusal(refusal, target)),
    }
}

/// Runs a change as far as it goes; the rest stays with the thread.
fn perform(request: &Request<'_>, target: &PoolArc<Process>, change: Change<Hardware>) -> Outcome {
    Operation::Change(target.clone(), change).begin(request.thread).1
}

/// Returns the object that a word names and what the caller's rights allow of it.
fn mappable(
    request: &Request<'_>,
    word: u64,
    options: MapOptions,
) -> core::result::Result<(PoolArc<MemoryObject<Hardware>>, Protection), Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    if handle == Handle::ANONYMOUS {
        return Ok((first::zero_object().clone(), Protection::ALL));
    }
    let (object, rights) = request.process().object(handle, Rights::NONE)?;
    let Object::Memory(object) = object else { return Err(Error::WrongObject) };
    if !rights.contains(Rights::MAP | Rights::READ) {
        return Err(Error::MissingRight);
    }
    let mut maximum = Protection::READ | Protection::TAGGED;
    if !options.flags.contains(MapFlags::SHARED) || rights.contains(Rights::WRITE) {
        maximum = maximum | Protection::WRITE;
    }
    if rights.contains(Rights::EXECUTE) {
        maximum = maximum | Protection::EXECUTE;
    }
    Ok((object, maximum))
}
