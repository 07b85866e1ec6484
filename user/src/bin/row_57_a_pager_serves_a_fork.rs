//! Row 57: does the child of a fork get the pages of a user pager, without any privilege? The pager is
//! another process than both; parent and child touch different pages of a private mapping of its object, and
//! each reaches the pager by itself.
#![no_std]
#![no_main]

extern crate alloc;

use vellum_user::abi::{
    Action, Error, Handle, PAGE_SIZE, PagerFlags, Policy, Rights, Supply, SupplyFlags,
};
use vellum_user::fork::fork;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::spawn;
use vellum_user::{Arguments, Endpoint, Mapping, MemoryObject, check, testing};

vellum_user::test!(main);

const PAGES: usize = 8;
/// Tells the pager to stop.
const STOP: u64 = u64::MAX;
/// Names the object at its pager.
const BADGE: u64 = 57;

fn main(arguments: &Arguments) -> Result<u64, Error> {
    match (arguments.at(0), arguments.at(1)) {
        (Some(endpoint), Some(object)) => return page(handle(endpoint)?, handle(object)?),
        (Some(_), None) => return Ok(1),
        _ => {}
    }
    // What the heap and the tables take once stays.
    drop((spawn(|| 0)?, Endpoint::new()?));
    check!(
        "a child that is told nothing",
        testing::exited_with(&testing::run_self(&["nothing"]), 1)
    );
    let before = testing::at_rest();
    fork_of_a_client()?;
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(0)
}

fn handle(word: &str) -> Result<Handle, Error> {
    word.parse().ok().and_then(Handle::from_word).ok_or(Error::BadHandle)
}

/// The pager: serves each wish with a page of its own that moves. Returns how many.
fn page(endpoint: Handle, object: Handle) -> Result<u64, Error> {
    let (endpoint, object) = (Endpoint::from_handle(endpoint), MemoryObject::from_handle(object));
    let own = Mapping::anonymous(PAGE)?;
    let mut received = endpoint.receive()?;
    let mut served = 0;
    while received.words[0] != STOP {
        let wish = received.wish().ok_or(Error::InvalidContent)?;
        check!("the badge", received.badge, BADGE);
        own.write(0, 1 + (wish.offset / PAGE_SIZE) as u8);
        let (bytes, moved) =
            object.supply(wish.offset, (&own, 0..PAGE), Supply::Move, SupplyFlags::NONE);
        check!("supplied", (bytes, moved), (PAGE_SIZE, Ok(())));
        served += 1;
        received = endpoint.answer_wish(Action::Resume)?;
    }
    vellum_user::calls::endpoint_reply(None, [0; 4])?;
    Ok(served)
}

fn fork_of_a_client() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let badged = endpoint.with_badge(BADGE)?;
    let object = MemoryObject::paged(&badged, (PAGES * PAGE) as u64, PagerFlags::NONE)?;
    // The pager gets its handles where every child gets the first that it is not started with.
    let probe = testing::load_self(&["nothing", "nothing"]);
    let rights = (Rights::READ, Rights::MANAGE);
    let words =
        (endpoint.copy_to(&probe.process, rights.0)?, object.copy_to(&probe.process, rights.1)?);
    drop(probe);
    let words = [words.0.to_word(), words.1.to_word()].map(|word| alloc::format!("{word}"));
    let pager = testing::load_self(&[&words[0], &words[1]]);
    endpoint.copy_to(&pager.process, rights.0)?;
    object.copy_to(&pager.process, rights.1)?;
    pager.start()?;
    let pages = MapRequest::of(object.handle(), PAGES * PAGE).under(Policy::UserPager).map()?;
    check!("a page that the parent reads", pages.read(0), 1);
    pages.write(PAGE + 1, 77);
    let child = fork(|| {
        let seen = (pages.read(0), pages.read(PAGE), pages.read(PAGE + 1));
        let parents = check!("pages that the parent had", seen, (1, 2, 77));
        let own = check!("the child's own fault", pages.read(2 * PAGE), 3);
        pages.write(3 * PAGE + 1, 9);
        let seen = (pages.read(3 * PAGE), pages.read(3 * PAGE + 1));
        let stored = check!("its store", seen, (4, 9));
        u64::from(!(parents && own && stored))
    })?;
    check!("the child", testing::exited_with(&child.wait()?, 0));
    check!("a page that the child read", pages.read(2 * PAGE), 3);
    check!("a page that the child wrote", (pages.read(3 * PAGE), pages.read(3 * PAGE + 1)), (4, 0));
    check!("stop", endpoint.call([STOP, 0, 0, 0]).is_ok());
    check!("each page was asked for once", testing::exited_with(&pager.wait()?, 4));
    Ok(())
}
