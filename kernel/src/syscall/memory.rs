//! Calls that change what a process has mapped.

use super::{Answer, Request, Result, Stop, range};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::process::handle::Object;
use crate::process::operation::{Begun, Reply};
use crate::process::{Operation, Outcome, Process, first};
use vellum_abi::{
    Advice, Error, FaultAccess, Handle, MapFlags, MapOptions, PAGE_SIZE, Protection, RemapFlags,
    Rights, Switches,
};
use vellum_vm::addr::UserPointer;
use vellum_vm::counters::Counters;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::machine::Pools;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::{Change, MapRequest, RemapRequest};
use vellum_vm::refpage;
use vellum_vm::tag::Tag;

pub(super) fn map(request: &Request<'_>) -> Result {
    let [target, object, address, length, options, offset] = *request.arguments;
    let options = MapOptions::from_word(options)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    let words = [object, address, length, offset];
    if options.flags.contains(MapFlags::REFPAGE) || has_spans(options) {
        return map_made(request, &target, options, words);
    }
    map_into(request, &target, options, words, request.process().space.counters())
}

/// Maps what may have to be made first. A refused call has changed nothing, and other threads of the
/// process count meanwhile: so what was made is counted apart until it is mapped.
#[cold]
fn map_made(
    request: &Request<'_>,
    target: &PoolArc<Process>,
    options: MapOptions,
    words: [u64; 4],
) -> Result {
    let counters = Counters::new();
    let answer = map_into(request, target, options, words, &counters)?;
    refpage::count(request.process().space.counters(), &counters);
    Ok(answer)
}

/// Returns whether tables and blocks of the object may come to be.
fn has_spans(options: MapOptions) -> bool {
    options.switches.intersection(Switches::SHARED_TABLES | Switches::HUGE) != Switches::NONE
}

fn map_into(
    request: &Request<'_>,
    target: &PoolArc<Process>,
    options: MapOptions,
    [object, address, length, offset]: [u64; 4],
    counters: &Counters,
) -> Result {
    let (object, maximum) = mappable(request, object, options, counters)?;
    let (object, maximum, offset) = if options.flags.contains(MapFlags::REFPAGE) {
        (snapshot(request, offset, counters)?, Protection::ALL, 0)
    } else {
        (object, maximum, offset)
    };
    let map = MapRequest { object, address, length, offset, options, maximum };
    match target.space.map(&map) {
        Ok((address, None)) => Ok(Answer::Value(address)),
        Ok((address, Some(change))) => Ok(perform(request, target, change, address)),
        Err(refusal) => Err(Stop::from_refusal(refusal, target)),
    }
}

pub(super) fn unmap(request: &Request<'_>) -> Result {
    let [target, address, length, ..] = *request.arguments;
    let range = range(address, length)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    match target.space.unmap(range) {
        Ok(None) => Ok(Answer::Value(0)),
        Ok(Some(rest)) => {
            Ok(answer(Operation::go_on_with_change(&target, rest, request.thread), 0))
        }
        Err(refusal) => Err(Stop::from_refusal(refusal, &target)),
    }
}

pub(super) fn remap(request: &Request<'_>) -> Result {
    let [target, old, old_length, new_length, flags, new] = *request.arguments;
    let flags = RemapFlags::from_bits(flags).ok_or(Error::InvalidFlags)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    let remap = RemapRequest { old, old_length, new_length, flags, new };
    match target.space.remap(&remap) {
        Ok((address, None)) => Ok(Answer::Value(address)),
        Ok((address, Some(change))) => Ok(perform(request, &target, change, address)),
        Err(refusal) => Err(Stop::from_refusal(refusal, &target)),
    }
}

pub(super) fn protect(request: &Request<'_>) -> Result {
    let [target, address, length, protection, ..] = *request.arguments;
    let protection = Protection::from_bits(protection).ok_or(Error::InvalidProtection)?;
    let range = range(address, length)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    begin(request, &target, target.space.protect(range, protection))
}

pub(super) fn advise(request: &Request<'_>) -> Result {
    let [target, address, length, advice, ..] = *request.arguments;
    let advice = Advice::from_number(advice).ok_or(Error::InvalidAdvice)?;
    let range = range(address, length)?;
    let target = Process::target(request.process(), target, Rights::MANAGE)?;
    match advice {
        Advice::Decommit => begin(request, &target, target.space.decommit(range)),
        Advice::PopulateRead => {
            begin(request, &target, target.space.populate(range, FaultAccess::Read))
        }
        Advice::PopulateWrite => {
            begin(request, &target, target.space.populate(range, FaultAccess::Write))
        }
        Advice::Promote => match target.space.promote(range) {
            Ok(promotion) => {
                let operation = Operation::Promotion(target.clone(), promotion);
                Ok(match operation.begin(request.thread) {
                    (Some(reply), _) => Answer::Reply(reply),
                    (None, outcome) => Answer::Outcome(outcome),
                })
            }
            Err(refusal) => Err(Stop::from_refusal(refusal, &target)),
        },
    }
}

fn begin(
    request: &Request<'_>,
    target: &PoolArc<Process>,
    begun: core::result::Result<Change<Hardware>, Refusal>,
) -> Result {
    match begun {
        Ok(change) => Ok(perform(request, target, change, 0)),
        Err(refusal) => Err(Stop::from_refusal(refusal, target)),
    }
}

/// Runs a change as far as it goes; the rest stays with the thread. `value` is what the call returns
/// if the change does not fail.
pub(super) fn perform(
    request: &Request<'_>,
    target: &PoolArc<Process>,
    change: Change<Hardware>,
    value: u64,
) -> Answer {
    answer(Operation::begin_change(target, change, request.thread), value)
}

fn answer(begun: Begun, value: u64) -> Answer {
    match begun {
        Begun::Done => Answer::Value(value),
        Begun::Failed(error) => Answer::Reply(Reply::failure(error)),
        Begun::Paused => Answer::Then(value, Outcome::Yield),
    }
}

/// Makes the reference object of a page of the caller, for a mapping alone.
fn snapshot(
    request: &Request<'_>,
    page: u64,
    counters: &Counters,
) -> core::result::Result<PoolArc<MemoryObject<Hardware>>, Stop> {
    let process = request.process();
    let object = refpage::from_user(&process.space, UserPointer::new(page), PAGE_SIZE, counters)
        .map_err(|refusal| Stop::from_refusal(refusal, process))?;
    Ok(Hardware.share(object).map_err(VmError::from)?)
}

/// Returns the object of anonymous memory: the kernel's, or, where its tables and blocks may come to
/// be, one that the caller pays for and that goes with its last mapping.
fn zeros(
    request: &Request<'_>,
    options: MapOptions,
    counters: &Counters,
) -> core::result::Result<PoolArc<MemoryObject<Hardware>>, Error> {
    if !has_spans(options) {
        return Ok(first::zero_object().clone());
    }
    let account = request.process().account();
    let object = refpage::tagged(&Hardware, account, Tag::ZERO, counters)?;
    Ok(Hardware.share(object).map_err(VmError::from)?)
}

/// Returns the object that a word names and what the caller's rights allow of it.
fn mappable(
    request: &Request<'_>,
    word: u64,
    options: MapOptions,
    counters: &Counters,
) -> core::result::Result<(PoolArc<MemoryObject<Hardware>>, Protection), Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    if handle == Handle::ANONYMOUS {
        return Ok((zeros(request, options, counters)?, Protection::ALL));
    }
    let unnamed = MapFlags::REFPAGE | MapFlags::TAG_HINT;
    if options.flags.intersection(unnamed) != MapFlags::NONE {
        return Err(Error::InvalidFlags);
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
