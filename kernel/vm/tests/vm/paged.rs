//! Pages that a pager supplies: what is asked, what may be supplied, and who pays.

use crate::support::{HERE, Object, READ, RW, RWT, Rig, WRITE, new_space, range};
use vellum_abi::{ExitKind, MapFlags, PAGE_SIZE, PagerFlags, Policy, Protection, WishKind};
use vellum_model::{ModelOptions, Single};
use vellum_vm::account::Account;
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::machine::Pools;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::{AccessRefusal, Progress};
use vellum_vm::request::PageRequest;

type Host = Rig<Single>;
/// Where the pager's own pages are.
const OWN: u64 = HERE + 64 * PAGE_SIZE;
const PAGES: u64 = 600;
const NAME: u64 = 77;

fn options() -> ModelOptions {
    ModelOptions { cpus: 3, ..ModelOptions::default() }
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

fn own(number: u64) -> Page {
    Page::containing(OWN + number * PAGE_SIZE)
}

fn paged(rig: &Host, flags: PagerFlags) -> Object<Single> {
    let (model, account) = (rig.model.clone(), rig.account.clone());
    let object = MemoryObject::paged(model, account, PAGES * PAGE_SIZE, flags, NAME);
    rig.share(object.expect("memory"))
}

/// Maps an object privately from [`HERE`] on, and the pager's own pages with their number in each.
fn scene(flags: PagerFlags, protection: Protection) -> (Host, Object<Single>) {
    let rig = Host::new();
    let object = paged(&rig, flags);
    rig.map(&object, HERE, 32, protection);
    rig.map(&rig.tagged(0), OWN, 16, RW);
    (0..16).for_each(|number| {
        rig.store(0, OWN + number * PAGE_SIZE + 5, 100 + number as u8).expect("a frame");
    });
    (rig, object)
}

/// Maps an object shared.
fn share(rig: &Host, object: &Object<Single>, at: u64) {
    let flags = MapFlags::SHARED | MapFlags::FIXED;
    rig.try_map(object, at, 32, RW, flags).expect("a mapping");
}

fn ask(
    rig: &Host,
    address: u64,
    access: vellum_abi::FaultAccess,
) -> PageRequest<vellum_model::Model<Single>> {
    let pointer = UserPointer::new(address);
    assert_eq!(rig.space.handle_fault_at(pointer, access), Outcome::Absent);
    let Ok(request) = rig.space.request_page(pointer, access) else { panic!("no request") };
    request
}

#[test]
fn the_first_who_faults_asks_and_the_others_wait() {
    let (rig, object) = scene(PagerFlags::NONE, RW);
    assert_eq!(object.pager(), Some(&NAME));
    let first = ask(&rig, (page(3) + 8) | (5 << 56), READ);
    let wish = first.wish().expect("the first asks");
    assert_eq!((wish.offset, wish.access, wish.kind), (3 * PAGE_SIZE, READ, WishKind::Page));
    assert_eq!((wish.address, wish.pages), ((page(3) + 8) | (5 << 56), 29));
    let second = ask(&rig, page(3), WRITE);
    assert!(second.wish().is_none() && second.is_pending());
    assert_eq!((second.index(), first.index()), (3, 3));
    // Who waits takes nothing back.
    _ = second.withdraw();
    assert!(first.is_pending());
    assert!(first.withdraw(), "who waits has to be told");
    assert!(!second.is_pending());
    assert!(ask(&rig, page(3), READ).wish().is_some(), "the next asks again");
    assert!(ask(&rig, page(3), READ).wish().is_none());
    let supplied = object.supply_copy(3, &rig.space, own(0), false);
    assert_eq!(supplied, Ok(true), "who waits has to be told");
    _ = first.withdraw();
    assert_eq!(rig.load(0, page(3) + 5), Ok(100));
    let gone = rig.space.request_page(UserPointer::new(page(3)), READ);
    assert_eq!(gone.err(), Some(Outcome::Resume));
    drop((first, second, object));
    rig.finish(options());
}

#[test]
fn a_copy_leaves_the_source_and_brings_its_tags() {
    let (rig, object) = scene(PagerFlags::NONE, RWT);
    rig.map(&rig.tagged(6), OWN, 1, RWT);
    rig.store(0, (OWN + 5) | 6 << 56, 9).expect("a frame");
    object.supply_copy(0, &rig.space, own(0), false).expect("supplied");
    object.supply_copy(1, &rig.space, own(1), false).expect("supplied");
    assert_eq!((rig.load_tag(0, page(0)), rig.load(0, (page(0) + 5) | 6 << 56)), (Ok(6), Ok(9)));
    assert_eq!((rig.load_tag(0, page(1)), rig.load(0, page(1) + 5)), (Ok(0), Ok(101)));
    assert_eq!(rig.load(0, (OWN + 5) | 6 << 56), Ok(9));
    drop(object);
    rig.finish(options());
}

#[test]
fn a_page_that_moves_leaves_its_mapping_and_changes_its_account() {
    let (rig, object) = scene(PagerFlags::NONE, RWT);
    let account = rig.model.share(Account::new(100, 1 << 20)).expect("a pool");
    let pager = rig.beside(&account);
    pager.map(&pager.tagged(0), OWN, 4, RW);
    pager.space.write_page(OWN + 5, &[42]).expect("a frame");
    let before = (rig.account.frames(), account.frames(), rig.model.free_frames());
    object.supply_move(0, &pager.space, own(0), false).expect("supplied");
    // A node of the store was there: pages 0 to 511 share one.
    let nodes = before.2 - rig.model.free_frames();
    assert_eq!(account.frames(), before.1 - 1);
    assert_eq!(rig.account.frames(), before.0 + 1 + nodes as u64);
    assert_eq!((rig.load(0, page(0) + 5), rig.load_tag(0, page(0))), (Ok(42), Ok(0)));
    let mut byte = [1];
    pager.space.read_page(OWN + 5, &mut byte).expect("mapped");
    assert_eq!(byte, [0], "the page shows its object again");
    // One that was never touched is made first; what is not the process's own cannot go.
    object.supply_move(1, &pager.space, own(1), false).expect("supplied");
    assert_eq!(rig.load(0, page(1)), Ok(0));
    let refused = |source| object.supply_move(2, &pager.space, source, false).err();
    pager.protect(OWN + 2 * PAGE_SIZE, 1, Protection::READ);
    assert_eq!(refused(own(2)), Some(VmError::BadAddress.into()));
    assert_eq!(refused(own(9)), Some(VmError::NotMapped.into()));
    let shared = pager.memory(1);
    let flags = MapFlags::SHARED | MapFlags::FIXED;
    pager.try_map(&shared, OWN + 8 * PAGE_SIZE, 1, RW, flags).expect("a mapping");
    assert_eq!(refused(own(8)), Some(VmError::NotPermitted.into()));
    assert_eq!(object.info(1).frames, 2);
    drop((object, shared));
    let mut teardown = pager.space.teardown().expect("at rest");
    while !teardown.step(&pager.space) {}
    drop((pager, account));
    rig.finish(options());
}

#[test]
fn a_frame_that_a_clone_has_too_is_copied_before_it_moves() {
    let (rig, object) = scene(PagerFlags::WRITABLE, RW);
    let child = new_space(&rig.model, &rig.account);
    let mut cloning = rig.space.clone_space().expect("at rest");
    while cloning.run(&rig.space, &child).expect("memory") == Progress::Paused {}
    object.supply_move(0, &rig.space, own(3), false).expect("supplied");
    share(&rig, &object, page(32));
    rig.store(1, page(32) + 6, 1).expect("shared");
    let mut bytes = [0; 2];
    child.read_page(OWN + 3 * PAGE_SIZE + 5, &mut bytes).expect("mapped");
    assert_eq!((bytes, rig.load(0, page(32) + 5)), ([103, 0], Ok(103)));
    let absent = child.read_page(page(9), &mut bytes);
    let asked = AccessRefusal::Absent(Page::containing(page(9)), READ);
    assert_eq!(absent, Err(asked), "the clone asks the same pager");
    let mut teardown = child.teardown().expect("at rest");
    while !teardown.step(&child) {}
    drop((child, object));
    rig.finish(options());
}

#[test]
fn a_named_reference_page_is_shared_by_readers_and_filled_for_writers() {
    let (rig, object) = scene(PagerFlags::NONE, RW);
    let pattern = rig.pattern(0xaa);
    let frames = rig.model.free_frames();
    object.supply_reference(0, &pattern, &rig.space, false).expect("supplied");
    object.supply_reference(1, &pattern, &rig.space, false).expect("supplied");
    drop(pattern);
    assert_eq!([rig.load(0, page(0)), rig.load(0, page(1))], [Ok(0xaa); 2]);
    assert!(frames - rig.model.free_frames() <= 1, "at most a node of the store");
    let copied = rig.stat().bytes_copied;
    rig.store(0, page(0), 1).expect("a frame");
    assert_eq!((rig.load(0, page(0)), rig.load(0, page(0) + 1)), (Ok(1), Ok(0xaa)));
    assert_eq!(rig.stat().bytes_copied, copied, "by the object's own strategy");
    let refused = object.keep_source(&rig.memory(1));
    assert_eq!(refused, Err(VmError::WrongPolicy));
    let sources: Vec<_> = (1..=16).map(|byte| object.keep_source(&rig.pattern(byte))).collect();
    assert_eq!(sources[14..], [Ok(()), Err(VmError::LimitReached)]);
    drop(object);
    rig.finish(options());
}

#[test]
fn where_mappings_may_store_a_named_page_gets_a_frame_of_its_own() {
    let (rig, object) = scene(PagerFlags::WRITABLE, RW);
    share(&rig, &object, page(32));
    let pattern = rig.pattern(0xaa);
    object.supply_reference(0, &pattern, &rig.space, false).expect("supplied");
    rig.store(0, page(32), 1).expect("shared");
    assert_eq!([rig.load(0, page(0)), rig.load(0, page(0) + 1)], [Ok(1), Ok(0xaa)]);
    assert_eq!(rig.load(1, page(32) + 1), Ok(0xaa));
    rig.map(&pattern, page(100), 1, Protection::READ);
    assert_eq!(rig.load(0, page(100)), Ok(0xaa));
    drop((object, pattern));
    rig.finish(options());
}

#[test]
fn only_a_writable_object_is_shared_for_writing() {
    let (rig, object) = scene(PagerFlags::NONE, RW);
    let flags = MapFlags::SHARED | MapFlags::FIXED;
    let refused = rig.try_map(&object, page(32), 1, RW, flags).err();
    assert_eq!(refused, Some(VmError::SharedWritable.into()));
    assert!(rig.try_map(&object, page(32), 1, Protection::READ, flags).is_ok());
    drop(object);
    rig.finish(options());
}

#[test]
fn the_first_store_to_a_watched_page_asks_and_no_other() {
    let (rig, object) = scene(PagerFlags::WRITABLE, RW);
    share(&rig, &object, page(32));
    share(&rig, &object, page(64 + 32));
    object.supply_copy(0, &rig.space, own(2), true).expect("supplied");
    let shared = page(32) + 5;
    assert_eq!([rig.load(0, shared), rig.load(0, page(96) + 5)], [Ok(102); 2]);
    // A private copy is nobody's business.
    rig.store(0, page(0) + 5, 1).expect("a frame");
    let asked = ask(&rig, shared, WRITE);
    assert_eq!(asked.wish().map(|wish| wish.kind), Some(WishKind::Store));
    assert!(ask(&rig, page(96), WRITE).wish().is_none(), "one asks for both mappings");
    // Neither protection nor asking makes it writable.
    rig.protect(page(32), 32, Protection::READ);
    rig.protect(page(32), 32, RW);
    assert_eq!(rig.space.handle_fault_at(UserPointer::new(shared), WRITE), Outcome::Absent);
    rig.audit();
    _ = asked.withdraw();
    assert!(ask(&rig, shared, WRITE).wish().is_some());
    assert_eq!(object.allow_stores(0), Ok(false));
    assert_eq!(object.allow_stores(0), Err(VmError::NotWatched));
    assert_eq!(object.allow_stores(1), Err(VmError::NotWatched));
    rig.store(0, shared, 7).expect("allowed");
    rig.store(0, page(96) + 6, 8).expect("allowed");
    assert_eq!([rig.load(1, page(96) + 5), rig.load(1, shared + 1)], [Ok(7), Ok(8)]);
    assert_eq!(rig.load(0, page(0) + 5), Ok(1));
    drop((asked, object));
    rig.finish(options());
}

#[test]
fn a_poisoned_page_is_a_reason_of_its_own() {
    let (rig, object) = scene(PagerFlags::NONE, RW);
    let asked = ask(&rig, page(1), READ);
    object.poison(1).expect("absent");
    assert!(!asked.is_pending());
    _ = asked.withdraw();
    let pointer = UserPointer::new(page(1));
    assert_eq!(rig.space.handle_fault_at(pointer, READ), Outcome::Absent);
    let died = rig.space.request_page(pointer, READ).err();
    assert_eq!(died, Some(Outcome::Die(ExitKind::PagePoisoned)));
    assert_eq!(object.poison(1), Err(VmError::PagePresent));
    drop((asked, object));
    rig.finish(options());
}

#[test]
fn what_cannot_be_supplied_is_refused_by_name_and_changes_nothing() {
    let (rig, object) = scene(PagerFlags::NONE, RW);
    object.supply_copy(0, &rig.space, own(0), false).expect("supplied");
    let state = || (rig.model.free_frames(), rig.account.frames(), rig.stat());
    let before = state();
    let error = |refused: Result<bool, Refusal>| refused.err();
    let present: Option<Refusal> = Some(VmError::PagePresent.into());
    let beyond: Option<Refusal> = Some(VmError::BeyondEnd.into());
    for (index, refusal) in [(0, present), (PAGES, beyond), (u64::MAX, beyond)] {
        assert_eq!(error(object.supply_copy(index, &rig.space, own(1), false)), refusal);
        assert_eq!(error(object.supply_move(index, &rig.space, own(1), false)), refusal);
        assert_eq!(object.poison(index).err().map(Refusal::Error), refusal);
    }
    assert_eq!(
        error(object.supply_copy(1, &rig.space, own(40), false)),
        Some(VmError::BadAddress.into())
    );
    // Its own page, which is absent.
    let absent = Refusal::Absent(Page::containing(page(2)), READ);
    let circular = Page::containing(page(2));
    assert_eq!(error(object.supply_copy(1, &rig.space, circular, false)), Some(absent));
    let after = state();
    assert_eq!((after.0, after.1), (before.0, before.1));
    assert_eq!(after.2.private_frames, before.2.private_frames);
    drop(object);
    rig.finish(options());
}

#[test]
fn no_policy_and_no_advice_makes_absent_pages_present() {
    let (rig, object) = scene(PagerFlags::NONE, RW);
    let mut change = rig.space.populate(range(HERE, 4), READ).expect("mapped");
    while !change.step(&rig.space) {}
    assert_eq!(change.failure(), Some(VmError::PageAbsent));
    object.supply_copy(0, &rig.space, own(0), false).expect("supplied");
    let mut change = rig.space.populate(range(HERE, 1), WRITE).expect("mapped");
    while !change.step(&rig.space) {}
    assert_eq!((change.failure(), rig.load(0, HERE + 5)), (None, Ok(100)));
    let request = |policy| vellum_vm::ops::MapRequest {
        object: object.clone(),
        address: page(200),
        length: PAGE_SIZE,
        offset: 0,
        options: vellum_abi::MapOptions { protection: RW, policy, ..Default::default() },
        maximum: Protection::ALL,
    };
    for policy in Policy::ALL {
        let mapped = rig.space.map(&request(*policy)).map(|(address, _)| address);
        let refused = matches!(policy, Policy::Eager | Policy::InMapping | Policy::Wrap);
        let expected = if refused { Err(VmError::WrongPolicy.into()) } else { Ok(page(200)) };
        assert_eq!(mapped, expected, "{policy:?}");
        if !refused {
            rig.unmap(page(200), 1);
        }
    }
    drop(object);
    rig.finish(options());
}

#[test]
fn without_memory_for_a_node_nobody_asks() {
    let rig = Host::new();
    let account = rig.model.share(Account::new(2, 1 << 20)).expect("a pool");
    let object = MemoryObject::paged(
        rig.model.clone(),
        account.clone(),
        PAGES * PAGE_SIZE,
        PagerFlags::NONE,
        NAME,
    );
    let object = rig.share(object.expect("memory"));
    rig.map(&object, HERE, PAGES, RW);
    let first = ask(&rig, page(0), READ);
    let second = rig.space.request_page(UserPointer::new(page(599)), READ).err();
    assert_eq!(second, Some(Outcome::Die(ExitKind::LimitReached)));
    _ = first.withdraw();
    rig.unmap(HERE, PAGES);
    drop((first, object));
    assert_eq!((account.frames(), account.kernel_bytes()), (0, 0));
    drop(account);
    rig.finish(options());
}
