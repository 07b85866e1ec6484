//! What `remap` does to source and destination, for every kind of mapping. `docs/remap.md` says the
//! same as a table, which a program executes in QEMU.

use crate::support::{HERE, Object, RW, RWT, Rig};
use vellum_abi::{MapFlags, PAGE_SIZE, Protection, RemapFlags, Stat};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::Page;
use vellum_vm::ops::RemapRequest;

type Host = Rig<Single>;

const MOVE: RemapFlags = RemapFlags::MAYMOVE;
const RETAIN: RemapFlags = MOVE.union(RemapFlags::RETAIN);
const FIXED: RemapFlags = MOVE.union(RemapFlags::FIXED);
const BOTH: RemapFlags = FIXED.union(RemapFlags::RETAIN);
/// Far from [`HERE`]: no table is shared but the root.
const THERE: u64 = HERE + (1 << 40);
const TABLE: u64 = 512;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, frames: 4096, ..ModelOptions::default() }
}

fn page(start: u64, index: u64) -> u64 {
    start + index * PAGE_SIZE
}

pub(crate) fn request(pages: [u64; 2], flags: RemapFlags, new: u64) -> RemapRequest {
    let [old_length, new_length] = pages.map(|pages| pages * PAGE_SIZE);
    RemapRequest { old: HERE, old_length, new_length, flags, new }
}

/// Returns what [`written`] writes into a page.
fn byte(index: u64) -> u8 {
    (index % 200) as u8 + 1
}

/// Maps pages of an object at [`HERE`] and writes [`byte`] into some.
fn written(rig: &Host, object: &Object<Single>, flags: MapFlags, pages: u64, some: &[u64]) {
    let fixed = MapFlags::FIXED | flags;
    rig.try_map(object, HERE, pages, RW, fixed).expect("a mapping");
    for index in some {
        rig.store(0, page(HERE, *index), byte(*index)).expect("a frame");
    }
}

/// Checks what a move must leave alone, and that nothing was copied.
fn check_moved(before: &Stat, after: &Stat) {
    assert_eq!(after.private_frames, before.private_frames, "private frames");
    assert_eq!(
        (after.bytes_copied, after.bytes_filled),
        (before.bytes_copied, before.bytes_filled),
        "bytes"
    );
}

#[test]
fn row_64_pages_of_anonymous_memory_move_and_the_source_acts_as_new() {
    let rig = Host::with(options());
    written(&rig, &rig.tagged(0), MapFlags::NONE, 5, &[0, 1, 2, 3, 4]);
    let before = rig.stat();
    let there = rig.remap(&request([5, 5], RETAIN, 0)).expect("a move");
    let after = rig.stat();
    check_moved(&before, &after);
    assert_eq!(after.leaves_moved, 5);
    assert_eq!(after.mappings, before.mappings + 1);
    rig.audit();
    for index in 0..5 {
        assert_eq!(rig.load(1, page(there, index)), Ok(byte(index)));
        assert_eq!(rig.load(1, page(HERE, index)), Ok(0));
    }
    assert_eq!(rig.stat().private_frames, 5);
    rig.store(0, HERE, 9).expect("a frame");
    assert_eq!((rig.load(1, HERE), rig.load(1, there)), (Ok(9), Ok(1)));
    rig.finish(options());
}

#[test]
fn row_65_the_source_of_a_reference_mapping_reads_its_content_again() {
    let rig = Host::with(options());
    written(&rig, &rig.pattern(0xaa), MapFlags::NONE, 4, &[1, 3]);
    let there = rig.remap(&request([4, 4], RETAIN, 0)).expect("a move");
    for (index, there_byte) in [0xaa, 2, 0xaa, 4].into_iter().enumerate() {
        let index = index as u64;
        assert_eq!(rig.load(1, page(HERE, index)), Ok(0xaa));
        assert_eq!(rig.load(1, page(there, index)), Ok(there_byte));
    }
    assert_eq!(rig.stat().private_frames, 2);
    rig.unmap(HERE, 4);
    let tagged = rig.tagged(6);
    rig.map(&tagged, HERE, 2, RWT);
    let pointer = HERE | 6 << 56;
    rig.store(0, pointer, 7).expect("a frame");
    rig.store_tag(0, HERE + 16, 3).expect("a tag");
    let there = rig.remap(&request([2, 2], RETAIN, 0)).expect("a move");
    assert_eq!(rig.load(1, there | 6 << 56), Ok(7));
    assert_eq!((rig.load_tag(1, there + 16), rig.load_tag(1, HERE + 16)), (Ok(3), Ok(6)));
    assert_eq!(rig.load(1, pointer), Ok(0));
    drop(tagged);
    rig.finish(options());
}

#[test]
fn row_66_the_destination_may_be_extended_in_the_same_call() {
    for flags in [RETAIN, BOTH] {
        let rig = Host::with(options());
        written(&rig, &rig.pattern(0x55), MapFlags::NONE, 3, &[0, 1, 2]);
        let there = rig.remap(&request([3, 300], flags, THERE)).expect("a move");
        assert_eq!(rig.load(1, page(there, 2)), Ok(3));
        assert_eq!(rig.load(1, page(there, 3)), Ok(0x55));
        assert_eq!(rig.load(1, page(there, 299)), Ok(0x55));
        assert_eq!(rig.load(1, HERE), Ok(0x55));
        rig.finish(options());
    }
}

#[test]
fn row_67_a_smaller_length_with_retain_decommits_the_tail_of_the_source() {
    let rig = Host::with(options());
    written(&rig, &rig.pattern(0x55), MapFlags::NONE, 10, &[0, 3, 4, 9]);
    let there = rig.remap(&request([10, 4], RETAIN, 0)).expect("a move");
    assert_eq!(rig.stat().private_frames, 2, "the tail's frames are given back");
    assert_eq!((rig.load(1, there), rig.load(1, page(there, 3))), (Ok(1), Ok(4)));
    for index in 0..10 {
        assert_eq!(rig.load(1, page(HERE, index)), Ok(0x55));
    }
    rig.finish(options());
}

#[test]
fn row_69_a_shared_mapping_shows_its_object_in_both_places() {
    for (flags, pages) in [(RETAIN, 4), (BOTH, 6), (RETAIN, 2)] {
        let rig = Host::with(options());
        let object = rig.memory(8);
        written(&rig, &object, MapFlags::SHARED, 4, &[1]);
        let there = rig.remap(&request([4, pages], flags, THERE)).expect("a move");
        rig.store(0, page(there, 0), 7).expect("a frame");
        assert_eq!((rig.load(1, HERE), rig.load(1, page(there, 1))), (Ok(7), Ok(2)));
        rig.store(0, page(HERE, 1), 8).expect("a frame");
        assert_eq!(rig.load(1, page(there, 1)), Ok(8));
        assert_eq!(rig.load(1, page(HERE, 3)), Ok(0), "the source's tail stays");
        drop(object);
        rig.finish(options());
    }
}

#[test]
fn row_70_the_source_of_a_private_mapping_reads_the_object_again() {
    let rig = Host::with(options());
    let object = rig.memory(8);
    rig.map(&object, THERE + (1 << 30), 8, RW);
    rig.try_map(&object, THERE + (2 << 30), 8, RW, MapFlags::FIXED | MapFlags::SHARED)
        .expect("a mapping");
    rig.store(0, page(THERE + (2 << 30), 2), b'o').expect("a frame");
    written(&rig, &object, MapFlags::NONE, 8, &[5]);
    rig.store(0, page(HERE, 2), b'm').expect("a frame");
    // From the middle: the destination shows the same part of the object.
    let old = RemapRequest { old: page(HERE, 2), ..request([4, 6], RETAIN, 0) };
    let there = rig.remap(&old).expect("a move");
    assert_eq!((rig.load(1, there), rig.load(1, page(HERE, 2))), (Ok(b'm'), Ok(b'o')));
    assert_eq!((rig.load(1, page(there, 3)), rig.load(1, page(HERE, 5))), (Ok(6), Ok(0)));
    let offset = rig.space.query(Page::containing(there)).expect("a mapping").offset;
    assert_eq!(offset, 2 * PAGE_SIZE);
    drop(object);
    rig.finish(options());
}

#[test]
fn a_move_without_retain_leaves_a_hole() {
    for flags in [FIXED, MOVE] {
        for pages in [2, 6, 9] {
            let rig = Host::with(options());
            let object = rig.pattern(0x33);
            written(&rig, &object, MapFlags::NONE, 6, &[0, 1, 2, 3, 4, 5]);
            // In the way of growing in place.
            rig.map(&rig.tagged(0), page(HERE, 6), 1, RW);
            let before = rig.stat();
            let there = rig.remap(&request([6, pages], flags, THERE)).expect("a move");
            let moved = flags == FIXED || pages > 6;
            assert_eq!(there != HERE, moved);
            for index in 0..pages {
                let shown = if index < 6 { byte(index) } else { 0x33 };
                assert_eq!(rig.load(1, page(there, index)), Ok(shown));
            }
            let gone = if moved { 0 } else { pages };
            for index in gone..6 {
                assert!(rig.load(2, page(HERE, index)).is_err());
            }
            assert_eq!(rig.stat().mappings, before.mappings);
            assert_eq!(rig.stat().private_frames, pages.min(6));
            drop(object);
            rig.finish(options());
        }
    }
}

#[test]
fn a_mapping_grows_in_place_where_the_gap_behind_it_is_free() {
    let rig = Host::with(options());
    let zero = rig.tagged(0);
    written(&rig, &zero, MapFlags::NONE, 4, &[3]);
    let pool = rig.model.pool_objects();
    // The last two of its pages are named: the whole mapping grows.
    let old = RemapRequest { old: page(HERE, 2), ..request([2, 5], RemapFlags::NONE, 0) };
    assert_eq!(rig.remap(&old), Ok(page(HERE, 2)));
    assert_eq!((rig.stat().mappings, rig.model.pool_objects()), (1, pool));
    assert_eq!((rig.load(0, page(HERE, 3)), rig.load(0, page(HERE, 6))), (Ok(4), Ok(0)));
    // It meets an equal one and becomes one with it.
    rig.map(&zero, page(HERE, 9), 1, RW);
    assert_eq!(rig.remap(&request([7, 9], MOVE, 0)), Ok(HERE));
    assert_eq!(rig.stat().mappings, 1);
    assert_eq!(rig.remap(&request([10, 10], RemapFlags::NONE, 0)), Ok(HERE));
    assert_eq!(rig.remap(&request([10, 1], RemapFlags::NONE, 0)), Ok(HERE));
    assert!(rig.load(0, page(HERE, 1)).is_err());
    drop(zero);
    rig.finish(options());
}

#[test]
fn parts_of_one_mapping_move_inside_it() {
    for (from, to) in [(10, 20), (20, 10)] {
        let rig = Host::with(options());
        written(&rig, &rig.pattern(0x11), MapFlags::NONE, 40, &[10, 11, 20, 21, 30]);
        let old = RemapRequest { old: page(HERE, from), ..request([2, 2], BOTH, page(HERE, to)) };
        assert_eq!(rig.remap(&old), Ok(page(HERE, to)));
        assert_eq!(rig.stat().mappings, 1, "merged again");
        let moved = [byte(from), byte(from + 1)];
        let bytes =
            |at: u64| [0, 1].map(|index| rig.load(1, page(HERE, at + index)).expect("mapped"));
        assert_eq!((bytes(to), bytes(from)), (moved, [0x11, 0x11]));
        let back = RemapRequest { old: page(HERE, to), ..request([2, 2], FIXED, page(HERE, from)) };
        assert_eq!(rig.remap(&back), Ok(page(HERE, from)));
        assert_eq!(
            (bytes(from), rig.load(1, page(HERE, to))),
            (moved, Err(vellum_abi::ExitKind::NotMapped))
        );
        assert_eq!(rig.stat().private_frames, 3);
        rig.finish(options());
    }
}

#[test]
fn a_page_moves_onto_the_one_beside_it() {
    for (from, to) in [(5, 4), (4, 5)] {
        let rig = Host::with(options());
        written(&rig, &rig.pattern(0x11), MapFlags::NONE, 10, &[3, 4, 5, 6]);
        let old = RemapRequest { old: page(HERE, from), ..request([1, 1], FIXED, page(HERE, to)) };
        assert_eq!(rig.remap(&old), Ok(page(HERE, to)));
        rig.audit();
        let shown: Vec<_> = [3, to, 6].map(|index| rig.load(1, page(HERE, index))).into();
        assert_eq!(shown, [3, from, 6].map(|index| Ok(byte(index))));
        assert_eq!(rig.load(1, page(HERE, from)), Err(vellum_abi::ExitKind::NotMapped));
        assert_eq!((rig.stat().mappings, rig.stat().private_frames), (2, 3));
        rig.finish(options());
    }
}

#[test]
fn whole_tables_move_where_both_ranges_lie_alike() {
    // Pages of the source, distance of the destination's place in its table, tables, leaves.
    for (pages, shift, tables, flags) in [
        (1024, 0, 2, FIXED),
        (1024, 0, 2, BOTH),
        (1100, 0, 2, FIXED),
        (1024, 5, 0, FIXED),
        (511, 0, 0, BOTH),
    ] {
        let rig = Host::with(options());
        let some = [0, 1, 300, 510, 511, 512, 700, 1023, 1024, 1099];
        let some: Vec<u64> = some.into_iter().filter(|index| *index < pages).collect();
        written(&rig, &rig.tagged(0), MapFlags::NONE, pages, &some);
        let before = rig.stat();
        let there = page(THERE, shift);
        assert_eq!(rig.remap(&request([pages, pages], flags, there)), Ok(there));
        let after = rig.stat();
        check_moved(&before, &after);
        assert_eq!(after.tables_moved, tables, "{pages} pages, shift {shift}");
        let whole = tables * TABLE;
        assert_eq!(after.leaves_moved, some.iter().filter(|index| **index >= whole).count() as u64);
        rig.audit();
        for index in some {
            assert_eq!(rig.load(1, page(there, index)), Ok(byte(index)));
            let source = rig.load(2, page(HERE, index));
            assert_eq!(source.ok(), (flags == BOTH).then_some(0));
        }
        rig.finish(options());
    }
}

#[test]
fn a_table_that_was_in_the_way_goes() {
    let rig = Host::with(options());
    written(&rig, &rig.tagged(0), MapFlags::NONE, TABLE, &[0, 511]);
    rig.map(&rig.pattern(9), THERE, 2 * TABLE, RW);
    rig.store(0, page(THERE, 3), 1).expect("a frame");
    rig.store(0, page(THERE, 600), 1).expect("a frame");
    let before = rig.stat();
    assert_eq!(rig.remap(&request([TABLE, TABLE], FIXED, THERE)), Ok(THERE));
    let after = rig.stat();
    assert_eq!((after.tables_moved, after.mappings), (1, before.mappings));
    // The source's way of three tables and the one that was in the way; the source's own moved.
    assert_eq!(after.pt_frames, before.pt_frames - 3);
    assert_eq!(after.private_frames, before.private_frames - 1);
    assert_eq!((rig.load(1, THERE), rig.load(1, page(THERE, 3))), (Ok(1), Ok(0)));
    let last = (rig.load(1, page(THERE, 511)), rig.load(1, page(THERE, 512)));
    assert_eq!(last, (Ok(byte(511)), Ok(9)));
    rig.finish(options());
}

#[test]
fn row_74_pages_moved_back_and_forth_leave_nothing_behind() {
    let rig = Host::with(options());
    written(&rig, &rig.tagged(0), MapFlags::NONE, 8, &[0, 7]);
    let before = rig.stat();
    for round in 0..100 {
        let (old, new) = if round % 2 == 0 { (HERE, THERE) } else { (THERE, HERE) };
        let moved = rig.remap(&RemapRequest { old, ..request([8, 8], BOTH, new) });
        assert_eq!(moved, Ok(new));
        assert_eq!(rig.stat().mappings, before.mappings + 1);
        assert_eq!(rig.load(1, page(new, 7)), Ok(8));
        assert_eq!(rig.load(1, page(old, 7)), Ok(0));
    }
    assert_eq!(rig.stat().private_frames, 2);
    rig.finish(options());
}

#[test]
fn executable_pages_move_as_they_are() {
    let rig = Host::with(options());
    let code = Protection::READ | Protection::EXECUTE;
    written(&rig, &rig.memory(2), MapFlags::NONE, 2, &[0]);
    rig.protect(HERE, 2, code);
    assert_eq!(rig.remap(&request([2, 2], FIXED, THERE)), Ok(THERE));
    assert_eq!(rig.load(0, THERE), Ok(1));
    rig.audit();
    rig.finish(options());
}
