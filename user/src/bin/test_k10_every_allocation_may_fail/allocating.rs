//! Calls that allocate.

use super::{
    ANY_FAULT, FREE, PLACE, UNTOUCHED, arm, close, exhaust, faults, six_pages, tried, unmap,
};
use alloc::vec::Vec;
use core::cell::Cell;
use vellum_user::abi::{
    Advice, Call, Error, FOR_EVER, Handle, MapFlags, MapOptions, MemoryFlags, PAGE_SIZE,
    PagerFlags, Piece, Policy, Protection, RemapFlags, Rights, Switches, TransferFlags,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::scoped;
use vellum_user::{Endpoint, Mapping, MemoryObject, Process, calls, check, system};

const OWN: u64 = Handle::SELF.to_word();
const ANONYMOUS: u64 = Handle::ANONYMOUS.to_word();
const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
/// The third of the six pages.
const INSIDE: u64 = PLACE + 2 * PAGE_SIZE;
/// A process for others to look at.
const THEIRS: u64 = 0x60_0000_0000;

/// Fails each of them at each of its allocations.
pub(crate) fn fail() -> Result<(), Error> {
    six_pages()?;
    let untouched = MapRequest::anonymous(8 * PAGE).at(UNTOUCHED as usize).map()?;
    let fresh = MapRequest::anonymous(8 * PAGE).under(Policy::PatternOnAnyFault);
    let _fresh = fresh.at(ANY_FAULT as usize).map()?;
    let object = MemoryObject::pattern(b'\n')?;
    maps(object.handle().to_word());
    changes();
    objects();
    processes(object.handle().to_word())?;
    looks(object.handle().to_word());
    transfers(&object)?;
    tags()?;
    messages()?;
    pagers(object.handle().to_word())?;
    drop(untouched);
    unmap(PLACE, 6)
}

fn decommit(start: u64) -> Result<(), Error> {
    // SAFETY: no Rust value lives there.
    unsafe { calls::advise(Handle::SELF, start, 8 * PAGE_SIZE, Advice::Decommit) }
}

fn decommit_untouched(_: u64) -> Result<(), Error> {
    decommit(UNTOUCHED)
}

fn decommit_any_fault(_: u64) -> Result<(), Error> {
    decommit(ANY_FAULT)
}

/// Puts the six pages back as they were.
fn restore(_: u64) -> Result<(), Error> {
    unmap(PLACE, 6)?;
    six_pages()
}

fn fixed(options: MapOptions) -> u64 {
    let flags = options.flags | MapFlags::FIXED;
    MapOptions { protection: options.protection | READ_WRITE, flags, ..options }.to_word()
}

fn maps(pattern: u64) {
    let plain = MapOptions::default();
    let gone = |at| unmap(at, 1);
    let map = |object, options| [OWN, object, FREE, PAGE_SIZE, fixed(options), 0];
    exhaust(Call::Map, map(ANONYMOUS, plain), gone);
    let eager = MapOptions { policy: Policy::Eager, ..plain };
    exhaust(Call::Map, map(pattern, eager), gone);
    let in_mapping = MapOptions { policy: Policy::InMapping, ..plain };
    exhaust(Call::Map, map(pattern, in_mapping), gone);
    exhaust(Call::Map, map(ANONYMOUS, MapOptions { switches: Switches::HUGE, ..plain }), gone);
    let snapshot = fixed(MapOptions { flags: MapFlags::REFPAGE, ..plain });
    exhaust(Call::Map, [OWN, ANONYMOUS, FREE, PAGE_SIZE, snapshot, PLACE], gone);
    if system::tags_supported() {
        let (protection, flags) = (Protection::TAGGED, MapFlags::TAG_HINT);
        exhaust(Call::Map, map(ANONYMOUS, MapOptions { protection, flags, tag: 5, ..plain }), gone);
    }
    let replace = fixed(MapOptions { flags: MapFlags::REPLACE, ..plain });
    exhaust(Call::Map, [OWN, pattern, INSIDE, PAGE_SIZE, replace, 0], restore);
}

fn changes() {
    exhaust(Call::Unmap, [OWN, INSIDE, PAGE_SIZE, 0, 0, 0], restore);
    exhaust(Call::Protect, [OWN, INSIDE, PAGE_SIZE, Protection::READ.bits(), 0, 0], restore);
    let flags = (RemapFlags::MAYMOVE | RemapFlags::FIXED).bits();
    exhaust(Call::Remap, [OWN, INSIDE, PAGE_SIZE, PAGE_SIZE, flags, FREE], |_| {
        unmap(FREE, 1)?;
        restore(0)
    });
    let advise = |start, advice| [OWN, start, PAGE_SIZE, advice as u64, 0, 0];
    exhaust(Call::Advise, advise(UNTOUCHED, Advice::PopulateWrite), decommit_untouched);
    exhaust(Call::Advise, advise(ANY_FAULT, Advice::PopulateRead), decommit_any_fault);
    check!("a block to promote", promotion(), Ok(()));
}

/// Makes a block of 512 pages, one of which was written.
fn promotion() -> Result<(), Error> {
    let place = faults::BLOCK_PLACE;
    let pages = || MapRequest::anonymous(512 * PAGE).with(Switches::HUGE).at(place).map();
    let mapping = pages()?;
    mapping.write(0, 1);
    let arguments = [OWN, place as u64, 512 * PAGE_SIZE, Advice::Promote as u64, 0, 0];
    let made = exhaust(Call::Advise, arguments, |blocks| {
        check!("blocks", blocks, 1);
        unmap(place as u64, 512)?;
        let again = pages()?;
        again.write(0, 1);
        _ = again.leak();
        Ok(())
    });
    check!("the block, and the table for its split", made, 2);
    mapping.unmap()
}

fn objects() {
    exhaust(Call::RefpageCreate, [PLACE, 64, 0, 0, 0, 0], close);
    exhaust(Call::RefpageCreateFrameless, [PLACE, 64, 0, 0, 0, 0], close);
    exhaust(Call::RefpageCreatePattern, [3, 0, 0, 0, 0, 0], close);
    exhaust(Call::RefpageCreateTag, [0; 6], close);
    exhaust(Call::MemoryCreate, [8 * PAGE_SIZE, 0, 0, 0, 0, 0], close);
    exhaust(Call::MemoryCreate, [3 * PAGE_SIZE, MemoryFlags::WRAP.bits(), 0, 0, 0, 0], close);
    // Three zeros, on a page that is there.
    exhaust(Call::AccountCreate, [OWN, PLACE + 64, 0, 0, 0, 0], close);
}

fn processes(pattern: u64) -> Result<(), Error> {
    exhaust(Call::ProcessCreate, [OWN, 0, 0, 0, 0, 0], close);
    let child = Process::new()?;
    let word = child.handle().to_word();
    let options =
        MapOptions { protection: READ_WRITE, flags: MapFlags::FIXED, ..MapOptions::default() };
    child.map(Handle::ANONYMOUS, THEIRS, 4 * PAGE_SIZE, options, 0)?;
    (0..3).for_each(|page| {
        check!("their page", child.write(THEIRS + page * PAGE_SIZE, &[7]), (1, Ok(())));
    });
    // The first handle of a table.
    exhaust(Call::HandleCopy, [word, pattern, Rights::NONE.bits(), 0, 0, 0], |_| Ok(()));
    let theirs = child.stat()?;
    exhaust(Call::ProcessClone, [word, 0, 0, 0, 0, 0], close);
    let left = child.stat()?;
    check!("what was cloned", (left.private_frames, left.mappings), (theirs.private_frames, 1));
    exhaust(Call::ThreadCreate, [word, 0, 0, 0, 0, 0], close);
    let thread = child.thread()?;
    let stopped = thread.handle().to_word();
    exhaust(Call::ThreadReadRegisters, [stopped, UNTOUCHED, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::ThreadWriteRegisters, [stopped, ANY_FAULT, 0, 0, 0, 0], decommit_any_fault);
    drop(thread);
    child.kill()?;
    _ = child.wait()?;
    exhaust(Call::ProcessWait, [word, UNTOUCHED, FOR_EVER, 0, 0, 0], decommit_untouched);
    Ok(())
}

/// Calls that only write what they have found.
fn looks(pattern: u64) {
    exhaust(Call::QueryPages, [OWN, PLACE, UNTOUCHED, 4 * PAGE_SIZE, 0, 0], decommit_untouched);
    exhaust(Call::Stat, [OWN, UNTOUCHED, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::ObjectQuery, [pattern, UNTOUCHED, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::AccountQuery, [OWN, UNTOUCHED, 0, 0, 0, 0], decommit_untouched);
    exhaust(Call::Query, [OWN, PLACE, UNTOUCHED, 0, 0, 0], decommit_untouched);
    exhaust(Call::SystemQuery, [UNTOUCHED, 0, 0, 0, 0, 0], decommit_untouched);
}

fn transfers(newlines: &MemoryObject) -> Result<(), Error> {
    exhaust(Call::MemoryWrite, [OWN, UNTOUCHED, PLACE, 8, 0, 0], decommit_untouched);
    exhaust(Call::MemoryRead, [OWN, PLACE, UNTOUCHED, 8, 0, 0], decommit_untouched);
    for (piece, flags) in [
        (Piece { theirs: PLACE, own: UNTOUCHED, length: 8 }, TransferFlags::NONE),
        (Piece { theirs: UNTOUCHED, own: PLACE, length: 8 }, TransferFlags::WRITE),
    ] {
        let list = [piece.to_words()];
        let place = list.as_ptr().expose_provenance() as u64;
        exhaust(Call::MemoryTransfer, [OWN, place, 1, flags.bits(), 0, 0], decommit_untouched);
    }
    let text = MapRequest::of(newlines.handle(), PAGE).under(Policy::PatternOnAnyFault);
    let text = text.at(FREE as usize).map()?;
    exhaust(Call::ConsoleWrite, [FREE, 1, 0, 0, 0, 0], |_| text.decommit(0..PAGE));
    Ok(())
}

fn tags() -> Result<(), Error> {
    if !system::tags_supported() {
        [Call::TagsRead, Call::TagsWrite].into_iter().for_each(tried);
        return Ok(());
    }
    let tagged: Mapping = MapRequest::anonymous(8 * PAGE).tagged().at(FREE as usize).map()?;
    // The reference page is there before anything is written.
    _ = tagged.read(0);
    exhaust(Call::TagsRead, [OWN, FREE, UNTOUCHED, 4, 0, 0], decommit_untouched);
    // PLACE begins with a one and zeros, which are tags.
    exhaust(Call::TagsWrite, [OWN, FREE, PLACE, 4, 0, 0], |_| {
        tagged.decommit(0..PAGE)?;
        _ = tagged.read(0);
        Ok(())
    });
    Ok(())
}

/// A message with a handle takes memory of the receiver's table when that is full.
fn messages() -> Result<(), Error> {
    exhaust(Call::EndpointCreate, [0; 6], close);
    exhaust(Call::NotificationCreate, [0; 6], close);
    let endpoint = Endpoint::new()?;
    let object = MemoryObject::pattern(1)?;
    let failing = || {
        let armed = arm(1).is_ok();
        let sent = endpoint.call_with(object.handle(), Rights::READ, [0; 4]).map(|_| ());
        (armed, sent, arm(0))
    };
    tried(Call::EndpointCall);
    tried(Call::EndpointReceive);
    tried(Call::EndpointReply);
    tried(Call::EndpointReplyReceive);
    // SAFETY: joined before the endpoint goes.
    let server = unsafe {
        scoped(|| {
            _ = endpoint.receive()?;
            let first = endpoint.reply_receive([0; 4])?.words[0];
            let last = endpoint.reply_receive([0; 4])?.words[0];
            calls::endpoint_reply(None, [0; 4])?;
            Ok::<_, Error>((first, last))
        })
    }?;
    // Once it has answered it has all the stack that it needs: what fails from now on is not its.
    check!("the server answers", endpoint.call([4; 4]).is_ok());
    // Until every slot of the table that is there is taken: then a message that brings a handle needs
    // memory, and its caller is told that there is none.
    tried(Call::EndpointBadge);
    let mut fill = Vec::new();
    let mut refused = 0;
    while refused == 0 {
        check!("armed", arm(1).is_ok());
        match endpoint.with_badge(1) {
            Ok(badged) => fill.push(badged),
            Err(error) => {
                check!("a badge without memory", error, Error::OutOfKernelMemory);
                refused = 1;
            }
        }
        _ = arm(0);
    }
    check!("a handle without memory", failing(), (true, Err(Error::OutOfKernelMemory), Ok(1)));
    check!("the server waits on", endpoint.call([5; 4]).is_ok());
    check!("and on", endpoint.call([6; 4]).is_ok());
    check!("it received what followed", server.join(), Some(Ok((5, 6))));
    drop(fill);
    Ok(())
}

/// What is supplied stays, so the object goes each time.
fn pagers(pattern: u64) -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let word = endpoint.handle().to_word();
    exhaust(Call::PagerCreate, [word, 8 * PAGE_SIZE, 0, 0, 0, 0], close);
    for (how, source) in [(0, PLACE), (2, pattern)] {
        // Two nodes deep; where stores are allowed, a reference page is copied too.
        let paged = || MemoryObject::paged(&endpoint, 1000 * PAGE_SIZE, PagerFlags::WRITABLE);
        let made = paged()?;
        let (handle, object) = (made.handle().to_word(), Cell::new(Some(made)));
        let arguments = [handle, 0, PAGE_SIZE, source, how, 0];
        exhaust(Call::PagerSupply, arguments, |_| {
            drop(object.take());
            object.set(Some(paged()?));
            Ok(())
        });
    }
    Ok(())
}
