//! Memory runs out at every place where it can: an operation that is refused has changed nothing,
//! and nothing is lost.

use crate::support::{HERE, RW, RWT, Rig, WRITE, range};
use vellum_abi::{ExitKind, MapFlags, PAGE_SIZE, Protection};
use vellum_model::{ModelOptions, Single};
use vellum_vm::account::Account;
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::address_space::AddressSpace;
use vellum_vm::counters::Counters;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::fault::Outcome;
use vellum_vm::machine::Pools;
use vellum_vm::object::MemoryObject;
use vellum_vm::refpage;
use vellum_vm::tag::Tag;

type Host = Rig<Single>;

/// Everything that a refused operation must leave as it was.
fn state(rig: &Host) -> impl PartialEq + std::fmt::Debug + use<> {
    let leaves = rig.model.leaves(rig.space.root());
    let mappings: Vec<_> =
        (0..32).map(|page| rig.space.query(Page::containing(HERE + page * PAGE_SIZE))).collect();
    (rig.stat(), leaves, mappings, rig.model.free_frames(), rig.model.pool_objects())
}

/// Fails the first allocation of an operation, then the second, and so on until it succeeds.
fn exhaust(name: &str, operation_fn: impl Fn(&Host) -> Result<(), Refusal>) {
    for allocation in 1.. {
        let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
        let rig = Host::with(options);
        rig.map(&rig.tagged(0), HERE, 24, RW);
        rig.store(0, HERE + 5 * PAGE_SIZE, 7).expect("a frame");
        let before = state(&rig);
        rig.model.fail_in(allocation);
        let result = operation_fn(&rig);
        rig.model.fail_in(0);
        let failed = rig.model.injected() != 0;
        assert_eq!(result.is_err(), failed, "{name}, allocation {allocation}: {result:?}");
        if failed {
            let memory = [VmError::OutOfKernelMemory, VmError::OutOfFrames];
            let named = memory.iter().any(|error| result == Err(Refusal::Error(*error)));
            assert!(named, "{name}: {result:?}");
            assert_eq!(state(&rig), before, "{name}, allocation {allocation}");
            assert_eq!(operation_fn(&rig), Ok(()), "{name}, with memory again");
        }
        rig.finish(options);
        if !failed {
            assert!(allocation > 1, "{name} allocates nothing");
            return;
        }
    }
}

#[test]
fn an_operation_refused_for_want_of_memory_has_changed_nothing() {
    let middle = HERE + 3 * PAGE_SIZE;
    exhaust("map", |rig| {
        let zero = rig.model.share(refpage::tagged(
            &rig.model,
            &rig.account,
            Tag::ZERO,
            &Counters::new(),
        )?)?;
        rig.try_map(&zero, HERE + 30 * PAGE_SIZE, 2, RW, MapFlags::FIXED).map(|_| ())
    });
    exhaust("map in place of the middle of a mapping", |rig| {
        let fixed = MapFlags::FIXED | MapFlags::REPLACE;
        let counters = Counters::new();
        let made = refpage::pattern(&rig.model, &rig.account, 9, &counters)?;
        rig.try_map(&rig.model.share(made)?, middle, 4, RWT, fixed).map(|_| ())
    });
    exhaust("unmap the middle of a mapping", |rig| {
        rig.complete(Ok(rig.space.unmap(range(middle, 4))?));
        Ok(())
    });
    exhaust("protect the middle of a mapping", |rig| {
        rig.complete(Ok(rig.space.protect(range(middle, 4), Protection::READ)?));
        Ok(())
    });
    exhaust("make an address space", |rig| {
        AddressSpace::new(rig.model.clone(), rig.account.clone())?;
        Ok(())
    });
    exhaust("make a memory object", |rig| {
        let (model, account) = (rig.model.clone(), rig.account.clone());
        rig.model.share(MemoryObject::memory(model, account, 700 * PAGE_SIZE)?)?;
        Ok(())
    });
    exhaust("make a fixed object", |rig| {
        let (model, account) = (rig.model.clone(), rig.account.clone());
        rig.model.share(MemoryObject::fixed(model, account, rig.model.first_fixed(), 2)?)?;
        Ok(())
    });
}

#[test]
fn row_07_a_snapshot_refused_for_want_of_memory_has_changed_nothing() {
    for fails in [true, false] {
        let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
        let rig = Host::with(options);
        rig.map(&rig.tagged(0), HERE, 1, RW);
        rig.store(0, HERE + 16, 7).expect("a frame");
        let before = format!("{:?}", state(&rig));
        rig.model.fail_in(u64::from(fails));
        let made = refpage::from_user(&rig.space, UserPointer::new(HERE), 64, rig.space.counters());
        rig.model.fail_in(0);
        assert_eq!(made.is_err(), fails);
        if let Err(refusal) = &made {
            assert_eq!(*refusal, Refusal::Error(VmError::OutOfFrames));
            assert_eq!(format!("{:?}", state(&rig)), before);
        }
        drop(made);
        rig.finish(options);
    }
}

/// Fails every allocation of a first store in turn. Tables that were installed before stay, as
/// they belong to the mapping now; a frame never does.
fn exhaust_store(make_fn: impl Fn(&Host) -> crate::support::Object<Single>, flags: MapFlags) {
    for allocation in 1.. {
        let options = ModelOptions { cpus: 3, ..ModelOptions::default() };
        let rig = Host::with(options);
        let object = make_fn(&rig);
        let fixed = MapFlags::FIXED | flags;
        rig.try_map(&object, HERE, 600, RWT, fixed).expect("a mapping");
        drop(object);
        let before = rig.stat();
        rig.model.fail_in(allocation);
        let result = rig.store(0, HERE + 550 * PAGE_SIZE, 7);
        rig.model.fail_in(0);
        let failed = rig.model.injected() != 0;
        assert_eq!(result, if failed { Err(ExitKind::OutOfFrames) } else { Ok(()) });
        if failed {
            let after = rig.stat();
            assert_eq!(after.private_frames, before.private_frames);
            assert_eq!(after.faults_denied, before.faults_denied + 1);
            rig.audit();
            assert_eq!(rig.store(0, HERE + 550 * PAGE_SIZE, 7), Ok(()), "with memory again");
        }
        assert_eq!(rig.load(1, HERE + 550 * PAGE_SIZE), Ok(7));
        assert_eq!(rig.load(1, HERE + 550 * PAGE_SIZE + 1), Ok(0));
        rig.finish(options);
        if !failed {
            return;
        }
    }
}

#[test]
fn a_fault_that_finds_no_memory_kills_the_process_and_loses_nothing() {
    exhaust_store(|rig| rig.tagged(0), MapFlags::NONE);
    exhaust_store(|rig| rig.memory(1000), MapFlags::NONE);
    exhaust_store(|rig| rig.memory(1000), MapFlags::SHARED);
}

#[test]
fn row_19_frames_beyond_the_limit_of_an_account_are_refused_to_it_alone() {
    let rig = Host::new();
    let poor = rig.model.share(Account::new(8, u64::MAX / 2)).expect("a pool");
    let counters = Counters::new();
    let made: Vec<_> =
        (1..=8).map(|byte| refpage::pattern(&rig.model, &poor, byte, &counters)).collect();
    assert!(made.iter().all(Result::is_ok));
    let free = rig.model.free_frames();
    let ninth = refpage::pattern(&rig.model, &poor, 9, &counters);
    assert_eq!(ninth.err(), Some(VmError::LimitReached));
    assert_eq!((rig.model.free_frames(), poor.frames()), (free, 8));
    drop(rig.pattern(9));
    drop(made);
    assert_eq!(poor.frames(), 0);
}

#[test]
fn an_object_refused_for_want_of_kernel_memory_is_not_counted() {
    let rig = Host::new();
    let poor = rig.model.share(Account::new(u64::MAX / 2, 10)).expect("a pool");
    let (free, counters) = (rig.model.free_frames(), Counters::new());
    let tagged = refpage::tagged(&rig.model, &poor, Tag::ZERO, &counters);
    assert_eq!(tagged.err(), Some(VmError::LimitReached));
    let pattern = refpage::pattern(&rig.model, &poor, 3, &counters);
    assert_eq!(pattern.err(), Some(VmError::LimitReached));
    let memory = MemoryObject::memory(rig.model.clone(), poor.clone(), PAGE_SIZE);
    assert_eq!(memory.err(), Some(VmError::LimitReached));
    assert_eq!((rig.model.free_frames(), poor.frames(), poor.kernel_bytes()), (free, 0, 0));
    let mut stat = vellum_abi::Stat::default();
    counters.report(&mut stat);
    assert_eq!(stat, vellum_abi::Stat::default(), "a refused call has changed nothing");
}

#[test]
fn a_limit_stops_mappings_and_faults_and_nothing_is_charged_for_them() {
    let rig = Host::new();
    let zero = rig.tagged(0);
    for limit in 1..=5 {
        let poor = rig.model.share(Account::new(limit, u64::MAX / 2)).expect("a pool");
        let other = rig.beside(&poor);
        other.map(&zero, HERE, 8, RW);
        // A root, three tables and a frame.
        let outcome = other.space.handle_fault(Page::containing(HERE), WRITE);
        let died = Outcome::Die(ExitKind::LimitReached);
        assert_eq!(outcome, if limit < 5 { died } else { Outcome::Resume });
        assert_eq!(poor.frames(), limit);
        drop(other);
        assert_eq!((poor.frames(), poor.kernel_bytes()), (0, 0));
    }
    let broke = rig.model.share(Account::new(10, 0)).expect("a pool");
    let other = rig.beside(&broke);
    let refused = other.try_map(&zero, HERE, 8, RW, MapFlags::FIXED);
    assert_eq!(refused, Err(Refusal::Error(VmError::LimitReached)));
    assert_eq!(rig.model.owners(&zero), 1);
}
