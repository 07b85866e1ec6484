//! Batched first writes: when they begin, how far they go, and that contents are the same.

use crate::explored::{Race, change, cpu, explore, finish, on_cpus, options as race_options};
use crate::support::{HERE, Object, RW, RWT, Rig, new_space, range};
use std::sync::Arc;
use vellum_abi::{MapFlags, MapOptions, PAGE_SIZE, Protection, Switches};
use vellum_model::{Family, ModelOptions, Single};
use vellum_vm::account::Account;
use vellum_vm::machine::Pools;
use vellum_vm::ops::{MapRequest, Progress};
use vellum_vm::page_table::Ownership;

type Host = Rig<Single>;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

fn map<F: Family>(rig: &Rig<F>, object: &Object<F>, pages: u64, protection: Protection) {
    map_at(rig, object, 0, pages, protection);
}

fn map_at<F: Family>(
    rig: &Rig<F>,
    object: &Object<F>,
    first: u64,
    pages: u64,
    protection: Protection,
) {
    let request = MapRequest {
        object: object.clone(),
        address: page(first),
        length: pages * PAGE_SIZE,
        offset: 0,
        options: MapOptions {
            protection,
            switches: Switches::BATCH,
            flags: MapFlags::FIXED,
            ..MapOptions::default()
        },
        maximum: Protection::ALL,
    };
    assert!(rig.space.map(&request).is_ok());
}

/// Returns how many private leaves nobody has touched.
fn untouched<F: Family>(rig: &Rig<F>) -> usize {
    let leaves = rig.model.leaves(rig.space.root());
    let ahead = leaves.iter().filter(|leaf| {
        leaf.descriptor.ownership() == Ownership::Private && !leaf.descriptor.is_accessed()
    });
    ahead.count()
}

/// Stores to pages, and checks the budget after each.
fn store<F: Family>(rig: &Rig<F>, pages: impl IntoIterator<Item = u64>) {
    for number in pages {
        rig.store(0, page(number), 1).expect("a frame");
        assert!(untouched(rig) <= 15, "{} untouched at page {number}", untouched(rig));
    }
}

fn faults<F: Family>(rig: &Rig<F>) -> u64 {
    rig.stat().faults_write_fresh + rig.stat().faults_write_cow
}

#[test]
fn the_fifth_store_in_a_row_makes_fifteen_pages_ahead() {
    let rig = Host::new();
    map(&rig, &rig.pattern(7), 600, RW);
    store(&rig, 0..4);
    assert_eq!((rig.stat().speculative_frames, faults(&rig)), (0, 4));
    store(&rig, 4..5);
    assert_eq!((rig.stat().speculative_frames, faults(&rig), untouched(&rig)), (15, 5, 15));
    assert_eq!((rig.stat().private_frames, rig.stat().bytes_filled), (20, 20 * PAGE_SIZE));
    store(&rig, 5..20);
    assert_eq!((faults(&rig), untouched(&rig)), (5, 0));
    // Over the end of a table: the next one has to be there.
    store(&rig, 20..600);
    assert_eq!(rig.stat().private_frames, 600);
    assert!(faults(&rig) <= 5 + 580 / 16 + 2, "{} faults", faults(&rig));
    for number in 0..600 {
        let bytes = [0, 1, 4095].map(|offset| rig.load(1, page(number) + offset));
        assert_eq!(bytes, [Ok(1), Ok(7), Ok(7)]);
    }
    rig.audit();
    rig.unmap(HERE, 600);
    rig.finish(options());
}

#[test]
fn strides_descents_and_reads_never_make_pages_ahead() {
    let rig = Host::new();
    map(&rig, &rig.pattern(7), 600, RW);
    store(&rig, (0..40).map(|number| 2 * number));
    store(&rig, (0..20).map(|number| 200 + 3 * number));
    store(&rig, (0..40).map(|number| 599 - number));
    for number in 100..140 {
        rig.load(0, page(number)).expect("mapped");
    }
    assert_eq!((rig.stat().speculative_frames, rig.stat().private_frames), (0, 100));
    rig.finish(options());
}

#[test]
fn a_stride_of_windows_after_a_run_stays_inside_the_budget() {
    let rig = Host::new();
    map(&rig, &rig.pattern(7), 600, RW);
    store(&rig, 0..5);
    store(&rig, (1..30).map(|number| 4 + 16 * number));
    assert_eq!((rig.stat().speculative_frames, untouched(&rig)), (15, 15));
    rig.finish(options());
}

#[test]
fn frames_of_abandoned_runs_stay_inside_the_budget() {
    let rig = Host::new();
    map(&rig, &rig.tagged(0), 600, RWT);
    for (run, length) in [(0, 9), (100, 17), (200, 5), (300, 40), (400, 6)] {
        store(&rig, run..run + length);
    }
    assert!(rig.stat().speculative_frames > 15);
    // Decommitted whole, the mapping begins anew.
    rig.decommit(HERE, 600);
    let before = rig.stat().speculative_frames;
    store(&rig, 0..5);
    assert_eq!(rig.stat().speculative_frames - before, 15);
    rig.finish(options());
}

#[test]
fn parts_of_a_mapping_share_its_budget() {
    let rig = Host::new();
    map(&rig, &rig.pattern(7), 600, RW);
    store(&rig, 0..5);
    rig.protect(page(10), 300, Protection::READ);
    rig.protect(page(10), 300, RW);
    store(&rig, 400..420);
    assert_eq!((rig.stat().speculative_frames, untouched(&rig)), (15, 15));
    rig.unmap(page(300), 10);
    store(&rig, 500..520);
    assert_eq!(rig.stat().speculative_frames, 15);
    rig.finish(options());
}

#[test]
fn pages_that_were_read_are_broken_together_and_others_end_the_batch() {
    let rig = Host::new();
    map(&rig, &rig.pattern(7), 64, RW);
    (0..64).for_each(|number| assert_eq!(rig.load(0, page(number)), Ok(7)));
    store(&rig, 12..13);
    store(&rig, 0..4);
    let before = rig.model.acts();
    store(&rig, 4..5);
    let acts = rig.model.acts();
    assert_eq!(rig.stat().speculative_frames, 7, "up to the page that is private already");
    assert_eq!((acts.dsb_ish - before.dsb_ish, acts.dsb_ishst - before.dsb_ishst), (1, 2));
    assert_eq!((acts.tlbi - before.tlbi, rig.stat().faults_write_cow), (8, 6));
    store(&rig, 5..12);
    assert_eq!(rig.load(1, page(11)), Ok(1));
    rig.finish(options());
}

#[test]
fn objects_that_may_change_have_no_batches() {
    let rig = Host::new();
    let object = rig.memory(64);
    map(&rig, &object, 64, RW);
    store(&rig, 0..40);
    assert_eq!(rig.stat().speculative_frames, 0);
    drop(object);
    rig.finish(options());
}

#[test]
fn short_memory_makes_batches_smaller_and_fails_no_store() {
    let rig = Host::new();
    // Root and three tables, and what follows.
    for limit in 4..44 {
        let account = rig.model.share(Account::new(limit, u64::MAX / 2)).expect("a pool");
        let object = rig.pattern(7);
        let other = rig.beside(&account);
        map(&other, &object, 64, RW);
        let done = (0..64).take_while(|number| other.space.write_page(page(*number), &[1]).is_ok());
        assert_eq!(done.count() as u64, limit - 4, "every frame serves a store");
        other.unmap(HERE, 64);
        drop((other, object));
    }
    rig.finish(options());
}

#[test]
fn without_hardware_access_flags_a_mapping_has_one_budget() {
    let options = ModelOptions { access_flags: false, ..options() };
    let rig = Host::with(options);
    map(&rig, &rig.pattern(7), 600, RW);
    (0..200).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    assert_eq!((rig.stat().speculative_frames, rig.stat().private_frames), (15, 200));
    rig.finish(options);
}

#[test]
fn a_cpu_that_sets_no_access_flag_is_helped_by_the_handler() {
    let options = ModelOptions { flagless_cpus: 1 << 1, ..options() };
    let rig = Host::with(options);
    map(&rig, &rig.pattern(7), 600, RW);
    store(&rig, 0..5);
    let before = rig.model.acts();
    assert_eq!((rig.load(1, page(5)), untouched(&rig)), (Ok(7), 14));
    let acts = rig.model.acts();
    assert_eq!((acts.stores - before.stores, acts.tlbi - before.tlbi), (1, 0), "one act, no flush");
    rig.store(1, page(6), 1).expect("a frame");
    assert_eq!((rig.stat().faults_spurious, untouched(&rig)), (2, 13));
    // A CPU that sets the flag takes no fault, and the other none where it has.
    rig.store(0, page(7), 1).expect("a frame");
    rig.store(1, page(7), 2).expect("a frame");
    assert_eq!((rig.stat().faults_spurious, faults(&rig)), (2, 5));
    // The run goes on wherever it is, and the budget holds.
    for number in 8..300 {
        rig.store(number as usize % 2, page(number), 1).expect("a frame");
        assert!(untouched(&rig) <= 15);
    }
    assert!(faults(&rig) <= 5 + 292 / 16 + 2, "{} faults", faults(&rig));
    rig.finish(options);
}

#[test]
fn a_leaf_ahead_that_lost_its_permission_gets_it_back_with_the_flag() {
    let options = ModelOptions { flagless_cpus: 1 << 1, ..options() };
    let rig = Host::with(options);
    map(&rig, &rig.pattern(7), 60, RW);
    store(&rig, 0..5);
    // A clone takes the permission to store away, and its end gives it to whoever asks.
    let child = new_space(&rig.model, &rig.account);
    let mut cloning = rig.space.clone_space().expect("at rest");
    while cloning.run(&rig.space, &child).expect("memory") == Progress::Paused {}
    drop(child);
    rig.store(1, page(10), 1).expect("a frame");
    let stat = rig.stat();
    assert_eq!((stat.faults_write_upgrade, stat.faults_spurious), (1, 0), "one fault for both");
    assert_eq!((rig.load(0, page(10)), untouched(&rig)), (Ok(1), 14));
    rig.finish(options);
}

#[test]
fn stores_in_any_order_leave_the_same_bytes_and_tags() {
    let mut seed = 7_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for object in 0..3 {
        let rig = Host::with(ModelOptions { frames: 2048, ..options() });
        let object = [rig.pattern(7), rig.tagged(5), rig.tagged(0)][object].clone();
        map(&rig, &object, 300, RWT);
        rig.map(&object, page(1024), 300, RWT);
        let mut at = 0;
        for turn in 0..1500 {
            at = if next(12) == 0 { next(300) } else { (at + 1) % 300 };
            let tag = u64::from(rig.load_tag(0, page(at)).expect("mapped"));
            match next(10) {
                0 => [at, at + 1024].iter().for_each(|at| _ = rig.load(1, page(*at) | tag << 56)),
                1 => [at, at + 1024].iter().for_each(|at| {
                    rig.store_tag(1, page(*at) + 16 * (turn % 256), turn % 16).expect("a frame");
                }),
                2 if turn % 7 == 0 => {
                    [at, at + 1024].iter().for_each(|at| rig.decommit(page(*at), 1))
                }
                _ => [at, at + 1024].iter().for_each(|at| {
                    rig.space.write_page(page(*at) + turn % 4096, &[turn as u8]).expect("a frame");
                }),
            }
            assert!(untouched(&rig) <= 15);
        }
        assert!(rig.stat().speculative_frames > 0);
        for at in 0..300 {
            let (mut one, mut other) = ([0; 4096], [0; 4096]);
            rig.space.read_page(page(at), &mut one).expect("mapped");
            rig.space.read_page(page(at + 1024), &mut other).expect("mapped");
            assert!(one == other, "page {at}");
            let tags = |at| (0..256).map(move |granule| page(at) + 16 * granule);
            let tags = |at| tags(at).map(|place| rig.load_tag(0, place)).collect::<Vec<_>>();
            assert_eq!(tags(at), tags(at + 1024));
        }
        drop(object);
        rig.finish(ModelOptions { frames: 2048, ..options() });
    }
}

/// Maps with batches, four stores into a run.
fn run_up() -> Arc<Race> {
    let rig = Arc::new(Race::with(race_options()));
    map(&rig, &rig.pattern(7), 24, RW);
    store(&rig, 0..4);
    rig
}

fn checked_store(rig: &Race, cpu: usize, number: u64) {
    rig.store(cpu, page(number) + cpu as u64, cpu as u8).expect("a frame");
    assert!(untouched(rig) <= 15, "{} untouched", untouched(rig));
}

#[test]
fn two_cpus_run_through_the_same_window() {
    explore(|| {
        let rig = run_up();
        let run = |rig: &Race, cpu: usize| (4..9).for_each(|at| checked_store(rig, cpu, at));
        on_cpus(vec![cpu(&rig, run), cpu(&rig, run)]);
        for number in 4..9 {
            let bytes = [0, 1, 2, 3].map(|offset| rig.load(0, page(number) + offset));
            assert_eq!(bytes, [7, 1, 2, 7].map(Ok), "page {number}");
        }
        assert_eq!(rig.stat().bytes_filled, rig.stat().private_frames * PAGE_SIZE);
        rig.unmap(HERE, 24);
        finish(rig);
    });
}

#[test]
fn a_cpu_inside_the_window_and_a_run_elsewhere_keep_the_budget() {
    explore(|| {
        let rig = run_up();
        let run = |rig: &Race, cpu: usize| (4..6).for_each(|at| checked_store(rig, cpu, at));
        let inside =
            |rig: &Race, cpu: usize| [9, 5].iter().for_each(|at| checked_store(rig, cpu, *at));
        let elsewhere =
            |rig: &Race, cpu: usize| (18..23).for_each(|at| checked_store(rig, cpu, at));
        on_cpus(vec![cpu(&rig, run), cpu(&rig, inside), cpu(&rig, elsewhere)]);
        assert!(untouched(&rig) <= 15);
        rig.unmap(HERE, 24);
        finish(rig);
    });
}

#[test]
fn a_batch_and_a_decommit_of_its_window() {
    explore(|| {
        let rig = run_up();
        let run = |rig: &Race, cpu: usize| (4..7).for_each(|at| checked_store(rig, cpu, at));
        let decommit = |rig: &Race, _| {
            change(rig, |space| space.decommit(range(page(3), 8))).expect("mapped");
            change(rig, |space| space.decommit(range(HERE, 24))).expect("mapped");
        };
        on_cpus(vec![cpu(&rig, run), cpu(&rig, decommit)]);
        for number in 0..24 {
            let byte = rig.load(0, page(number) + 3);
            assert_eq!(byte, Ok(7));
        }
        rig.unmap(HERE, 24);
        finish(rig);
    });
}

#[test]
fn a_batch_and_an_unmap_of_its_window() {
    explore(|| {
        let rig = run_up();
        let run = |rig: &Race, cpu: usize| {
            for at in 4..7 {
                _ = rig.store(cpu, page(at), 1);
            }
        };
        let unmap = |rig: &Race, _| {
            change(rig, |space| space.unmap(range(page(6), 18))).expect("mapped");
        };
        on_cpus(vec![cpu(&rig, run), cpu(&rig, unmap)]);
        assert!(rig.stat().private_frames <= 6);
        finish(rig);
    });
}
