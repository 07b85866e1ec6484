//! Pagers: what is asked, each way to supply pages, one at a time and several, merged wishes, stores to
//! watched pages, and the kernel's own accesses.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vellum_user::abi::{
    Action, Error, FaultAccess, Handle, ObjectKind, PAGE_SIZE, PageState, PageWish, PagerFlags,
    Policy, Supply, SupplyFlags, WaitFlags, WishKind,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::testing::{Contended, Paged};
use vellum_user::threads::{Joined, scoped, spawn};
use vellum_user::{Arguments, Endpoint, Mapping, MemoryObject, calls, check, system, testing};

vellum_user::test!(main);

const PAGES: usize = 64;
const LENGTH: usize = PAGES * PAGE;
const NONE: SupplyFlags = SupplyFlags::NONE;
const PAGE_BYTES: u64 = PAGE_SIZE;

fn main(_: &Arguments) -> Result<(), Error> {
    // What the heap and the tables take once stays.
    drop((spawn(|| 0)?, Endpoint::new()?));
    drop(Paged::new(PAGE_BYTES, PagerFlags::NONE)?);
    let before = testing::at_rest();
    each_fault_says_what_it_wants()?;
    copies_and_moves()?;
    reference_pages_and_poison()?;
    several_pages_at_once()?;
    threads_that_fault_together_ask_once()?;
    stores_to_watched_pages()?;
    the_kernel_asks_too()?;
    who_is_not_helped_asks_again()?;
    a_refusal_is_of_one_page()?;
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(())
}

/// Maps pages that the pager's thread and the others use in turns.
fn own(length: usize) -> Result<Contended<Mapping>, Error> {
    // SAFETY: no Rust value lives in a mapping.
    Ok(unsafe { Contended::new(Mapping::anonymous(length)?) })
}

/// Maps an object privately, for several threads.
fn private(paged: &Paged) -> Result<Contended<Mapping>, Error> {
    // SAFETY: as above.
    Ok(unsafe { Contended::new(Mapping::private(&paged.object, LENGTH)?) })
}

/// Supplies a page with a copy of one full of its number plus one.
fn copy(paged: &Paged, own: &Mapping, wish: PageWish) -> Action {
    own.fill(1 + (wish.offset / PAGE_BYTES) as u8);
    let supplied = paged.object.supply(wish.offset, (own, 0..PAGE), Supply::Copy, NONE);
    check!("supplied", supplied, (PAGE_BYTES, Ok(())));
    Action::Resume
}

fn each_fault_says_what_it_wants() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    let info = paged.object.query()?;
    check!(
        "kind",
        (info.kind, info.length, info.frames),
        (ObjectKind::Paged as u64, LENGTH as u64, 0)
    );
    let (own, pages) = (own(PAGE)?, private(&paged)?);
    let seen: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
    let serve = |wish: PageWish| {
        let words = [wish.offset, wish.access as u64, wish.address, wish.pages];
        seen.iter().zip(words).for_each(|(seen, word)| seen.store(word, Ordering::Relaxed));
        check!("what is wanted", wish.kind, WishKind::Page);
        // Whoever wants a page does not open itself to the pager, as to a handler.
        let registers = calls::thread_read_registers(Handle::CALLER).err();
        check!("its registers", registers, Some(Error::BadHandle));
        let (_, read) = calls::memory_read(Handle::CALLER, wish.address, &mut [0]);
        check!("its memory", read, Err(Error::BadHandle));
        copy(&paged, &own, wish)
    };
    let told = || seen.each_ref().map(|word| word.load(Ordering::Relaxed));
    let wishes = paged.serving(serve, || {
        check!("a byte", pages.read(5 * PAGE + 9), 6);
        let address = pages.pointer(5 * PAGE + 9).addr() as u64;
        let (read, write) = (FaultAccess::Read as u64, FaultAccess::Write as u64);
        check!("of a load", told(), [5 * PAGE_BYTES, read, address, 59]);
        pages.write(63 * PAGE + 4095, 1);
        let address = pages.pointer(63 * PAGE + 4095).addr() as u64;
        check!("of a store", told(), [63 * PAGE_BYTES, write, address, 1]);
        check!("the rest of the page", pages.read(63 * PAGE), 64);
        check!("private", pages.page_state(63 * PAGE), PageState::Private);
        check!("a page that is there", pages.read(5 * PAGE), 6);
        let again = Mapping::private(&paged.object, LENGTH).expect("a mapping");
        check!("in another mapping too", (again.read(5 * PAGE), again.read(63 * PAGE)), (6, 64));
    });
    check!("wishes", wishes, 2);
    check!("frames of the object", paged.object.query()?.frames, 2);
    if system::tags_supported() {
        let tagged = MapRequest::of(paged.object.handle(), LENGTH).tagged().map()?;
        let wishes = paged.serving(serve, || {
            _ = tagged.read_as(0, 7 * PAGE);
        });
        check!("a tagged mapping asks", (wishes, tagged.tag(7 * PAGE)), (1, 0));
    }
    Ok(())
}

fn copies_and_moves() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    let request = MapRequest::of(paged.object.handle(), LENGTH).under(Policy::UserPager);
    let (own, pages) = (own(PAGE)?, request.map()?);
    let moves = |wish: PageWish| {
        own.write(0, 100 + (wish.offset / PAGE_BYTES) as u8);
        let private = testing::stat().private_frames;
        let supplied = paged.object.supply(wish.offset, (&own, 0..PAGE), Supply::Move, NONE);
        check!("moved", supplied, (PAGE_BYTES, Ok(())));
        check!("the page is gone", testing::stat().private_frames, private - 1);
        check!("and reads as its object", own.read(0), 0);
        Action::Retry
    };
    let change = testing::measure(|| {
        let wishes = paged.serving(moves, || {
            (0..4).for_each(|page| _ = check!("a byte", pages.read(page * PAGE), 100 + page as u8));
        });
        check!("wishes", wishes, 4);
    });
    check!("bytes copied", change.bytes_copied, 0);
    let change = testing::measure(|| {
        paged.serving(
            |wish| copy(&paged, &own, wish),
            || {
                (4..6)
                    .for_each(|page| _ = check!("a byte", pages.read(page * PAGE), 1 + page as u8));
            },
        );
    });
    check!("bytes copied", change.bytes_copied, 2 * PAGE as i64);
    Ok(())
}

fn reference_pages_and_poison() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    let pages = Mapping::private(&paged.object, LENGTH)?;
    let pattern = MemoryObject::pattern(0xaa)?;
    paged.object.supply_reference(0, 32 * PAGE_BYTES, &pattern)?;
    let change = testing::measure(|| {
        (0..32).for_each(|page| _ = check!("a byte", pages.read(page * PAGE + 1), 0xaa));
    });
    check!("one frame serves all", (change.private_frames, change.faults_read_map), (0, 32));
    check!("the object has none of its own", paged.object.query()?.frames, 0);
    let change = testing::measure(|| pages.write(3, 1));
    let filled = (change.bytes_filled, change.bytes_copied);
    check!("filled by strategy", filled, (PAGE as i64, 0));
    drop(pattern);
    check!("the object keeps it", pages.read(31 * PAGE), 0xaa);
    let whole = paged.object.poison(31 * PAGE_BYTES, 2 * PAGE_BYTES);
    check!("a page that is there", whole, Err(Error::PagePresent));
    paged.object.poison(32 * PAGE_BYTES, PAGE_BYTES)?;
    let (bytes, read) =
        calls::memory_read(Handle::SELF, pages.pointer(32 * PAGE - 8).addr() as u64, &mut [0; 16]);
    check!("up to the poisoned page", (bytes, read), (8, Err(Error::PagePoisoned)));
    check!(
        "of its making",
        calls::refpage_create(pages.pointer(32 * PAGE), 16, 0).err(),
        Some(Error::PagePoisoned)
    );
    // Where stores are shared, each page is filled.
    let paged = Paged::new(LENGTH as u64, PagerFlags::WRITABLE)?;
    let shared = MapRequest::of(paged.object.handle(), LENGTH).shared().map()?;
    let pattern = MemoryObject::pattern(0x55)?;
    paged.object.supply_reference(0, 2 * PAGE_BYTES, &pattern)?;
    shared.write(0, 1);
    let beside = Mapping::private(&paged.object, LENGTH)?;
    check!(
        "the store is seen",
        (beside.read(0), beside.read(1), beside.read(PAGE)),
        (1, 0x55, 0x55)
    );
    check!("frames", paged.object.query()?.frames, 2);
    Ok(())
}

fn several_pages_at_once() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    let (own, pages) = (own(LENGTH)?, private(&paged)?);
    let ahead = |wish: PageWish| {
        check!("what may be wanted next", wish.pages, (LENGTH as u64 - wish.offset) / PAGE_BYTES);
        let range = wish.offset as usize..LENGTH.min(wish.offset as usize + 16 * PAGE);
        range.clone().step_by(PAGE).for_each(|at| own.write(at, 1 + (at / PAGE) as u8));
        let how = if wish.offset == 0 { Supply::Copy } else { Supply::Move };
        let length = range.len() as u64;
        check!(
            "supplied",
            paged.object.supply(wish.offset, (&own, range), how, NONE),
            (length, Ok(()))
        );
        Action::Resume
    };
    let wishes = paged.serving(ahead, || {
        (0..PAGES).for_each(|page| _ = check!("a byte", pages.read(page * PAGE), 1 + page as u8));
    });
    check!("wishes", wishes, 4);
    // Half of them are there already: the call says how many it supplied.
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    paged.object.poison(2 * PAGE_BYTES, PAGE_BYTES)?;
    let half = paged.object.supply(0, (&own, 0..4 * PAGE), Supply::Copy, NONE);
    check!("up to the page that is there", half, (2 * PAGE_BYTES, Err(Error::PagePresent)));
    let beyond = paged.object.supply(LENGTH as u64, (&own, 0..PAGE), Supply::Copy, NONE);
    check!("beyond the end", beyond, (0, Err(Error::BeyondEnd)));
    Ok(())
}

fn threads_that_fault_together_ask_once() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    let (own, pages) = (own(PAGE)?, private(&paged)?);
    let arrived = AtomicU64::new(0);
    let serve = |wish: PageWish| {
        // All are here, and had time to fault.
        while arrived.load(Ordering::Acquire) < 4 * (1 + wish.offset / PAGE_BYTES) {
            calls::yield_now();
        }
        (0..20).for_each(|_| calls::yield_now());
        copy(&paged, &own, wish)
    };
    let client = || {
        for page in 0..16 {
            arrived.fetch_add(1, Ordering::AcqRel);
            // Nobody goes on to the next page before all have asked for this.
            check!("a byte", pages.read(page * PAGE), 1 + page as u8);
            while arrived.load(Ordering::Acquire) < 4 * (1 + page as u64) {
                calls::yield_now();
            }
        }
    };
    let wishes = paged.serving(serve, || {
        // SAFETY: dropped before what they borrow.
        let others: Vec<Joined<'_, ()>> =
            (0..3).map(|_| unsafe { scoped(client) }.expect("a thread")).collect();
        client();
        drop(others);
    });
    check!("one wish a page", wishes, 16);
    Ok(())
}

fn stores_to_watched_pages() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::WRITABLE)?;
    let shared = MapRequest::of(paged.object.handle(), LENGTH).shared().map()?;
    let beside = MapRequest::of(paged.object.handle(), LENGTH).shared().map()?;
    let (own, stores) = (own(PAGE)?, AtomicU64::new(0));
    let serve = |wish: PageWish| {
        if wish.kind == WishKind::Store {
            stores.fetch_add(1, Ordering::Relaxed);
            check!("allowed", paged.object.allow(wish.offset, PAGE_BYTES), Ok(()));
        } else {
            own.write(0, 7);
            let watch = SupplyFlags::WATCH;
            let supplied = paged.object.supply(wish.offset, (&own, 0..PAGE), Supply::Copy, watch);
            check!("supplied", supplied, (PAGE_BYTES, Ok(())));
        }
        Action::Resume
    };
    let wishes = paged.serving(serve, || {
        check!("a load", (shared.read(0), beside.read(0)), (7, 7));
        check!("asks for no store", stores.load(Ordering::Relaxed), 0);
        shared.write(1, 1);
        check!("a store does", stores.load(Ordering::Relaxed), 1);
        beside.write(2, 2);
        shared.write(3, 3);
        check!("once", stores.load(Ordering::Relaxed), 1);
        check!("the page", [0, 1, 2, 3].map(|offset| beside.read(offset)), [7, 1, 2, 3]);
        // A store to an absent page asks for the page, and then for the store.
        shared.write(PAGE, 1);
        check!("a store first", stores.load(Ordering::Relaxed), 2);
        let word = shared.pointer(2 * PAGE).addr() as u64;
        // SAFETY: no Rust value lives in the mapping.
        let (bytes, written) = unsafe { calls::memory_write(Handle::SELF, word, &[9; 4]) };
        check!("the kernel's store", (bytes, written, shared.read(2 * PAGE + 3)), (4, Ok(()), 9));
        check!("asks", stores.load(Ordering::Relaxed), 3);
    });
    check!("wishes", wishes, 6);
    check!("nobody watches", paged.object.allow(0, PAGE_BYTES), Err(Error::InvalidState));
    Ok(())
}

/// Calls whose memory is absent wait for its pager, and then go on as if nothing was.
fn the_kernel_asks_too() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::WRITABLE)?;
    let shared = MapRequest::of(paged.object.handle(), LENGTH).shared().map()?;
    let (own, plain) = (own(PAGE)?, Mapping::anonymous(2 * PAGE)?);
    let page = |number: usize| shared.pointer(number * PAGE).addr() as u64;
    let wishes = paged.serving(
        |wish| copy(&paged, &own, wish),
        || {
            let mut bytes = [0; 32];
            let read = calls::memory_read(Handle::SELF, page(1) - 16, &mut bytes);
            check!("from two pages", (read, bytes[15], bytes[16]), ((32, Ok(())), 1, 2));
            let into = shared.pointer(4 * PAGE - 16);
            // SAFETY: no Rust value lives in the mapping.
            let buffer = unsafe { core::slice::from_raw_parts_mut(into, 32) };
            plain.fill(5);
            let read = calls::memory_read(Handle::SELF, plain.address() as u64, buffer);
            check!("into two pages", (read, shared.read(4 * PAGE + 15)), ((32, Ok(())), 5));
            check!("the rest of them", (shared.read(3 * PAGE), shared.read(4 * PAGE + 16)), (4, 5));
            // SAFETY: as above; the bytes stay as they are.
            let buffer = unsafe { core::slice::from_raw_parts(shared.pointer(6 * PAGE - 16), 32) };
            // SAFETY: as above.
            let wrote =
                unsafe { calls::memory_write(Handle::SELF, plain.address() as u64, buffer) };
            check!(
                "from two pages of a buffer",
                (wrote, plain.read(0), plain.read(31)),
                ((32, Ok(())), 6, 7)
            );
            let content = calls::refpage_create(shared.pointer(7 * PAGE), 64, 0);
            check!("content", content.map(calls::handle_close), Ok(Ok(())));
            // SAFETY: no Rust value lives in the mapping, and nobody else uses these bytes.
            let states = unsafe { core::slice::from_raw_parts_mut(shared.pointer(8 * PAGE), 2) };
            let state = calls::query_pages(Handle::SELF, plain.address() as u64, states);
            check!("a record", state, Ok(2));
            // SAFETY: the word lives as long as the mapping.
            let word = unsafe { AtomicU32::from_ptr(shared.pointer(9 * PAGE).cast()) };
            calls::address_wait(word, 0, WaitFlags::NONE);
            check!("a word that is not there yet", word.load(Ordering::Relaxed), 0x0a0a_0a0a);
        },
    );
    check!("wishes", wishes, 9);
    Ok(())
}

fn who_is_not_helped_asks_again() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    let (own, pages) = (own(PAGE)?, private(&paged)?);
    let idle = AtomicU64::new(3);
    let serve = |wish: PageWish| {
        if idle.fetch_sub(1, Ordering::Relaxed) == 0 {
            copy(&paged, &own, wish)
        } else {
            Action::Resume
        }
    };
    let wishes = paged.serving(serve, || _ = check!("a byte", pages.read(PAGE), 2));
    check!("wishes", wishes, 4);
    Ok(())
}

/// A page that is there although it was refused is used, and the refusal says nothing of the next one.
fn a_refusal_is_of_one_page() -> Result<(), Error> {
    let paged = Paged::new(LENGTH as u64, PagerFlags::NONE)?;
    let (own, pages) = (own(PAGE)?, private(&paged)?);
    let serve = |wish: PageWish| {
        copy(&paged, &own, wish);
        if wish.offset == 0 { Action::Kill } else { Action::Resume }
    };
    let wishes = paged.serving(serve, || {
        check!("the page that was refused", pages.read(0), 1);
        check!("the next one", pages.read(PAGE), 2);
    });
    check!("each was asked for once", wishes, 2);
    Ok(())
}
