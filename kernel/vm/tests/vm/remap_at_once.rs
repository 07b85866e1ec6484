//! Moves of whole tables that need no memory and no second visit.

use crate::support::{HERE, RW, RWT, Rig};
use vellum_abi::{ExitKind, PAGE_SIZE, RemapFlags};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::Page;
use vellum_vm::ops::RemapRequest;

type Host = Rig<Single>;

const TABLE: u64 = 512;
const SPAN: u64 = TABLE * PAGE_SIZE;
const FIXED: RemapFlags = RemapFlags::MAYMOVE.union(RemapFlags::FIXED);

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, frames: 4096, ..ModelOptions::default() }
}

fn move_to(old: u64, tables: u64, new: u64) -> RemapRequest {
    let length = tables * SPAN;
    RemapRequest { old, old_length: length, new_length: length, flags: FIXED, new }
}

/// Maps whole tables and writes to the first page and the last.
fn written(rig: &Host, start: u64, tables: u64) {
    rig.map(&rig.tagged(0), start, tables * TABLE, RW);
    rig.store(0, start, 1).expect("a frame");
    rig.store(0, start + tables * SPAN - PAGE_SIZE, 2).expect("a frame");
}

fn check_shown(rig: &Host, start: u64, tables: u64) {
    assert_eq!(rig.load(1, start), Ok(1));
    assert_eq!(rig.load(1, start + PAGE_SIZE), Ok(0));
    assert_eq!(rig.load(2, start + tables * SPAN - PAGE_SIZE), Ok(2));
}

#[test]
fn a_mapping_of_whole_tables_moves_in_one_piece_and_without_memory() {
    for tables in [1, 2, 3, 8] {
        let rig = Host::with(options());
        let there = HERE + 32 * SPAN;
        written(&rig, HERE, tables);
        for (old, new) in [(HERE, there), (there, HERE), (HERE, HERE + tables * SPAN)] {
            let before = rig.stat();
            let objects = rig.model.pool_objects();
            rig.model.fail_in(1);
            let (address, change) = rig.space.remap(&move_to(old, tables, new)).expect("a move");
            rig.model.fail_in(0);
            assert!(change.is_none(), "{tables} tables");
            assert_eq!((address, rig.model.pool_objects()), (new, objects));
            let after = rig.stat();
            let carried = if tables == 1 { 1 } else { 2 };
            assert_eq!(after.tables_moved - before.tables_moved, carried);
            assert_eq!(after.tlbi_count - before.tlbi_count, 1);
            assert_eq!(
                (after.pt_frames, after.private_frames, after.mappings),
                (before.pt_frames, before.private_frames, before.mappings)
            );
            rig.audit();
            check_shown(&rig, new, tables);
            assert_eq!(rig.load(1, old), Err(ExitKind::NotMapped));
            assert_eq!(rig.load(2, old + SPAN - PAGE_SIZE), Err(ExitKind::NotMapped));
        }
        rig.finish(options());
    }
}

#[test]
fn a_move_of_more_tables_than_one_hold_of_the_lock_is_for_takes_steps() {
    let rig = Host::with(options());
    written(&rig, HERE, 9);
    let request = move_to(HERE, 9, HERE + 32 * SPAN);
    let (_, change) = rig.space.remap(&request).expect("a move");
    let mut change = change.expect("a change");
    while !change.step(&rig.space) {}
    check_shown(&rig, HERE + 32 * SPAN, 9);
    rig.finish(options());
}

#[test]
fn a_move_into_another_table_of_tables_frees_the_one_it_leaves() {
    for beside in [HERE + (3 << 30), HERE + (1 << 40)] {
        let rig = Host::with(options());
        written(&rig, HERE, 2);
        rig.map(&rig.pattern(7), beside, 1, RW);
        rig.load(0, beside).expect("a table");
        let before = rig.stat();
        let there = beside + 4 * SPAN;
        let (_, change) = rig.space.remap(&move_to(HERE, 2, there)).expect("a move");
        assert!(change.is_none());
        // The table that pointed to the moved ones, and the one above it if nobody else needs it.
        let gone = if beside < HERE + (1 << 39) { 1 } else { 2 };
        assert_eq!(rig.stat().pt_frames, before.pt_frames - gone);
        rig.audit();
        check_shown(&rig, there, 2);
        assert_eq!(rig.load(1, beside), Ok(7));
        rig.finish(options());
    }
}

#[test]
fn a_mapping_that_comes_to_lie_beside_its_like_becomes_one_with_it() {
    for (other, to) in [(0, 1), (8, 7), (3, 4), (4, 3)] {
        let rig = Host::with(options());
        let from = if to < other { 1 } else { 6 };
        let zero = rig.tagged(0);
        for table in [other, from] {
            rig.map(&zero, HERE + table * SPAN, TABLE, RW);
            rig.store(0, HERE + table * SPAN, 1 + table as u8).expect("a frame");
        }
        let (_, change) =
            rig.space.remap(&move_to(HERE + from * SPAN, 1, HERE + to * SPAN)).expect("a move");
        assert!(change.is_none());
        assert_eq!(rig.stat().mappings, 1, "{from} to {to} beside {other}");
        assert_eq!(rig.load(1, HERE + other * SPAN), Ok(1 + other as u8));
        assert_eq!(rig.load(1, HERE + to * SPAN), Ok(1 + from as u8));
        drop(zero);
        rig.finish(options());
    }
}

#[test]
fn a_move_past_another_mapping_shows_the_same() {
    for between in [3, 4] {
        let rig = Host::with(options());
        rig.map(&rig.pattern(7), HERE + between * SPAN, TABLE, RWT);
        written(&rig, HERE, 2);
        for (old, new) in [(HERE, HERE + 5 * SPAN), (HERE + 5 * SPAN, HERE)] {
            let (address, change) = rig.space.remap(&move_to(old, 2, new)).expect("a move");
            assert_eq!((address, change.is_none()), (new, true));
            check_shown(&rig, new, 2);
            assert_eq!(rig.load(1, HERE + between * SPAN), Ok(7));
            assert!(
                rig.space.query(Page::containing(old)).ok().is_none_or(|info| info.start != old)
            );
            rig.audit();
        }
        rig.finish(options());
    }
}
