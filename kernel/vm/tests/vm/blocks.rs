//! Blocks of 2 MiB: what they show and hold, that they split without memory, and that promotion
//! changes nothing that a program could see.

use crate::explored::{Race, cpu, explore, on_cpus};
use crate::spans::{SPAN, map};
use crate::support::{HERE, Object, READ, RW, RWT, Rig, WRITE, range};
use std::sync::Arc;
use vellum_abi::{ExitKind, PAGE_SIZE, Protection, Switches};
use vellum_model::{ModelOptions, Single};
use vellum_vm::account::Account;
use vellum_vm::addr::{PageRange, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::machine::{Machine, Pools};
use vellum_vm::refpage;

type Host = Rig<Single>;

const HUGE: (Protection, Switches) = (RWT, Switches::HUGE);
const HUGE_WRITES: (Protection, Switches) = (RWT, Switches::HUGE.union(Switches::HUGE_WRITES));

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, frames: 6 * 512, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

/// An object of each fill strategy, with the first byte and the tag of its pages.
fn samples(rig: &Host) -> Vec<(Object<Single>, u8, u8)> {
    rig.map(&rig.tagged(0), HERE, 1, RWT);
    rig.store(0, HERE, 0x42).expect("a frame");
    rig.store_tag(0, HERE, 3).expect("a frame");
    rig.store_tag(0, HERE + 4080, 4).expect("a frame");
    let bytes =
        refpage::from_user(&rig.space, UserPointer::new(HERE), PAGE_SIZE, rig.space.counters());
    let bytes = rig.share(bytes.expect("readable"));
    rig.unmap(HERE, 1);
    vec![(rig.tagged(6), 0, 6), (rig.pattern(0x55), 0x55, 0), (bytes, 0x42, 3)]
}

fn tagged(address: u64, tag: u8) -> u64 {
    address | u64::from(tag) << 56
}

#[test]
fn a_read_maps_the_objects_block_and_all_readers_share_it() {
    let rig = Host::with(options());
    for (object, byte, tag) in samples(&rig) {
        map(&rig, &object, page(1), 3 * SPAN, HUGE);
        let last = tagged(page(2 * SPAN + 511), tag);
        assert_eq!(rig.load(0, last), Ok(byte));
        let free = rig.model.free_frames();
        for number in (SPAN..3 * SPAN).step_by(7) {
            assert_eq!(rig.load(1, tagged(page(number), tag)), Ok(byte));
            assert_eq!(rig.load_tag(2, page(number)), Ok(tag));
        }
        assert_eq!(rig.model.free_frames(), free, "the second block is the first");
        assert_eq!(object.info(0).frames, 1 + 512);
        assert_eq!((rig.stat().private_frames, rig.stat().blocks), (0, 0));
        let before = rig.stat();
        assert_eq!(rig.store(1, last, 9), Ok(()));
        let after = rig.stat();
        assert_eq!((after.private_frames, after.block_splits - before.block_splits), (1, 1));
        assert_eq!(after.pt_frames - before.pt_frames, 1);
        rig.audit();
        assert_eq!((rig.load(0, last), rig.load(0, last - PAGE_SIZE)), (Ok(9), Ok(byte)));
        assert_eq!(rig.load(2, tagged(page(SPAN + 511), tag)), Ok(byte));
        rig.audit();
        rig.unmap(page(1), 3 * SPAN);
        drop(object);
    }
    rig.finish(options());
}

#[test]
fn a_first_write_may_take_the_whole_block() {
    let rig = Host::with(options());
    for reads in [false, true] {
        for (object, byte, tag) in samples(&rig) {
            map(&rig, &object, HERE, 2 * SPAN, HUGE_WRITES);
            if reads {
                assert_eq!(rig.load(2, tagged(page(8), tag)), Ok(byte));
            }
            assert_eq!(rig.store(0, tagged(page(9), tag), 1), Ok(()));
            let stat = rig.stat();
            assert_eq!((stat.private_frames, stat.blocks), (512, 1));
            rig.audit();
            for number in [0, 8, 10, 511] {
                assert_eq!(rig.load(1, tagged(page(number), tag)), Ok(byte));
                assert_eq!(rig.load_tag(1, page(number)), Ok(tag));
            }
            let before = rig.stat();
            assert_eq!(rig.store(1, tagged(page(10), tag), 2), Ok(()), "no other fault");
            assert_eq!(rig.stat().faults_block, before.faults_block);
            assert_eq!(rig.load(2, tagged(page(9), tag)), Ok(1));
            rig.unmap(HERE, 2 * SPAN);
            assert_eq!((rig.stat().private_frames, rig.stat().pt_frames), (0, 1));
        }
    }
    rig.finish(options());
}

/// Runs a closure while only so many frames are free.
fn with_frames(rig: &Host, free: usize, work_fn: impl FnOnce()) {
    let count = rig.model.free_frames() - free;
    let held: Vec<_> = (0..count).filter_map(|_| rig.model.allocate_frame()).collect();
    assert_eq!(rig.model.free_frames(), free);
    work_fn();
    held.into_iter().for_each(|frame| rig.model.free_frame(frame));
}

#[test]
fn k16_a_block_is_split_while_no_frame_is_free() {
    type Deed = fn(&Host);
    let deeds: [Deed; 4] = [
        |rig| rig.unmap(page(100), 10),
        |rig| rig.decommit(page(100), 10),
        |rig| rig.protect(page(100), 10, Protection::READ | Protection::TAGGED),
        |rig| rig.protect(page(100), 10, RW),
    ];
    for deed_fn in deeds {
        let rig = Host::with(options());
        let object = rig.tagged(6);
        map(&rig, &object, HERE, SPAN, HUGE_WRITES);
        for number in [0, 99, 100, 110] {
            rig.store(0, tagged(page(number), 6), number as u8).expect("a block");
        }
        with_frames(&rig, 0, || {
            deed_fn(&rig);
            for number in [0, 99, 110] {
                assert_eq!(rig.load(1, tagged(page(number), 6)), Ok(number as u8));
                assert_eq!(rig.store(1, tagged(page(number), 6), 1), Ok(()));
            }
        });
        assert_eq!((rig.stat().blocks, rig.stat().block_splits), (0, 1));
        rig.audit();
        drop(object);
        rig.finish(options());
    }
}

#[test]
fn a_reference_block_goes_without_memory_and_a_write_below_it_needs_all_or_nothing() {
    for free in 0..2 {
        let rig = Host::with(options());
        let object = rig.tagged(6);
        map(&rig, &object, HERE, 2 * SPAN, HUGE);
        assert_eq!(rig.load(0, tagged(page(0), 6)), Ok(0));
        assert_eq!(rig.load(0, tagged(page(SPAN), 6)), Ok(0));
        with_frames(&rig, free, || {
            assert_eq!(rig.store(0, tagged(page(3), 6), 1), Err(ExitKind::OutOfFrames));
            rig.audit();
            assert_eq!(rig.load(1, tagged(page(3), 6)), Ok(0));
            rig.unmap(page(3), 2);
            assert_eq!(rig.load(1, tagged(page(SPAN + 5), 6)), Ok(0));
        });
        assert_eq!(rig.load(1, tagged(page(5), 6)), Ok(0));
        drop(object);
        rig.finish(options());
    }
}

#[test]
fn without_memory_for_a_block_less_does() {
    for switches in [HUGE, HUGE_WRITES] {
        let rig = Host::with(ModelOptions { frames: 400, ..options() });
        let object = rig.tagged(6);
        map(&rig, &object, HERE, 2 * SPAN, switches);
        assert_eq!(rig.load(0, tagged(page(3), 6)), Ok(0));
        assert_eq!(rig.store(0, tagged(page(4), 6), 1), Ok(()));
        assert_eq!((rig.load(1, tagged(page(4), 6)), rig.stat().private_frames), (Ok(1), 1));
        assert_eq!((rig.stat().faults_block, rig.stat().blocks), (0, 0));
        drop(object);
        rig.finish(ModelOptions { frames: 400, ..options() });
    }
}

#[test]
fn a_limit_on_frames_is_no_death_where_a_page_would_do() {
    let rig = Host::with(options());
    let poor = rig.model.share(Account::new(100, u64::MAX / 2)).expect("a pool");
    let other = rig.beside(&poor);
    let object = rig.tagged(6);
    map(&other, &object, HERE, SPAN, HUGE_WRITES);
    let pointer = UserPointer::new(HERE);
    // The tables above come first.
    let mut outcome = other.space.handle_fault_at(pointer, WRITE);
    if outcome == Outcome::Long {
        outcome = other.space.begin_block(pointer, WRITE).err().expect("beyond the limit");
    }
    assert_eq!(outcome, Outcome::Resume);
    assert_eq!(other.stat().private_frames, 1);
    drop(other);
    assert_eq!(poor.frames(), 0);
    drop((object, poor));
    rig.finish(options());
}

#[test]
fn a_block_that_is_half_made_goes_back() {
    let rig = Host::with(options());
    for access in [READ, WRITE] {
        let object = rig.pattern(9);
        map(&rig, &object, HERE, SPAN, HUGE_WRITES);
        let pointer = UserPointer::new(HERE);
        assert_eq!(rig.space.handle_fault_at(pointer, access), Outcome::Long);
        let before = (rig.model.free_frames(), rig.stat());
        let Ok(mut fault) = rig.space.begin_block(pointer, access) else { panic!("refused") };
        assert!(!fault.step(&rig.space), "eight steps");
        assert!(before.0 - rig.model.free_frames() >= 512);
        drop(fault);
        assert_eq!((rig.model.free_frames(), rig.stat()), before);
        // The world may change meanwhile: then the block is not wanted any more.
        let Ok(mut fault) = rig.space.begin_block(pointer, access) else { panic!("refused") };
        rig.unmap(HERE, SPAN);
        while !fault.step(&rig.space) {}
        drop(fault);
        assert_eq!(rig.stat().private_frames, 0);
        rig.audit();
    }
    rig.finish(options());
}

fn promote(rig: &Host, range: PageRange) -> (u64, Option<VmError>) {
    let Ok(mut promotion) = rig.space.promote(range) else { panic!("refused") };
    while !promotion.step(&rig.space) {}
    promotion.result()
}

#[test]
fn row_32_row_33_k13_a_page_that_was_never_written_shows_its_object_after_promotion() {
    let rig = Host::with(options());
    for (object, byte, tag) in samples(&rig) {
        map(&rig, &object, page(SPAN - 3), SPAN + 6, HUGE);
        for number in (SPAN..2 * SPAN).filter(|number| *number != SPAN + 300) {
            rig.space.write_page(page(number), &[number as u8]).expect("a frame");
        }
        rig.store_tag(0, page(SPAN + 7) + 16, 9).expect("a frame");
        let before = rig.stat();
        assert_eq!(promote(&rig, range(page(SPAN - 3), SPAN + 6)), (1, None));
        let after = rig.stat();
        assert_eq!((after.blocks, after.block_promotions - before.block_promotions), (1, 1));
        assert_eq!((before.private_frames, after.private_frames), (511, 512));
        rig.audit();
        assert_eq!(rig.load(0, tagged(page(SPAN + 300), tag)), Ok(byte));
        assert_eq!(rig.load_tag(0, page(SPAN + 300)), Ok(tag));
        for number in (SPAN..2 * SPAN).filter(|number| *number != SPAN + 300) {
            assert_eq!(rig.load(1, tagged(page(number), tag)), Ok(number as u8));
        }
        assert_eq!(rig.load_tag(2, page(SPAN + 7) + 16), Ok(9));
        assert_eq!(promote(&rig, range(page(SPAN - 3), SPAN + 6)), (0, None), "again");
        rig.unmap(page(SPAN - 3), SPAN + 6);
        assert_eq!((rig.stat().private_frames, rig.stat().pt_frames), (0, 1));
    }
    rig.finish(options());
}

#[test]
fn promotion_is_refused_without_the_switch_or_the_right() {
    let rig = Host::with(options());
    let object = rig.pattern(4);
    let refused = |error| Some(Refusal::Error(error));
    let result = || rig.space.promote(range(HERE, SPAN)).err();
    assert_eq!(result(), refused(VmError::NotMapped));
    rig.map(&object, HERE, SPAN, RW);
    assert_eq!(result(), refused(VmError::WrongPolicy));
    map(&rig, &object, HERE, SPAN, (Protection::READ, Switches::HUGE));
    assert_eq!(result(), refused(VmError::NotPermitted));
    drop(object);
    rig.finish(options());
}

#[test]
fn a_promotion_without_memory_ends_and_has_changed_nothing() {
    for allocation in 1..6 {
        let rig = Host::with(options());
        let object = rig.pattern(4);
        map(&rig, &object, HERE, 2 * SPAN, (RW, Switches::HUGE));
        rig.space.write_page(page(3), &[8]).expect("a frame");
        let before = (rig.model.free_frames(), rig.stat().private_frames);
        rig.model.fail_in(allocation);
        let (count, error) = promote(&rig, range(HERE, 2 * SPAN));
        rig.model.fail_in(0);
        if rig.model.injected() != 0 {
            assert_eq!(error, Some(VmError::OutOfFrames));
            if count == 0 {
                assert_eq!((rig.model.free_frames(), rig.stat().private_frames), before);
            }
        } else {
            assert_eq!((count, error), (2, None));
        }
        rig.audit();
        assert_eq!((rig.load(0, page(3)), rig.load(0, page(4))), (Ok(8), Ok(4)));
        drop(object);
        rig.finish(options());
    }
}

#[test]
fn a_clone_shares_the_pages_of_a_block_and_reads_what_its_object_shows() {
    let rig = Host::with(options());
    let object = rig.tagged(6);
    map(&rig, &object, HERE, 3 * SPAN, HUGE_WRITES);
    assert_eq!(rig.store(0, tagged(page(9), 6), 1), Ok(()));
    assert_eq!(rig.load(0, tagged(page(SPAN), 6)), Ok(0));
    let other = rig.beside(&rig.account);
    let Ok(mut cloning) = rig.space.clone_space() else { panic!("refused") };
    let done = cloning.run(&rig.space, &other.space);
    assert!(done.is_ok());
    assert_eq!((rig.stat().blocks, rig.stat().block_splits), (0, 1));
    assert_eq!((other.stat().private_frames, other.stat().blocks), (512, 0));
    assert_eq!(rig.store(1, tagged(page(9), 6), 2), Ok(()));
    let mut byte = [0];
    assert_eq!(other.space.read_page(page(9), &mut byte), Ok(1));
    assert_eq!(byte, [1]);
    assert_eq!(other.space.read_page(page(SPAN + 9), &mut byte), Ok(1));
    assert_eq!((byte, other.space.audit()), ([0], Ok(())));
    assert_eq!(promote(&rig, range(HERE, SPAN)), (1, None), "of frames that others have too");
    assert_eq!(rig.load(2, tagged(page(9), 6)), Ok(2));
    assert_eq!(rig.load_tag(2, page(100)), Ok(6));
    rig.audit();
    drop((other, object));
    rig.finish(options());
}

#[test]
fn cpus_that_make_one_block_lose_no_store() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.tagged(0);
        map(&rig, &object, HERE, SPAN, HUGE_WRITES);
        drop(object);
        let store = |rig: &Race, cpu: usize| {
            rig.store(cpu, page(cpu as u64), 1 + cpu as u8).expect("a block");
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, store)]);
        let stat = rig.stat();
        assert_eq!((stat.private_frames, stat.blocks), (512, 1));
        let sum: u8 = [0, 1, 2].iter().map(|n| rig.load(0, page(*n)).expect("mapped")).sum();
        assert!(sum >= 3, "both stores are there");
        let rig = Arc::into_inner(rig).expect("the last owner");
        rig.finish(options());
    });
}

#[test]
fn stores_beside_a_promotion_are_not_lost() {
    explore(|| {
        let rig = Arc::new(Race::with(options()));
        let object = rig.tagged(0);
        map(&rig, &object, HERE, SPAN, HUGE);
        drop(object);
        rig.store(0, page(3), 7).expect("a frame");
        let promote = |rig: &Race, _: usize| {
            let Ok(mut promotion) = rig.space.promote(range(HERE, SPAN)) else { panic!("refused") };
            while !promotion.step(&rig.space) {}
            assert_eq!(promotion.result(), (1, None));
        };
        let store = |rig: &Race, cpu: usize| {
            for byte in 1..3 {
                rig.store(cpu, page(3), byte).expect("a frame");
            }
            assert_eq!(rig.load(cpu, page(3)), Ok(2));
        };
        on_cpus(vec![cpu(&rig, promote), cpu(&rig, store)]);
        assert_eq!((rig.load(0, page(3)), rig.stat().blocks), (Ok(2), 1));
        let rig = Arc::into_inner(rig).expect("the last owner");
        rig.finish(options());
    });
}

#[test]
fn a_page_that_is_being_promoted_is_nobodys_to_show() {
    let rig = Host::with(options());
    let object = rig.tagged(0);
    map(&rig, &object, HERE, 2 * SPAN, HUGE);
    rig.store(0, page(3), 7).expect("a frame");
    let Ok(mut promotion) = rig.space.promote(range(HERE, SPAN)) else { panic!("refused") };
    assert!(!promotion.step(&rig.space), "only the first of many steps");
    // Somebody reads for the process beside the range: no table is there yet.
    assert_eq!(rig.space.read_page(page(SPAN + 1), &mut [0; 8]), Ok(8));
    let seen = rig.model.cpu(0).load(UserPointer::new(page(3)));
    assert!(seen.is_err(), "the page is in the promotion's hands: {seen:?}");
    while !promotion.step(&rig.space) {}
    assert_eq!((promotion.result(), rig.load(0, page(3))), ((1, None), Ok(7)));
    drop(object);
    rig.finish(options());
}
