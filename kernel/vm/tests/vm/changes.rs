//! Long operations, step by step, with faults and other operations in between.

use crate::support::{HERE, READ, RW, RWT, Rig, WRITE, range};
use vellum_abi::{ExitKind, MapFlags, PAGE_SIZE, Protection};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::{Page, PageRange, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::ops::{AccessRefusal, Progress};
use vellum_vm::refpage;

type Host = Rig<Single>;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

#[test]
fn every_way_to_a_changing_page_meets_the_mark() {
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 300, RW);
    (0..300).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    let mut change = rig.space.protect(range(page(10), 200), Protection::READ).expect("mapped");
    let mut steps = 0;
    while !change.step(&rig.space) {
        steps += 1;
        for number in [10, 100, 209] {
            let target = Page::containing(page(number));
            assert_eq!(rig.space.handle_fault(target, READ), Outcome::Changing);
            assert_eq!(rig.space.handle_fault(target, WRITE), Outcome::Changing);
            let refused = Err(AccessRefusal::Changing);
            assert_eq!(rig.space.read_page(page(number), &mut [0]), refused);
            assert_eq!(rig.space.write_page(page(number), &[0]), refused);
            let snapshot = refpage::from_user(
                &rig.space,
                UserPointer::new(page(number)),
                16,
                rig.space.counters(),
            );
            assert_eq!(snapshot.err(), Some(Refusal::Changing));
            assert_eq!(rig.space.query(target), Err(Refusal::Changing));
            let pages = range(page(number), 1);
            assert_eq!(rig.space.query_pages(&pages, &mut [0]), Err(Refusal::Changing));
        }
        let beside = rig.space.query_pages(&range(page(210), 90), &mut [0; 90]);
        assert_eq!(beside, Ok(()), "no page of it changes");
        // Other pages of the same mapping, and of the same table, are free.
        assert_eq!(rig.load(1, page(9)), Ok(1));
        assert_eq!(rig.store(1, page(210), 2), Ok(()));
        let changing = Some(Refusal::Changing);
        let other = range(page(250), 10);
        assert_eq!(rig.space.unmap(other).err(), changing);
        assert_eq!(rig.space.protect(other, RW).err(), changing);
        assert_eq!(rig.space.decommit(other).err(), changing);
        assert_eq!(rig.space.teardown().err(), changing);
        let zero = rig.tagged(0);
        let fixed = MapFlags::FIXED;
        assert_eq!(rig.try_map(&zero, page(400), 1, RW, fixed).err(), changing);
    }
    assert!(steps >= 3, "200 leaves take more than three batches");
    assert_eq!(rig.store(0, page(10), 9), Err(ExitKind::AccessDenied));
    assert_eq!(rig.load(0, page(10)), Ok(1));
    assert_eq!(rig.stat().mappings, 3);
    rig.finish(options());
}

#[test]
fn a_change_pauses_only_while_something_waits_and_goes_on_from_its_cursor() {
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 300, RW);
    (0..300).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    rig.model.set_pause(true);
    let mut change = rig.space.decommit(range(HERE, 300)).expect("mapped");
    let mut left = rig.stat().private_frames;
    while change.run(&rig.space) == Progress::Paused {
        let now = rig.stat().private_frames;
        assert!(now < left && left - now <= 64, "a bounded piece at a time");
        left = now;
    }
    assert_eq!(rig.stat().private_frames, 0);
    rig.model.set_pause(false);
    rig.store(0, HERE, 1).expect("a frame");
    (100..300).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    let mut change = rig.space.unmap(range(HERE, 300)).expect("mapped").expect("201 leaves");
    assert_eq!(change.run(&rig.space), Progress::Done);
    assert_eq!((rig.stat().mappings, rig.stat().pt_frames), (0, 1));
    rig.finish(options());
}

#[test]
fn a_table_lives_exactly_as_long_as_a_mapping_needs_it() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    // Three mappings in one table of level 3, one in the next, one far away.
    for (start, pages) in [(0, 100), (100, 100), (300, 212), (512, 10), (1 << 19, 4)] {
        rig.map(&zero, page(start), pages, if start == 100 { RWT } else { RW });
        rig.store(0, page(start), 1).expect("a frame");
    }
    let tables = || rig.stat().pt_frames;
    assert_eq!(tables(), 1 + 1 + 2 + 3);
    rig.unmap(page(100), 100);
    rig.unmap(page(0), 100);
    assert_eq!(tables(), 7, "the third mapping needs the table");
    rig.unmap(page(300), 211);
    assert_eq!(tables(), 7, "its last page does");
    rig.unmap(page(400), 112);
    assert_eq!(tables(), 6);
    rig.unmap(page(1 << 19), 4);
    assert_eq!(tables(), 4, "both the leaf table and the one above");
    // One mapping over everything, touched at two places, unmapped from the middle.
    rig.map(&zero, page(0), 1 << 20, RW);
    rig.load(0, page(5)).expect("mapped");
    rig.load(0, page((1 << 20) - 1)).expect("mapped");
    rig.audit();
    rig.unmap(page(1), (1 << 20) - 2);
    assert_eq!(rig.load(1, page(0)), Ok(0));
    assert_eq!(rig.load(1, page(1)), Err(ExitKind::NotMapped));
    rig.unmap(page(0), 1 << 20);
    assert_eq!((tables(), rig.stat().mappings), (1, 0));
    drop(zero);
    rig.finish(options());
}

#[test]
fn a_mapping_put_in_place_of_others_appears_at_once_or_not_at_all() {
    let rig = Host::new();
    let (old, new) = (rig.pattern(0x11), rig.pattern(0x22));
    rig.map(&old, HERE, 40, RW);
    rig.map(&old, page(60), 40, RW);
    for number in (0..40).chain(60..100) {
        rig.load(1, page(number)).expect("mapped");
    }
    rig.map(&new, page(30), 40, RW);
    let pattern = |number| rig.load(1, page(number));
    assert_eq!([29, 30, 50, 69, 70].map(pattern), [0x11, 0x22, 0x22, 0x22, 0x11].map(Ok));
    let refused = rig.try_map(&old, page(29), 2, RW, MapFlags::FIXED);
    assert_eq!(refused, Err(Refusal::Error(VmError::Overlap)));
    let sealed = MapFlags::FIXED | MapFlags::SEALED;
    rig.try_map(&old, page(200), 4, RW, sealed).expect("room");
    let replace = MapFlags::FIXED | MapFlags::REPLACE;
    let refused = rig.try_map(&new, page(190), 40, RW, replace);
    assert_eq!(refused, Err(Refusal::Error(VmError::Sealed)));
    assert_eq!(rig.load(0, page(203)), Ok(0x11));
    drop((old, new));
    rig.finish(options());
}

#[test]
fn mappings_at_both_ends_of_the_user_half_leave_no_table() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    let whole = PageRange::whole();
    for page in [whole.start(), Page::from_number(whole.end().number() - 1)] {
        rig.map(&zero, page.address(), 1, RW);
        assert_eq!(rig.store(0, page.address(), 1), Ok(()));
        assert_eq!(rig.stat().pt_frames, 4);
        rig.unmap(page.address(), 1);
        assert_eq!(rig.stat().pt_frames, 1);
    }
    drop(zero);
    rig.finish(options());
}

#[test]
fn an_address_space_may_be_dropped_in_the_middle_of_a_change() {
    let rig = Host::new();
    let other = rig.beside(&rig.account);
    other.map(&rig.pattern(1), HERE, 300, RW);
    for number in 0..300 {
        let target = Page::containing(page(number));
        assert_eq!(other.space.handle_fault(target, WRITE), Outcome::Resume);
    }
    let mut change = other.space.unmap(range(HERE, 300)).expect("mapped").expect("300 leaves");
    assert!(!change.step(&other.space));
    drop((change, other));
    rig.finish(options());
}

#[test]
fn a_sealed_mapping_goes_with_its_process_alone() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    rig.try_map(&zero, HERE, 4, RW, MapFlags::FIXED | MapFlags::SEALED).expect("room");
    rig.store(0, HERE, 1).expect("a frame");
    let (refused, all) = (Some(Refusal::Error(VmError::Sealed)), range(HERE, 4));
    assert_eq!(rig.space.unmap(all).err(), refused);
    assert_eq!(rig.space.protect(all, Protection::READ).err(), refused);
    assert_eq!(rig.space.decommit(all).err(), refused);
    rig.complete(rig.space.teardown());
    assert_eq!(rig.stat().mappings, 0);
    drop(zero);
    rig.finish(options());
}

#[test]
fn a_sparse_memory_object_has_frames_where_it_was_touched_and_nowhere_else() {
    let rig = Host::new();
    let before = rig.model.free_frames();
    let object = rig.memory(1 << 20);
    rig.map(&object, HERE, 1 << 20, RW);
    let shared = MapFlags::FIXED | MapFlags::SHARED;
    rig.try_map(&object, page(1 << 21), 1 << 20, RWT, shared).expect("room");
    // Root, two nodes on the way to each page that is far from the other, and the pages.
    for (number, nodes) in [(0, 2), (1, 2), ((1 << 20) - 1, 4)] {
        assert_eq!(rig.load(0, page(number)), Ok(0));
        assert_eq!(rig.store(1, page((1 << 21) + number), number as u8 | 1), Ok(()));
        assert_eq!(rig.load(0, page(number)), Ok(number as u8 | 1), "one frame for both");
        let objects = before - rig.model.free_frames() - rig.stat().pt_frames as usize + 1;
        let committed = object.info(0).frames as usize;
        assert_eq!(objects, 1 + nodes + committed);
    }
    assert_eq!(object.info(0).frames, 3);
    drop(object);
    rig.unmap(page(1 << 21), 1 << 20);
    assert_eq!(rig.load(0, page(1)), Ok(1), "the other mapping keeps it");
    rig.unmap(HERE, 1 << 20);
    assert_eq!(rig.model.free_frames(), before);
    rig.finish(options());
}

#[test]
fn neighbours_merge_only_if_they_are_one_in_everything() {
    type Request = vellum_vm::ops::MapRequest<vellum_model::Model<Single>>;
    type Difference = (u64, fn(&mut Request));
    let differences: [Difference; 6] = [
        (1, |_| {}),
        (2, |request| request.offset = 0),
        (2, |request| request.maximum = Protection::READ),
        (2, |request| request.options.protection = RW),
        (2, |request| request.options.flags = MapFlags::FIXED | MapFlags::SHARED),
        (2, |request| request.options.flags = MapFlags::FIXED | MapFlags::SEALED),
    ];
    for (mappings, second_fn) in differences {
        let rig = Host::new();
        rig.map_pair(&rig.memory(4), second_fn);
        assert_eq!(rig.stat().mappings, mappings);
    }
    let rig = Host::new();
    let other = rig.memory(4);
    rig.map_pair(&rig.memory(4), |request| request.object = other.clone());
    assert_eq!(rig.stat().mappings, 2);
    let rig = Host::new();
    rig.map_pair(&rig.pattern(4), |request| request.offset = 7 * PAGE_SIZE);
    assert_eq!(rig.stat().mappings, 1, "an offset in a reference object means nothing");
}

#[test]
fn a_memory_object_with_many_pages_is_given_back_whole() {
    let rig = Host::new();
    let before = rig.model.free_frames();
    let object = rig.memory(2000);
    let shared = MapFlags::FIXED | MapFlags::SHARED;
    rig.try_map(&object, HERE, 2000, RW, shared).expect("room");
    for number in (0..1600).step_by(7) {
        assert_eq!(rig.store(0, page(number), 1), Ok(()));
    }
    assert_eq!(object.info(0).frames, 229);
    rig.unmap(HERE, 2000);
    assert!(rig.model.free_frames() < before - 229, "a handle keeps pages and nodes");
    drop(object);
    assert_eq!(rig.model.free_frames(), before);
    rig.finish(options());
}

#[test]
fn nothing_is_mapped_any_more_once_a_process_ends() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    rig.map(&zero, HERE, 100, RW);
    (0..100).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    let mut change = rig.space.teardown().expect("at rest");
    assert!(!change.step(&rig.space));
    let refused = rig.try_map(&zero, page(200), 1, RW, MapFlags::FIXED);
    assert_eq!(refused, Err(Refusal::Changing));
    rig.complete(Ok(change));
    let closed = Refusal::Error(VmError::Closed);
    let refused = rig.try_map(&zero, page(200), 1, RW, MapFlags::FIXED);
    assert_eq!((refused, rig.space.teardown().err()), (Err(closed), Some(closed)));
    assert_eq!(rig.load(0, HERE), Err(ExitKind::NotMapped));
    drop(zero);
    rig.finish(options());
}
