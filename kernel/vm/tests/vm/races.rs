//! What several virtual CPUs do to the same pages at once, under every kind of schedule.

use crate::explored::{BUSY, Explored, Race, change, cpu, explore, finish, on_cpus, options};
use crate::support::{HERE, RW, RWT, range, user};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vellum_abi::{ExitKind, MapFlags, MapOptions, PAGE_SIZE, Protection};
use vellum_model::{Family, Model};
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::asid::AsidAllocator;
use vellum_vm::machine::Machine;
use vellum_vm::ops::{AccessRefusal, MapRequest};
use vellum_vm::refpage;

#[test]
fn row_30_two_cpus_store_to_one_untouched_page() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 1, RW);
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, HERE + cpu as u64, cpu as u8).expect("a frame");
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, store), cpu(&rig, store)]);
        let stat = rig.stat();
        assert_eq!((stat.private_frames, stat.faults_write_fresh), (1, 1));
        assert_eq!(stat.bytes_filled, PAGE_SIZE, "only what was published counts");
        let bytes = [0, 1, 2, 3, 4].map(|offset| rig.load(0, HERE + offset));
        assert_eq!(bytes, [7, 1, 2, 3, 7].map(Ok));
        finish(rig);
    });
}

#[test]
fn row_30_a_cpu_that_meets_a_broken_leaf_waits_for_the_new_one() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 1, RW);
        rig.load(0, HERE).expect("mapped");
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, HERE + cpu as u64, cpu as u8).expect("a frame");
        };
        let load = |rig: &Race, cpu: usize| {
            assert_eq!(rig.load(cpu, HERE + 9), Ok(7));
            let seen = rig.load(cpu, HERE + 1).expect("mapped");
            assert!(seen == 7 || seen == 1);
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, store), cpu(&rig, load)]);
        let stat = rig.stat();
        assert_eq!((stat.private_frames, stat.faults_write_cow), (1, 1));
        assert_eq!((stat.faults_read_map, stat.faults_write_fresh), (1, 0));
        let bytes = [0, 1, 2, 3].map(|offset| rig.load(0, HERE + offset));
        assert_eq!(bytes, [7, 1, 2, 7].map(Ok));
        finish(rig);
    });
    assert_ne!(BUSY.load(Ordering::Relaxed), 0, "no schedule led into the middle of a break");
}

#[test]
fn row_44_a_page_appears_with_all_its_bytes_and_tags() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.tagged(0), HERE, 1, RWT);
        rig.space.write_page(HERE, &[9; 4096]).expect("a frame");
        rig.store_tag(0, HERE + 4080, 5).expect("a frame");
        let made =
            refpage::from_user(&rig.space, UserPointer::new(HERE), PAGE_SIZE, rig.space.counters());
        rig.map(&rig.share(made.expect("readable")), HERE, 1, RWT);
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, HERE, 1).expect("a frame");
        };
        let load = |rig: &Race, cpu: usize| {
            for _ in 0..3 {
                assert_eq!(rig.load(cpu, (HERE + 4080) | (5 << 56)), Ok(9));
            }
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, load)]);
        assert_eq!((rig.load(0, HERE), rig.load(0, HERE + 1)), (Ok(1), Ok(9)));
        finish(rig);
    });
}

#[test]
fn a_load_on_another_cpu_faults_once_unmap_is_complete() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.tagged(0), HERE, 2, RW);
        rig.store(0, HERE, 1).expect("a frame");
        let unmap = |rig: &Race, cpu: usize| {
            change(rig, |space| space.unmap(range(HERE, 2))).expect("mapped");
            assert_eq!(rig.load(cpu, HERE), Err(ExitKind::NotMapped));
            let other = rig.model.cpu(3 - cpu).load(UserPointer::new(HERE));
            assert!(other.is_err(), "no CPU may still load");
        };
        let load = |rig: &Race, cpu: usize| {
            for page in [0, 1, 0] {
                let loaded = rig.load(cpu, HERE + page * PAGE_SIZE);
                let value = Ok(1 - page as u8);
                assert!(loaded == value || loaded == Err(ExitKind::NotMapped), "{loaded:?}");
            }
        };
        on_cpus(vec![cpu(&rig, unmap), cpu(&rig, load)]);
        assert_eq!((rig.stat().private_frames, rig.stat().pt_frames), (0, 1));
        finish(rig);
    });
}

#[test]
fn a_store_never_comes_after_protect_has_taken_it_away() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 1, RW);
        let protect = |rig: &Race, cpu: usize| {
            change(rig, |space| space.protect(range(HERE, 1), Protection::READ)).expect("mapped");
            let before = rig.load(cpu, HERE);
            Explored::step();
            assert_eq!(rig.load(cpu, HERE), before, "nobody may store any more");
        };
        let store = |rig: &Race, cpu: usize| {
            for byte in 1..4 {
                let stored = rig.store(cpu, HERE, byte);
                assert!(stored.is_ok() || stored == Err(ExitKind::AccessDenied));
            }
        };
        on_cpus(vec![cpu(&rig, protect), cpu(&rig, store)]);
        assert_eq!(rig.store(0, HERE, 1), Err(ExitKind::AccessDenied));
        finish(rig);
    });
}

#[test]
fn stores_and_decommit_leave_every_page_either_stored_or_clean() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 2, RW);
        let decommit = |rig: &Race, _| {
            for _ in 0..2 {
                change(rig, |space| space.decommit(range(HERE, 2))).expect("mapped");
            }
        };
        let store = |rig: &Race, cpu: usize| {
            for page in 0..2 {
                rig.store(cpu, HERE + page * PAGE_SIZE + cpu as u64, 1).expect("a frame");
            }
        };
        on_cpus(vec![cpu(&rig, decommit), cpu(&rig, store), cpu(&rig, store)]);
        for page in 0..2 {
            let base = HERE + page * PAGE_SIZE;
            let bytes = [0, 2, 3, 4].map(|offset| rig.load(0, base + offset).expect("mapped"));
            assert_eq!((bytes[0], bytes[3]), (7, 7));
            assert!(bytes[1..3].iter().all(|byte| [1, 7].contains(byte)));
        }
        finish(rig);
    });
}

#[test]
fn the_kernel_never_writes_a_reference_page_while_its_private_copy_comes_and_goes() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.pattern(7);
        rig.map(&object, HERE, 1, RW);
        rig.map(&object, HERE + 8 * PAGE_SIZE, 1, Protection::READ);
        let write = |rig: &Race, _| {
            for address in [HERE, HERE + 8 * PAGE_SIZE, HERE] {
                match rig.space.write_page(address, &[1]) {
                    Ok(_) | Err(AccessRefusal::Changing) => {}
                    Err(refusal) => assert_ne!(address, HERE, "{refusal:?}"),
                }
            }
        };
        let decommit = |rig: &Race, _| {
            change(rig, |space| space.decommit(range(HERE, 1))).expect("mapped");
        };
        on_cpus(vec![cpu(&rig, write), cpu(&rig, decommit)]);
        assert_eq!(rig.load(0, HERE + 8 * PAGE_SIZE), Ok(7));
        drop(object);
        finish(rig);
    });
}

#[test]
fn two_cpus_that_commit_one_page_of_a_memory_object_share_it() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.memory(600);
        let shared = MapFlags::FIXED | MapFlags::SHARED;
        rig.try_map(&object, HERE, 600, RWT, shared).expect("room");
        rig.map(&object, HERE + (1 << 30), 600, RW);
        let page = HERE + 520 * PAGE_SIZE;
        let store = move |rig: &Race, cpu: usize| {
            rig.store(cpu, page + cpu as u64, cpu as u8).expect("a frame");
            rig.store_tag(cpu, page + 16 * cpu as u64, cpu as u64).expect("a frame");
        };
        let private = move |rig: &Race, cpu: usize| {
            rig.store(cpu, page + (1 << 30), 9).expect("a frame");
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, store), cpu(&rig, private)]);
        let bytes = [0, 1, 2].map(|offset| rig.load(0, page + offset));
        assert_eq!(bytes, [Ok(0), Ok(1), Ok(2)]);
        let tags = [0, 16, 32].map(|offset| rig.load_tag(0, page + offset));
        assert_eq!(tags, [Ok(0), Ok(1), Ok(2)], "no tag was cleared behind its store");
        assert_eq!((object.info(0).frames, rig.stat().private_frames), (1, 1));
        drop(object);
        finish(rig);
    });
}

#[test]
fn faults_and_changes_of_neighbouring_pages_do_not_disturb_each_other() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.pattern(7);
        rig.map(&object, HERE, 8, RW);
        rig.store(0, HERE, 3).expect("a frame");
        let replace = |rig: &Race, _| {
            change(rig, |space| space.unmap(range(HERE, 4))).expect("mapped");
            let other = rig.tagged(0);
            rig.map(&other, HERE, 4, RW);
        };
        let touch = |rig: &Race, cpu: usize| {
            rig.store(cpu, HERE + 5 * PAGE_SIZE, 1).expect("a frame");
            let seen = rig.load(cpu, HERE);
            assert!([Ok(3), Ok(0), Err(ExitKind::NotMapped)].contains(&seen), "{seen:?}");
            assert_eq!(rig.load(cpu, HERE + 6 * PAGE_SIZE), Ok(7));
        };
        on_cpus(vec![cpu(&rig, replace), cpu(&rig, touch)]);
        assert_eq!((rig.load(0, HERE), rig.load(0, HERE + 5 * PAGE_SIZE)), (Ok(0), Ok(1)));
        drop(object);
        finish(rig);
    });
}

#[test]
fn a_table_is_installed_only_below_a_table_that_is_still_there() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.pattern(7);
        rig.map(&object, HERE, 1, RW);
        let touch = |rig: &Race, cpu: usize| {
            let seen = rig.load(cpu, HERE);
            assert!([Ok(7), Err(ExitKind::NotMapped)].contains(&seen), "{seen:?}");
        };
        let unmap = |rig: &Race, _| {
            change(rig, |space| space.unmap(range(HERE, 1))).expect("mapped");
        };
        on_cpus(vec![cpu(&rig, touch), cpu(&rig, unmap)]);
        assert_eq!(rig.stat().pt_frames, 1);
        drop(object);
        finish(rig);
    });
}

#[test]
fn an_identifier_that_is_given_during_a_flush_is_flushed_too() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.pattern(7);
        let other = Arc::new(rig.beside(&rig.account));
        other.map(&object, HERE, 1, RW);
        other.space.write_page(HERE, &[1]).expect("a frame");
        let asids = AsidAllocator::<Model<Explored>>::new();
        let (mine, theirs) = (other.clone(), other.clone());
        let decommit = move |_: &Race, _: usize| {
            change(&mine, |space| space.decommit(range(HERE, 1))).expect("mapped");
        };
        let enter = move |rig: &Race, cpu: usize| {
            rig.model.cpu(cpu).park();
            asids.activate(&rig.model, cpu, theirs.space.asid_slot(), |asid| {
                rig.model.cpu(cpu).activate(theirs.space.root(), asid);
            });
            rig.model.cpu(cpu).speculate(Page::containing(HERE));
            Explored::step();
            rig.model.cpu(cpu).park();
        };
        on_cpus(vec![cpu(&rig, decommit), cpu(&rig, enter)]);
        rig.model.audit(&[other.space.root()]);
        drop((other, object));
        finish(rig);
    });
}

/// Two CPUs, five address spaces, three identifiers: generations begin while the other CPU is anywhere.
#[test]
fn identifiers_change_hands_while_pages_are_unmapped() {
    const SPACES: usize = 5;
    const BITS: u32 = 2;
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let spaces: Arc<Vec<_>> = Arc::new((0..SPACES).map(|_| rig.beside(&rig.account)).collect());
        let asids = Arc::new(AsidAllocator::<Model<Explored>>::with_bits(BITS));
        let object = rig.pattern(7);
        spaces.iter().for_each(|other| other.map(&object, HERE, 2, RW));
        rig.model.park_all();
        let body = |first: usize| {
            let (spaces, asids) = (spaces.clone(), asids.clone());
            cpu(&rig, move |rig: &Race, cpu: usize| {
                let own = rig.model.cpu(cpu);
                for turn in 0..4 {
                    let other = &spaces[(first + turn) % SPACES];
                    asids.activate(&rig.model, cpu, other.space.asid_slot(), |asid| {
                        own.speculate(Page::containing(HERE));
                        own.activate(other.space.root(), asid);
                    });
                    own.speculate(Page::containing(HERE));
                    let pointer = UserPointer::new(HERE);
                    let stored = user(&other.space, || own.store(pointer, 1));
                    stored.expect("a frame");
                    change(other, |space| space.decommit(range(HERE, 1))).expect("mapped");
                }
                own.park();
                asids.deactivate(cpu);
            })
        };
        on_cpus(vec![body(0), body(3)]);
        let roots: Vec<_> = spaces.iter().map(|other| other.space.root()).collect();
        rig.model.audit(&roots);
        drop((spaces, object));
        finish(rig);
    });
}

/// Three address spaces have the three identifiers: a CPU goes from one to the next and back, which takes no
/// new identifier, while another CPU needs one for a fourth.
#[test]
fn a_generation_begins_while_a_cpu_changes_address_spaces() {
    const BITS: u32 = 2;
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let spaces: Arc<Vec<_>> = Arc::new((0..4).map(|_| rig.beside(&rig.account)).collect());
        let asids = Arc::new(AsidAllocator::<Model<Explored>>::with_bits(BITS));
        let all_taken = Arc::new(AtomicBool::new(false));
        let object = rig.pattern(7);
        spaces.iter().for_each(|other| other.map(&object, HERE, 1, RW));
        // A table walk finds something to keep.
        for other in spaces.iter() {
            other.space.write_page(HERE, &[1]).expect("a frame");
        }
        rig.model.park_all();
        let body = |order: &'static [usize]| {
            let (spaces, asids, all_taken) = (spaces.clone(), asids.clone(), all_taken.clone());
            cpu(&rig, move |rig: &Race, cpu: usize| {
                let own = rig.model.cpu(cpu);
                while order.len() == 1 && !all_taken.load(Ordering::Relaxed) {
                    Explored::wait();
                }
                for (turn, space) in order.iter().enumerate() {
                    let space = &spaces[*space].space;
                    asids.activate(&rig.model, cpu, space.asid_slot(), |asid| {
                        own.activate(space.root(), asid);
                    });
                    own.speculate(Page::containing(HERE));
                    all_taken.fetch_or(turn == 2, Ordering::Relaxed);
                }
                own.park();
                asids.deactivate(cpu);
            })
        };
        on_cpus(vec![body(&[0, 1, 2, 0, 1, 2, 0, 1]), body(&[3])]);
        drop((spaces, object));
        finish(rig);
    });
}

#[test]
fn row_54_the_last_user_of_a_tag_goes_while_another_comes() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let zero = rig.tagged(0);
        let flags = MapFlags::FIXED | MapFlags::TAG_HINT;
        let come_and_go = move |rig: &Race, cpu: usize| {
            let address = HERE + cpu as u64 * PAGE_SIZE;
            let options = MapOptions { protection: RWT, flags, tag: 5, ..MapOptions::default() };
            let (object, length, maximum) = (zero.clone(), PAGE_SIZE, Protection::ALL);
            let request = MapRequest { object, address, length, offset: 0, options, maximum };
            for _ in 0..2 {
                // The other's unmapping may be under way.
                while rig.space.map(&request).is_err() {
                    Explored::wait();
                }
                assert_eq!(rig.load_tag(cpu, address + 16), Ok(5));
                change(rig, |space| space.unmap(range(address, 1))).expect("mapped");
            }
        };
        on_cpus(vec![cpu(&rig, come_and_go.clone()), cpu(&rig, come_and_go)]);
        assert_eq!(rig.model.system().refpages(), 0, "gone with the last user");
        assert_eq!(rig.model.tag_pages().account().frames(), 0);
        finish(rig);
    });
}
