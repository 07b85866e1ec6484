//! What one feature does to what another has left.

use crate::spans::{SPAN, map};
use crate::support::{HERE, RW, Rig, range};
use vellum_abi::{PAGE_SIZE, Switches};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::UserPointer;

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
