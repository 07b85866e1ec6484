//! Fault-around: which neighbours a read fault maps, and that nothing else changes.

use crate::support::{HERE, Object, RW, RWT, Rig, range};
use vellum_abi::{MapFlags, MapOptions, PAGE_SIZE, Protection, Stat};
use vellum_model::{ModelOptions, Single};
use vellum_vm::ops::MapRequest;

type Host = Rig<Single>;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

fn map(rig: &Host, object: &Object<Single>, first: u64, pages: u64, options: MapOptions) {
    let flags = options.flags | MapFlags::FIXED;
    let request = MapRequest {
        object: object.clone(),
        address: page(first),
        length: pages * PAGE_SIZE,
        offset: 0,
        options: MapOptions { flags, ..options },
        maximum: Protection::ALL,
    };
    assert!(rig.space.map(&request).is_ok());
}

fn around(protection: Protection, around: u8) -> MapOptions {
    MapOptions { protection, around, ..MapOptions::default() }
}

fn counts(stat: &Stat) -> (u64, u64) {
    (stat.faults_read_map + stat.faults_object, stat.pages_around)
}

#[test]
fn one_read_fault_maps_the_aligned_window() {
    for width in 0..=9 {
        let rig = Host::new();
        map(&rig, &rig.pattern(7), 0, 512, around(RW, width));
        for number in 0..512 {
            assert_eq!(rig.load(0, page(number)), Ok(7));
        }
        let faults = 512 >> width;
        assert_eq!(counts(&rig.stat()), (faults, 512 - faults), "width {width}");
        assert_eq!(rig.stat().private_frames, 0);
        rig.finish(options());
    }
}

#[test]
fn the_window_ends_with_the_mapping_and_with_the_table() {
    let rig = Host::new();
    // Pages 5 to 12 of a window of 16, between mappings of another object.
    map(&rig, &rig.pattern(1), 0, 5, around(RW, 0));
    map(&rig, &rig.pattern(2), 5, 7, around(RW, 4));
    map(&rig, &rig.pattern(3), 12, 520, around(RW, 9));
    assert_eq!(rig.load(0, page(9)), Ok(2));
    assert_eq!(counts(&rig.stat()), (1, 6));
    assert_eq!(rig.load(0, page(511)), Ok(3));
    assert_eq!(counts(&rig.stat()), (2, 6 + 499));
    assert_eq!(rig.load(0, page(512)), Ok(3));
    assert_eq!(counts(&rig.stat()), (3, 6 + 499 + 19));
    assert_eq!(rig.load(0, page(4)), Ok(1));
    assert_eq!(counts(&rig.stat()), (4, 6 + 499 + 19));
    rig.finish(options());
}

#[test]
fn neighbours_that_have_a_leaf_keep_it_and_writes_map_none() {
    let rig = Host::new();
    map(&rig, &rig.tagged(3), 0, 16, around(RWT, 4));
    rig.store(0, page(2) | 3 << 56, 9).expect("a frame");
    assert_eq!(counts(&rig.stat()), (0, 0));
    assert_eq!(rig.load(0, page(7) | 3 << 56), Ok(0));
    assert_eq!(counts(&rig.stat()), (1, 14));
    assert_eq!(rig.load(0, page(2) | 3 << 56), Ok(9));
    // What was mapped by the way is written as if it had been read.
    rig.store(0, page(3) | 3 << 56, 8).expect("a frame");
    assert_eq!((rig.stat().faults_write_fresh, rig.stat().faults_write_cow), (1, 1));
    assert_eq!((rig.load_tag(0, page(3)), rig.stat().private_frames), (Ok(3), 2));
    rig.finish(options());
}

#[test]
fn pages_of_a_memory_object_are_mapped_but_not_committed() {
    for flags in [MapFlags::SHARED, MapFlags::NONE] {
        let rig = Host::new();
        let object = rig.memory(16);
        for number in [3, 4, 9] {
            object.commit(number).expect("a frame");
        }
        map(&rig, &object, 0, 16, MapOptions { flags, ..around(RW, 4) });
        assert_eq!(rig.load(0, page(4)), Ok(0));
        assert_eq!((counts(&rig.stat()), object.info(0).frames), ((1, 2), 3));
        assert_eq!(rig.load(0, page(5)), Ok(0));
        assert_eq!((counts(&rig.stat()), object.info(0).frames), ((2, 2), 4));
        drop(object);
        rig.finish(options());
    }
}

#[test]
fn a_write_to_a_shared_page_maps_no_neighbours() {
    let rig = Host::new();
    let object = rig.memory(16);
    for number in 0..16 {
        object.commit(number).expect("a frame");
    }
    map(&rig, &object, 0, 16, MapOptions { flags: MapFlags::SHARED, ..around(RW, 4) });
    assert_eq!(rig.store(0, page(4), 9), Ok(()));
    assert_eq!(counts(&rig.stat()), (1, 0));
    assert_eq!(rig.load(0, page(5)), Ok(0));
    assert_eq!(counts(&rig.stat()), (2, 14));
    drop(object);
    rig.finish(options());
}

#[test]
fn one_barrier_serves_the_whole_window_and_executable_pages_come_one_by_one() {
    let rig = Host::new();
    map(&rig, &rig.pattern(7), 0, 16, around(RW, 4));
    rig.load(0, page(0)).expect("mapped");
    rig.decommit(page(0), 16);
    rig.unmap(page(8), 8);
    let object = rig.pattern(7);
    map(&rig, &object, 8, 8, around(Protection::READ, 3));
    let before = rig.model.acts();
    rig.load(0, page(8)).expect("mapped");
    assert_eq!(rig.model.acts().dsb_ishst - before.dsb_ishst, 1);
    map(&rig, &object, 16, 8, around(Protection::READ | Protection::EXECUTE, 3));
    let mapped = rig.stat().pages_around;
    rig.load(0, page(16)).expect("mapped");
    assert_eq!(rig.stat().pages_around, mapped);
    drop(object);
    rig.finish(options());
}

#[test]
fn nothing_is_mapped_around_while_a_long_operation_is_under_way() {
    let rig = Host::with(options());
    let object = rig.pattern(7);
    map(&rig, &object, 0, 64, around(RW, 4));
    (8..16).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    let mut change = rig.space.decommit(range(page(8), 8)).expect("mapped");
    let before = counts(&rig.stat());
    // Its window reaches into the range.
    assert_eq!(rig.load(0, page(3)), Ok(7));
    assert_eq!(counts(&rig.stat()), (before.0 + 1, before.1), "the page alone");
    while !change.step(&rig.space) {
        assert_eq!(rig.load(0, page(2)), Ok(7));
    }
    (8..16).for_each(|number| assert_eq!(rig.load(1, page(number)), Ok(7)));
    drop(object);
    rig.finish(options());
}
