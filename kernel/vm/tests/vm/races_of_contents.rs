//! What several virtual CPUs see of a page's bytes and tags while they come, change and go.

use crate::explored::{Explored, Race, change, cpu, explore, finish, on_cpus, options};
use crate::support::{HERE, RW, RWT, new_space, range};
use std::sync::Arc;
use vellum_abi::{ExitKind, PAGE_SIZE, Protection};
use vellum_model::{Family, FaultKind};
use vellum_vm::addr::{PageRange, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::ops::{AccessRefusal, Progress};
use vellum_vm::refpage;

/// Where another page with the same object is.
const BESIDE: u64 = HERE + 8 * PAGE_SIZE;

#[test]
fn row_15_a_snapshot_is_what_its_frame_says_whatever_the_content_becomes() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.tagged(0), HERE, 1, RW);
        rig.store(0, HERE, 0).expect("a frame");
        let store = |rig: &Race, cpu: usize| {
            for offset in [0, 2048, 4095] {
                rig.store(cpu, HERE + offset, 7).expect("mapped");
            }
        };
        let snapshot = |rig: &Race, cpu: usize| {
            let made = refpage::from_user(
                &rig.space,
                UserPointer::new(HERE),
                PAGE_SIZE,
                rig.space.counters(),
            );
            let object = rig.share(made.expect("readable"));
            // Filled by its kind and shown by its frame, the content is the same.
            rig.map(&object, BESIDE, 2, RW);
            rig.store(cpu, BESIDE + PAGE_SIZE + 1, 9).expect("a frame");
            for offset in [0, 2048, 4095] {
                let shown = rig.load(cpu, BESIDE + offset);
                assert_eq!(rig.load(cpu, BESIDE + PAGE_SIZE + offset), shown);
            }
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, snapshot)]);
        finish(rig);
    });
}

#[test]
fn row_45_a_page_appears_with_the_tags_of_its_object() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        // Frames that had other tags come back first.
        rig.map(&rig.tagged(0), HERE, 2, RWT);
        for page in 0..2 {
            rig.store_tag(0, HERE + page * PAGE_SIZE, 3).expect("a frame");
        }
        rig.map(&rig.tagged(9), HERE, 2, RWT);
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, (HERE + 4080) | 9 << 56, 1).expect("the object's tag");
        };
        let load = |rig: &Race, cpu: usize| {
            for _ in 0..3 {
                assert_eq!(rig.load_tag(cpu, HERE), Ok(9));
                let byte = rig.load(cpu, (HERE + 4080) | 9 << 56).expect("the object's tag");
                assert!(byte <= 1);
            }
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, load), cpu(&rig, load)]);
        finish(rig);
    });
}

#[test]
fn k11_first_stores_of_tags_on_two_cpus_lose_none() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 1, RWT);
        let store_tag = |rig: &Race, cpu: usize| {
            let granule = HERE + 16 * cpu as u64;
            rig.store_tag(cpu, granule, 4 + cpu as u64).expect("a frame");
            assert_eq!(rig.load(cpu, granule | (4 + cpu as u64) << 56), Ok(7));
        };
        on_cpus(vec![cpu(&rig, store_tag), cpu(&rig, store_tag), cpu(&rig, store_tag)]);
        let tags = [0, 1, 2, 3, 4].map(|granule| rig.load_tag(0, HERE + 16 * granule));
        assert_eq!(tags, [Ok(0), Ok(5), Ok(6), Ok(7), Ok(0)]);
        assert_eq!(rig.stat().private_frames, 1);
        finish(rig);
    });
}

#[test]
fn k2_a_kernel_write_reaches_the_private_page_or_none_while_decommit_runs() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.pattern(7);
        rig.map(&object, HERE, 1, RW);
        rig.map(&object, BESIDE, 1, Protection::READ);
        rig.store(0, HERE, 1).expect("a frame");
        let protect = |rig: &Race, _| {
            change(rig, |space| space.protect(range(HERE, 1), Protection::READ)).expect("mapped");
            change(rig, |space| space.decommit(range(HERE, 1))).expect("mapped");
        };
        let write = |rig: &Race, cpu: usize| {
            for _ in 0..2 {
                match rig.space.write_page(HERE + 1, &[cpu as u8]) {
                    Ok(_) | Err(AccessRefusal::Changing) => {}
                    Err(refusal) => {
                        assert_eq!(refusal, AccessRefusal::Fault(ExitKind::AccessDenied));
                    }
                }
            }
        };
        on_cpus(vec![cpu(&rig, protect), cpu(&rig, write), cpu(&rig, write)]);
        let bytes = [HERE, HERE + 1, BESIDE, BESIDE + 1].map(|address| rig.load(0, address));
        assert_eq!(bytes, [Ok(7); 4], "the page shows its object, which nobody changed");
        assert_eq!(rig.stat().private_frames, 0);
        drop(object);
        finish(rig);
    });
}

#[test]
fn k14_no_cpu_keeps_a_translation_that_another_has_taken_away() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 3, RW);
        for page in 0..3 {
            rig.store(0, HERE + page * PAGE_SIZE, 1).expect("a frame");
        }
        let change = |rig: &Race, _: usize| {
            change(rig, |space| space.protect(range(HERE, 1), Protection::READ)).expect("mapped");
            change(rig, |space| space.decommit(range(HERE + PAGE_SIZE, 1))).expect("mapped");
            change(rig, |space| space.unmap(range(HERE + 2 * PAGE_SIZE, 1))).expect("mapped");
            // Nobody handles a fault here: what still goes through is an old translation.
            for other in 0..4 {
                let other = rig.model.cpu(other);
                let page = |number| UserPointer::new(HERE + number * PAGE_SIZE);
                assert!(other.store(page(0), 9).is_err());
                assert_ne!(other.load(page(1)).ok(), Some(1), "the frame was given back");
                let fault = other.load(page(2)).expect_err("unmapped");
                assert_ne!(fault.kind, FaultKind::TagCheck);
            }
        };
        let touch = |rig: &Race, cpu: usize| {
            for page in [0, 1, 2, 0, 1, 2] {
                let _ = rig.load(cpu, HERE + page * PAGE_SIZE);
            }
        };
        on_cpus(vec![cpu(&rig, change), cpu(&rig, touch), cpu(&rig, touch)]);
        finish(rig);
    });
}

#[test]
fn the_source_of_a_copy_outlives_the_copy() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.tagged(0), HERE, 1, RW);
        rig.store(0, HERE + 1, 5).expect("a frame");
        let made =
            refpage::from_user(&rig.space, UserPointer::new(HERE), PAGE_SIZE, rig.space.counters());
        // The mapping alone keeps the object.
        rig.map(&rig.share(made.expect("readable")), BESIDE, 1, RW);
        let store = |rig: &Race, cpu: usize| {
            let stored = rig.store(cpu, BESIDE, 1);
            assert!(stored.is_ok() || stored == Err(ExitKind::NotMapped), "{stored:?}");
        };
        let unmap = |rig: &Race, cpu: usize| {
            change(rig, |space| space.unmap(range(BESIDE, 1))).expect("mapped");
            // Whoever takes a frame now may get the object's.
            rig.store(cpu, HERE, 1).expect("a frame");
            rig.map(&rig.tagged(0), BESIDE + PAGE_SIZE, 1, RW);
            rig.store(cpu, BESIDE + PAGE_SIZE, 1).expect("a frame");
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, unmap)]);
        finish(rig);
    });
}

#[test]
fn a_clone_is_of_one_moment_whatever_other_cpus_store() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 2, RW);
        rig.store(0, HERE, 0).expect("a frame");
        let store = |rig: &Race, cpu: usize| {
            for byte in 1..4 {
                rig.store(cpu, HERE, byte).expect("a frame");
                rig.store(cpu, HERE + PAGE_SIZE, byte).expect("a frame");
            }
        };
        let clone = |rig: &Race, _: usize| {
            let child = new_space(&rig.model, &rig.account);
            let mut cloning = loop {
                match rig.space.clone_space() {
                    Ok(cloning) => break cloning,
                    Err(Refusal::Changing) => Explored::wait(),
                    Err(refusal) => panic!("{refusal:?}"),
                }
            };
            while cloning.run(&rig.space, &child).expect("memory") == Progress::Paused {}
            let read = |page: u64| {
                let mut byte = [0];
                child.read_page(HERE + page * PAGE_SIZE, &mut byte).expect("mapped");
                byte[0]
            };
            // The second page is stored to behind the first, so it is never newer.
            let before = (read(0), read(1));
            let second = if before.1 == 7 { 0 } else { before.1 };
            assert!(second <= before.0 && before.0 <= second + 1, "{before:?}");
            Explored::step();
            assert_eq!((read(0), read(1)), before, "stores of the parent stay its own");
            child.write_page(HERE, &[99]).expect("a frame");
            let mut teardown = child.teardown().expect("at rest");
            while !teardown.step(&child) {}
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, clone)]);
        assert_eq!((rig.load(0, HERE), rig.load(0, HERE + PAGE_SIZE)), (Ok(3), Ok(3)));
        finish(rig);
    });
}

#[test]
fn teardown_and_faults_leave_nothing() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 4, RW);
        rig.store(0, HERE, 1).expect("a frame");
        let touch = |rig: &Race, cpu: usize| {
            for page in 0..4 {
                let stored = rig.store(cpu, HERE + page * PAGE_SIZE, 1);
                assert!(stored.is_ok() || stored == Err(ExitKind::NotMapped), "{stored:?}");
            }
        };
        let teardown = |rig: &Race, _: usize| {
            change(rig, |space| space.teardown()).expect("open");
            let page = vellum_vm::addr::Page::containing(HERE);
            let fault = rig.space.handle_fault(page, vellum_abi::FaultAccess::Read);
            assert_eq!(fault, Outcome::Die(ExitKind::NotMapped));
            let nothing = rig.space.query(PageRange::whole().start());
            assert_eq!(nothing.err(), Some(VmError::NotMapped.into()));
        };
        on_cpus(vec![cpu(&rig, touch), cpu(&rig, teardown)]);
        assert_eq!((rig.stat().private_frames, rig.stat().pt_frames), (0, 1));
        finish(rig);
    });
}

/// Two threads of a process store to a page whose other owner goes at the same time: whoever comes last
/// must not take hold of a frame that is given back, or somebody else's, by then.
#[test]
fn a_shared_frame_stays_while_anybody_looks_at_its_leaf() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        rig.map(&rig.pattern(7), HERE, 1, RW);
        rig.store(0, HERE, 1).expect("a frame");
        let child = new_space(&rig.model, &rig.account);
        let mut cloning = rig.space.clone_space().expect("at rest");
        while cloning.run(&rig.space, &child).expect("memory") == Progress::Paused {}
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, HERE + cpu as u64, 2).expect("a frame");
            let mut byte = [0];
            assert_eq!(rig.space.read_page(HERE, &mut byte), Ok(1));
            assert_eq!(byte, [1]);
        };
        let leave = move |_: &Race, _: usize| {
            let mut teardown = child.teardown().expect("at rest");
            while !teardown.step(&child) {}
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, store), cpu(&rig, leave)]);
        assert_eq!([1, 2, 3].map(|offset| rig.load(0, HERE + offset)), [2, 2, 7].map(Ok));
        finish(rig);
    });
}
