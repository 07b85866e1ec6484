//! The rows of the requirements that an address space alone can show, one test each.

use crate::support::{HERE, RW, RWT, Rig, range};
use vellum_abi::{ExitKind, MapFlags, PAGE_SIZE, Protection};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::machine::{Machine, Pools};
use vellum_vm::ops::AccessRefusal;
use vellum_vm::page_table::{Walk, find};
use vellum_vm::refpage;
use vellum_vm::tag::Tag;

type Host = Rig<Single>;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

#[test]
fn row_05_content_is_aligned_by_its_untagged_address() {
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 1, RW);
    let make = |address| {
        refpage::from_user(&rig.space, UserPointer::new(address), 16, rig.space.counters())
    };
    assert_eq!(make(HERE + 8).err(), Some(Refusal::Error(VmError::Misaligned)));
    assert!(make((HERE + 16) | (7 << 56)).is_ok());
}

#[test]
fn row_08_short_content_is_repeated_over_the_page() {
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 1, RW);
    rig.space.write_page(HERE + 6, b"AB").expect("a frame");
    let made = refpage::from_user(&rig.space, UserPointer::new(HERE + 6), 2, rig.space.counters())
        .expect("readable");
    rig.map(&rig.share(made), page(8), 1, RW);
    for offset in 0..PAGE_SIZE {
        assert_eq!(rig.load(0, page(8) + offset), Ok(b"AB"[offset as usize & 1]));
    }
}

#[test]
fn row_14_content_is_only_read() {
    let rig = Host::new();
    rig.map(&rig.pattern(5), HERE, 1, Protection::READ);
    let made = refpage::from_user(&rig.space, UserPointer::new(HERE + 1), 1, rig.space.counters());
    assert_eq!(made.map(|object| object.kind().1), Ok(5));
    assert_eq!(rig.stat().private_frames, 0);
}

#[test]
fn row_16_tags_of_a_frames_last_owner_never_come_with_the_content() {
    let rig = Host::new();
    // A frame full of tag 11 is freed, then serves a page that is no Tagged memory.
    rig.map(&rig.tagged(11), HERE, 1, RWT);
    rig.store(0, HERE | 11 << 56, 1).expect("a frame");
    rig.unmap(HERE, 1);
    rig.map(&rig.tagged(0), HERE, 1, RW);
    rig.store(0, HERE, 1).expect("a frame");
    for size in [16, 64, PAGE_SIZE] {
        let made =
            refpage::from_user(&rig.space, UserPointer::new(HERE), size, rig.space.counters())
                .expect("readable");
        rig.map(&rig.share(made), page(8), 1, RWT);
        for offset in (0..PAGE_SIZE).step_by(16) {
            assert_eq!(rig.load_tag(0, page(8) + offset), Ok(0));
        }
        rig.store(0, page(8), 2).expect("a frame");
        assert_eq!(rig.load_tag(0, page(8) + 4080), Ok(0));
    }
}

#[test]
fn row_18_a_fresh_page_is_written_once() {
    let rig = Host::new();
    rig.map(&rig.pattern(0xaa), HERE, 1, RWT);
    let fills = rig.model.acts().fills;
    rig.store(0, HERE, 1).expect("a frame");
    // Three tables and the page.
    assert_eq!(rig.model.acts().fills - fills, 4);
    let stat = rig.stat();
    assert_eq!((stat.bytes_filled, stat.bytes_copied), (PAGE_SIZE, 0));
}

#[test]
fn row_22_a_load_of_a_clean_page_maps_the_reference_frame_read_only() {
    let rig = Host::new();
    rig.map(&rig.pattern(7), HERE, 1000, RW);
    (0..1000).for_each(|number| assert_eq!(rig.load(0, page(number)), Ok(7)));
    let stat = rig.stat();
    assert_eq!((stat.private_frames, stat.faults_read_map), (0, 1000));
    let leaves = rig.model.leaves(rig.space.root());
    assert!(leaves.iter().all(|leaf| leaf.descriptor.frame() == leaves[0].descriptor.frame()));
}

#[test]
fn row_23_a_store_after_a_load_replaces_the_reference_frame() {
    let rig = Host::new();
    rig.map(&rig.pattern(7), HERE, 1, RW);
    assert_eq!(rig.load(0, HERE + 5), Ok(7));
    assert_eq!(rig.load(1, HERE + 5), Ok(7));
    rig.store(0, HERE + 7, 9).expect("a frame");
    for offset in 0..PAGE_SIZE {
        assert_eq!(rig.load(1, HERE + offset), Ok(if offset == 7 { 9 } else { 7 }));
    }
    let stat = rig.stat();
    assert_eq!((stat.private_frames, stat.faults_read_map, stat.faults_write_cow), (1, 1, 1));
    assert_eq!((stat.faults_spurious, stat.tlbi_count), (0, 1));
}

#[test]
fn row_24_a_store_to_an_untouched_page_takes_one_fault() {
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 1, RW);
    rig.store(0, HERE, 1).expect("a frame");
    let stat = rig.stat();
    assert_eq!((stat.private_frames, stat.faults_write_fresh, stat.faults_read_map), (1, 1, 0));
    assert_eq!((stat.kernel_bytes_written(), stat.tlbi_count), (PAGE_SIZE, 0));
}

#[test]
fn row_26_a_million_leaves_of_one_reference_page_count_nothing() {
    let options = ModelOptions { frames: 8192, ..options() };
    let rig = Host::with(options);
    let object = rig.pattern(3);
    let pages = 1 << 20;
    rig.map(&object, HERE, pages, RW);
    for number in 0..pages {
        let outcome =
            rig.space.handle_fault_at(UserPointer::new(page(number)), crate::support::READ);
        assert_eq!(outcome, vellum_vm::fault::Outcome::Resume);
    }
    assert_eq!(rig.model.owners(&object), 2);
    assert_eq!((rig.stat().private_frames, rig.stat().faults_read_map), (0, pages));
    rig.unmap(HERE, pages);
    assert_eq!((rig.model.owners(&object), rig.stat().pt_frames), (1, 1));
    drop(object);
    rig.finish(options);
}

#[test]
fn row_27_leaves_of_a_reference_page_free_nothing_when_they_go() {
    let rig = Host::new();
    let object = rig.pattern(3);
    let before = rig.model.free_frames();
    rig.map(&object, HERE, 10_000, RW);
    rig.map(&object, page(20_000), 1, RW);
    (0..10_000).for_each(|number| assert_eq!(rig.load(0, page(number)), Ok(3)));
    rig.decommit(HERE, 10_000);
    assert_eq!(rig.load(1, page(9_999)), Ok(3));
    rig.unmap(HERE, 10_000);
    assert_eq!(rig.load(0, page(20_000)), Ok(3));
    rig.unmap(page(20_000), 1);
    assert_eq!(rig.model.free_frames(), before);
}

#[test]
fn row_28_an_object_lives_as_long_as_a_handle_or_a_mapping() {
    let rig = Host::new();
    let object = rig.pattern(3);
    rig.map(&object, HERE, 4, RW);
    drop(object);
    assert_eq!(rig.load(0, HERE), Ok(3));
    rig.store(0, HERE, 4).expect("a frame");
    rig.unmap(page(1), 1);
    assert_eq!((rig.load(0, page(3)), rig.model.system().refpages()), (Ok(3), 1));
    rig.unmap(HERE, 4);
    assert_eq!(rig.model.system().refpages(), 0);
    rig.finish(options());
}

#[test]
fn row_31_mappings_of_different_objects_never_merge_and_of_one_do() {
    let rig = Host::new();
    let (a, b, zero) = (rig.pattern(1), rig.pattern(2), rig.tagged(0));
    for (number, object) in [&a, &b, &zero].into_iter().enumerate() {
        rig.map(object, page(4 * number as u64), 4, RW);
    }
    assert_eq!(rig.stat().mappings, 3);
    rig.protect(page(4), 4, Protection::READ);
    rig.unmap(page(2), 3);
    let loads = [1, 5, 8].map(|number| rig.load(0, page(number)));
    assert_eq!(loads, [Ok(1), Ok(2), Ok(0)]);
    rig.map(&b, page(4), 1, Protection::READ);
    assert_eq!(rig.stat().mappings, 3, "the hole is mended");
    rig.map(&a, page(2), 2, RW);
    assert_eq!(rig.stat().mappings, 3);
}

#[test]
fn row_34_the_kernel_reads_without_a_frame_and_writes_into_a_private_one() {
    let rig = Host::new();
    let object = rig.pattern(6);
    rig.map(&object, HERE, 200, RW);
    rig.map(&object, page(300), 1, RW);
    for number in 0..100 {
        let mut bytes = [0; 3];
        assert_eq!(rig.space.read_page(page(number) + 4093, &mut bytes), Ok(3));
        assert_eq!(bytes, [6; 3]);
    }
    assert_eq!(rig.stat().private_frames, 0);
    assert_eq!(rig.space.write_page(page(7) + 1, &[1]), Ok(1));
    assert_eq!(rig.space.write_page(page(150) + 1, &[1]), Ok(1));
    for target in [page(7), page(150)] {
        assert_eq!([0, 1, 2].map(|offset| rig.load(1, target + offset)), [Ok(6), Ok(1), Ok(6)]);
    }
    assert_eq!((rig.stat().private_frames, rig.load(0, page(300) + 1)), (2, Ok(6)));
}

#[test]
fn row_37_a_page_given_back_reads_as_its_object_again() {
    let rig = Host::new();
    rig.map(&rig.tagged(9), HERE, 2, RWT);
    let pointer = HERE | 9 << 56;
    rig.store(0, pointer, 1).expect("a frame");
    rig.store_tag(0, HERE, 2).expect("a frame");
    rig.decommit(HERE, 2);
    assert_eq!(rig.stat().private_frames, 0);
    assert_eq!((rig.load(1, pointer), rig.load_tag(1, HERE)), (Ok(0), Ok(9)));
}

#[test]
fn row_38_protection_decides_before_the_page_does() {
    let rig = Host::new();
    rig.map(&rig.pattern(4), HERE, 2, Protection::READ);
    assert_eq!(rig.load(0, HERE), Ok(4));
    assert_eq!(rig.store(0, HERE, 1), Err(ExitKind::AccessDenied));
    rig.protect(HERE, 2, RW);
    assert_eq!(rig.store(0, HERE, 1), Ok(()));
    rig.protect(HERE, 2, Protection::READ);
    assert_eq!((rig.load(1, HERE), rig.store(1, HERE, 2)), (Ok(1), Err(ExitKind::AccessDenied)));
    rig.protect(HERE, 2, Protection::NONE);
    assert_eq!(rig.load(1, HERE), Err(ExitKind::AccessDenied));
    rig.protect(HERE, 2, RW);
    assert_eq!((rig.load(1, HERE), rig.stat().private_frames), (Ok(1), 1));
}

#[test]
fn row_39_a_reference_object_is_never_shared_for_writing() {
    let rig = Host::new();
    let object = rig.pattern(4);
    let shared = MapFlags::FIXED | MapFlags::SHARED;
    let refused = Refusal::Error(VmError::SharedWritable);
    assert_eq!(rig.try_map(&object, HERE, 1, RW, shared), Err(refused));
    rig.try_map(&object, HERE, 1, Protection::READ, shared).expect("room");
    assert_eq!(rig.load(0, HERE), Ok(4));
    assert_eq!(rig.space.protect(range(HERE, 1), RW).err(), Some(refused));
    assert_eq!(rig.store(0, HERE, 1), Err(ExitKind::AccessDenied));
}

#[test]
fn row_42_one_object_is_mapped_as_tagged_memory_and_without_tags() {
    let rig = Host::new();
    let object = rig.tagged(12);
    rig.map(&object, HERE, 1, RWT);
    rig.map(&object, page(8), 1, RW);
    for _ in 0..2 {
        assert_eq!((rig.load_tag(0, HERE), rig.load_tag(1, page(8))), (Ok(12), Ok(0)));
        assert_eq!(rig.load(0, HERE), Err(ExitKind::TagCheck));
        assert_eq!((rig.load(0, HERE | 12 << 56), rig.load(0, page(8) | 3 << 56)), (Ok(0), Ok(0)));
        rig.store(1, HERE | 12 << 56, 0).expect("a frame");
        rig.store(1, page(8), 0).expect("a frame");
    }
}

#[test]
fn memory_that_becomes_tagged_shows_no_tag_of_a_frames_last_owner() {
    let rig = Host::new();
    rig.map(&rig.tagged(11), HERE, 1, RWT);
    rig.store(0, HERE | 11 << 56, 1).expect("a frame");
    rig.unmap(HERE, 1);
    rig.map(&rig.tagged(0), HERE, 1, RW);
    rig.store(0, HERE, 1).expect("the same frame");
    rig.protect(HERE, 1, RWT);
    assert_eq!((rig.load_tag(0, HERE + 512), rig.load(0, HERE)), (Ok(0), Ok(1)));
}

#[test]
fn the_kernel_never_writes_through_a_read_only_mapping() {
    let rig = Host::new();
    rig.map(&rig.pattern(4), HERE, 1, Protection::READ);
    let denied = Err(AccessRefusal::Fault(ExitKind::AccessDenied));
    for _ in 0..2 {
        assert_eq!(rig.space.write_page(HERE, &[1]), denied);
        assert_eq!(rig.load(0, HERE), Ok(4));
        rig.decommit(HERE, 1);
    }
    let beyond = rig.space.write_page(1 << 48, &[1]);
    assert_eq!(beyond, Err(AccessRefusal::Fault(ExitKind::NotMapped)));
}

#[test]
fn a_write_only_mapping_is_read_and_written() {
    let rig = Host::new();
    rig.map(&rig.pattern(4), HERE, 1, Protection::WRITE);
    assert_eq!(
        (rig.load(0, HERE), rig.store(0, HERE, 1), rig.load(0, HERE)),
        (Ok(4), Ok(()), Ok(1))
    );
    let info = rig.space.query(Page::containing(HERE)).expect("mapped");
    assert_eq!(info.protection, RW.bits());
}

#[test]
fn an_execute_only_page_cannot_be_read_before_or_after_it_was_executed() {
    let rig = Host::new();
    rig.map(&rig.pattern(4), HERE, 1, Protection::EXECUTE);
    let denied = Err(ExitKind::AccessDenied);
    assert_eq!(rig.load(0, HERE), denied);
    let fetch = || {
        let pointer = UserPointer::new(HERE);
        crate::support::user(&rig.space, || rig.model.cpu(0).execute(pointer))
    };
    assert_eq!(fetch(), Ok((4, true)));
    assert_eq!((rig.load(0, HERE), rig.load(1, HERE)), (denied, denied));
}

#[test]
fn code_that_was_written_is_fetched_as_it_was_written() {
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 1, RW);
    rig.store(0, HERE, 0x5f).expect("a frame");
    rig.protect(HERE, 1, Protection::READ | Protection::EXECUTE);
    let pointer = UserPointer::new(HERE);
    let fetched = crate::support::user(&rig.space, || rig.model.cpu(1).execute(pointer));
    assert_eq!(fetched, Ok((0x5f, true)));
}

#[test]
fn a_store_that_upgrades_its_leaf_is_not_stopped_by_the_old_translation() {
    // What a clone of an address space will leave behind: one's own frame, read-only.
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 1, RW);
    rig.store(0, HERE, 1).expect("a frame");
    let target = Page::containing(HERE);
    let Walk::Leaf(slot) = find(&rig.model, rig.space.root(), target) else {
        panic!("the page was touched");
    };
    let leaf = rig.model.read(slot);
    rig.model.write(slot, leaf.with_protection(Protection::READ));
    rig.model.dsb_ishst();
    rig.model.tlbi_leaf(rig.space.asid(), target);
    rig.model.dsb_ish();
    assert_eq!(rig.load(1, HERE), Ok(1));
    assert_eq!(rig.store(1, HERE, 2), Ok(()));
    let stat = rig.stat();
    assert_eq!((stat.faults_write_upgrade, stat.faults_spurious), (1, 0));
    assert_eq!((stat.private_frames, rig.model.read(slot)), (1, leaf));
}

#[test]
fn a_machine_without_tags_writes_none_and_maps_no_tagged_memory() {
    let options = ModelOptions { tags: false, ..options() };
    let rig = Host::with(options);
    let five = Tag::new(5).expect("a tag");
    let refused = refpage::tagged(&rig.model, &rig.account, five, rig.space.counters());
    assert_eq!(refused.err(), Some(VmError::TagsUnsupported));
    let (object, memory) = (rig.pattern(3), rig.memory(2));
    let refused = Err(Refusal::Error(VmError::TagsUnsupported));
    assert_eq!(rig.try_map(&object, HERE, 1, RWT, MapFlags::FIXED), refused);
    rig.map(&object, HERE, 1, RW);
    rig.map(&memory, page(8), 2, RW);
    for address in [HERE, page(8)] {
        rig.store(0, address | 7 << 56, 1).expect("a frame");
        assert_eq!((rig.load(1, address | 2 << 56), rig.load_tag(1, address)), (Ok(1), Ok(0)));
    }
    let made = refpage::from_user(&rig.space, UserPointer::new(HERE), 16, rig.space.counters())
        .expect("readable");
    assert_eq!(made.kind().0, vellum_abi::ObjectKind::Bytes);
    assert!(rig.space.protect(range(HERE, 1), RWT).is_err());
    let stat = rig.stat();
    assert_eq!((stat.tag_bytes_written, stat.create_tag_bytes_written), (0, 0));
    drop((object, memory, made));
    rig.finish(options);
}
