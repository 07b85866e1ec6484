//! What one feature does to what another has left.

use crate::explored::{Race, cpu, explore, finish, on_cpus, options as race_options};
use crate::spans::{SPAN, map};
use crate::support::{HERE, RW, Rig, range};
use std::sync::Arc;
use vellum_abi::{PAGE_SIZE, Switches};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::UserPointer;
use vellum_vm::error::VmError;

type Host = Rig<Single>;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, frames: 6 * 512, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
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
