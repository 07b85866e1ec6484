//! What `remap` refuses, that a refusal changes nothing, wherever memory runs out, and that nobody
//! sees a move half done.

use crate::remap::request;
use crate::support::{HERE, READ, RW, Rig, range};
use vellum_abi::{ExitKind, MapFlags, MapOptions, PAGE_SIZE, Protection, RemapFlags, USER_END};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::Page;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::{AccessRefusal, MapRequest, RemapRequest};

type Host = Rig<Single>;

const NONE: RemapFlags = RemapFlags::NONE;
const MOVE: RemapFlags = RemapFlags::MAYMOVE;
const RETAIN: RemapFlags = MOVE.union(RemapFlags::RETAIN);
const FIXED: RemapFlags = MOVE.union(RemapFlags::FIXED);
const THERE: u64 = HERE + (1 << 40);

/// Everything that a refused move must leave as it was.
fn state(rig: &Host) -> impl PartialEq + std::fmt::Debug + use<> {
    let leaves = rig.model.leaves(rig.space.root());
    let pages = (0..32).flat_map(|page| [HERE + page * PAGE_SIZE, THERE + page * PAGE_SIZE]);
    let mappings: Vec<_> = pages.map(|page| rig.space.query(Page::containing(page))).collect();
    (rig.stat(), leaves, mappings, rig.model.free_frames(), rig.model.pool_objects())
}

fn refused(rig: &Host, request: &RemapRequest, error: VmError) {
    let before = state(rig);
    let answer = rig.remap(request);
    assert_eq!(answer, Err(Refusal::Error(error)), "{request:x?}");
    assert_eq!(state(rig), before, "{request:x?}");
}

/// Maps device registers of a page at [`HERE`].
fn map_device(rig: &Host) {
    let (model, account) = (rig.model.clone(), rig.account.clone());
    let device = MemoryObject::device(model, account, rig.model.first_fixed(), 2).expect("room");
    let shared = MapFlags::FIXED | MapFlags::SHARED;
    rig.try_map(&rig.share(device), HERE, 1, RW, shared).expect("a mapping");
}

#[test]
fn k9_arithmetic_that_overflows_is_refused_by_name() {
    let rig = Host::new();
    rig.map(&rig.tagged(0), HERE, 4, RW);
    let four = request([4, 4], FIXED, THERE);
    let page = PAGE_SIZE;
    for (bad, error) in [
        (RemapRequest { old_length: 0, ..four }, VmError::InvalidSize),
        (RemapRequest { new_length: 0, ..four }, VmError::InvalidSize),
        (RemapRequest { old_length: 1 << 63, ..four }, VmError::OutOfRange),
        (RemapRequest { new_length: 1 << 63, ..four }, VmError::OutOfRange),
        (RemapRequest { old_length: page.wrapping_neg(), ..four }, VmError::OutOfRange),
        (RemapRequest { new_length: page.wrapping_neg(), ..four }, VmError::OutOfRange),
        (
            RemapRequest { new_length: page.wrapping_neg(), flags: MOVE, ..four },
            VmError::OutOfRange,
        ),
        (
            RemapRequest { new_length: page.wrapping_neg(), flags: NONE, ..four },
            VmError::OutOfRange,
        ),
        (
            RemapRequest { new_length: USER_END - page * 16, flags: MOVE, ..four },
            VmError::OutOfAddresses,
        ),
        (
            RemapRequest { new_length: USER_END - page * 16, flags: NONE, ..four },
            VmError::OutOfAddresses,
        ),
        (RemapRequest { new: page.wrapping_neg(), ..four }, VmError::OutOfRange),
        (RemapRequest { new: USER_END - page, ..four }, VmError::OutOfRange),
        (RemapRequest { new: 0, ..four }, VmError::OutOfRange),
        (RemapRequest { old: page.wrapping_neg(), ..four }, VmError::OutOfRange),
        (RemapRequest { old: HERE | 7 << 56, ..four }, VmError::OutOfRange),
        (RemapRequest { old: HERE + 8, ..four }, VmError::Misaligned),
        (RemapRequest { new: THERE + 8, ..four }, VmError::Misaligned),
        (RemapRequest { old_length: page + 8, ..four }, VmError::Misaligned),
        (RemapRequest { new_length: page + 8, ..four }, VmError::Misaligned),
    ] {
        refused(&rig, &bad, error);
    }
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}

#[test]
fn ranges_and_flags_that_do_not_fit_are_refused_by_name() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    rig.map(&zero, HERE, 4, RW);
    rig.map(&rig.pattern(1), HERE + 4 * PAGE_SIZE, 4, RW);
    rig.map(&zero, HERE + 9 * PAGE_SIZE, 1, RW);
    let sealed = MapFlags::FIXED | MapFlags::SEALED;
    rig.try_map(&zero, THERE + 8 * PAGE_SIZE, 1, RW, sealed).expect("a mapping");
    let at = |index: u64| HERE + index * PAGE_SIZE;
    let four = request([4, 4], FIXED, THERE);
    for (bad, error) in [
        (RemapRequest { flags: RemapFlags::FIXED, ..four }, VmError::InvalidFlags),
        (RemapRequest { flags: RemapFlags::RETAIN, ..four }, VmError::InvalidFlags),
        (RemapRequest { old: at(10), ..four }, VmError::NotMapped),
        (RemapRequest { old: at(6), ..four }, VmError::NotMapped),
        (RemapRequest { old: at(2), ..four }, VmError::SeveralMappings),
        (request([4, 5], NONE, 0), VmError::OutOfAddresses),
        (request([4, 4], FIXED, at(3)), VmError::Overlap),
        (request([4, 1], FIXED, at(3)), VmError::Overlap),
        (request([1, 4], FIXED, HERE - 3 * PAGE_SIZE), VmError::Overlap),
        (request([4, 4], FIXED, HERE), VmError::Overlap),
        (request([4, 9], FIXED, THERE), VmError::Sealed),
        (RemapRequest { old: THERE + 8 * PAGE_SIZE, ..request([1, 1], NONE, 0) }, VmError::Sealed),
        (
            RemapRequest { old: THERE + 8 * PAGE_SIZE, ..request([1, 1], RETAIN, 0) },
            VmError::Sealed,
        ),
    ] {
        refused(&rig, &bad, error);
    }
    let object = rig.memory(6);
    rig.try_map(&object, at(20), 4, RW, MapFlags::FIXED).expect("a mapping");
    for flags in [NONE, MOVE, FIXED, RETAIN] {
        let old = RemapRequest { old: at(21), ..request([3, 6], flags, THERE) };
        refused(&rig, &old, VmError::BeyondEnd);
    }
    drop((zero, object));
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}

#[test]
fn row_71_kinds_of_mapping_that_must_stay_are_not_retained() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    let options = |flags| MapOptions { flags: flags | MapFlags::FIXED, ..MapOptions::default() };
    let map = |flags| MapRequest {
        object: zero.clone(),
        address: HERE,
        length: PAGE_SIZE,
        offset: 0,
        options: options(flags),
        maximum: Protection::ALL,
    };
    map_device(&rig);
    refused(&rig, &request([1, 1], RETAIN, 0), VmError::NotPermitted);
    rig.unmap(HERE, 1);
    assert!(rig.space.map(&map(MapFlags::GUARD)).is_ok());
    refused(&rig, &request([1, 1], RETAIN, 0), VmError::NotPermitted);
    // Other moves of a guard are no different from those of memory.
    assert_eq!(rig.remap(&request([1, 2], NONE, 0)), Ok(HERE));
    assert_eq!(
        rig.space.handle_fault(Page::containing(HERE), READ),
        Outcome::Die(ExitKind::AccessDenied)
    );
    let protect = rig.space.protect(range(HERE, 1), Protection::READ).err();
    assert_eq!(protect, Some(Refusal::Error(VmError::MissingRight)));
    let flags = rig.space.query(Page::containing(HERE)).expect("a mapping").flags;
    assert_eq!(flags, MapFlags::GUARD.bits());
    rig.unmap(HERE, 2);
    assert!(rig.space.map_for_kernel(&map(MapFlags::NONE)).is_ok());
    refused(&rig, &request([1, 1], RETAIN, 0), VmError::NotPermitted);
    rig.unmap(HERE, 1);
    drop(zero);
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}

#[test]
fn row_72_a_device_mapping_neither_grows_nor_moves() {
    let rig = Host::new();
    map_device(&rig);
    for flags in [NONE, MOVE, FIXED] {
        refused(&rig, &request([1, 2], flags, THERE), VmError::InvalidSize);
    }
    refused(&rig, &request([1, 1], FIXED, THERE), VmError::NotPermitted);
    assert_eq!(rig.remap(&request([1, 1], MOVE, 0)), Ok(HERE));
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}

#[test]
fn device_registers_are_shared_and_the_program_s_alone() {
    let rig = Host::new();
    let (model, account) = (rig.model.clone(), rig.account.clone());
    let device = MemoryObject::device(model, account, rig.model.first_fixed(), 2).expect("room");
    let device = rig.share(device);
    let shared = MapFlags::FIXED | MapFlags::SHARED;
    let map = |protection, flags| rig.try_map(&device, HERE, 1, protection, flags);
    let error = |error| Err(Refusal::Error(error));
    assert_eq!(map(RW, MapFlags::FIXED), error(VmError::NotPermitted));
    assert_eq!(map(Protection::READ, MapFlags::FIXED), error(VmError::NotPermitted));
    let execute = Protection::READ | Protection::EXECUTE;
    assert_eq!(map(execute, shared), error(VmError::NotPermitted));
    assert_eq!(map(RW | Protection::TAGGED, shared), error(VmError::TagsUnsupported));
    assert_eq!(map(RW, shared), Ok(HERE));
    let protect = rig.space.protect(range(HERE, 1), execute).err();
    assert_eq!(protect, Some(Refusal::Error(VmError::MissingRight)));
    assert!(rig.load(0, HERE).is_ok());
    let refused = AccessRefusal::Fault(ExitKind::AccessDenied);
    assert_eq!(rig.space.read_page(HERE, &mut [0; 8]), Err(refused));
    assert_eq!(rig.space.write_page(HERE, &[0; 8]), Err(refused));
    rig.protect(HERE, 1, Protection::READ);
    assert!(rig.load(1, HERE).is_ok());
    rig.audit();
    drop(device);
    rig.finish(ModelOptions { cpus: 3, ..ModelOptions::default() });
}

/// Fails every allocation of a move in turn.
fn exhaust(name: &str, pages: u64, prepare_fn: impl Fn(&Host), move_: &RemapRequest) {
    let options = ModelOptions { cpus: 3, frames: 4096, ..ModelOptions::default() };
    for allocation in 1.. {
        let rig = Host::with(options);
        rig.map(&rig.pattern(3), HERE, pages, RW);
        for index in [0, 5, pages - 1] {
            rig.store(0, HERE + index * PAGE_SIZE, 7).expect("a frame");
        }
        prepare_fn(&rig);
        let before = state(&rig);
        rig.model.fail_in(allocation);
        let result = rig.remap(move_);
        rig.model.fail_in(0);
        let failed = rig.model.injected() != 0;
        assert_eq!(result.is_err(), failed, "{name}, allocation {allocation}: {result:?}");
        if failed {
            let memory = [VmError::OutOfKernelMemory, VmError::OutOfFrames];
            assert!(memory.iter().any(|error| result == Err(Refusal::Error(*error))), "{result:?}");
            assert_eq!(state(&rig), before, "{name}, allocation {allocation}");
            rig.audit();
            assert!(rig.remap(move_).is_ok(), "{name}, with memory again");
        }
        rig.audit();
        rig.finish(options);
        if !failed {
            assert!(allocation > 1, "{name} allocates nothing");
            return;
        }
    }
}

#[test]
fn k10_a_move_that_finds_no_memory_has_changed_nothing() {
    let nothing = |_: &Host| ();
    let taken = |rig: &Host| {
        rig.map(&rig.pattern(4), THERE - PAGE_SIZE, 30, RW);
        rig.store(0, THERE + PAGE_SIZE, 7).expect("a frame");
    };
    let beside = |rig: &Host| rig.map(&rig.pattern(3), HERE + 700 * PAGE_SIZE, 1, RW);
    exhaust("move", 24, nothing, &request([24, 24], FIXED, THERE));
    exhaust("move across tables", 700, nothing, &request([700, 700], FIXED, THERE - 5 * PAGE_SIZE));
    exhaust("move of tables", 1100, nothing, &request([1100, 1100], FIXED, THERE));
    exhaust("move of a part", 24, nothing, &request([3, 3], FIXED, THERE));
    exhaust("move and grow", 24, taken, &request([24, 60], FIXED, THERE));
    exhaust("retain", 24, nothing, &request([24, 24], RETAIN, 0));
    exhaust("retain over others", 24, taken, &request([24, 10], FIXED | RETAIN, THERE));
    exhaust("move inside", 40, nothing, &request([5, 5], FIXED, HERE + 10 * PAGE_SIZE));
    exhaust("grow away", 700, beside, &request([700, 701], MOVE, 0));
    exhaust("shrink", 24, nothing, &{
        RemapRequest { old: HERE + 4 * PAGE_SIZE, ..request([4, 2], NONE, 0) }
    });
}

#[test]
fn both_ranges_wait_while_pages_move_and_nobody_else() {
    let rig = Host::with(ModelOptions { cpus: 3, frames: 4096, ..ModelOptions::default() });
    rig.map(&rig.pattern(3), HERE, 300, RW);
    rig.map(&rig.pattern(4), THERE + 300 * PAGE_SIZE, 1, RW);
    rig.store(0, HERE, 1).expect("a frame");
    rig.store(0, HERE + 299 * PAGE_SIZE, 1).expect("a frame");
    let begun = rig.space.remap(&request([300, 300], FIXED | RETAIN, THERE));
    let (_, change) = begun.expect("a move that may begin");
    let mut change = change.expect("pages to move");
    let mut steps = 0;
    while !change.step(&rig.space) {
        steps += 1;
        for address in [HERE, HERE + 299 * PAGE_SIZE, THERE, THERE + 299 * PAGE_SIZE] {
            let fault = rig.space.handle_fault(Page::containing(address), READ);
            assert_eq!(fault, Outcome::Changing, "{address:#x}");
        }
        assert_eq!(rig.load(1, THERE + 300 * PAGE_SIZE), Ok(4));
        let other = rig.space.remap(&request([1, 1], MOVE, 0)).err();
        assert_eq!(other, Some(Refusal::Changing));
    }
    assert!(steps >= 5, "{steps} steps: never more than 64 leaves at once");
    assert_eq!((rig.load(1, THERE), rig.load(1, HERE)), (Ok(1), Ok(3)));
    rig.finish(ModelOptions { cpus: 3, frames: 4096, ..ModelOptions::default() });
}

#[test]
fn a_neighbour_may_bring_the_table_of_pages_that_move() {
    let options = || ModelOptions { cpus: 3, frames: 4096, ..ModelOptions::default() };
    // The step behind which the neighbour is touched.
    for when in 0..6 {
        let rig = Host::with(options());
        rig.map(&rig.pattern(3), HERE, 300, RW);
        let begun = rig.space.remap(&request([100, 100], FIXED | RETAIN, THERE));
        let mut change = begun.expect("a move that may begin").1.expect("pages to move");
        let mut steps = 0;
        loop {
            if steps == when {
                rig.store(0, HERE + 200 * PAGE_SIZE, 1).expect("a frame");
            }
            steps += 1;
            if change.step(&rig.space) {
                break;
            }
        }
        rig.audit();
        let shown = [0, 99, 200].map(|index| rig.load(1, HERE + index * PAGE_SIZE));
        assert_eq!(shown, [Ok(3), Ok(3), if when < steps { Ok(1) } else { Ok(3) }]);
        assert_eq!(rig.load(1, THERE + 99 * PAGE_SIZE), Ok(3));
        rig.finish(options());
    }
}
