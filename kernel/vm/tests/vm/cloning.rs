//! Clones: who sees whose stores, what a store costs, and what is left when memory runs out.

use crate::support::{HERE, Object, READ, RW, RWT, Rig, WRITE, new_space, range};
use std::sync::Arc;
use vellum_abi::{MapFlags, MapOptions, PAGE_SIZE, Policy, Protection};
use vellum_model::{ModelOptions, Single};
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::asid::AsidAllocator;
use vellum_vm::error::VmError;
use vellum_vm::machine::Machine;
use vellum_vm::ops::{AccessRefusal, MapRequest, Progress};

type Host = Rig<Single>;

const BITS: u32 = 8;

/// A process and its clones: each runs on the CPU of its number.
struct Generations {
    members: Vec<Host>,
    asids: AsidAllocator<vellum_model::Model<Single>>,
    options: ModelOptions,
}

fn page(number: u64) -> u64 {
    HERE + number * PAGE_SIZE
}

impl Generations {
    fn new() -> Generations {
        let options = ModelOptions { cpus: 4, ..ModelOptions::default() };
        let first = Host::with(options);
        first.model.park_all();
        let all =
            Generations { members: vec![first], asids: AsidAllocator::with_bits(BITS), options };
        all.run(0);
        all
    }

    fn run(&self, cpu: usize) {
        let Host { model, space, .. } = &self.members[cpu];
        let enter = |asid| model.cpu(cpu).activate(space.root(), asid);
        self.asids.activate(model, cpu, space.asid_slot(), enter);
    }

    /// Clones the youngest member.
    fn clone_youngest(&mut self) -> Result<(), VmError> {
        let parent = self.members.last().expect("the first");
        let child = Arc::new(new_space(&parent.model, &parent.account));
        let mut cloning = parent.space.clone_space().expect("a parent at rest");
        while cloning.run(&parent.space, &child)? == Progress::Paused {}
        self.members.push(parent.with_space(child));
        self.run(self.members.len() - 1);
        Ok(())
    }

    fn load(&self, member: usize, address: u64) -> u8 {
        self.members[member].load(member, address).expect("readable")
    }

    fn store(&self, member: usize, address: u64, byte: u8) {
        self.members[member].store(member, address, byte).expect("writable");
    }

    fn faults(&self, member: usize) -> u64 {
        let stat = self.members[member].stat();
        stat.faults_read_map
            + stat.faults_write_fresh
            + stat.faults_write_cow
            + stat.faults_write_upgrade
            + stat.faults_spurious
    }

    fn audit(&self) {
        let roots: Vec<_> = self.members.iter().map(|member| member.space.root()).collect();
        self.members[0].model.audit(&roots);
        self.members.iter().for_each(|member| assert_eq!(member.space.audit(), Ok(())));
    }

    fn end_youngest(&mut self) {
        let member = self.members.pop().expect("a member");
        member.model.park_all();
        drop(Arc::into_inner(member.space).expect("the last owner"));
        (0..self.members.len()).for_each(|member| self.run(member));
    }

    fn finish(mut self, objects: Vec<Object<Single>>) {
        self.audit();
        while self.members.len() > 1 {
            self.end_youngest();
        }
        drop(objects);
        self.members.remove(0).finish(self.options);
    }
}

#[test]
fn row_36_a_clone_sees_what_was_and_neither_side_what_the_other_stores() {
    let mut all = Generations::new();
    let object = all.members[0].pattern(0xaa);
    all.members[0].map(&object, HERE, 3, RW);
    assert_eq!(all.load(0, page(0)), 0xaa);
    all.store(0, page(1), 1);
    let free = all.members[0].model.free_frames();
    all.clone_youngest().expect("memory");
    all.audit();
    assert_eq!([0, 1, 2].map(|index| all.load(1, page(index))), [0xaa, 1, 0xaa]);
    (0..3).for_each(|index| all.store(1, page(index), 7));
    all.store(0, page(1), 9);
    assert_eq!([0, 1, 2].map(|index| all.load(0, page(index))), [0xaa, 9, 0xaa]);
    assert_eq!([0, 1, 2].map(|index| all.load(1, page(index))), [7, 7, 7]);
    assert_eq!(all.load(1, page(1) + 1), 0xaa);
    all.audit();
    all.end_youngest();
    assert_eq!(all.members[0].model.free_frames(), free, "the clone left nothing");
    all.finish(vec![object]);
}

#[test]
fn k5_a_store_after_a_clone_takes_one_fault_on_either_side() {
    let mut all = Generations::new();
    let object = all.members[0].tagged(3);
    all.members[0].map(&object, HERE, 2, RWT);
    let here = HERE | 3 << 56;
    all.store(0, here, 1);
    all.clone_youngest().expect("memory");
    let before = [all.faults(0), all.faults(1)];
    all.store(1, here, 2);
    // The parent is the only owner now: the same frame, no copy.
    all.store(0, here, 3);
    assert_eq!([all.faults(0) - before[0], all.faults(1) - before[1]], [1, 1]);
    let stats = [all.members[0].stat(), all.members[1].stat()];
    assert_eq!(stats.map(|stat| stat.faults_write_cow), [0, 1]);
    assert_eq!(stats.map(|stat| stat.faults_write_upgrade), [1, 0]);
    assert_eq!(stats.map(|stat| stat.private_frames), [1, 1]);
    assert_eq!((all.load(0, here), all.load(1, here)), (3, 2));
    all.finish(vec![object]);
}

#[test]
fn k4_stores_stay_apart_over_a_chain_of_clones() {
    let mut all = Generations::new();
    let object = all.members[0].tagged(0);
    all.members[0].map(&object, HERE, 1, RW);
    all.store(0, HERE, 10);
    all.clone_youngest().expect("memory");
    all.clone_youngest().expect("memory");
    all.audit();
    all.store(2, HERE, 12);
    assert_eq!([0, 1, 2].map(|member| all.load(member, HERE)), [10, 10, 12]);
    all.store(1, HERE, 11);
    assert_eq!([0, 1, 2].map(|member| all.load(member, HERE)), [10, 11, 12]);
    all.store(0, HERE, 13);
    assert_eq!([0, 1, 2].map(|member| all.load(member, HERE)), [13, 11, 12]);
    all.finish(vec![object]);
}

#[test]
fn k1_a_held_frame_is_never_stored_to_by_its_last_owner() {
    let mut all = Generations::new();
    let object = all.members[0].tagged(0);
    all.members[0].map(&object, HERE, 1, RW);
    all.store(0, HERE, 1);
    all.clone_youngest().expect("memory");
    let (parent, model) = (&all.members[0], all.members[0].model.clone());
    let held = parent.space.with_frame(
        Page::containing(HERE),
        vellum_abi::FaultAccess::Read,
        |frame, _| {
            model.hold_frame(frame);
            frame
        },
    );
    let held = held.expect("a frame");
    parent.unmap(HERE, 1);
    all.store(1, HERE, 2);
    let mut byte = [0];
    model.read_bytes(held, 0, &mut byte);
    assert_eq!((byte, all.load(1, HERE)), ([1], 2));
    let last = model.release_frame(held).expect("nobody else has it");
    model.free_frame(last);
    all.finish(vec![object]);
}

#[test]
fn protection_gives_no_store_to_a_frame_that_others_have() {
    let mut all = Generations::new();
    let object = all.members[0].pattern(5);
    all.members[0].map(&object, HERE, 4, RW);
    (0..4).for_each(|index| all.store(0, page(index), 1));
    all.clone_youngest().expect("memory");
    for member in 0..2 {
        all.members[member].protect(HERE, 4, Protection::READ);
        all.members[member].protect(HERE, 4, RW);
    }
    all.audit();
    (0..4).for_each(|index| all.store(1, page(index), 2));
    assert_eq!([0, 1, 2, 3].map(|index| all.load(0, page(index))), [1; 4]);
    all.finish(vec![object]);
}

#[test]
fn a_page_that_becomes_tagged_memory_leaves_the_tags_of_other_owners_alone() {
    let mut all = Generations::new();
    let object = all.members[0].tagged(3);
    all.members[0].map(&object, HERE, 1, RWT);
    let here = HERE | 3 << 56;
    all.store(0, here, 1);
    all.clone_youngest().expect("memory");
    // Out of Tagged memory and back: the clone's page has tag zero then, the parent's tag three.
    all.members[1].protect(HERE, 1, RW);
    assert_eq!(all.load(1, HERE), 1);
    all.members[1].protect(HERE, 1, RWT);
    all.audit();
    assert_eq!(all.members[1].load_tag(1, HERE), Ok(0));
    assert_eq!(all.load(1, HERE), 1);
    assert_eq!(all.members[0].load_tag(0, HERE), Ok(3));
    all.store(1, HERE, 2);
    assert_eq!(all.load(0, here), 1);
    all.finish(vec![object]);
}

#[test]
fn objects_and_their_shared_mappings_are_the_clones_too() {
    let mut all = Generations::new();
    let object = all.members[0].memory(2);
    let shared = MapFlags::FIXED | MapFlags::SHARED;
    all.members[0].try_map(&object, HERE, 2, RW, shared).expect("a mapping");
    all.store(0, page(0), 1);
    all.clone_youngest().expect("memory");
    all.store(1, page(0), 2);
    all.store(0, page(1), 3);
    assert_eq!((all.load(0, page(0)), all.load(1, page(1))), (2, 3));
    all.finish(vec![object]);
}

#[test]
fn k10_a_clone_that_runs_out_of_memory_leaves_nothing() {
    for allocation in 1.. {
        let mut all = Generations::new();
        let rig = &all.members[0];
        let objects = vec![rig.pattern(1), rig.tagged(2)];
        rig.map(&objects[0], HERE, 600, RW);
        rig.map(&objects[1], page(1 << 18), 2, RWT);
        for index in [0, 1, 511, 512, 599] {
            rig.store(0, page(index), 1).expect("a frame");
        }
        let (free, pools) = (rig.model.free_frames(), rig.model.pool_objects());
        let model = rig.model.clone();
        let child = Arc::new(new_space(&model, &rig.account));
        model.fail_in(allocation);
        let mut cloning = rig.space.clone_space().expect("a parent at rest");
        let cloned = loop {
            match cloning.run(&rig.space, &child) {
                Ok(Progress::Paused) => {}
                other => break other,
            }
        };
        model.fail_in(0);
        let failed = model.injected() != 0;
        assert_eq!(cloned.is_err(), failed, "allocation {allocation}");
        drop(child);
        assert_eq!((model.free_frames(), model.pool_objects()), (free, pools));
        all.store(0, page(511), 2);
        assert!(all.members[0].space.is_at_rest());
        all.clone_youngest().expect("memory again");
        assert_eq!(all.load(1, page(511)), 2);
        all.finish(objects);
        if !failed {
            assert!(allocation > 3, "a clone allocates");
            return;
        }
    }
}

#[test]
fn faults_and_the_kernel_wait_while_a_clone_is_under_way() {
    let all = Generations::new();
    let object = all.members[0].tagged(0);
    all.members[0].map(&object, HERE, 2, RW);
    let rig = &all.members[0];
    let mut cloning = rig.space.clone_space().expect("a parent at rest");
    assert!(rig.space.unmap(range(HERE, 1)).is_err());
    let written = rig.space.with_frame(Page::containing(HERE), WRITE, |_, _| ());
    assert_eq!(written, Err(AccessRefusal::Changing));
    let child = Arc::new(new_space(&rig.model, &rig.account));
    while cloning.run(&rig.space, &child) == Ok(Progress::Paused) {}
    assert_eq!(rig.space.write_page(UserPointer::new(HERE).untagged(), &[1]), Ok(1));
    drop(child);
    all.finish(vec![object]);
}

#[test]
fn row_55_a_clone_copies_reference_pages_of_the_mappings_own() {
    let mut all = Generations::new();
    let rig = &all.members[0];
    let object = rig.tagged(6);
    let options =
        MapOptions { protection: RWT, policy: Policy::InMapping, ..MapOptions::default() };
    let request = MapRequest {
        object: object.clone(),
        address: HERE,
        length: 4 * PAGE_SIZE,
        offset: 0,
        options,
        maximum: Protection::ALL,
    };
    let (address, _) = rig.space.map(&request).expect("a mapping");
    drop(request);
    let tagged = |page: u64| (address + page * PAGE_SIZE) | 6 << 56;
    all.load(0, tagged(0));
    all.store(0, tagged(1), 1);
    let live = all.members[0].model.system().refpages();
    all.clone_youngest().expect("memory");
    assert_eq!(all.members[0].model.system().refpages(), live + 1);
    all.audit();
    let frame = |member: usize, page: u64| {
        let space = &all.members[member].space;
        let page = Page::containing(address + page * PAGE_SIZE);
        space.with_frame(page, READ, |frame, _| frame).expect("readable")
    };
    assert_ne!(frame(0, 0), frame(1, 0), "the reference pages");
    assert_eq!(frame(0, 1), frame(1, 1), "what was written is shared until a store");
    assert_eq!([0, 1, 2].map(|page| all.load(1, tagged(page))), [0, 1, 0]);
    all.audit();
    all.finish(vec![object]);
}
