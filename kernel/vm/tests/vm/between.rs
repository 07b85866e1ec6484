//! What one feature does to what another has left.

use crate::explored::{Race, cpu, explore, finish, on_cpus, options as race_options};
use crate::policies;
use crate::spans::{SPAN, map};
use crate::support::{HERE, Object, RW, RWT, Rig, range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vellum_abi::{
    FaultAccess, MapFlags, MapOptions, PAGE_SIZE, Policy, Protection, RemapFlags, Switches,
};
use vellum_model::{Family, Model, ModelOptions, Single};
use vellum_vm::account::Account;
use vellum_vm::addr::UserPointer;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::machine::Machine;
use vellum_vm::object::{Extent, MemoryObject};
use vellum_vm::ops::{MapRequest, RemapRequest};
use vellum_vm::page_table::Ownership;

type Host = Rig<Single>;

const RX: Protection = Protection::READ.union(Protection::EXECUTE);

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, frames: 6 * 512, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

/// Maps an object whole with a policy and a switch.
fn request(
    object: &Object<Single>,
    pages: u64,
    protection: Protection,
    (policy, switches): (Policy, Switches),
) -> MapRequest<Model<Single>> {
    MapRequest {
        options: MapOptions {
            protection,
            policy,
            switches,
            flags: MapFlags::FIXED,
            ..MapOptions::default()
        },
        ..policies::request(object, policy, pages)
    }
}

#[test]
fn faults_beside_a_promotion_do_not_show_the_object_in_its_place() {
    let rig = Host::with(options());
    let object = rig.pattern(7);
    map(&rig, &object, HERE, 3 * SPAN, (RW, Switches::HUGE | Switches::SHARED_TABLES));
    rig.space.write_page(page(3), &[1]).expect("a frame");
    let Ok(mut promotion) = rig.space.promote(range(HERE, SPAN)) else { panic!("refused") };
    assert!(!promotion.step(&rig.space), "the old table is unlinked");
    let mut byte = [0];
    assert_eq!(rig.space.read_page(page(SPAN), &mut byte), Ok(1));
    assert_eq!(byte, [7]);
    let seen = rig.model.cpu(0).load(UserPointer::new(page(3)));
    assert!(seen.is_err(), "a store is lost from sight: {seen:?}");
    while !promotion.step(&rig.space) {}
    assert_eq!((rig.load(0, page(3)), rig.load(1, page(4))), (Ok(1), Ok(7)));
    drop(object);
    rig.finish(options());
}

/// Executes a page and says whether the fetch is sure to see what was written.
fn fetch<F: Family>(rig: &Rig<F>, cpu: usize, address: u64) -> bool {
    let pointer = UserPointer::new(address);
    loop {
        match rig.model.cpu(cpu).execute(pointer) {
            Ok((_, is_synced)) => return is_synced,
            Err(fault) => {
                let outcome = rig.space.handle_fault_at(pointer, fault.access);
                assert_eq!(outcome, Outcome::Resume);
            }
        }
    }
}

#[test]
fn executable_pages_of_a_batch_are_fit_for_fetch() {
    let rig = Host::with(options());
    let object = rig.pattern(7);
    let whole = request(&object, 40, RX, (Policy::PatternOnAnyFault, Switches::BATCH));
    policies::map(&rig, &whole).expect("a mapping");
    for number in 0..40 {
        assert!(fetch(&rig, 0, page(number)), "page {number}");
    }
    assert_ne!(rig.stat().speculative_frames, 0);
    drop((whole, object));
    rig.finish(options());
}

#[test]
fn a_copy_for_tags_of_its_own_is_fit_for_fetch() {
    let rig = Host::with(options());
    let object = rig.pattern(7);
    rig.map(&object, HERE, 1, RW);
    rig.store(0, HERE, 1).expect("a frame");
    let other = rig.beside(&rig.account);
    let Ok(mut cloning) = rig.space.clone_space() else { panic!("refused") };
    assert!(cloning.run(&rig.space, &other.space).is_ok());
    rig.protect(HERE, 1, RX | Protection::TAGGED);
    assert!(fetch(&rig, 0, HERE));
    drop((other, object));
    rig.finish(options());
}

#[test]
fn a_wrapping_mapping_ends_before_offsets_do() {
    let rig = Host::with(options());
    let (model, account) = (rig.model.clone(), rig.account.clone());
    let made = MemoryObject::memory_of(model, account, 3 * PAGE_SIZE, Extent::Wraps);
    let object = rig.share(made.expect("a frame"));
    let mut request = request(&object, 2, RW, (Policy::Wrap, Switches::NONE));
    request.offset = 0u64.wrapping_sub(PAGE_SIZE);
    let refused = policies::map(&rig, &request);
    assert_eq!(refused, Err(Refusal::Error(VmError::BeyondEnd)));
    request.offset -= 2 * PAGE_SIZE;
    policies::map(&rig, &request).expect("the last two pages that have an offset");
    rig.protect(page(1), 1, Protection::READ);
    let info = rig.space.query(range(page(1), 1).start()).expect("mapped");
    assert_eq!(info.offset, request.offset + PAGE_SIZE);
    drop((request, object));
    rig.finish(options());
}

#[test]
fn a_wrapping_mapping_grows_no_further_than_offsets_go() {
    let rig = Host::with(options());
    let object = policies::wrap(&rig, 3);
    let mut map = request(&object, 2, RW, (Policy::Wrap, Switches::NONE));
    map.offset = 0u64.wrapping_sub(4 * PAGE_SIZE);
    policies::map(&rig, &map).expect("pages that have an offset");
    let [two, three, four] = [2, 3, 4].map(|pages| pages * PAGE_SIZE);
    let grow = |new_length, flags| {
        let (old, old_length, new) = (page(0), two, page(8));
        rig.remap(&RemapRequest { old, old_length, new_length, flags, new })
    };
    for flags in [RemapFlags::NONE, RemapFlags::MAYMOVE | RemapFlags::FIXED] {
        assert_eq!(grow(four, flags), Err(Refusal::Error(VmError::BeyondEnd)), "{flags:?}");
    }
    assert_eq!(grow(three, RemapFlags::NONE), Ok(page(0)));
    rig.protect(page(2), 1, Protection::READ);
    let info = rig.space.query(range(page(2), 1).start()).expect("mapped");
    assert_eq!(info.offset, map.offset + two);
    drop((map, object));
    rig.finish(options());
}

/// Returns how many private leaves nobody has touched.
fn untouched<F: Family>(rig: &Rig<F>) -> usize {
    let leaves = rig.model.leaves(rig.space.root());
    let ahead = leaves.iter().filter(|leaf| {
        leaf.descriptor.ownership() == Ownership::Private && !leaf.descriptor.is_accessed()
    });
    ahead.count()
}

#[test]
fn frames_ahead_that_move_stay_untouched() {
    let rig = Host::with(options());
    let object = rig.pattern(7);
    let whole = request(&object, 60, RW, (Policy::ReferencePage, Switches::BATCH));
    policies::map(&rig, &whole).expect("a mapping");
    (0..5).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    assert_eq!(untouched(&rig), 15);
    rig.complete(rig.space.move_frames());
    assert_eq!(untouched(&rig), 15, "of which a batch must know");
    rig.store(0, page(20), 1).expect("a frame");
    assert_eq!(rig.stat().speculative_frames, 15);
    drop((whole, object));
    rig.finish(options());
}

#[test]
fn a_tag_hint_makes_nobody_else_pay_for_tables_and_blocks() {
    for switches in [Switches::SHARED_TABLES, Switches::HUGE] {
        let rig = Host::with(options());
        let zero = rig.tagged(0);
        let mut hinted = request(&zero, 2 * SPAN, RWT, (Policy::ReferencePage, switches));
        hinted.options.flags = MapFlags::FIXED | MapFlags::TAG_HINT;
        hinted.options.tag = 5;
        policies::map(&rig, &hinted).expect("a mapping");
        assert_eq!(rig.load(0, HERE | 5 << 56), Ok(0));
        assert_eq!(rig.load_tag(0, page(SPAN)), Ok(5));
        assert_eq!(rig.model.tag_pages().account().frames(), 0);
        drop((hinted, zero));
        rig.finish(options());
    }
}

#[test]
fn a_promotion_beside_a_first_write_below_a_shared_table_loses_no_table() {
    explore(|| {
        let rig = Arc::new(Race::with(race_options()));
        let object = rig.pattern(7);
        let switches = Switches::HUGE | Switches::SHARED_TABLES;
        map(&rig, &object, HERE, 512 * SPAN, (RW, switches));
        drop(object);
        let mut byte = [0];
        assert_eq!(rig.space.read_page(HERE, &mut byte), Ok(1));
        let promote = |rig: &Race, _: usize| {
            let Ok(mut promotion) = rig.space.promote(range(HERE, SPAN)) else { panic!("refused") };
            while !promotion.step(&rig.space) {}
            // It has made the way to the block, and then there is no memory for that.
            assert_eq!(promotion.result(), (0, Some(VmError::OutOfFrames)));
        };
        let store = |rig: &Race, cpu: usize| {
            assert_eq!(rig.space.write_page(page(9 * SPAN), &[cpu as u8]), Ok(1));
            assert_eq!(rig.load(cpu, page(9 * SPAN)), Ok(cpu as u8));
        };
        on_cpus(vec![cpu(&rig, promote), cpu(&rig, store)]);
        assert_eq!((rig.load(0, page(9 * SPAN)), rig.load(0, HERE)), (Ok(2), Ok(7)));
        finish(rig);
    });
}

#[test]
fn pages_decommitted_whole_are_ahead_no_more() {
    let rig = Host::with(options());
    let object = rig.pattern(7);
    let whole = request(&object, 60, RW, (Policy::ReferencePage, Switches::BATCH));
    policies::map(&rig, &whole).expect("a mapping");
    (0..5).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    rig.decommit(HERE, 60);
    (0..5).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
    assert_eq!(rig.stat().speculative_frames, 30);
    let populate = rig.space.populate(range(HERE, 60), FaultAccess::Write);
    rig.complete(populate);
    assert_eq!(rig.stat().private_frames, 60);
    drop((whole, object));
    rig.finish(options());
}

#[test]
fn a_clone_beside_the_first_use_of_a_page_ahead_knows_of_it() {
    explore(|| {
        let rig = Arc::new(Race::with(race_options()));
        let request = MapRequest {
            object: rig.pattern(7),
            address: HERE,
            length: 24 * PAGE_SIZE,
            offset: 0,
            options: MapOptions {
                protection: RW,
                flags: MapFlags::FIXED,
                switches: Switches::BATCH,
                ..MapOptions::default()
            },
            maximum: Protection::ALL,
        };
        assert!(rig.space.map(&request).is_ok());
        drop(request);
        (0..5).for_each(|number| rig.store(0, page(number), 1).expect("a frame"));
        assert_eq!(untouched(&rig), 15);
        let clone = |rig: &Race, _: usize| {
            let other = rig.beside(&rig.account);
            let Ok(mut cloning) = rig.space.clone_space() else { panic!("refused") };
            assert!(cloning.run(&rig.space, &other.space).is_ok());
        };
        let load = |rig: &Race, cpu: usize| assert_eq!(rig.load(cpu, page(7)), Ok(7));
        on_cpus(vec![cpu(&rig, clone), cpu(&rig, load)]);
        assert_eq!(untouched(&rig), 14, "the use of page 7 was forgotten");
        finish(rig);
    });
}

#[test]
fn operations_on_many_mappings_look_at_few_at_a_time() {
    let rig = Host::with(options());
    let object = rig.pattern(7);
    // Each begins and ends in the middle of a span, so no span is one mapping's.
    for number in 0..256 {
        let mut half = request(&object, SPAN, RW, (Policy::ReferencePage, Switches::HUGE));
        half.address = page(SPAN / 2 + number * SPAN);
        half.options.around = (number % 2) as u8;
        policies::map(&rig, &half).expect("a mapping");
    }
    let Ok(mut promotion) = rig.space.promote(range(page(SPAN / 2), 256 * SPAN)) else {
        panic!("refused")
    };
    let mut steps = 1;
    while !promotion.step(&rig.space) {
        steps += 1;
    }
    assert_eq!(promotion.result(), (0, None));
    assert!(steps >= 4, "{steps}");
    drop(object);
    rig.finish(options());
}

#[test]
fn a_block_that_an_account_cannot_pay_takes_no_frame_from_anybody() {
    let account = Account::new(600, 0);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert!(account.charge_frames(1000).is_err());
            }
        });
        let refused = (0..1_000_000).filter(|_| {
            let charged = account.charge_frame().is_ok();
            if charged {
                account.credit_frame();
            }
            !charged
        });
        let refused = refused.count();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(refused, 0);
    });
}
