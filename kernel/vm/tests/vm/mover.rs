//! Moving pages to other frames.

use crate::support::{HERE, RW, RWT, Rig, new_space, range};
use vellum_abi::{PAGE_SIZE, PageState, Protection};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::Page;
use vellum_vm::error::Refusal;
use vellum_vm::ops::Progress;

type Host = Rig<Single>;

/// The frames of all leaves, in order.
fn frames(rig: &Host) -> Vec<(u64, u64)> {
    let leaves = rig.model.leaves(rig.space.root());
    leaves.iter().map(|view| (view.page.number(), view.descriptor.frame().to_physical())).collect()
}

#[test]
fn row_35_private_pages_move_with_contents_and_tags_and_shared_frames_stay() {
    let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
    let rig = Host::with(options);
    rig.map(&rig.tagged(5), HERE, 40, RWT);
    rig.map(&rig.pattern(7), HERE + 40 * PAGE_SIZE, 2, RW);
    let tagged = |address: u64| address | 5 << 56;
    for page in 0..40 {
        rig.store(0, tagged(HERE + page * PAGE_SIZE + page), page as u8).expect("a frame");
    }
    rig.store_tag(0, tagged(HERE + 32), 9).expect("a private page");
    assert_eq!(rig.load(1, HERE + 40 * PAGE_SIZE), Ok(7));
    rig.protect(HERE, 2, Protection::READ | Protection::TAGGED);
    let (before, free, stat) = (frames(&rig), rig.model.free_frames(), rig.stat());
    rig.complete(rig.space.move_frames());
    let after = frames(&rig);
    assert_eq!(before.len(), after.len());
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.0, new.0);
        let is_shared = old.0 >= HERE / PAGE_SIZE + 40;
        assert_eq!(old.1 == new.1, is_shared, "page {:#x}", old.0);
    }
    rig.audit();
    assert_eq!(rig.model.free_frames(), free);
    let moved = rig.stat();
    assert_eq!(moved.private_frames, stat.private_frames);
    assert_eq!(moved.account_frames, stat.account_frames);
    assert_eq!(moved.bytes_copied - stat.bytes_copied, 40 * PAGE_SIZE);
    for page in 0..40 {
        assert_eq!(rig.load(1, tagged(HERE + page * PAGE_SIZE + page)), Ok(page as u8));
        assert_eq!(rig.load_tag(2, HERE + page * PAGE_SIZE + 64), Ok(5));
    }
    assert_eq!(rig.load_tag(2, HERE + 32), Ok(9));
    assert!(rig.store(0, tagged(HERE), 1).is_err(), "read-only as before");
    rig.finish(options);
}

#[test]
fn a_frame_that_a_clone_has_too_stays_where_it_is() {
    let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
    let rig = Host::with(options);
    rig.map(&rig.tagged(5), HERE, 3, RWT);
    let tagged = |page: u64| (HERE + page * PAGE_SIZE) | 5 << 56;
    (0..2).for_each(|page| rig.store(0, tagged(page), 1).expect("a frame"));
    let child = new_space(&rig.model, &rig.account);
    let mut cloning = rig.space.clone_space().expect("at rest");
    while cloning.run(&rig.space, &child).expect("memory") == Progress::Paused {}
    rig.store(0, tagged(1), 2).expect("a frame");
    rig.store(0, tagged(2), 3).expect("a frame");
    let (before, copied) = (frames(&rig), rig.stat().bytes_copied);
    rig.complete(rig.space.move_frames());
    let stayed: Vec<_> = before.iter().zip(&frames(&rig)).map(|(old, new)| old == new).collect();
    assert_eq!(stayed, [true, false, false], "two owners, then one of a copy, then one");
    assert_eq!(rig.stat().bytes_copied - copied, 2 * PAGE_SIZE);
    assert_eq!([0, 1, 2].map(|page| rig.load(1, tagged(page))), [Ok(1), Ok(2), Ok(3)]);
    // The clone's side: the same frames, and what was in them.
    let mut theirs = [0; 2];
    for (page, byte) in theirs.iter_mut().enumerate() {
        let address = HERE + page as u64 * PAGE_SIZE;
        assert_eq!(child.read_page(address, core::slice::from_mut(byte)), Ok(1));
    }
    assert_eq!(theirs, [1, 1]);
    rig.model.audit(&[rig.space.root(), child.root()]);
    drop(child);
    // Now the page has one owner, and moves as any other.
    rig.complete(rig.space.move_frames());
    assert!(before.iter().zip(&frames(&rig)).all(|(old, new)| old != new));
    assert_eq!(rig.load(2, tagged(0)), Ok(1));
    rig.finish(options);
}

#[test]
fn a_page_without_a_frame_to_move_to_stays() {
    for allocation in 1..=4 {
        let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
        let rig = Host::with(options);
        rig.map(&rig.tagged(0), HERE, 3, RW);
        (0..3).for_each(|page| rig.store(0, HERE + page * PAGE_SIZE, 3).expect("a frame"));
        let before = frames(&rig);
        rig.model.fail_in(allocation);
        rig.complete(rig.space.move_frames());
        rig.model.fail_in(0);
        let stayed = before.iter().zip(&frames(&rig)).filter(|(old, new)| old == new).count();
        assert_eq!(stayed as u64, rig.model.injected());
        assert_eq!(stayed, usize::from(allocation <= 3));
        (0..3).for_each(|page| assert_eq!(rig.load(1, HERE + page * PAGE_SIZE), Ok(3)));
        rig.finish(options);
    }
}

#[test]
fn a_move_pauses_between_pages_and_others_wait_for_it() {
    let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
    let rig = Host::with(options);
    rig.map(&rig.tagged(0), HERE, 40, RW);
    (0..40).for_each(|page| rig.store(0, HERE + page * PAGE_SIZE, 3).expect("a frame"));
    rig.model.set_pause(true);
    let mut change = rig.space.move_frames().expect("at rest");
    let mut pauses = 0;
    while change.run(&rig.space) == Progress::Paused {
        pauses += 1;
        assert!(rig.space.unmap(range(HERE, 1)).is_err());
        // A page on its way has no leaf, and is not untouched for that.
        assert_eq!(rig.space.query(Page::containing(HERE)), Err(Refusal::Changing));
        let states = rig.space.query_pages(&range(HERE, 40), &mut [0; 40]);
        assert_eq!(states, Err(Refusal::Changing));
    }
    let mut states = [0; 40];
    assert_eq!(rig.space.query_pages(&range(HERE, 40), &mut states), Ok(()));
    assert_eq!(states, [PageState::Private as u8; 40]);
    assert!(pauses >= 2, "{pauses}");
    rig.model.set_pause(false);
    rig.finish(options);
}
