//! Pages that never come: pagers that go, refuse, wait for themselves or for each other, and clients that
//! are ended while they wait. Each is a named reason, in user code and in a call; nobody hangs, and
//! nothing is left behind.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use alloc::{format, string::String};
use vellum_user::abi::{
    Action, Error, ExitKind, ExitReport, Handle, MapFlags, MapOptions, PAGE_SIZE, PagerFlags,
    Policy, Protection, Rights, Supply, SupplyFlags,
};
use vellum_user::loader::Child;
use vellum_user::mapping::PAGE;
use vellum_user::testing::{Contended, Paged};
use vellum_user::threads::{scoped, spawn};
use vellum_user::{Arguments, Endpoint, Mapping, MemoryObject, calls, check, testing};

vellum_user::test!(main);

/// Where children have the paged object.
const FAR: u64 = 0x50_0000_0000;
/// Where pagers have each other's.
const OTHER: u64 = 0x51_0000_0000;
const LENGTH: u64 = 16 * PAGE_SIZE;
const ROUNDS: u64 = 10;
const NOTHING: &str = "nothing";

fn main(arguments: &Arguments) -> Result<u64, Error> {
    let number = |at| arguments.at(at).and_then(|word| word.parse().ok()).unwrap_or(0);
    match arguments.at(0) {
        Some("touch") => return open(FAR).map(|()| u64::from(read_far(FAR))),
        Some("move") => return open(FAR).map(|()| move_far()),
        Some("pager") => return be_pager(arguments.at(1), number(2), number(3)),
        Some(_) => return Ok(1),
        None => {}
    }
    // What the heap and the tables take once stays.
    drop((spawn(|| 0)?, Endpoint::new()?));
    drop(Paged::new(LENGTH, PagerFlags::NONE)?);
    check!("a child", testing::exited_with(&testing::run_self(&[NOTHING]), 1));
    let before = testing::at_rest();
    refusals_and_poison()?;
    check!("free frames and kernel memory after refusals", testing::at_rest(), before);
    pagers_that_go()?;
    check!("free frames and kernel memory after pagers that went", testing::at_rest(), before);
    pagers_that_wait_for_themselves()?;
    check!("free frames and kernel memory after circles", testing::at_rest(), before);
    clients_that_go()?;
    check!("free frames and kernel memory after clients that went", testing::at_rest(), before);
    Ok(0)
}

/// Loads a byte of what the parent has mapped into this process.
fn read_far(address: u64) -> u8 {
    let byte: *const u8 = core::ptr::with_exposed_provenance(address as usize);
    // SAFETY: the parent has mapped an object there.
    unsafe { byte.read_volatile() }
}

/// Moves a few bytes of what the parent has mapped into this process, by a call of many pieces. Returns how
/// many came.
fn move_far() -> u64 {
    calls::memory_gather(Handle::SELF, &[(FAR, 2), (FAR + 8, 2)], &mut [0; 4]).0 as u64
}

/// Lets this process read what the parent has mapped into it.
fn open(address: u64) -> Result<(), Error> {
    // SAFETY: no Rust value lives there.
    unsafe { calls::protect(Handle::SELF, address, LENGTH, Protection::READ) }
}

/// Maps an object into another process. It is closed at first, as programs of tests touch what they can
/// before they begin.
fn lend(child: &Child, object: &MemoryObject, at: u64) -> Result<(), Error> {
    let options = MapOptions {
        protection: Protection::NONE,
        flags: MapFlags::FIXED,
        policy: Policy::UserPager,
        ..MapOptions::default()
    };
    child.process.map(object.handle(), at, LENGTH, options, 0).map(|_| ())
}

/// Starts a child that touches an object.
fn toucher(object: &MemoryObject) -> Result<Child, Error> {
    client("touch", object)
}

/// Starts a child that needs an object's first page.
fn client(way: &str, object: &MemoryObject) -> Result<Child, Error> {
    let child = testing::load_self(&[way]);
    lend(&child, object, FAR)?;
    child.start()?;
    Ok(child)
}

fn died_of(report: &ExitReport, kind: ExitKind) -> bool {
    report.kind == kind as u64
}

/// Reads a byte of a mapping by a call.
fn read_by_call(pages: &Mapping) -> Result<(), Error> {
    calls::memory_read(Handle::SELF, pages.address() as u64, &mut [0; 8]).1
}

/// Checks that user code of a child and a call of this process end for a reason.
fn ends(name: &str, paged: &Paged, kind: ExitKind, error: Error) -> Result<(), Error> {
    let report = toucher(&paged.object)?.wait()?;
    check!(format_args!("{name}: {}", report.kind), died_of(&report, kind));
    check!(format_args!("{name}: where"), (report.address, report.access), (FAR, 0));
    let pages = Mapping::private(&paged.object, LENGTH as usize)?;
    check!(format_args!("{name}: in a call"), read_by_call(&pages), Err(error));
    Ok(())
}

fn refusals_and_poison() -> Result<(), Error> {
    let paged = Paged::new(LENGTH, PagerFlags::NONE)?;
    let wishes = paged.serving(
        |_| Action::Kill,
        || {
            let ended = ends("refused", &paged, ExitKind::PageRefused, Error::PageRefused);
            check!("refused", ended, Ok(()));
        },
    );
    check!("each asked once", wishes, 2);
    paged.object.poison(0, PAGE_SIZE)?;
    ends("poisoned", &paged, ExitKind::PagePoisoned, Error::PagePoisoned)?;
    // A handler is told of it like of every other reason.
    let handler = Endpoint::new()?;
    let child = testing::load_self(&["touch"]);
    lend(&child, &paged.object, FAR)?;
    child.process.set_handler(&handler)?;
    child.start()?;
    let report = handler.receive()?.report();
    check!(
        "the report",
        report.map(|it| (it.kind, it.address)),
        Some((ExitKind::PagePoisoned, FAR))
    );
    calls::endpoint_reply(None, calls::answer(Action::Kill))?;
    check!("the end", died_of(&child.wait()?, ExitKind::PagePoisoned));
    Ok(())
}

fn pagers_that_go() -> Result<(), Error> {
    let paged = Paged::new(LENGTH, PagerFlags::NONE)?;
    for round in 0..ROUNDS {
        let name = "a pager that ends";
        let receive = || paged.endpoint.receive().map(|_| calls::thread_exit());
        // SAFETY: joined before the endpoint goes.
        let pager = unsafe { scoped(receive) }?;
        let report = toucher(&paged.object)?.wait()?;
        check!(name, died_of(&report, ExitKind::PagerGone));
        drop(pager);
        // One that takes the next message instead of answering.
        // SAFETY: likewise.
        let pager = unsafe {
            scoped(|| {
                let next = paged.endpoint.receive().and_then(|_| paged.endpoint.receive());
                calls::endpoint_reply(None, next.map_or([0; 4], |call| call.words))
            })
        }?;
        let pages = Mapping::private(&paged.object, LENGTH as usize)?;
        check!("a pager that forgets", read_by_call(&pages), Err(Error::PagerGone));
        check!("the next call", paged.endpoint.call([round; 4]).map(|it| it.words), Ok([round; 4]));
        drop(pager);
    }
    a_pager_that_forgets_to_answer_but_not_to_supply()?;
    // A process that dies with the request.
    let slots = slots(&paged)?;
    let pager = start_pager("die", &paged, &slots, None)?;
    let name = "a pager that dies";
    let report = toucher(&paged.object)?.wait()?;
    check!(name, died_of(&report, ExitKind::PagerGone));
    check!("its status", testing::exited_with(&pager.wait()?, 3));
    // Nobody can ever receive there: first while one waits, then for good.
    let Paged { endpoint, object, .. } = paged;
    let waiting = toucher(&object)?;
    (0..10).for_each(|_| calls::yield_now());
    drop(endpoint);
    check!("an endpoint that closes", died_of(&waiting.wait()?, ExitKind::PagerGone));
    check!("a closed endpoint", died_of(&toucher(&object)?.wait()?, ExitKind::PagerGone));
    let pages = Mapping::private(&object, LENGTH as usize)?;
    check!("in a call", read_by_call(&pages), Err(Error::PagerGone));
    Ok(())
}

/// What was supplied counts, whatever became of the pager.
fn a_pager_that_forgets_to_answer_but_not_to_supply() -> Result<(), Error> {
    let paged = Paged::new(LENGTH, PagerFlags::NONE)?;
    // SAFETY: no Rust value lives in a mapping.
    let own = unsafe { Contended::new(Mapping::anonymous(PAGE)?) };
    own.write(0, 9);
    let (paged, own) = (&paged, &own);
    // SAFETY: joined before what it borrows.
    let pager = unsafe {
        scoped(move || {
            let wish = paged.endpoint.receive()?.wish().ok_or(Error::InvalidContent)?;
            let flags = SupplyFlags::NONE;
            paged.object.supply(wish.offset, (own, 0..PAGE), Supply::Copy, flags).1?;
            paged.endpoint.receive()?;
            calls::endpoint_reply(None, [0; 4])
        })
    }?;
    let report = toucher(&paged.object)?.wait()?;
    check!("its page is there", testing::exited_with(&report, 9));
    check!("the next call", paged.endpoint.call([0; 4]).is_ok());
    check!("the pager", pager.join(), Some(Ok(())));
    Ok(())
}

/// A pager in a process of its own: `way` says what it does with the first wish.
fn be_pager(way: Option<&str>, endpoint: u64, object: u64) -> Result<u64, Error> {
    let handle = |word| Handle::from_word(word).ok_or(Error::BadHandle);
    let endpoint = Endpoint::from_handle(handle(endpoint)?);
    let object = MemoryObject::from_handle(handle(object)?);
    let own = Mapping::anonymous(PAGE)?;
    own.write(0, 5);
    if matches!(way, Some("touch" | "call" | "source" | "first")) {
        open(OTHER)?;
    }
    if way == Some("first") {
        // Before any wish: it would wait for itself.
        let mut received = endpoint.receive()?;
        received.words[0] = u64::from(read_far(OTHER));
        return Ok(received.words[0]);
    }
    let mut received = endpoint.receive()?;
    while let Some(wish) = received.wish() {
        match way {
            Some("die") => calls::exit(3),
            Some("touch") => own.write(0, 1 + read_far(OTHER)),
            Some("call") => {
                let mut byte = [0; 1];
                let (_, read) = calls::memory_read(Handle::SELF, OTHER, &mut byte);
                check!("its own page in a call", read, Err(Error::WouldDeadlock));
            }
            Some("source") => {
                let refused = supply_from(&object, wish.offset);
                check!("its own page as a source", refused, Err(Error::WouldDeadlock));
            }
            _ => {}
        }
        object.supply(wish.offset, (&own, 0..PAGE), Supply::Copy, SupplyFlags::NONE).1?;
        received = endpoint.answer_wish(Action::Resume)?;
    }
    calls::endpoint_reply(None, [0; 4])?;
    Ok(7)
}

/// Supplies a page of an object with another page of itself.
fn supply_from(object: &MemoryObject, offset: u64) -> Result<(), Error> {
    let options = vellum_user::abi::SupplyOptions { how: Supply::Copy, flags: SupplyFlags::NONE };
    let source = OTHER + PAGE_SIZE;
    // SAFETY: nothing moves.
    unsafe { calls::pager_supply(object.handle(), offset, PAGE_SIZE, source, options) }.1
}

/// Returns the handles that a child gets beyond those of every program.
fn slots(paged: &Paged) -> Result<[String; 2], Error> {
    let probe = testing::load_self(&["pager", NOTHING, "0", "0"]);
    give(&probe, paged).map(|words| words.map(|word| format!("{word}")))
}

fn give(child: &Child, paged: &Paged) -> Result<[u64; 2], Error> {
    let endpoint = paged.endpoint.copy_to(&child.process, Rights::READ | Rights::WRITE)?;
    let object = paged.object.copy_to(&child.process, Rights::MANAGE)?;
    Ok([endpoint.to_word(), object.to_word()])
}

/// Starts a pager of an object, which sees another at [`OTHER`].
fn start_pager(
    way: &str,
    paged: &Paged,
    slots: &[String; 2],
    other: Option<&MemoryObject>,
) -> Result<Child, Error> {
    let child = testing::load_self(&["pager", way, &slots[0], &slots[1]]);
    give(&child, paged)?;
    if let Some(other) = other {
        lend(&child, other, OTHER)?;
    }
    child.start()?;
    Ok(child)
}

fn pagers_that_wait_for_themselves() -> Result<(), Error> {
    // Its own object: in user code while it serves, and while it does not; in a call; as a source.
    for way in ["touch", "first"] {
        let paged = Paged::new(LENGTH, PagerFlags::NONE)?;
        let slots = slots(&paged)?;
        let pager = start_pager(way, &paged, &slots, Some(&paged.object))?;
        if way == "first" {
            check!("a message", paged.endpoint.call([0; 4]), Err(Error::PartnerGone));
        } else {
            let client = toucher(&paged.object)?.wait()?;
            check!("its client", died_of(&client, ExitKind::PagerGone));
        }
        let report = pager.wait()?;
        check!(format_args!("{way}: {}", report.kind), died_of(&report, ExitKind::PagerCycle));
        check!("where", report.address, OTHER);
    }
    for way in ["call", "source"] {
        let paged = Paged::new(LENGTH, PagerFlags::NONE)?;
        let slots = slots(&paged)?;
        let pager = start_pager(way, &paged, &slots, Some(&paged.object))?;
        let client = toucher(&paged.object)?.wait()?;
        check!(format_args!("{way}: its client"), testing::exited_with(&client, 5));
        check!("stop", paged.endpoint.call([0, 3, 0, 0]).is_ok());
        check!("the pager", testing::exited_with(&pager.wait()?, 7));
    }
    // A younger pager may need an older one, and gets its page.
    let (older, younger) =
        (Paged::new(LENGTH, PagerFlags::NONE)?, Paged::new(LENGTH, PagerFlags::NONE)?);
    let slots = slots(&older)?;
    let first = start_pager("supply", &older, &slots, None)?;
    let second = start_pager("touch", &younger, &slots, Some(&older.object))?;
    let client = toucher(&younger.object)?.wait()?;
    check!("by two pagers", testing::exited_with(&client, 6));
    for (paged, pager) in [(&older, first), (&younger, second)] {
        check!("stop", paged.endpoint.call([0, 3, 0, 0]).is_ok());
        check!("the pager", testing::exited_with(&pager.wait()?, 7));
    }
    // Each needs the other: the older one is refused, whoever was asked first.
    for from_older in [true, false] {
        let (older, younger) =
            (Paged::new(LENGTH, PagerFlags::NONE)?, Paged::new(LENGTH, PagerFlags::NONE)?);
        let first = start_pager("touch", &older, &slots, Some(&younger.object))?;
        let second = start_pager("touch", &younger, &slots, Some(&older.object))?;
        let asked = if from_older { &older } else { &younger };
        let client = toucher(&asked.object)?.wait()?;
        check!("the client of a circle", died_of(&client, ExitKind::PagerGone));
        check!("the older one", died_of(&first.wait()?, ExitKind::PagerCycle));
        if from_older {
            check!("stop", younger.endpoint.call([0, 3, 0, 0]).is_ok());
            check!("the younger one", testing::exited_with(&second.wait()?, 7));
        } else {
            check!("the younger one", died_of(&second.wait()?, ExitKind::PagerGone));
        }
    }
    Ok(())
}

/// Clients that are killed before and after their wish was received, and while they wait for another's, in user
/// code and in a call: none of them asks again.
fn clients_that_go() -> Result<(), Error> {
    for round in 0..ROUNDS {
        let paged = Paged::new(LENGTH, PagerFlags::NONE)?;
        let clients = ["move", "touch", "touch"].map(|way| client(way, &paged.object));
        let clients = clients.into_iter().collect::<Result<Vec<Child>, Error>>()?;
        let received = round % 2 == 0;
        if received {
            let wish = paged.endpoint.receive()?.wish().map(|wish| wish.offset);
            check!("a wish", wish, Some(0));
        }
        (0..3 * round).for_each(|_| calls::yield_now());
        // Who asks is among them, or a third one does now.
        for client in &clients[..2] {
            check!("kill", client.process.kill(), Ok(()));
        }
        let mut clients = clients.into_iter();
        for client in clients.by_ref().take(2) {
            check!("the killed", died_of(&client.wait()?, ExitKind::Killed));
        }
        let own = Mapping::anonymous(PAGE)?;
        own.write(0, 3);
        // The wish that was received may be the last one's, or nobody's by now.
        let mut answered = received && calls::endpoint_reply(None, [0; 4]).is_ok();
        while !answered {
            check!(
                "the next asks",
                paged.endpoint.receive().map(|it| it.wish().is_some()),
                Ok(true)
            );
            let supplied = paged.object.supply(0, (&own, 0..PAGE), Supply::Move, SupplyFlags::NONE);
            check!("supplied", supplied, (PAGE_SIZE, Ok(())));
            answered = calls::endpoint_reply(None, [0; 4]).is_ok();
        }
        let last = clients.next().ok_or(Error::InvalidState)?;
        if paged.object.query()?.frames == 0 {
            // It was its wish, which was not fulfilled: it asks again.
            check!("asked again", paged.endpoint.receive().map(|it| it.wish().is_some()), Ok(true));
            let supplied = paged.object.supply(0, (&own, 0..PAGE), Supply::Move, SupplyFlags::NONE);
            check!("supplied", supplied, (PAGE_SIZE, Ok(())));
            check!("answered", calls::endpoint_reply(None, [0; 4]), Ok(()));
        }
        check!("the last one", testing::exited_with(&last.wait()?, 3));
    }
    Ok(())
}
