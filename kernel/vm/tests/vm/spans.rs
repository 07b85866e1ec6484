//! Tables that a reference object shares among its mappings: what they cost, who has them, and
//! that nobody can tell them from leaves of one's own.

use crate::explore::{explore as try_random, setting};
use crate::explored::{BUSY, Race, change, cpu, explore, finish, on_cpus, options};
use crate::support::{HERE, Object, RW, RWT, Rig, range};
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vellum_abi::{ExitKind, MapFlags, MapOptions, PAGE_SIZE, PageState, Protection, Switches};
use vellum_model::{Family, ModelOptions, Single};
use vellum_vm::account::Account;
use vellum_vm::addr::Page;
use vellum_vm::machine::Pools;
use vellum_vm::ops::MapRequest;

type Host = Rig<Single>;

/// Pages below one slot of a table at level 2, and of one at level 1.
pub(crate) const SPAN: u64 = 512;
const GIB: u64 = 512 * SPAN;

/// Maps an object with switches.
pub(crate) fn map<F: Family>(
    rig: &Rig<F>,
    object: &Object<F>,
    address: u64,
    pages: u64,
    (protection, switches): (Protection, Switches),
) {
    let flags = MapFlags::FIXED | MapFlags::REPLACE;
    let (_, change) = rig
        .space
        .map(&MapRequest {
            object: object.clone(),
            address,
            length: pages * PAGE_SIZE,
            offset: 0,
            options: MapOptions { protection, flags, switches, ..MapOptions::default() },
            maximum: Protection::ALL,
        })
        .expect("a mapping");
    change.into_iter().for_each(|change| rig.complete(Ok(change)));
}

const TABLES: (Protection, Switches) = (RW, Switches::SHARED_TABLES);
const TAGGED_TABLES: (Protection, Switches) = (RWT, Switches::SHARED_TABLES);

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

fn host() -> (Host, ModelOptions) {
    let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
    (Host::with(options), options)
}

#[test]
fn a_gibibyte_is_read_with_a_few_faults_and_frames_wherever_it_begins() {
    for base in [0, 1, 5, SPAN - 1, SPAN, GIB - 1, GIB - SPAN, GIB - SPAN - 1, GIB + 77] {
        let (rig, options) = host();
        let object = rig.tagged(3);
        map(&rig, &object, page(base), GIB, TAGGED_TABLES);
        let before = rig.stat();
        for number in (0..GIB).step_by(61).chain([GIB - 1]) {
            assert_eq!(rig.load(0, page(base + number) | 3 << 56), Ok(0), "base {base}");
        }
        let after = rig.stat();
        let faults = after.faults_read_map + after.faults_table - before.faults_table;
        assert!(faults <= 8 && after.faults_spurious == 0, "base {base}: {faults} faults");
        let frames = after.pt_frames - before.pt_frames;
        assert!(frames <= 8, "base {base}: {frames} frames");
        assert_eq!(after.private_frames, 0);
        rig.audit();
        rig.unmap(page(base), GIB);
        assert_eq!(rig.stat().pt_frames, 1, "base {base}");
        drop(object);
        rig.finish(options);
    }
}

#[test]
fn two_address_spaces_point_to_the_same_tables() {
    let (rig, options) = host();
    let object = rig.pattern(7);
    let other = rig.beside(&rig.model.share(Account::new(100, u64::MAX / 2)).expect("a pool"));
    map(&rig, &object, HERE, GIB, TABLES);
    map(&other, &object, HERE, GIB, TABLES);
    rig.load(0, HERE).expect("mapped");
    let free = rig.model.free_frames();
    let frames = object.info(0).frames;
    assert_eq!(frames, 3, "the reference page and a table of each level");
    let page_of = |space: &Host| space.space.query(Page::containing(HERE)).expect("mapped").page;
    assert_eq!(other.space.read_page(HERE, &mut [0; 4]), Ok(4));
    assert_eq!(page_of(&other), PageState::ReadShared as u64);
    assert_eq!(rig.model.free_frames(), free - 1, "one table above the shared ones");
    assert_eq!((other.stat().faults_table, other.stat().pt_frames), (1, 2));
    assert_eq!(object.info(0).frames, frames);
    drop(other);
    rig.audit();
    assert_eq!(rig.load(1, page(GIB - 1)), Ok(7));
    drop(object);
    rig.finish(options);
}

#[test]
fn a_first_write_gives_one_page_and_the_tables_on_the_way_to_it() {
    for (base, tables) in [(0, 2), (1, 1)] {
        let (rig, options) = host();
        let object = rig.tagged(5);
        map(&rig, &object, page(base), GIB, TAGGED_TABLES);
        let written = page(base + 2 * SPAN + 9);
        for address in [page(base), written, page(base + 2 * SPAN + 10), page(base + 700 * 9)] {
            assert_eq!(rig.load(1, address | 5 << 56), Ok(0));
        }
        let before = (rig.stat(), rig.model.acts().tlbi);
        assert_eq!(rig.store(0, written | 5 << 56, 8), Ok(()));
        let after = rig.stat();
        assert_eq!((after.pt_frames - before.0.pt_frames, after.private_frames), (tables, 1));
        assert_eq!((after.block_splits, after.faults_write_cow), (1, 1));
        assert_eq!(rig.model.acts().tlbi - before.1, 1);
        rig.audit();
        for number in [base, base + 2 * SPAN + 8, base + 2 * SPAN + 10, base + GIB - 1] {
            assert_eq!(rig.load(1, page(number) | 5 << 56), Ok(0));
        }
        assert_eq!((rig.load(1, written | 5 << 56), rig.load_tag(2, written)), (Ok(8), Ok(5)));
        // The next first write in the same table is an ordinary one.
        let tables = rig.stat().pt_frames;
        assert_eq!(rig.store(0, (written + PAGE_SIZE) | 5 << 56, 8), Ok(()));
        assert_eq!((rig.stat().block_splits, rig.stat().pt_frames), (1, tables));
        rig.audit();
        drop(object);
        rig.finish(options);
    }
}

#[test]
fn taking_access_away_takes_no_memory() {
    let (rig, options) = host();
    let object = rig.pattern(7);
    type Operation = fn(&Host);
    let operations: [(&str, Operation); 4] = [
        ("unmap", |rig| rig.unmap(page(5), 700)),
        ("protect", |rig| rig.protect(page(5), 700, Protection::NONE)),
        ("tags", |rig| rig.protect(page(5), 700, RWT)),
        ("decommit", |rig| rig.decommit(page(5), 700)),
    ];
    for (name, operation_fn) in operations {
        map(&rig, &object, HERE, GIB, TABLES);
        for number in (0..GIB).step_by(300) {
            assert_eq!(rig.load(0, page(number)), Ok(7));
        }
        let allocations = rig.model.acts().allocations;
        operation_fn(&rig);
        assert_eq!(rig.model.acts().allocations, allocations, "{name}");
        rig.audit();
        let gone = rig.load(0, page(600));
        let wanted = match name {
            "unmap" => Err(ExitKind::NotMapped),
            "protect" => Err(ExitKind::AccessDenied),
            _ => Err(ExitKind::TagCheck),
        };
        assert_eq!(
            gone,
            if name == "decommit" { Ok(7) } else { wanted }.or_else(|kind| {
                // A pattern object has tag zero throughout.
                if kind == ExitKind::TagCheck { Ok(7) } else { Err(kind) }
            })
        );
        assert_eq!((rig.load(0, HERE), rig.load(0, page(705))), (Ok(7), Ok(7)), "{name}");
        rig.audit();
        rig.unmap(HERE, GIB);
    }
    drop(object);
    rig.finish(options);
}

#[test]
fn without_memory_for_shared_tables_pages_are_served_one_by_one() {
    for allocation in 1..8 {
        let (rig, options) = host();
        let poor = rig.model.share(Account::new(1, u64::MAX / 2)).expect("a pool");
        let counters = rig.space.counters();
        let made = vellum_vm::refpage::pattern(&rig.model, &poor, 7, counters);
        let object = rig.share(made.expect("a frame"));
        map(&rig, &object, HERE, 2 * SPAN, TABLES);
        assert_eq!((rig.load(0, HERE), rig.load(0, page(SPAN))), (Ok(7), Ok(7)), "limit");
        assert_eq!((rig.stat().faults_table, rig.stat().faults_read_map), (0, 2));
        drop(object);
        let object = rig.pattern(7);
        map(&rig, &object, HERE, 2 * SPAN, TABLES);
        rig.load(0, HERE).expect("mapped");
        let before = rig.stat();
        rig.model.fail_in(allocation);
        let result = rig.store(0, page(9), 1);
        rig.model.fail_in(0);
        if rig.model.injected() != 0 {
            assert_eq!(result, Err(ExitKind::OutOfFrames));
            let after = rig.stat();
            assert_eq!(after.pt_frames, before.pt_frames);
            assert_eq!(after.account_frames, before.account_frames);
            rig.audit();
        }
        assert_eq!(rig.store(0, page(9), 1), Ok(()));
        assert_eq!((rig.load(1, page(9) + 1), rig.load(1, page(10))), (Ok(7), Ok(7)));
        drop((object, poor));
        rig.finish(options);
    }
}

/// What both sides do. Pages are numbers in the mapping.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Load(u64),
    LoadTag(u64),
    Store(u64, u8),
    StoreTag(u64, u8),
    Protect(u64, u64, Protection),
    Decommit(u64, u64),
    Unmap(u64, u64),
    Map(u64, u64, Protection),
    Promote(u64, u64),
}

/// Pages that the deeds are about: two edges and two whole spans.
const PAGES: u64 = 3 * SPAN - 20;
const FIRST: u64 = SPAN - 10;

fn deed() -> impl Strategy<Value = Deed> {
    let near = || {
        let edges = prop_oneof![Just(0u64), Just(10), Just(10 + SPAN), Just(10 + 2 * SPAN)];
        (edges, 0..12u64).prop_map(|(edge, more)| (edge + more).saturating_sub(4).min(PAGES - 1))
    };
    let part = || {
        let length =
            prop_oneof![3 => 1..20u64, 1 => 500..520u64, 1 => Just(SPAN), 1 => Just(PAGES)];
        (near(), length).prop_map(|(start, length)| (start, length.min(PAGES - start)))
    };
    let protection = || {
        prop_oneof![
            3 => Just(RW),
            3 => Just(RWT),
            1 => Just(Protection::READ),
            1 => Just(Protection::NONE),
            1 => Just(Protection::READ | Protection::EXECUTE),
        ]
    };
    prop_oneof![
        10 => near().prop_map(Deed::Load),
        4 => near().prop_map(Deed::LoadTag),
        6 => (near(), 1..9u8).prop_map(|(page, byte)| Deed::Store(page, byte)),
        3 => (near(), 0..3u8).prop_map(|(page, tag)| Deed::StoreTag(page, tag)),
        2 => (part(), protection()).prop_map(|((at, pages), to)| Deed::Protect(at, pages, to)),
        2 => part().prop_map(|(at, pages)| Deed::Decommit(at, pages)),
        1 => part().prop_map(|(at, pages)| Deed::Unmap(at, pages)),
        2 => (part(), protection()).prop_map(|((at, pages), to)| Deed::Map(at, pages, to)),
        1 => part().prop_map(|(at, pages)| Deed::Promote(at, pages)),
    ]
}

/// Does a deed and says what a program could know of it.
///
/// `always` is what every mapping keeps: private pages that become Tagged memory get tag zero, and
/// which pages are private is not the same with blocks.
fn perform(
    rig: &Host,
    object: &Object<Single>,
    (switches, always): (Switches, Protection),
    deed: Deed,
) -> String {
    let address = |number: u64| page(FIRST + number);
    let part = |at: u64, pages: u64| range(address(at), pages);
    let changed = |begun: Result<_, _>| match begun {
        Ok(change) => {
            rig.complete::<Option<_>>(Ok(change));
            "done".to_string()
        }
        Err(refusal) => format!("{refusal:?}"),
    };
    match deed {
        Deed::Load(number) => format!("{:?}", rig.load(0, address(number) | 2 << 56)),
        Deed::LoadTag(number) => format!("{:?}", rig.load_tag(1, address(number))),
        Deed::Store(number, byte) => {
            format!("{:?}", rig.store(1, address(number) | 2 << 56, byte))
        }
        Deed::StoreTag(number, tag) => {
            format!("{:?}", rig.store_tag(0, address(number), u64::from(tag)))
        }
        Deed::Protect(at, pages, to) => {
            changed(rig.space.protect(part(at, pages), to | always).map(Some))
        }
        Deed::Decommit(at, pages) => changed(rig.space.decommit(part(at, pages)).map(Some)),
        Deed::Unmap(at, pages) => changed(rig.space.unmap(part(at, pages))),
        Deed::Map(at, pages, protection) => {
            map(rig, object, address(at), pages, (protection | always, switches));
            String::new()
        }
        Deed::Promote(at, pages) => {
            // Nothing that a program could know.
            if let Ok(mut promotion) = rig.space.promote(part(at, pages)) {
                while !promotion.step(&rig.space) {}
                assert_eq!(promotion.result().1, None);
            }
            String::new()
        }
    }
}

/// Does the same with and without switches, and compares what a program could know.
fn compare(switches: Switches, always: Protection) {
    // A case takes as long as a hundred operations elsewhere.
    let cases = (setting("VELLUM_MODEL_OPS", 40_000) / 1000).min(200);
    try_random(cases, 100, deed(), |deeds| {
        let options = ModelOptions { cpus: 3, frames: 8192, ..ModelOptions::default() };
        let sides = [Switches::NONE, switches].map(|switches| {
            let rig = Host::with(options);
            let object = rig.tagged(2);
            map(&rig, &object, page(FIRST), PAGES, (RWT, switches));
            (rig, object, switches)
        });
        for deed in deeds {
            let [without, with] =
                sides.each_ref().map(|(rig, object, on)| perform(rig, object, (*on, always), deed));
            assert_eq!(with, without, "{deed:?}");
            let [without, with] = sides.each_ref().map(|(rig, ..)| rig.stat().private_frames);
            let same = with == without || switches.contains(Switches::HUGE);
            assert!(same, "private frames after {deed:?}: {with} and {without}");
            sides[1].0.audit();
        }
        for (rig, object, _) in sides {
            drop(object);
            rig.finish(options);
        }
    });
}

#[test]
fn whatever_is_done_the_result_is_the_same_with_shared_tables_as_without() {
    compare(Switches::SHARED_TABLES, Protection::NONE);
}

#[test]
fn whatever_is_done_the_result_is_the_same_with_huge_pages_as_without() {
    compare(Switches::HUGE, Protection::TAGGED);
    compare(Switches::HUGE | Switches::HUGE_WRITES, Protection::TAGGED);
    let all = Switches::HUGE | Switches::HUGE_WRITES | Switches::SHARED_TABLES;
    compare(all, Protection::TAGGED);
}

#[test]
fn cpus_that_split_one_shared_table_lose_no_store_and_see_no_hole() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.pattern(7);
        map(&rig, &object, HERE, SPAN, TABLES);
        drop(object);
        rig.load(0, HERE).expect("mapped");
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, page(cpu as u64), cpu as u8).expect("a frame");
        };
        let load = |rig: &Race, cpu: usize| {
            assert_eq!(rig.load(cpu, page(9)), Ok(7));
            let seen = rig.load(cpu, page(1)).expect("mapped");
            assert!(seen == 7 || seen == 1);
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, store), cpu(&rig, load)]);
        let stat = rig.stat();
        assert_eq!((stat.private_frames, stat.faults_write_cow), (2, 2));
        assert_eq!((stat.block_splits, stat.pt_frames), (1, 4));
        let bytes = [0, 1, 2].map(|number| rig.load(0, page(number)));
        assert_eq!(bytes[1], Ok(1));
        finish(rig);
    });
    assert_ne!(BUSY.load(Ordering::Relaxed), 0, "no schedule led into the middle of a break");
}

#[test]
fn a_load_below_a_shared_table_faults_once_unmap_is_complete() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.pattern(7);
        map(&rig, &object, HERE, SPAN, TABLES);
        drop(object);
        let unmap = |rig: &Race, cpu: usize| {
            change(rig, |space| space.unmap(range(HERE, 9))).expect("mapped");
            assert_eq!(rig.load(cpu, HERE), Err(ExitKind::NotMapped));
        };
        let load = |rig: &Race, cpu: usize| {
            for number in [3, 40, 3] {
                let loaded = rig.load(cpu, page(number));
                let gone = loaded == Err(ExitKind::NotMapped) && number == 3;
                assert!(loaded == Ok(7) || gone, "{loaded:?}");
            }
        };
        on_cpus(vec![cpu(&rig, unmap), cpu(&rig, load)]);
        finish(rig);
    });
}
