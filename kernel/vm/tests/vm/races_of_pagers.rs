//! What several virtual CPUs see of pages that one of them supplies.

use crate::explored::{Explored, Race, change, cpu, explore, finish, on_cpus, options};
use crate::support::{HERE, Object, READ, RW, RWT, new_space, range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vellum_abi::{ExitKind, MapFlags, PAGE_SIZE, PageState, PagerFlags};
use vellum_model::Family;
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::Progress;

/// Where the pager's own pages are.
const OWN: u64 = HERE + 64 * PAGE_SIZE;

fn own(number: u64) -> Page {
    Page::containing(OWN + number * PAGE_SIZE)
}

/// An object mapped at [`HERE`], and pages of the pager's own with their number in each.
fn scene(flags: PagerFlags) -> (Arc<Race>, Object<Explored>) {
    let rig = Arc::new(Race::with(options()));
    let (model, account) = (rig.model.clone(), rig.account.clone());
    let object = MemoryObject::paged(model, account, 4 * PAGE_SIZE, flags, 0);
    let object = rig.share(object.expect("memory"));
    rig.map(&object, HERE, 2, RW);
    rig.map(&rig.tagged(0), OWN, 4, RW);
    (0..4).for_each(|number| {
        rig.store(0, OWN + number * PAGE_SIZE, 10 + number as u8).expect("a frame");
    });
    (rig, object)
}

/// Waits until somebody asks for a page.
fn wait_for_wish(object: &Object<Explored>, index: u64) {
    while !object.is_requested(index) {
        Explored::wait();
    }
}

#[test]
fn several_who_fault_on_one_page_ask_once() {
    explore(|| {
        let (rig, object) = scene(PagerFlags::NONE);
        let asked = Arc::new(AtomicU64::new(0));
        let touch = || {
            let asked = asked.clone();
            cpu(&rig, move |rig, _| {
                let pointer = UserPointer::new(HERE);
                while rig.space.handle_fault_at(pointer, READ) == Outcome::Absent {
                    match rig.space.request_page(pointer, READ) {
                        Ok(request) => {
                            asked.fetch_add(u64::from(request.wish().is_some()), Ordering::Relaxed);
                            while request.is_pending() {
                                Explored::wait();
                            }
                            _ = request.withdraw();
                        }
                        Err(other) => assert_eq!(other, Outcome::Resume),
                    }
                }
            })
        };
        let pages = object.clone();
        let supply = cpu(&rig, move |rig, _| {
            wait_for_wish(&pages, 0);
            pages.supply_move(0, &rig.space, own(1), false).expect("supplied");
        });
        on_cpus(vec![touch(), touch(), supply]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!([rig.load(0, HERE), rig.load(0, OWN + PAGE_SIZE)], [Ok(11), Ok(0)]);
        drop(object);
        finish(rig);
    });
}

#[test]
fn of_two_who_supply_a_page_one_does() {
    explore(|| {
        let (rig, object) = scene(PagerFlags::NONE);
        let supplied = Arc::new(AtomicU64::new(0));
        let supply = |moves: bool| {
            let (pages, supplied) = (object.clone(), supplied.clone());
            cpu(&rig, move |rig, number| {
                let source = own(number as u64);
                let done = if moves {
                    pages.supply_move(0, &rig.space, source, false)
                } else {
                    pages.supply_copy(0, &rig.space, source, false)
                };
                match done {
                    Ok(_) => _ = supplied.fetch_add(number as u64, Ordering::Relaxed),
                    Err(refusal) => assert_eq!(refusal, Refusal::Error(VmError::PagePresent)),
                }
            })
        };
        let load = cpu(&rig, |rig, cpu| {
            let byte = rig.load(cpu, HERE);
            assert!(byte == Ok(11) || byte == Ok(12), "{byte:?}");
        });
        on_cpus(vec![supply(false), supply(true), load]);
        let winner = supplied.load(Ordering::Relaxed) as u8;
        assert_eq!(rig.load(0, HERE), Ok(10 + winner));
        drop(object);
        finish(rig);
    });
}

/// The page is whole when it appears, whatever else the pager's threads do with the page that moves.
#[test]
fn a_page_that_moves_is_nobody_elses_afterwards() {
    explore(|| {
        let (rig, object) = scene(PagerFlags::NONE);
        let child = new_space(&rig.model, &rig.account);
        let mut cloning = rig.space.clone_space().expect("at rest");
        while cloning.run(&rig.space, &child).expect("memory") == Progress::Paused {}
        let pages = object.clone();
        let supply = cpu(&rig, move |rig, _| {
            let done = pages.supply_move(0, &rig.space, own(1), false);
            assert!(done.is_ok() || done == Err(Refusal::Changing), "{done:?}");
            if done.is_err() {
                pages.poison(0).expect("absent");
            }
        });
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, OWN + PAGE_SIZE + 1, 5).expect("a frame");
            match rig.load(cpu, HERE) {
                Ok(byte) => assert_eq!(byte, 11),
                Err(kind) => assert_eq!(kind, ExitKind::PagePoisoned),
            }
        };
        let leave = move |_: &Race, _: usize| {
            let mut teardown = child.teardown().expect("at rest");
            while !teardown.step(&child) {}
        };
        on_cpus(vec![supply, cpu(&rig, store), cpu(&rig, leave)]);
        drop(object);
        finish(rig);
    });
}

/// Whoever finds that the page has left the supplier finds it counted there no more.
#[test]
fn a_page_that_moves_is_counted_where_it_is() {
    explore(|| {
        let (rig, object) = scene(PagerFlags::NONE);
        let pages = object.clone();
        let supply = cpu(&rig, move |rig, _| {
            pages.supply_move(0, &rig.space, own(1), false).expect("supplied");
        });
        let look = cpu(&rig, |rig, _| {
            let is_there =
                rig.space.query(own(1)).expect("mapped").page == PageState::Private as u64;
            assert!(is_there || rig.stat().private_frames == 3, "a page that is gone is counted");
        });
        on_cpus(vec![supply, look]);
        drop(object);
        finish(rig);
    });
}

/// Askers that are ended take their request back, and others ask; a page is supplied meanwhile.
#[test]
fn a_request_that_is_withdrawn_leaves_the_page_to_the_next() {
    explore(|| {
        let (rig, object) = scene(PagerFlags::NONE);
        let pages = object.clone();
        let killed = cpu(&rig, move |rig, _| {
            let pointer = UserPointer::new(HERE);
            if let Ok(request) = rig.space.request_page(pointer, READ) {
                Explored::step();
                _ = request.withdraw();
            }
            drop(pages);
        });
        let pages = object.clone();
        let supply = cpu(&rig, move |rig, _| {
            wait_for_wish(&pages, 0);
            pages.supply_copy(0, &rig.space, own(2), false).expect("supplied");
        });
        let touch = cpu(&rig, |rig, cpu| assert_eq!(rig.load(cpu, HERE), Ok(12)));
        on_cpus(vec![killed, supply, touch]);
        assert!(!object.is_requested(0));
        drop(object);
        finish(rig);
    });
}

#[test]
fn a_mapping_may_go_while_its_page_is_asked_for() {
    explore(|| {
        let (rig, object) = scene(PagerFlags::NONE);
        let pages = object.clone();
        let supply = cpu(&rig, move |rig, _| {
            pages.supply_move(0, &rig.space, own(2), false).expect("supplied");
        });
        let touch = cpu(&rig, |rig, cpu| {
            let loaded = rig.load(cpu, HERE);
            assert!(loaded == Ok(12) || loaded == Err(ExitKind::NotMapped), "{loaded:?}");
        });
        let unmap = cpu(&rig, |rig, _| {
            change(rig, |space| space.unmap(range(HERE, 1))).expect("mapped");
        });
        // The mapping may be the last to hold it.
        drop(object);
        on_cpus(vec![supply, touch, unmap]);
        finish(rig);
    });
}

#[test]
fn no_store_reaches_a_watched_page_before_it_is_allowed() {
    explore(|| {
        let (rig, object) = scene(PagerFlags::WRITABLE);
        let flags = MapFlags::SHARED | MapFlags::FIXED | MapFlags::REPLACE;
        rig.try_map(&object, HERE, 1, RW, flags).expect("a mapping");
        object.supply_copy(0, &rig.space, own(3), true).expect("supplied");
        let allowed = Arc::new(AtomicU64::new(0));
        let (pages, allows) = (object.clone(), allowed.clone());
        let allow = cpu(&rig, move |_, _| {
            wait_for_wish(&pages, 0);
            allows.store(1, Ordering::SeqCst);
            pages.allow_stores(0).expect("watched");
        });
        let store = cpu(&rig, move |rig, cpu| {
            assert_eq!(rig.load(cpu, HERE), Ok(13));
            rig.store(cpu, HERE + 1, 1).expect("allowed");
            assert_eq!(allowed.load(Ordering::SeqCst), 1);
        });
        let protect = cpu(&rig, |rig, _| {
            change(rig, |space| space.protect(range(HERE, 1), RWT)).expect("mapped");
            change(rig, |space| space.protect(range(HERE, 1), RW)).expect("mapped");
        });
        on_cpus(vec![allow, store, protect]);
        assert_eq!(rig.load(0, HERE + 1), Ok(1));
        drop(object);
        finish(rig);
    });
}
