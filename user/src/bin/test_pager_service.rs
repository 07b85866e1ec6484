//! Does the pager of `vellum_user::services::pager` supply the objects that it is given and nothing else, and
//! leave nothing behind?
#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use vellum_user::abi::{Error, ExitKind, Handle, PagerFlags, Rights, Supply};
use vellum_user::loader::Child;
use vellum_user::mapping::PAGE;
use vellum_user::services::Trouble;
use vellum_user::services::pager::{Pager, Served, Terms};
use vellum_user::ways::{Content, Way};
use vellum_user::{Arguments, MapRequest, MemoryObject, calls, check, testing};

vellum_user::test!(main);

const PAGES: usize = 40;
const LENGTH: usize = PAGES * PAGE;
const NAMED: Terms = Terms { how: Supply::Reference, together: 1, flags: PagerFlags::NONE };

fn main(arguments: &Arguments) -> Result<(), Trouble> {
    let number = |at| arguments.at(at).and_then(|word| word.parse::<u64>().ok());
    if let (Some(word), Some(page)) = (number(0), number(1)) {
        return Ok(load_from(Handle::from_word(word).ok_or(Error::BadHandle)?, page as usize)?);
    }
    // What the heap and the tables take once stays.
    every_way()?;
    objects_take_turns()?;
    let before = at_rest();
    every_way()?;
    objects_take_turns()?;
    check!("free frames, kernel memory, handles and processes afterwards", at_rest(), before);
    Ok(())
}

fn at_rest() -> (u64, u64, u64, u64) {
    let stat = testing::stat();
    (stat.free_frames, stat.pool_bytes, stat.handles, stat.processes_live)
}

/// What the child of this test does.
fn load_from(object: Handle, page: usize) -> Result<(), Error> {
    let _ = MapRequest::of(object, LENGTH).read_only().map()?.read(page * PAGE);
    Ok(())
}

fn every_way() -> Result<(), Trouble> {
    let pager = Pager::start(&testing::archive())?;
    for way in Way::ALL.iter().copied() {
        let content = Content::of_byte(way, 0x5a, &pager)?;
        // Pages that were supplied to one mapping are asked for again under the next.
        for _ in 0..2 {
            let shown = content.begin(LENGTH)?;
            let pages = shown.request().map()?;
            // From the end: what comes along with a wish is not what is wanted next.
            for page in (0..PAGES).rev() {
                let seen = (pages.read(page * PAGE), pages.read(page * PAGE + PAGE - 1));
                check!(format_args!("{way:?}: page {page}"), seen, (0x5a, 0x5a));
                pages.write(page * PAGE, 1);
                check!(format_args!("{way:?}: store"), pages.read(page * PAGE), 1);
            }
            drop(pages);
            let wishes = shown.end()?;
            let want = if way.terms().is_some() { PAGES as u64 } else { 0 };
            check!(format_args!("{way:?}: wishes"), wishes, want);
        }
    }
    pager.stop()
}

/// One object at a time, and never the content of another.
fn objects_take_turns() -> Result<(), Trouble> {
    let pager = Pager::start(&testing::archive())?;
    let without = pager.serve(LENGTH as u64, NAMED).map(|_| ());
    check!("an object without a source", without, Err(Trouble::Unknown));
    let (first, second) = (MemoryObject::pattern(1)?, MemoryObject::pattern(2)?);
    pager.show(first.handle())?;
    let old = pager.serve(LENGTH as u64, NAMED)?;
    check!("a page", end_of_reader(&old, 0)?, ExitKind::Exited as u64);
    let new = pager.serve(LENGTH as u64, NAMED)?;
    check!("wishes of the next object", pager.wishes()?, 0);
    check!("a page that is there", end_of_reader(&old, 0)?, ExitKind::Exited as u64);
    check!("one that is not", end_of_reader(&old, 1)?, ExitKind::PageRefused as u64);
    check!("one of the next object", end_of_reader(&new, 1)?, ExitKind::Exited as u64);
    pager.show(second.handle())?;
    check!("nothing is served", end_of_reader(&new, 2)?, ExitKind::PageRefused as u64);
    let third = pager.serve(LENGTH as u64, NAMED)?;
    let pages = MapRequest::of(third.handle(), LENGTH).map()?;
    check!("the other content", pages.read(5 * PAGE), 2);
    drop(pages);
    check!("wishes", pager.end(third)?, 1);
    pager.stop()
}

/// Lets a child load from a page of an object. Returns why it ended.
fn end_of_reader(object: &Served, page: usize) -> Result<u64, Trouble> {
    let rights = Rights::MAP | Rights::READ;
    let give = |child: &Child| calls::handle_copy(child.process.handle(), object.handle(), rights);
    // The first handle that a child gets beyond those of every program.
    let word = give(&testing::load_self(&["0", "0"]))?.to_word();
    let child = testing::load_self(&[&format!("{word}"), &format!("{page}")]);
    check!("the child's handle", give(&child)?.to_word(), word);
    child.start()?;
    Ok(child.wait()?.kind)
}
