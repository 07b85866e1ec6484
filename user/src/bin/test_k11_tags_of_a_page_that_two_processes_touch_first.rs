//! K11: when processes touch a page of a shared tagged object first, at once, does each keep the tags
//! that it writes?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, MapFlags, MapOptions, Protection};
use vellum_user::fork::fork;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::tags::{self, GRANULE};
use vellum_user::testing::{Meeting, stat};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, check, system, testing};

vellum_user::test!(main);

/// Pages that are touched first, in all.
const ROUNDS: usize = 10_000;
const PAGES: usize = 250;
const BATCHES: usize = ROUNDS / PAGES;
/// Where every process has the object.
const PLACE: usize = 0x50_0000_0000;
/// The tag of the first process's granules; the others' follow.
const TAG: u8 = 5;
/// Processes at most.
const MOST: usize = 4;
const DONE: u64 = 42;

const TAGGED: Protection = Protection::READ.union(Protection::WRITE).union(Protection::TAGGED);

fn main(_: &Arguments) -> Result<(), Error> {
    testing::require_cpus();
    testing::require_tags();
    let before = stat();
    let all = (system::cpus() as usize).clamp(2, MOST);
    let memory = MemoryObject::new(PAGE as u64)?;
    let page = MapRequest::of(memory.handle(), PAGE).shared().map()?;
    page.write(0, 0);
    // SAFETY: the page is shared, of zeros, used as a meeting alone, and mapped until the end of this
    // process and of each clone.
    let meeting = unsafe { &*page.pointer(0).cast::<Meeting>() };
    let clones: Result<[Option<Process>; MOST], Error> = clones(all, meeting);
    let clones = clones?;
    for _ in 0..BATCHES {
        batch(&clones, all, meeting)?;
    }
    // Until then there is something to unmap from.
    meeting.meet(all);
    for clone in clones.into_iter().flatten() {
        check!("a clone", testing::exited_with(&clone.wait()?, DONE));
    }
    drop((page, memory));
    check!("free frames afterwards", stat().free_frames, before.free_frames);
    Ok(())
}

/// Makes processes that take part in every batch.
fn clones(all: usize, meeting: &Meeting) -> Result<[Option<Process>; MOST], Error> {
    let mut clones = [const { None }; MOST];
    for (own, clone) in clones.iter_mut().enumerate().take(all).skip(1) {
        *clone = Some(fork(|| {
            let wrong: usize = (0..BATCHES).map(|_| touch_all(own, all, meeting)).sum();
            meeting.meet(all);
            if wrong == 0 { DONE } else { wrong as u64 + 100 }
        })?);
    }
    Ok(clones)
}

/// Maps a new object everywhere, lets all touch it, and looks at the tags.
fn batch(clones: &[Option<Process>], all: usize, meeting: &Meeting) -> Result<(), Error> {
    let length = (PAGES * PAGE) as u64;
    let object = MemoryObject::new(length)?;
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).shared().tagged().at(PLACE).map()?;
    let options = MapOptions {
        protection: TAGGED,
        flags: MapFlags::SHARED | MapFlags::FIXED,
        ..MapOptions::default()
    };
    for clone in clones.iter().flatten() {
        clone.map(object.handle(), PLACE as u64, length, options, 0)?;
    }
    check!("tags lost while the pages came", touch_all(0, all, meeting), 0);
    check!("frames", object.query()?.frames, PAGES as u64);
    let wrong = (0..pages.length()).step_by(GRANULE).find(|offset| {
        let own = offset % PAGE / GRANULE;
        let want = if own < all { TAG + own as u8 } else { 0 };
        pages.tag(*offset) != want
    });
    check!("a tag that is wrong at last", wrong, None);
    bytes_are_all_there(&pages, all);
    for clone in clones.iter().flatten() {
        clone.unmap(PLACE as u64, length)?;
    }
    Ok(())
}

fn bytes_are_all_there(pages: &Mapping, all: usize) {
    let found = |page: usize, own: usize| {
        pages.read_as(TAG + own as u8, page * PAGE + own * GRANULE + 1) == TAG + own as u8
    };
    let mut both = (0..PAGES).flat_map(|page| (0..all).map(move |own| (page, own)));
    check!("a byte that is lost", both.find(|(page, own)| !found(*page, *own)), None);
}

/// Tags a granule of its own on every page, and stores under the tag. Returns how often the tag was not
/// there right afterwards.
fn touch_all(own: usize, all: usize, meeting: &Meeting) -> usize {
    meeting.meet(all);
    let tag = TAG + own as u8;
    let touch = |page: &usize| {
        let place = PLACE + page * PAGE + own * GRANULE;
        let place: *mut u8 = core::ptr::with_exposed_provenance_mut(place);
        let place = tags::with_tag(place, tag);
        // SAFETY: the object is mapped there while all are between the two meetings, and no Rust value
        // lives in it.
        unsafe { tags::store(place) };
        let is_there = tags::load(place) == tag;
        // SAFETY: as above.
        unsafe { place.wrapping_add(1).write_volatile(tag) };
        !is_there
    };
    let wrong = (0..PAGES).filter(touch).count();
    meeting.meet(all);
    wrong
}
