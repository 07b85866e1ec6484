//! What belongs to single policies: pages that repeat, pages of a tag, pages of a mapping's own, and
//! pages that are made before they are touched.

use crate::policies::{BESIDE, map, options, prepare, request, wanted, with_frame, wrap};
use crate::support::{HERE, Object, RW, RWT, Rig, WRITE, new_space, range};
use std::sync::Arc;
use vellum_abi::{MapFlags, PAGE_SIZE, Policy, Protection, Switches};
use vellum_model::{Model, Single};
use vellum_vm::addr::Page;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::machine::Machine;
use vellum_vm::mapping::{Mapping, MappingKind};
use vellum_vm::ops::{MapRequest, Progress};
use vellum_vm::page_table::Sharing;

type Host = Rig<Single>;

#[test]
fn pages_of_a_wrap_object_keep_their_places_when_the_mapping_is_cut() {
    let rig = Host::new();
    let object = wrap(&rig, 3);
    for page in 0..3 {
        rig.map(&object, BESIDE, 3, RW);
        rig.store(0, BESIDE + page * PAGE_SIZE, b"ABC"[page as usize]).expect("a frame");
    }
    let shared = MapFlags::FIXED | MapFlags::REPLACE | MapFlags::SHARED;
    rig.try_map(&object, BESIDE, 3, RW, shared).expect("a mapping");
    for page in 0..3 {
        rig.store(0, BESIDE + page * PAGE_SIZE, b"ABC"[page as usize]).expect("a frame");
    }
    map(&rig, &request(&object, Policy::Wrap, 10)).expect("a mapping");
    rig.store(0, HERE + 3 * PAGE_SIZE, b'x').expect("a frame");
    rig.unmap(HERE + 4 * PAGE_SIZE, 1);
    rig.protect(HERE + 6 * PAGE_SIZE, 2, Protection::READ);
    let shown = |page: u64| rig.load(0, HERE + page * PAGE_SIZE).map(char::from).ok();
    let pages: Vec<_> = (0..10).filter(|page| *page != 4).map(shown).collect();
    let wanted: Vec<_> = "ABCxCABCA".chars().map(Some).collect();
    assert_eq!(pages, wanted);
    drop(object);
    rig.finish(options());
}

/// Returns the request of a mapping by a tag hint.
fn hinted(zero: &Object<Single>, tag: u8, address: u64) -> MapRequest<Model<Single>> {
    let mut request = request(zero, Policy::ReferencePage, 4);
    request.address = address;
    request.options.flags = MapFlags::FIXED | MapFlags::TAG_HINT;
    request.options.tag = tag;
    request
}

#[test]
fn row_54_a_tag_has_one_reference_page_while_anybody_uses_it() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    let other = rig.beside(&rig.account);
    let live = || rig.model.system().refpages() - 1;
    let pages = || rig.model.tag_pages().account().frames();
    map(&rig, &hinted(&zero, 5, HERE)).expect("a mapping");
    map(&other, &hinted(&zero, 5, HERE)).expect("a mapping");
    map(&rig, &hinted(&zero, 6, BESIDE)).expect("a mapping");
    assert_eq!((live(), pages()), (2, 2));
    assert_eq!(rig.load_tag(0, HERE), Ok(5));
    let taken = map(&rig, &hinted(&zero, 7, HERE));
    assert_eq!(taken, Err(Refusal::Error(VmError::Overlap)));
    assert_eq!((live(), pages()), (2, 2), "a refused mapping leaves no page");
    rig.unmap(HERE + PAGE_SIZE, 2);
    rig.unmap(HERE, 1);
    rig.unmap(HERE + 3 * PAGE_SIZE, 1);
    rig.unmap(BESIDE, 4);
    assert_eq!((live(), pages()), (1, 1), "the other address space still has one");
    other.unmap(HERE, 4);
    assert_eq!((live(), pages()), (0, 0));
    drop((zero, other));
    rig.finish(options());
}

/// Clones an address space that no CPU runs.
fn cloned(rig: &Host) -> Host {
    let child = Arc::new(new_space(&rig.model, &rig.account));
    let mut cloning = rig.space.clone_space().expect("at rest");
    while cloning.run(&rig.space, &child).expect("memory") == Progress::Paused {}
    rig.with_space(child)
}

#[test]
fn a_clone_of_a_mapping_with_a_tag_hint_is_a_user_of_its_page() {
    for first_to_go in 0..2 {
        let rig = Host::new();
        let zero = rig.tagged(0);
        let live = || (rig.model.system().refpages() - 1, rig.model.tag_pages().account().frames());
        map(&rig, &hinted(&zero, 5, HERE)).expect("a mapping");
        let child = cloned(&rig);
        assert_eq!(live(), (1, 1), "one page for both");
        let ends = [&rig, &child];
        ends[first_to_go].unmap(HERE, 4);
        let stays = ends[1 - first_to_go];
        assert_eq!(live(), (1, 1), "the other is a user still");
        // Whoever comes now finds the page: it was not given up with one of its users left.
        map(&rig, &hinted(&zero, 5, BESIDE)).expect("a mapping");
        assert_eq!(live(), (1, 1), "not a second page of the tag");
        rig.unmap(BESIDE, 4);
        assert_eq!(live(), (1, 1), "the newcomer was not the last");
        let mut tags = [0; 4];
        assert_eq!(stays.space.read_tags(HERE, &mut tags), Ok(Some(4)));
        assert_eq!(tags, [5; 4]);
        stays.unmap(HERE, 4);
        assert_eq!(live(), (0, 0), "gone with the last of both");
        drop((zero, child));
        rig.finish(options());
    }
}

#[test]
fn a_refused_map_counts_nothing_as_made() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    rig.map(&zero, HERE, 4, RW);
    let before = rig.stat();
    let over = map(&rig, &hinted(&zero, 5, HERE));
    assert_eq!(over, Err(Refusal::Error(VmError::Overlap)));
    assert_eq!(rig.stat(), before, "not what was made and is gone again either");
    map(&rig, &hinted(&zero, 5, BESIDE)).expect("a mapping");
    let made = rig.stat();
    let written = (made.create_bytes_written, made.create_tag_bytes_written);
    let page = (PAGE_SIZE, PAGE_SIZE / 32);
    assert_eq!(
        written,
        (before.create_bytes_written + page.0, before.create_tag_bytes_written + page.1)
    );
    drop(zero);
    rig.finish(options());
}

#[test]
fn row_55_a_clone_of_a_mapping_has_a_page_of_its_own() {
    let rig = Host::new();
    prepare(&rig, 64);
    let object = with_frame(&rig, 64);
    map(&rig, &request(&object, Policy::InMapping, 4)).expect("a mapping");
    assert_eq!(rig.model.system().refpages(), 3, "zeros, the object, the mapping's own");
    rig.unmap(HERE + PAGE_SIZE, 1);
    assert_eq!(rig.model.system().refpages(), 3, "parts share it");
    drop(object);
    assert_eq!(rig.model.system().refpages(), 2, "it does not need the object");
    let own = rig.tagged(3);
    let mapping = Mapping {
        range: range(BESIDE, 1),
        object: own.clone(),
        offset: 0,
        protection: RWT,
        maximum: Protection::ALL,
        sharing: Sharing::Private,
        sealed: false,
        kind: MappingKind::Plain,
        policy: Policy::InMapping,
        switches: Switches::NONE,
        around: 0,
        hint: None,
        sequence: vellum_vm::sequence::Sequence::default(),
    };
    let clone_fn = || mapping.duplicate_for_clone(&rig.model, &rig.account, rig.space.counters());
    let clone = clone_fn().expect("a frame");
    assert_eq!(rig.model.system().refpages(), 4, "a clone has its own");
    assert_eq!(clone.object.kind(), own.kind());
    assert!(!mapping.continues_in(&clone));
    drop(clone);
    rig.model.fail_in(1);
    assert_eq!(clone_fn().err(), Some(VmError::OutOfFrames));
    rig.model.fail_in(0);
    assert_eq!(rig.model.system().refpages(), 3);
    drop((mapping, own));
    for offset in (0..PAGE_SIZE).step_by(16) {
        assert_eq!(
            rig.load_tag(0, HERE + 2 * PAGE_SIZE + offset),
            Ok(wanted(64).tag(offset as usize))
        );
    }
    rig.finish(options());
}

#[test]
fn policies_that_know_a_page_alone_copy_it_where_a_fill_would_do() {
    for (policy, copies) in
        [(Policy::ReferencePage, false), (Policy::Object, true), (Policy::InMapping, true)]
    {
        let rig = Host::new();
        let object = rig.pattern(7);
        let mut made = request(&object, policy, 4);
        made.options.protection = RW;
        map(&rig, &made).expect("a mapping");
        // A page that was read, and one that was not.
        assert_eq!(rig.load(0, HERE), Ok(7));
        (0..2).for_each(|page| rig.store(0, HERE + page * PAGE_SIZE, 1).expect("a frame"));
        let stat = rig.stat();
        let (filled, copied) = (stat.bytes_filled, stat.bytes_copied);
        let wanted = if copies { (0, 2 * PAGE_SIZE) } else { (2 * PAGE_SIZE, 0) };
        assert_eq!((filled, copied), wanted, "{policy:?}");
        assert_eq!(rig.load(1, HERE + PAGE_SIZE + 1), Ok(7));
        drop((made, object));
        rig.finish(options());
    }
}

#[test]
fn an_eager_mapping_that_cannot_be_populated_is_gone_again() {
    let rig = Host::new();
    prepare(&rig, 64);
    let object = with_frame(&rig, 64);
    let eager = request(&object, Policy::Eager, 600);
    let everything = |rig: &Host| {
        (
            rig.stat().mappings,
            rig.stat().private_frames,
            rig.stat().pt_frames,
            rig.model.free_frames(),
        )
    };
    let before = everything(&rig);
    // One node of the tree, three tables at least, 600 frames.
    for allocation in (1..40).chain([511, 515, 516, 517, 603]) {
        rig.model.fail_in(allocation);
        let refused = map(&rig, &eager);
        rig.model.fail_in(0);
        let memory = [VmError::OutOfFrames, VmError::OutOfKernelMemory];
        let named = memory.map(|error| Err(Refusal::Error(error))).contains(&refused);
        assert!(named, "allocation {allocation}: {refused:?}");
        assert_eq!(everything(&rig), before, "allocation {allocation}");
    }
    assert_eq!(map(&rig, &eager), Ok(HERE));
    assert_eq!(rig.stat().private_frames, before.1 + 600);
    drop((object, eager));
    rig.finish(options());
}

#[test]
fn populating_waits_for_nobody_and_stops_where_frames_end() {
    let rig = Host::new();
    prepare(&rig, 64);
    let object = with_frame(&rig, 64);
    map(&rig, &request(&object, Policy::ReferencePage, 100)).expect("a mapping");
    let mut change = rig.space.populate(range(HERE, 100), WRITE).expect("mapped");
    assert!(!change.step(&rig.space), "a step is a few pages");
    let busy = rig.space.unmap(range(HERE, 1)).map(|_| ());
    assert_eq!(busy, Err(Refusal::Changing));
    for page in [0, 99] {
        let fault = rig.space.handle_fault(Page::containing(HERE + page * PAGE_SIZE), WRITE);
        assert_eq!(fault, Outcome::Changing, "page {page} is in the operation's hands");
    }
    rig.model.fail_in(30);
    while !change.step(&rig.space) {}
    rig.model.fail_in(0);
    assert_eq!(change.failure(), Some(VmError::OutOfFrames));
    let present = rig.stat().private_frames - 1;
    assert!((30..50).contains(&present), "{present} pages stay");
    rig.complete(rig.space.populate(range(HERE, 100), WRITE));
    assert_eq!(rig.stat().private_frames - 1, 100);
    assert_eq!(rig.stat().pages_populated, 100, "each page once, however often it was asked for");
    drop(object);
    rig.finish(options());
}
