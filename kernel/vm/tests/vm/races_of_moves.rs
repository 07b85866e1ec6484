//! Moves while other CPUs fault in tables, pages and blocks at both ends: every store is found in
//! exactly one place, and nobody sees a page of anybody else's.

use crate::explored::{Race, cpu, explore, on_cpus, options};
use crate::spans::{SPAN, map};
use crate::support::{HERE, RW, Rig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vellum_abi::{ExitKind, PAGE_SIZE, RemapFlags, Switches};
use vellum_model::{Family, ModelOptions};
use vellum_vm::ops::RemapRequest;

const MOVE: RemapFlags = RemapFlags::MAYMOVE.union(RemapFlags::FIXED);
const RETAIN: RemapFlags = MOVE.union(RemapFlags::RETAIN);
const TABLES: Switches = Switches::SHARED_TABLES;
const BLOCKS: Switches = Switches::HUGE.union(Switches::HUGE_WRITES);
/// Another span of the same table of tables.
const THERE: u64 = HERE + 8 * SPAN * PAGE_SIZE;

/// What moves: pages from the start of the mapping on, and how.
#[derive(Clone, Copy)]
struct Move {
    mapped: u64,
    first: u64,
    pages: u64,
    /// Pages behind [`THERE`].
    shift: u64,
    flags: RemapFlags,
}

impl Move {
    fn source(self, page: u64) -> u64 {
        HERE + page * PAGE_SIZE
    }

    fn target(self, page: u64) -> u64 {
        THERE + (self.shift + page - self.first) * PAGE_SIZE
    }

    fn make<F: Family>(self, rig: &Rig<F>) {
        let length = self.pages * PAGE_SIZE;
        let (old, new) = (self.source(self.first), self.target(self.first));
        let (old_length, new_length, flags) = (length, length, self.flags);
        let request = RemapRequest { old, old_length, new_length, flags, new };
        assert_eq!(rig.remap(&request), Ok(new));
    }
}

/// One CPU moves; another loads at both ends, and a third stores to `page`, which moves.
fn race(options: ModelOptions, switches: Switches, moved: Move, page: u64) {
    let rig = Arc::new(Race::with(options));
    let object = rig.pattern(7);
    map(&rig, &object, HERE, moved.mapped, (RW, switches));
    // The tables above both ends are there.
    rig.map(&object, HERE - PAGE_SIZE, 1, RW);
    rig.map(&object, THERE + 3 * SPAN * PAGE_SIZE, 1, RW);
    rig.load(0, THERE + 3 * SPAN * PAGE_SIZE).expect("mapped");
    drop(object);
    rig.load(0, moved.source(page + 1)).expect("mapped");
    let stored = Arc::new(AtomicBool::new(false));
    let done = stored.clone();
    let store = move |rig: &Race, cpu: usize| match rig.store(cpu, moved.source(page), 1) {
        Ok(()) => done.store(true, Ordering::Relaxed),
        Err(kind) => assert_eq!(kind, ExitKind::NotMapped),
    };
    let load = move |rig: &Race, cpu: usize| {
        for place in [moved.source(page), moved.target(page), moved.target(page + 1)] {
            let seen = rig.load(cpu, place);
            let own = place != moved.target(page + 1) && seen == Ok(1);
            assert!(own || [Ok(7), Err(ExitKind::NotMapped)].contains(&seen), "{seen:?}");
        }
    };
    let go = move |rig: &Race, _| moved.make(rig);
    on_cpus(vec![cpu(&rig, go), cpu(&rig, load), cpu(&rig, store)]);
    let ends = [moved.source(page), moved.target(page)].map(|place| rig.load(0, place));
    let retained = moved.flags == RETAIN;
    let left = if retained { Ok(7) } else { Err(ExitKind::NotMapped) };
    match (stored.load(Ordering::Relaxed), retained) {
        (false, _) => assert_eq!(ends, [left, Ok(7)]),
        (true, false) => assert_eq!(ends, [left, Ok(1)]),
        (true, true) => assert!(ends == [Ok(7), Ok(1)] || ends == [Ok(1), Ok(7)], "{ends:?}"),
    }
    assert_eq!(rig.load(0, moved.target(page + 1)), Ok(7));
    Arc::into_inner(rig).expect("the last owner").finish(options);
}

#[test]
fn a_mapping_of_shared_tables_moves_at_once_while_others_fault() {
    explore(|| {
        let moved = Move { mapped: SPAN, first: 0, pages: SPAN, shift: 0, flags: MOVE };
        race(options(), TABLES, moved, 5);
    });
}

#[test]
fn a_mapping_of_shared_tables_leaves_itself_as_new_while_others_fault() {
    explore(|| {
        let moved = Move { mapped: SPAN, first: 0, pages: SPAN, shift: 0, flags: RETAIN };
        race(options(), TABLES, moved, 5);
    });
}

#[test]
fn pages_below_a_shared_table_move_apart_while_others_fault() {
    explore(|| {
        // Three pages out of the middle, to another place in a table.
        let moved = Move { mapped: SPAN, first: 40, pages: 3, shift: 9, flags: MOVE };
        race(options(), TABLES, moved, 41);
    });
}

#[test]
fn pages_on_both_sides_of_an_edge_table_move_while_others_fault() {
    explore(|| {
        let moved = Move { mapped: SPAN + 4, first: SPAN - 2, pages: 4, shift: 1, flags: RETAIN };
        race(options(), TABLES, moved, SPAN);
    });
}

#[test]
fn a_block_moves_at_once_while_others_fault() {
    explore(|| {
        let options = ModelOptions { frames: 6 * 512, ..options() };
        let moved = Move { mapped: SPAN, first: 0, pages: SPAN, shift: 0, flags: MOVE };
        race(options, BLOCKS, moved, 5);
    });
}

#[test]
fn pages_of_a_block_move_apart_while_others_fault() {
    explore(|| {
        let options = ModelOptions { frames: 6 * 512, ..options() };
        let moved = Move { mapped: SPAN, first: 40, pages: 3, shift: 9, flags: MOVE };
        race(options, BLOCKS, moved, 41);
    });
}
