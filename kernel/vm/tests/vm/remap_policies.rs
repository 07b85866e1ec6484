//! Policies after `remap`: what is added, what moves and what stays behaves as the policy says.

use crate::policies::{BESIDE, map, options, prepare, request, wanted, with_frame, wrap};
use crate::remap;
use crate::support::{HERE, RW, RWT, Rig};
use vellum_abi::{MapFlags, PAGE_SIZE, Policy, RemapFlags};
use vellum_model::Single;
use vellum_vm::machine::Machine;
use vellum_vm::ops::RemapRequest;

type Host = Rig<Single>;

const MOVE: RemapFlags = RemapFlags::MAYMOVE;
const RETAIN: RemapFlags = MOVE.union(RemapFlags::RETAIN);

fn byte(start: u64, page: u64) -> u64 {
    start + page * PAGE_SIZE
}

#[test]
fn pages_that_an_eager_mapping_gains_are_present_at_once() {
    for (flags, room) in [(RemapFlags::NONE, true), (MOVE, false), (RETAIN, true)] {
        let rig = Host::with(options());
        let object = rig.pattern(0x5a);
        map(&rig, &request(&object, Policy::Eager, 3)).expect("a mapping");
        if !room {
            let next = rig.try_map(&object, byte(HERE, 3), 1, RWT, MapFlags::FIXED);
            next.expect("a mapping");
        }
        let there = rig.remap(&remap::request([3, 20], flags, 0)).expect("a move");
        assert_eq!(there == HERE, flags == RemapFlags::NONE);
        assert_eq!(rig.stat().private_frames, 20, "{flags:?}");
        rig.audit();
        let before = rig.stat();
        for page in 0..20 {
            assert_eq!(rig.load(1, byte(there, page)), Ok(0x5a));
            rig.store(0, byte(there, page), 1).expect("the frame is there");
        }
        let after = rig.stat();
        assert_eq!(after.faults_read_map, before.faults_read_map);
        assert_eq!(after.faults_write_fresh, before.faults_write_fresh);
        assert_eq!(after.private_frames, 20);
        drop(object);
        rig.finish(options());
    }
}

#[test]
fn an_eager_mapping_that_grows_without_frames_gets_them_when_they_are_touched() {
    for flags in [RemapFlags::NONE, RETAIN] {
        let rig = Host::with(options());
        let object = rig.pattern(0x5a);
        map(&rig, &request(&object, Policy::Eager, 3)).expect("a mapping");
        let (address, change) =
            rig.space.remap(&remap::request([3, 20], flags, 0)).expect("a move");
        let mut change = change.expect("pages to make present");
        // The tables of a move come first: they are not what is missing here.
        while rig.stat().private_frames == 3 && !change.step(&rig.space) {}
        rig.model.fail_in(1);
        while !change.step(&rig.space) {}
        rig.model.fail_in(0);
        assert_eq!(change.failure(), None);
        assert!(rig.stat().private_frames < 20);
        for page in 0..20 {
            assert_eq!(rig.load(1, byte(address, page)), Ok(0x5a));
        }
        assert_eq!(rig.stat().private_frames, 20);
        drop(object);
        rig.finish(options());
    }
}

#[test]
fn the_page_of_a_mapping_s_own_goes_with_it_and_stays_with_a_source_that_is_retained() {
    let rig = Host::with(options());
    prepare(&rig, 64);
    let object = with_frame(&rig, 64);
    map(&rig, &request(&object, Policy::InMapping, 4)).expect("a mapping");
    drop(object);
    rig.unmap(BESIDE, 1);
    let pages = rig.model.system().refpages();
    rig.store(0, HERE, 0xee).expect("a frame");
    let there = rig.remap(&remap::request([4, 6], RETAIN, 0)).expect("a move");
    assert_eq!(rig.model.system().refpages(), pages, "both places share it");
    assert_eq!(rig.load(1, there), Ok(0xee));
    for address in [HERE, byte(there, 3), byte(there, 5)] {
        assert_eq!(rig.load(1, address + 5), Ok(wanted(64).byte(5)));
    }
    rig.unmap(HERE, 4);
    assert_eq!(rig.model.system().refpages(), pages);
    rig.unmap(there, 6);
    assert_eq!(rig.model.system().refpages(), pages - 1);
    rig.finish(options());
}

#[test]
fn a_moved_part_of_a_wrap_object_shows_the_same_pages_of_it() {
    let rig = Host::with(options());
    let object = wrap(&rig, 3);
    let shared = MapFlags::FIXED | MapFlags::SHARED;
    rig.try_map(&object, BESIDE, 3, RW, shared).expect("a mapping");
    for page in 0..3 {
        rig.store(0, byte(BESIDE, page), b"ABC"[page as usize]).expect("a frame");
    }
    map(&rig, &request(&object, Policy::Wrap, 8)).expect("a mapping");
    rig.store(0, byte(HERE, 4), b'x').expect("a frame");
    let [old_length, new_length] = [3 * PAGE_SIZE, 7 * PAGE_SIZE];
    let part = RemapRequest { old: byte(HERE, 2), old_length, new_length, flags: MOVE, new: 0 };
    let there = rig.remap(&part).expect("a move");
    let shown = |page: u64| rig.load(1, byte(there, page)).map(char::from).ok();
    let pages: Vec<_> = (0..7).map(shown).collect();
    assert_eq!(pages, "CAxCABC".chars().map(Some).collect::<Vec<_>>());
    drop(object);
    rig.finish(options());
}
