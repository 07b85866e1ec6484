//! The model's own rules: each is broken once, by hand, and must be noticed; and once kept.

use vellum_abi::FaultAccess;
use vellum_model::{FaultKind, Model, ModelOptions, Single, SpinMutex, SpinRwLock, Violation};
use vellum_vm::addr::{FrameAddress, Page, UserPointer};
use vellum_vm::frame::UninitFrame;
use vellum_vm::machine::{Asid, Machine, Pools};
use vellum_vm::page_table::{Descriptor, Slot, Table};
use vellum_vm::tag::Tag;

const ADDRESS: u64 = 0x8080_4020_1000;
const PAGE: Page = Page::containing(ADDRESS);
const ASID: Asid = Asid(5);
/// A leaf of Tagged memory that EL0 may write: page, AP[1], inner shareable, AF, nG, PXN, UXN.
const LEAF: u64 = 0b11 | 1 << 6 | 0b11 << 8 | 1 << 10 | 1 << 11 | 0b11 << 53;
const NORMAL: u64 = 1 << 2;
const READ_ONLY: u64 = 1 << 7;

type Host = Model<Single>;

/// One page, mapped by hand and loaded from by CPU 0.
struct Setup {
    model: Host,
    tables: [Table; 4],
    frame: FrameAddress,
    leaf: Slot,
}

fn frame(model: &Host) -> FrameAddress {
    let frame = model.allocate_frame().expect("a frame");
    model.zero_page_with_tag(&frame, Tag::ZERO);
    frame.into_address()
}

fn leaf(frame: FrameAddress, bits: u64) -> Descriptor {
    Descriptor::from_word(frame.to_physical() | bits)
}

fn free(model: &Host, frame: FrameAddress) {
    model.free_frame(UninitFrame::from_allocator(frame));
}

fn pointer() -> UserPointer {
    UserPointer::new(ADDRESS)
}

fn table(model: &Host) -> Table {
    let frame = model.allocate_frame().expect("a frame");
    model.zero_page(&frame);
    Table::new(frame.into_address())
}

fn setup() -> Setup {
    let model = Host::new(ModelOptions::default());
    let tables = [0; 4].map(|_| table(&model));
    for (level, pair) in tables.windows(2).enumerate() {
        let slot = pair[0].slot(PAGE.table_index(level as u32));
        model.write(slot, Descriptor::table(pair[1]));
    }
    let frame = frame(&model);
    let slot = tables[3].slot(PAGE.table_index(3));
    model.write(slot, leaf(frame, LEAF));
    model.dsb_ishst();
    model.cpu(0).activate(tables[0], ASID);
    assert_eq!(model.cpu(0).load(pointer()), Ok(0));
    Setup { model, tables, frame, leaf: slot }
}

/// Runs a mistake and checks by which rule it is noticed.
fn breaks(rule_fn: fn(&Violation) -> bool, mistake_fn: fn(&Setup)) {
    let setup = setup();
    let run = std::panic::AssertUnwindSafe(|| mistake_fn(&setup));
    let noticed = std::panic::catch_unwind(run).is_err();
    let violations = setup.model.violations();
    assert!(noticed && violations.first().is_some_and(rule_fn), "noticed: {violations:?}");
}

fn unmap(setup: &Setup) {
    setup.model.write(setup.leaf, Descriptor::EMPTY);
    setup.model.dsb_ishst();
    setup.model.tlbi_leaf(ASID, PAGE);
    setup.model.dsb_ish();
}

#[test]
fn a_page_unmapped_by_the_book_may_be_freed_and_mapped_anew() {
    let setup = setup();
    unmap(&setup);
    free(&setup.model, setup.frame);
    let fault = setup.model.cpu(0).load(pointer()).expect_err("nothing is mapped");
    assert_eq!((fault.kind, fault.access), (FaultKind::Translation, FaultAccess::Read));
    let other = frame(&setup.model);
    setup.model.write(setup.leaf, leaf(other, LEAF));
    setup.model.dsb_ishst();
    assert_eq!(setup.model.cpu(0).store(pointer(), 1), Ok(()));
    setup.model.audit(&[setup.tables[0]]);
    assert_eq!(setup.model.violations(), []);
}

#[test]
fn every_step_of_unmapping_is_needed_before_the_frame_is_freed() {
    let cached = |violation: &Violation| matches!(violation, Violation::FreedWhileMapped(..));
    breaks(cached, |setup| {
        setup.model.write(setup.leaf, Descriptor::EMPTY);
        setup.model.dsb_ishst();
        setup.model.dsb_ish();
        free(&setup.model, setup.frame);
    });
    breaks(cached, |setup| {
        setup.model.write(setup.leaf, Descriptor::EMPTY);
        setup.model.tlbi_leaf(ASID, PAGE);
        setup.model.dsb_ish();
        free(&setup.model, setup.frame);
    });
    breaks(cached, |setup| {
        setup.model.write(setup.leaf, Descriptor::EMPTY);
        setup.model.dsb_ishst();
        setup.model.tlbi_leaf(ASID, PAGE);
        free(&setup.model, setup.frame);
    });
    breaks(cached, |setup| {
        setup.model.write(setup.leaf, Descriptor::EMPTY);
        setup.model.dsb_ishst();
        setup.model.tlbi_leaf(Asid(6), PAGE);
        setup.model.dsb_ish();
        free(&setup.model, setup.frame);
    });
    breaks(
        |violation| matches!(violation, Violation::FreedWhileReachable(..)),
        |setup| {
            setup.model.tlbi_leaf(ASID, PAGE);
            setup.model.dsb_ish();
            free(&setup.model, setup.frame);
        },
    );
}

#[test]
fn invalidating_leaves_leaves_the_tables_on_the_way() {
    fn unlink(setup: &Setup) {
        unmap(setup);
        let slot = setup.tables[2].slot(PAGE.table_index(2));
        setup.model.write(slot, Descriptor::EMPTY);
        setup.model.dsb_ishst();
    }
    breaks(
        |violation| matches!(violation, Violation::FreedWhileWalked(..)),
        |setup| {
            unlink(setup);
            setup.model.tlbi_leaf(ASID, PAGE);
            setup.model.dsb_ish();
            free(&setup.model, setup.tables[3].frame());
        },
    );
    let setup = setup();
    unlink(&setup);
    setup.model.tlbi_page(ASID, PAGE);
    setup.model.dsb_ish();
    free(&setup.model, setup.tables[3].frame());
    assert_eq!(setup.model.violations(), []);
}

#[test]
fn another_frame_or_attribute_needs_break_before_make() {
    breaks(
        |violation| matches!(violation, Violation::NoBreak(_)),
        |setup| setup.model.write(setup.leaf, leaf(frame(&setup.model), LEAF)),
    );
    breaks(
        |violation| matches!(violation, Violation::NoBreak(_)),
        |setup| setup.model.write(setup.leaf, leaf(setup.frame, LEAF | NORMAL)),
    );
    breaks(
        |violation| matches!(violation, Violation::MadeBeforeBroken(_)),
        |setup| {
            setup.model.write(setup.leaf, Descriptor::EMPTY);
            setup.model.dsb_ishst();
            setup.model.tlbi_leaf(ASID, PAGE);
            setup.model.write(setup.leaf, leaf(frame(&setup.model), LEAF));
        },
    );
    let setup = setup();
    setup.model.write(setup.leaf, leaf(setup.frame, LEAF | READ_ONLY));
    assert_eq!(setup.model.violations(), [], "permissions may change live");
}

#[test]
fn a_walk_sees_a_store_only_behind_a_barrier() {
    let setup = setup();
    unmap(&setup);
    setup.model.write(setup.leaf, leaf(setup.frame, LEAF));
    assert!(setup.model.cpu(0).load(pointer()).is_err());
    setup.model.dsb_ishst();
    assert_eq!(setup.model.cpu(0).load(pointer()), Ok(0));
}

#[test]
fn a_stale_translation_is_used_and_is_found_at_rest() {
    breaks(
        |violation| matches!(violation, Violation::StaleTranslation(..)),
        |setup| {
            setup.model.write(setup.leaf, leaf(setup.frame, LEAF | READ_ONLY));
            setup.model.dsb_ishst();
            assert_eq!(setup.model.cpu(0).store(pointer(), 1), Ok(()));
            setup.model.audit(&[setup.tables[0]]);
        },
    );
    breaks(
        |violation| matches!(violation, Violation::UnfinishedMaintenance),
        |setup| {
            setup.model.tlbi_all();
            setup.model.audit(&[setup.tables[0]]);
        },
    );
}

#[test]
fn unsound_leaves_are_noticed_when_walked() {
    fn walk(setup: &Setup, bits: u64) {
        unmap(setup);
        setup.model.write(setup.leaf, leaf(setup.frame, bits));
        setup.model.dsb_ishst();
        let _ = setup.model.cpu(0).load(pointer());
    }
    let unsound = |violation: &Violation| matches!(violation, Violation::UnsoundLeaf(..));
    breaks(unsound, |setup| walk(setup, LEAF | 1 << 51));
    breaks(unsound, |setup| walk(setup, LEAF & !(1 << 54)));
    breaks(unsound, |setup| walk(setup, LEAF & !(1 << 53)));
    breaks(unsound, |setup| walk(setup, LEAF & !(1 << 11)));
    breaks(unsound, |setup| walk(setup, LEAF | 1 << 55));
    breaks(
        |violation| matches!(violation, Violation::UnknownDescriptor(..)),
        |setup| walk(setup, LEAF & !0b10),
    );
    walk(&setup(), LEAF | READ_ONLY | 1 << 55);
    // The walk sets the access flag.
    let setup = setup();
    walk(&setup, LEAF & !(1 << 10));
    assert_eq!(setup.model.read(setup.leaf), leaf(setup.frame, LEAF));
}

#[test]
fn identifiers_belong_to_one_address_space_each() {
    breaks(
        |violation| matches!(violation, Violation::SharedAsid(_)),
        |setup| setup.model.cpu(1).activate(table(&setup.model), ASID),
    );
    breaks(
        |violation| matches!(violation, Violation::SharedAsid(_)),
        |setup| {
            setup.model.cpu(0).park();
            setup.model.cpu(0).activate(table(&setup.model), ASID);
        },
    );
    breaks(
        |violation| matches!(violation, Violation::TwoAsids(..)),
        |setup| setup.model.cpu(1).activate(setup.tables[0], Asid(6)),
    );
    breaks(
        |violation| matches!(violation, Violation::FreedActiveRoot(_)),
        |setup| {
            setup.model.tlbi_asid(ASID);
            setup.model.dsb_ish();
            free(&setup.model, setup.tables[0].frame());
        },
    );
}

#[test]
fn frames_are_used_only_while_somebody_has_them() {
    let used = |violation: &Violation| matches!(violation, Violation::UseAfterFree(_));
    fn freed(setup: &Setup) -> FrameAddress {
        let frame = frame(&setup.model);
        free(&setup.model, frame);
        frame
    }
    breaks(used, |setup| setup.model.read_bytes(freed(setup), 0, &mut [0]));
    breaks(used, |setup| setup.model.write_bytes(freed(setup), 0, &[0]));
    breaks(used, |setup| {
        let _ = setup.model.read(Table::new(freed(setup)).slot(0));
    });
    breaks(used, |setup| setup.model.clear_tags(freed(setup)));
    breaks(used, |setup| {
        let _ = setup.model.frame_count(freed(setup));
    });
    breaks(
        |violation| matches!(violation, Violation::DoubleFree(_)),
        |setup| free(&setup.model, freed(setup)),
    );
    breaks(
        |violation| matches!(violation, Violation::DoubleFree(_)),
        |setup| free(&setup.model, setup.model.first_fixed()),
    );
    breaks(
        |violation| matches!(violation, Violation::TableAndContents(_)),
        |setup| {
            let _ = setup.model.read(Table::new(setup.frame).slot(0));
        },
    );
}

#[test]
fn fresh_frames_are_full_of_poison_until_they_are_filled_once() {
    let unwritten = |violation: &Violation| matches!(violation, Violation::UninitialisedBytes(_));
    breaks(unwritten, |setup| {
        let fresh = setup.model.allocate_frame().expect("a frame").into_address();
        setup.model.read_bytes(fresh, 0, &mut [0]);
    });
    breaks(unwritten, |setup| {
        let fresh = setup.model.allocate_frame().expect("a frame").into_address();
        unmap(setup);
        setup.model.write(setup.leaf, leaf(fresh, LEAF | NORMAL));
        setup.model.dsb_ishst();
        let _ = setup.model.cpu(0).load(pointer());
    });
    breaks(
        |violation| matches!(violation, Violation::UninitialisedTags(_)),
        |setup| {
            let fresh = setup.model.allocate_frame().expect("a frame");
            setup.model.zero_page(&fresh);
            let target = setup.model.allocate_frame().expect("a frame");
            setup.model.copy_page_with_tags(fresh.address(), &target);
        },
    );
    breaks(
        |violation| matches!(violation, Violation::FilledTwice(_)),
        |setup| {
            let fresh = setup.model.allocate_frame().expect("a frame");
            setup.model.zero_page(&fresh);
            setup.model.fill_page(&fresh, 1);
        },
    );
    breaks(
        |violation| matches!(violation, Violation::FilledWhileMapped(_)),
        |setup| setup.model.clear_tags(setup.frame),
    );
}

#[test]
fn a_frame_is_filled_outside_every_lock_and_locks_are_taken_once() {
    breaks(
        |violation| matches!(violation, Violation::FilledUnderLock(_)),
        |setup| {
            let lock = lock_api::Mutex::<SpinMutex<Single>, ()>::new(());
            let fresh = setup.model.allocate_frame().expect("a frame");
            let _held = lock.lock();
            setup.model.zero_page(&fresh);
        },
    );
    let lock = lock_api::RwLock::<SpinRwLock<Single>, ()>::new(());
    let twice = std::panic::AssertUnwindSafe(|| (lock.read(), lock.read()));
    assert!(std::panic::catch_unwind(twice).is_err(), "a writer may wait between the two");
    let upgrade = std::panic::AssertUnwindSafe(|| (lock.read(), lock.write()));
    assert!(std::panic::catch_unwind(upgrade).is_err());
    drop(lock.write());
}

#[test]
fn a_frame_of_one_owner_has_one_leaf() {
    breaks(
        |violation| matches!(violation, Violation::SharedPrivateFrame(_)),
        |setup| {
            let second = setup.tables[3].slot(PAGE.table_index(3) + 1);
            setup.model.write(second, leaf(setup.frame, LEAF | READ_ONLY));
            setup.model.audit(&[setup.tables[0]]);
        },
    );
}

#[test]
fn tags_are_checked_behind_permissions_and_kept_with_the_frame() {
    let Setup { model, frame, .. } = setup();
    let cpu = model.cpu(0);
    let tag = Tag::new(3).expect("a tag");
    assert_eq!(cpu.store_tag(pointer(), tag), Ok(()));
    assert_eq!(cpu.load(pointer()).map_err(|fault| fault.kind), Err(FaultKind::TagCheck));
    assert_eq!(cpu.store(UserPointer::new(ADDRESS | 3 << 56), 9), Ok(()));
    assert_eq!((cpu.load_tag(pointer()), model.read_tag(frame, 15)), (Ok(tag), tag));
    assert_eq!(cpu.load(UserPointer::new(ADDRESS + 16)), Ok(0));
    let odd = cpu.store_tag(UserPointer::new(ADDRESS + 8), tag);
    assert_eq!(odd.map_err(|fault| fault.kind), Err(FaultKind::Alignment));
}

#[test]
fn the_allocation_that_was_named_fails_and_no_other() {
    let model = Host::new(ModelOptions { frames: 2, ..ModelOptions::default() });
    model.fail_in(2);
    assert!(model.own(1).is_ok());
    assert!(model.allocate_frame().is_none());
    assert!(model.allocate_frame().is_some() && model.allocate_frame().is_some());
    assert!(model.allocate_frame().is_none(), "there are two");
    let shared = model.share(7).expect("a pool");
    let second = shared.clone();
    assert_eq!((model.owners(&second), *second), (2, 7));
    drop(second);
    assert_eq!(model.owners(&shared), 1);
    assert_eq!((model.injected(), model.pool_objects()), (1, 1));
}
