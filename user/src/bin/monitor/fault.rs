//! Walking a page fault: what is mapped before, the access, what the kernel did, and what is there after.
//!
//! Owns: the page that is touched, and the words for what counters say. Refuses to know: what a policy will do: it
//! looks which counters have moved, and calls what happened by their names.

use crate::look;
use crate::session::{Next, Session};
use alloc::vec::Vec;
use core::hint::black_box;
use vellum_user::abi::{Error, PageState, Policy, Stat};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::services::Trouble;
use vellum_user::testing::stat;
use vellum_user::{Mapping, MemoryObject};

/// The byte that every page of the object shows.
const PATTERN: u8 = 0xa5;
/// What is stored.
const STORED: u8 = 0x5a;

/// Shows the policies, or chooses one for the mappings to come.
pub(crate) fn policy(session: &mut Session, words: &[&str]) -> Result<Next, Trouble> {
    match words {
        [] => {
            for policy in Policy::ALL {
                let mark = if *policy == session.policy { '*' } else { ' ' };
                session.say(format_args!("  {mark} {policy:?}\n"))?;
            }
        }
        [word] => {
            let lower = word.to_lowercase();
            let is_it = |policy: &&Policy| look::policy(**policy as u64).to_lowercase() == lower;
            match Policy::ALL.iter().find(is_it) {
                Some(policy) => {
                    session.policy = *policy;
                    session.say(format_args!("fault maps under {policy:?} from now on\n"))?;
                }
                None => session.say(format_args!("{word}: no such policy; policy lists them\n"))?,
            }
        }
        _ => session.say(format_args!("one policy at a time\n"))?,
    }
    Ok(Next::Prompt)
}

/// An access to walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Load,
    Store,
}

/// Maps a fresh page under the chosen policy and walks accesses to it: a load and a store, or those named.
pub(crate) fn walk(session: &mut Session, words: &[&str]) -> Result<Next, Trouble> {
    let mut accesses = Vec::new();
    for word in words {
        accesses.push(match *word {
            "read" | "load" => Access::Load,
            "write" | "store" => Access::Store,
            _ => {
                session.say(format_args!("{word}: fault takes read and write\n"))?;
                return Ok(Next::Prompt);
            }
        });
    }
    if accesses.is_empty() {
        accesses = [Access::Load, Access::Store].into();
    }
    let policy = session.policy;
    let object = object(policy)?;
    let before = stat();
    let page = match MapRequest::of(object.handle(), PAGE).under(policy).map() {
        Ok(page) => page,
        Err(error @ (Error::WrongPolicy | Error::MissingRight)) => {
            session.say(format_args!("{policy:?}: {}\n", error.text()))?;
            return Ok(Next::Prompt);
        }
        Err(error) => return Err(error.into()),
    };
    let after = stat();
    session.say(format_args!("map    a page under {policy:?} at {:#x}\n", page.address()))?;
    counted(session, &before, &after)?;
    state(session, &page)?;
    for access in accesses {
        walk_one(session, &page, access)?;
    }
    let before = stat();
    page.unmap()?;
    session.say(format_args!("unmap\n"))?;
    counted(session, &before, &stat())?;
    Ok(Next::Prompt)
}

/// Makes an object that the policy suits.
fn object(policy: Policy) -> Result<MemoryObject, Error> {
    if policy != Policy::Wrap {
        return MemoryObject::pattern(PATTERN);
    }
    let object = MemoryObject::wrap(PAGE as u64)?;
    MapRequest::of(object.handle(), PAGE).shared().map()?.fill(PATTERN);
    Ok(object)
}

fn walk_one(session: &Session, page: &Mapping, access: Access) -> Result<(), Trouble> {
    // Nothing but the access lies between the two looks at the counters.
    let (before, seen) = (stat(), touch(page, access));
    let after = stat();
    match access {
        Access::Load => session.say(format_args!("read   finds {seen:#04x}\n"))?,
        Access::Store => session.say(format_args!("write  stores {STORED:#04x}\n"))?,
    }
    session.say(format_args!("         {}\n", what_happened(&before, &after)))?;
    counted(session, &before, &after)?;
    state(session, page)
}

fn touch(page: &Mapping, access: Access) -> u8 {
    match access {
        Access::Load => black_box(page.read(0)),
        Access::Store => {
            page.write(0, STORED);
            STORED
        }
    }
}

/// Says in words what the counters of faults tell.
fn what_happened(before: &Stat, after: &Stat) -> &'static str {
    let moved = |field: fn(&Stat) -> u64| field(after) != field(before);
    if moved(|stat| stat.faults_read_map) {
        "fault, read-share: a frame that others share was mapped read-only"
    } else if moved(|stat| stat.faults_write_fresh) {
        "fault, fresh write: an untouched page got a frame of its own"
    } else if moved(|stat| stat.faults_write_cow) {
        "fault, write-copy: the shared frame was replaced by one of its own"
    } else if moved(|stat| stat.faults_write_upgrade) {
        "fault, upgrade: its own frame became writable again"
    } else if moved(|stat| stat.faults_object) {
        "fault: the object's own frame was mapped"
    } else if moved(|stat| stat.faults_table) {
        "fault: a table of the object's was pointed to"
    } else if moved(|stat| stat.faults_block) {
        "fault: a block of 2 MiB was mapped"
    } else if moved(|stat| stat.faults_spurious) {
        "fault, with nothing left to do"
    } else {
        "no fault: the page was there"
    }
}

/// Shows every counter that has moved.
fn counted(session: &Session, before: &Stat, after: &Stat) -> Result<(), Trouble> {
    let words = Stat::FIELDS.iter().zip(before.to_words()).zip(after.to_words());
    for ((name, before), after) in words {
        let by = after.wrapping_sub(before) as i64;
        if by != 0 {
            session.say(format_args!("         {name:<24}{by:>+9}\n"))?;
        }
    }
    Ok(())
}

/// Shows what stands behind the page.
fn state(session: &Session, page: &Mapping) -> Result<(), Trouble> {
    let state = match page.page_state(0) {
        PageState::Untouched => "untouched: the next access faults",
        PageState::ReadShared => "read-shared: a frame that others share, read-only",
        PageState::Private => "private: a frame of its own",
        PageState::Object => "the object's frame, which stores change for everybody",
    };
    session.say(format_args!("       is {state}\n"))
}
