//! Walking a page fault: what is mapped before, the access, what the kernel did, and what is there after.
//!
//! Owns: the page that is touched, and the words for what counters say. Refuses to know: what a policy or a pager will
//! do: it looks which counters have moved, and calls what happened by their names.

use crate::look;
use crate::session::{Next, Session};
use alloc::format;
use alloc::vec::Vec;
use core::hint::black_box;
use vellum_user::abi::{PageState, Stat};
use vellum_user::mapping::PAGE;
use vellum_user::services::Trouble;
use vellum_user::services::pager::Pager;
use vellum_user::testing::stat;
use vellum_user::ways::{Content, Way};
use vellum_user::{Mapping, calls};

/// The byte that every page of the object shows.
const PATTERN: u8 = 0xa5;
/// What is stored.
const STORED: u8 = 0x5a;

/// Shows the ways to fill pages, which are the kernel's policies and what a pager may do, or chooses one for the
/// mappings to come.
pub(crate) fn policy(session: &mut Session, words: &[&str]) -> Result<Next, Trouble> {
    match words {
        [] => {
            for way in Way::ALL {
                let mark = if *way == session.way { '*' } else { ' ' };
                let name = format!("{way:?}");
                session.say(format_args!("  {mark} {name:<22}{}\n", way.text()))?;
            }
        }
        [word] => match Way::find(word) {
            Some(way) => {
                session.way = way;
                session.say(format_args!("fault maps under {way:?} from now on\n"))?;
            }
            None => session.say(format_args!("{word}: no such policy; policy lists them\n"))?,
        },
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
    let pager = Pager::start(&session.archive)?;
    let walked = walk_all(session, &pager, &accesses);
    pager.stop()?;
    walked.map(|()| Next::Prompt)
}

/// Maps the page, walks the accesses and unmaps it.
fn walk_all(session: &Session, pager: &Pager, accesses: &[Access]) -> Result<(), Trouble> {
    let way = session.way;
    let content = Content::of_byte(way, PATTERN, pager)?;
    let shown = content.begin(PAGE)?;
    let before = stat();
    let page = shown.request().map()?;
    let after = stat();
    session.say(format_args!("map    a page under {way:?} at {:#x}\n", page.address()))?;
    counted(session, &before, &after, |_| true)?;
    state(session, &page)?;
    for access in accesses {
        walk_one(session, pager, &page, *access)?;
    }
    let before = stat();
    page.unmap()?;
    session.say(format_args!("unmap\n"))?;
    counted(session, &before, &stat(), |_| true)?;
    shown.end().map(|_| ())
}

fn walk_one(
    session: &Session,
    pager: &Pager,
    page: &Mapping,
    access: Access,
) -> Result<(), Trouble> {
    let asked = Asked::look(pager)?;
    // Nothing but the access lies between the two looks at the counters.
    let (before, seen) = (stat(), touch(page, access));
    let after = stat();
    match access {
        Access::Load => session.say(format_args!("read   finds {seen:#04x}\n"))?,
        Access::Store => session.say(format_args!("write  stores {STORED:#04x}\n"))?,
    }
    session.say(format_args!("         {}\n", what_happened(&before, &after)))?;
    counted(session, &before, &after, |_| true)?;
    Asked::look(pager)?.tell_since(session, &asked)?;
    state(session, page)
}

/// What the pager was asked, and its counters.
struct Asked {
    wishes: u64,
    stat: Stat,
}

impl Asked {
    fn look(pager: &Pager) -> Result<Asked, Trouble> {
        Ok(Asked { wishes: pager.wishes()?, stat: calls::stat(pager.process().handle())? })
    }

    /// Shows what the pager did, if it was asked: its own counters, as those of the system and of the account, which
    /// is the monitor's, are the same.
    fn tell_since(&self, session: &Session, before: &Asked) -> Result<(), Trouble> {
        let wishes = self.wishes - before.wishes;
        if wishes == 0 {
            return Ok(());
        }
        session.say(format_args!("         pager asked, and answered{wishes:>+8}\n"))?;
        let is_own = |name: &str| !look::SYSTEM.contains(&name) && !name.starts_with("account_");
        counted(session, &before.stat, &self.stat, is_own)
    }
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

/// Shows every counter that has moved and is meant.
fn counted(
    session: &Session,
    before: &Stat,
    after: &Stat,
    is_meant_fn: impl Fn(&str) -> bool,
) -> Result<(), Trouble> {
    let words = Stat::FIELDS.iter().zip(before.to_words()).zip(after.to_words());
    for ((name, before), after) in words {
        let by = after.wrapping_sub(before) as i64;
        if by != 0 && is_meant_fn(name) {
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
