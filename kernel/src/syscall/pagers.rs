//! Calls of pagers: objects whose pages they supply.
//!
//! `pager_supply` deals with its pages one by one, like the calls that move bytes: what was supplied stays
//! so, x1 says how much, and progress is kept with the thread.

use super::{Answer, Request, Result, Stop, ipc, range};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use crate::process::handle::Object;
use crate::process::operation::{Progress, Reply};
use crate::process::paging::{self, Pager};
use crate::process::{Operation, Outcome, Process, Thread};
use vellum_abi::{
    Error, Handle, PAGE_SIZE, PagerFlags, Rights, Supply, SupplyFlags, SupplyOptions,
};
use vellum_vm::addr::Page;
use vellum_vm::error::Refusal;
use vellum_vm::machine::Machine;
use vellum_vm::object::MemoryObject;

type Memory = PoolArc<MemoryObject<Hardware>>;

/// What the maker of a paged object may do with it.
const MAKERS: Rights = Rights::ALL;

pub(super) fn pager_create(request: &Request<'_>) -> Result {
    let [endpoint, length, flags, ..] = *request.arguments;
    let flags = PagerFlags::from_bits(flags).ok_or(Error::InvalidFlags)?;
    let (endpoint, badge) = ipc::find(request.process(), endpoint, Rights::WRITE)?;
    let pager = Pager::new(endpoint, badge)?;
    let account = request.process().account().clone();
    let object = MemoryObject::paged(Hardware, account, length, flags, pager)?;
    let handle = request.process().give_memory(object, MAKERS)?;
    Ok(Answer::Value(handle.to_word()))
}

/// Where the pages come from.
enum Source {
    Copy(Page),
    Move(Page),
    Reference(Memory),
    Poison,
    Allow,
}

/// Pages on their way into an object.
pub struct Supplying {
    object: Memory,
    first: u64,
    pages: u64,
    done: u64,
    source: Source,
    watch: bool,
}

pub(super) fn pager_supply(request: &Request<'_>) -> Result {
    let [object, offset, length, source, how, ..] = *request.arguments;
    let options = SupplyOptions::from_word(how)?;
    let object = memory(request, object, Rights::MANAGE)?;
    let end = object.pages().filter(|_| object.is_paged()).ok_or(Error::WrongObject)?;
    if !offset.is_multiple_of(PAGE_SIZE) || !length.is_multiple_of(PAGE_SIZE) {
        return Err(Error::Misaligned.into());
    }
    let (first, pages) = (offset / PAGE_SIZE, length / PAGE_SIZE);
    if pages == 0 {
        return Err(Error::InvalidSize.into());
    }
    if first.checked_add(pages).is_none_or(|last| last > end) {
        return Err(Error::BeyondEnd.into());
    }
    let source = source_of(request, options.how, source, length)?;
    let watch = options.flags.contains(SupplyFlags::WATCH);
    let mut supplying = Supplying { object, first, pages, done: 0, source, watch };
    let outcome = match supplying.run(request.thread) {
        Progress::Done(None) => return Ok(Answer::Value(length)),
        Progress::Done(Some(reply)) => return Ok(Answer::Reply(reply)),
        Progress::Paused => Outcome::Yield,
        Progress::Block(wait) => Outcome::Block(wait),
    };
    request.thread.unfinished.put(Operation::Supply(supplying));
    Ok(Answer::Outcome(outcome))
}

/// Checks where the pages come from.
fn source_of(
    request: &Request<'_>,
    how: Supply,
    source: u64,
    length: u64,
) -> core::result::Result<Source, Error> {
    let page = || range(source, length).map(|range| range.start());
    match how {
        Supply::Copy => page().map(Source::Copy),
        Supply::Move => page().map(Source::Move),
        Supply::Reference => {
            let source = memory(request, source, Rights::MAP | Rights::READ)?;
            if source.has_reference_frame() {
                Ok(Source::Reference(source))
            } else {
                Err(Error::WrongObject)
            }
        }
        Supply::Poison | Supply::Allow if source != 0 => Err(Error::InvalidFlags),
        Supply::Poison => Ok(Source::Poison),
        Supply::Allow => Ok(Source::Allow),
    }
}

/// Returns the memory object that a word names.
fn memory(request: &Request<'_>, word: u64, rights: Rights) -> core::result::Result<Memory, Error> {
    let handle = Handle::from_word(word).ok_or(Error::BadHandle)?;
    request.process().named(handle, rights, |object| match object {
        Object::Memory(object) => Some(object.clone()),
        _ => None,
    })
}

impl Supplying {
    /// Goes on with what had to wait or let an interrupt pass, perhaps before its first page.
    pub fn go_on(&mut self, thread: &Thread) -> Progress {
        match self.run(thread) {
            Progress::Done(None) => self.reply(0),
            progress => progress,
        }
    }

    /// Supplies pages until all are, an error stops it or something else must be done first. Where all went
    /// well the answer is the caller's to give.
    fn run(&mut self, thread: &Thread) -> Progress {
        while self.done < self.pages {
            match self.step(&thread.process) {
                Ok(false) => {}
                Ok(true) => paging::wake(&self.object, self.first + self.done),
                Err(stop) => {
                    return match stop.settle(thread) {
                        Ok(wait) => Progress::Block(wait),
                        Err(error) => self.reply(error as u64),
                    };
                }
            }
            self.done += 1;
            if self.done < self.pages && Hardware.should_pause() {
                return Progress::Paused;
            }
        }
        Progress::Done(None)
    }

    fn reply(&self, status: u64) -> Progress {
        Progress::Done(Some(Reply { status, value: self.done * PAGE_SIZE }))
    }

    /// Supplies the next page. Returns whether somebody waits for it.
    fn step(&self, process: &PoolArc<Process>) -> core::result::Result<bool, Stop> {
        let (object, space, index) = (&self.object, &process.space, self.first + self.done);
        let supplied = match &self.source {
            Source::Copy(page) => object.supply_copy(index, space, page.add(self.done), self.watch),
            Source::Move(page) => object.supply_move(index, space, page.add(self.done), self.watch),
            Source::Reference(source) => {
                object.supply_reference(index, source, space, self.watch).map_err(Refusal::from)
            }
            Source::Poison => object.poison(index).map_err(Refusal::from),
            Source::Allow => object.allow_stores(index).map_err(Refusal::from),
        };
        supplied.map_err(|refusal| Stop::from_refusal(refusal, process))
    }
}
