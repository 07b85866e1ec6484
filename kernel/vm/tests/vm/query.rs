//! What `query` says of pages that somebody else has in hand: nothing, or the truth.

use crate::explored::{Race, change, cpu, explore, finish, on_cpus, options as race_options};
use crate::spans::{SPAN, map};
use crate::support::{HERE, RW, Rig, range};
use std::sync::Arc;
use vellum_abi::{PAGE_SIZE, PageState, RemapFlags, Switches};
use vellum_model::{Family, ModelOptions, Single};
use vellum_vm::addr::Page;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::ops::RemapRequest;

type Host = Rig<Single>;

/// Asks for the state of a page until no long operation has it in hand.
fn state<F: Family>(rig: &Rig<F>, address: u64) -> Result<u8, VmError> {
    loop {
        let mut states = [0xff];
        match rig.space.query_pages(&range(address, 1), &mut states) {
            Ok(()) => return Ok(states[0]),
            Err(Refusal::Changing | Refusal::Absent(..)) => F::wait(),
            Err(Refusal::Error(error)) => return Err(error),
        }
    }
}

#[test]
fn a_page_that_is_promoted_is_not_called_untouched() {
    let options = ModelOptions { frames: 6 * 512, ..ModelOptions::default() };
    let rig = Host::with(options);
    let object = rig.pattern(7);
    map(&rig, &object, HERE, SPAN, (RW, Switches::HUGE));
    rig.store(0, HERE, 1).expect("a frame");
    let Ok(mut promotion) = rig.space.promote(range(HERE, SPAN)) else { panic!("refused") };
    let mut steps = 0;
    while !promotion.step(&rig.space) {
        steps += 1;
        assert_eq!(rig.space.query(Page::containing(HERE)), Err(Refusal::Changing));
        let pages = rig.space.query_pages(&range(HERE, 1), &mut [0]);
        assert_eq!(pages, Err(Refusal::Changing));
    }
    assert!(steps > 2, "{steps}");
    assert_eq!(state(&rig, HERE), Ok(PageState::Private as u8));
    drop(object);
    rig.finish(options);
}

#[test]
fn both_ends_of_a_move_wait_and_nothing_else_does() {
    let options = ModelOptions::default();
    let rig = Host::with(options);
    let there = HERE + 400 * PAGE_SIZE;
    rig.map(&rig.pattern(7), HERE, 100, RW);
    rig.map(&rig.pattern(7), HERE + 200 * PAGE_SIZE, 1, RW);
    (0..100).for_each(|page| rig.store(0, HERE + page * PAGE_SIZE, 1).expect("a frame"));
    let flags = RemapFlags::MAYMOVE | RemapFlags::FIXED;
    let length = 100 * PAGE_SIZE;
    let request =
        RemapRequest { old: HERE, old_length: length, new_length: length, flags, new: there };
    let (_, moving) = rig.space.remap(&request).expect("at rest");
    let mut moving = moving.expect("a long move");
    let mut steps = 0;
    while !moving.step(&rig.space) {
        steps += 1;
        for place in [HERE, there + 99 * PAGE_SIZE] {
            assert_eq!(rig.space.query(Page::containing(place)), Err(Refusal::Changing));
        }
        let between = rig.space.query(Page::containing(HERE + 150 * PAGE_SIZE));
        assert_eq!(between.map(|found| found.start), Ok(HERE + 200 * PAGE_SIZE));
        // Whether anything is above may change with the next step.
        let above = rig.space.query(Page::containing(HERE + 201 * PAGE_SIZE));
        assert_eq!(above, Err(Refusal::Changing));
    }
    assert!(steps > 2, "{steps}");
    let left = rig.space.query(Page::containing(HERE)).map(|found| found.start);
    assert_eq!(left, Ok(HERE + 200 * PAGE_SIZE));
    assert_eq!(state(&rig, there), Ok(PageState::Private as u8));
    rig.finish(options);
}

#[test]
fn a_page_whose_leaf_is_broken_is_seen_before_or_after() {
    explore(|| {
        let rig = Arc::new(Race::with(race_options()));
        rig.map(&rig.pattern(7), HERE, 2, RW);
        rig.load(0, HERE).expect("mapped");
        let store = |rig: &Race, cpu: usize| rig.store(cpu, HERE, 1).expect("a frame");
        let look = |rig: &Race, _| {
            let mut last = PageState::ReadShared as u8;
            for _ in 0..3 {
                let now = state(rig, HERE).expect("mapped");
                assert!(now == last || now == PageState::Private as u8, "{last} became {now}");
                last = now;
            }
        };
        on_cpus(vec![cpu(&rig, store), cpu(&rig, look)]);
        assert_eq!(state(&rig, HERE), Ok(PageState::Private as u8));
        finish(rig);
    });
}

#[test]
fn a_page_that_moves_to_another_frame_is_private_all_the_time() {
    explore(|| {
        let rig = Arc::new(Race::with(race_options()));
        rig.map(&rig.pattern(7), HERE, 2, RW);
        rig.store(0, HERE, 1).expect("a frame");
        let mover = |rig: &Race, _| change(rig, |space| space.move_frames()).expect("at rest");
        let look = |rig: &Race, _| {
            (0..3).for_each(|_| assert_eq!(state(rig, HERE), Ok(PageState::Private as u8)));
        };
        on_cpus(vec![cpu(&rig, mover), cpu(&rig, look)]);
        finish(rig);
    });
}
