//! The subsystem on the model machine and the flat model side by side.

use std::collections::BTreeMap;
use vellum_abi::{Error, PAGE_SIZE, Stat};
use vellum_model::{FaultKind, Model, ModelOptions, PooledShared, Single};
use vellum_script::flat::{Costs, End, Flat, OUTSIDE, ObjectId, ZERO};
use vellum_script::op::Op;
pub(crate) use vellum_script::word::CPUS;
use vellum_script::word::{Kind, SLOTS, SPACES};
use vellum_vm::account::Account;
use vellum_vm::addr::UserPointer;
use vellum_vm::address_space::AddressSpace;
use vellum_vm::asid::AsidAllocator;
use vellum_vm::counters::{Counter, Counters};
use vellum_vm::error::VmError;
use vellum_vm::fault::Outcome;
use vellum_vm::machine::{Machine, Pools};
use vellum_vm::mappings::Node;
use vellum_vm::object::{Extent, MemoryObject};
use vellum_vm::ops::Progress;
use vellum_vm::refpage;
use vellum_vm::remains::Remains;
use vellum_vm::tag::Tag;

pub(crate) type Host = Model<Single>;
pub(crate) type Made = MemoryObject<Host>;
type SharedObject = PooledShared<Made>;

const FRAMES: usize = 4096;
/// Seven identifiers, so that they run out often.
const ASID_BITS: u32 = 3;
const COSTS: Costs = Costs {
    object: size_of::<MemoryObject<Host>>() as u64,
    pages: size_of::<Remains<Host>>() as u64,
    mapping: size_of::<Node<Host>>() as u64,
};

/// Both sides.
pub(crate) struct Harness {
    pub(crate) model: Host,
    pub(crate) spaces: Vec<Option<AddressSpace<Host>>>,
    /// Every object that is mapped by a handle or by anything else, until the flat model drops it.
    pub(crate) objects: BTreeMap<ObjectId, SharedObject>,
    pub(crate) slots: [Option<ObjectId>; SLOTS],
    pub(crate) flat: Flat,
    /// What is counted where no address space is the maker.
    counters: Counters,
    /// One for each address space, and one for what is made outside of them.
    pub(crate) accounts: Vec<PooledShared<Account>>,
    /// Those of address spaces that are no more: objects may still be charged to them.
    former: Vec<PooledShared<Account>>,
    asids: AsidAllocator<Host>,
    pub(crate) running: [usize; CPUS],
    checks: u64,
    /// Descriptor stores at the last audit.
    audited: u64,
}

impl Drop for Harness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What failed must not be torn down: a second panic would hide the first.
            self.spaces.drain(..).for_each(std::mem::forget);
            std::mem::take(&mut self.objects).into_values().for_each(std::mem::forget);
        }
    }
}

impl Harness {
    pub(crate) fn new() -> Harness {
        Single::run_on(0);
        let model = Host::new(ModelOptions { frames: FRAMES, ..ModelOptions::default() });
        let account = |_| model.share(Account::new(u64::MAX / 2, u64::MAX / 2)).expect("a pool");
        let mut harness = Harness {
            accounts: (0..=OUTSIDE).map(account).collect(),
            former: Vec::new(),
            model,
            spaces: (0..SPACES).map(|_| None).collect(),
            objects: BTreeMap::new(),
            slots: [None; SLOTS],
            flat: Flat::new(true),
            counters: Counters::new(),
            asids: AsidAllocator::with_bits(ASID_BITS),
            running: [0; CPUS],
            checks: 0,
            audited: 0,
        };
        for space in 0..SPACES {
            harness.renew(space);
        }
        let zero = harness.create(Kind::Tagged(0)).map_err(Error::from);
        harness.register(0, zero, Ok(ZERO));
        for cpu in 0..CPUS {
            harness.switch(cpu, harness.flat.running[cpu]);
        }
        harness
    }

    pub(crate) fn space(&self, index: usize) -> &AddressSpace<Host> {
        self.spaces[index].as_ref().expect("every slot has an address space")
    }

    /// Performs an operation on both sides and compares everything.
    pub(crate) fn run(&mut self, op: &Op) {
        let expected = self.flat.apply(op);
        self.perform(op, expected);
        self.look(op);
        self.release();
        self.check();
    }

    pub(crate) fn switch(&mut self, cpu: usize, space: usize) {
        Single::run_on(cpu);
        let next = self.space(space);
        let enter = |asid| self.model.cpu(cpu).activate(next.root(), asid);
        self.asids.activate(&self.model, cpu, next.asid_slot(), enter);
        self.running[cpu] = space;
    }

    /// Drops an address space and puts an empty one in its place.
    pub(crate) fn renew(&mut self, space: usize) {
        self.replace(space, |_, _| {});
    }

    /// Drops an address space and puts a clone of another in its place.
    pub(crate) fn clone_space(&mut self, from: usize, to: usize) {
        self.replace(to, |harness, child| {
            let parent = harness.space(from);
            let mut cloning = parent.clone_space().expect("a parent at rest");
            while cloning.run(parent, child).expect("memory for a clone") == Progress::Paused {}
        });
    }

    fn replace(&mut self, space: usize, fill_fn: impl FnOnce(&Harness, &AddressSpace<Host>)) {
        let old = self.spaces[space].take();
        let users: Vec<usize> = (0..CPUS).filter(|cpu| self.running[*cpu] == space).collect();
        for cpu in users.iter().filter(|_| old.is_some()) {
            self.model.cpu(*cpu).park();
            self.asids.deactivate(*cpu);
        }
        let first = old.is_none();
        drop(old);
        let account = self.model.share(Account::new(u64::MAX / 2, u64::MAX / 2)).expect("a pool");
        self.former.push(std::mem::replace(&mut self.accounts[space], account.clone()));
        self.former.retain(|account| (account.frames(), account.kernel_bytes()) != (0, 0));
        let new = AddressSpace::new(self.model.clone(), account).expect("frames for a root");
        fill_fn(self, &new);
        self.spaces[space] = Some(new);
        for cpu in users.into_iter().filter(|_| !first) {
            self.switch(cpu, space);
        }
    }

    /// Makes an object on behalf of nobody's address space.
    pub(crate) fn create(&mut self, kind: Kind) -> Result<Made, VmError> {
        let (model, account) = (self.model.clone(), self.accounts[OUTSIDE].clone());
        match kind {
            Kind::Pattern(byte) => refpage::pattern(&model, &account, byte, &self.counters),
            Kind::Tagged(value) => {
                let tag = Tag::new(u64::from(value)).expect("a tag");
                refpage::tagged(&model, &account, tag, &self.counters)
            }
            Kind::Memory(pages) => MemoryObject::memory(model, account, pages * PAGE_SIZE),
            Kind::Wrap(pages) => {
                MemoryObject::memory_of(model, account, pages * PAGE_SIZE, Extent::Wraps)
            }
            Kind::Fixed(pages) => {
                let first = model.first_fixed();
                MemoryObject::fixed(model, account, first, pages)
            }
        }
    }

    /// Takes an object that was made on both sides.
    pub(crate) fn register(
        &mut self,
        slot: usize,
        made: Result<Made, Error>,
        wanted: Result<ObjectId, Error>,
    ) {
        self.slots[slot] = wanted.ok();
        match (made, wanted) {
            (Ok(made), Ok(id)) => {
                self.objects.insert(id, self.model.share(made).expect("a pool"));
            }
            (made, wanted) => assert_eq!(made.map(|_| ()), wanted.map(|_| ())),
        }
    }

    /// Drops the objects whose handles are closed.
    fn release(&mut self) {
        let slots = self.flat.slots;
        self.objects.retain(|id, _| slots.contains(&Some(*id)));
    }

    /// Makes one access on a virtual CPU, with every fault that it takes.
    pub(crate) fn access(&self, cpu: usize, pointer: UserPointer, access: &Op) -> End {
        let (virtual_cpu, space) = (self.model.cpu(cpu), self.space(self.running[cpu]));
        for _ in 0..8 {
            let attempt = match access {
                Op::Store { byte, .. } => virtual_cpu.store(pointer, byte.0).map(|()| 0),
                Op::Execute { .. } => virtual_cpu.execute(pointer).map(|(byte, _)| byte),
                Op::LoadTag { .. } => virtual_cpu.load_tag(pointer).map(Tag::value),
                Op::StoreTag { tag, .. } => {
                    let tag = Tag::new(u64::from(tag.0)).expect("a tag");
                    virtual_cpu.store_tag(pointer, tag).map(|()| 0)
                }
                _ => virtual_cpu.load(pointer),
            };
            let fault = match attempt {
                Ok(value) => return End::Value(value),
                Err(fault) => fault,
            };
            if matches!(fault.kind, FaultKind::TagCheck) {
                return End::Death(vellum_abi::ExitKind::TagCheck);
            }
            match space.handle_fault_at(pointer, fault.access) {
                Outcome::Resume => {}
                Outcome::Long | Outcome::Absent => panic!("no mapping here asks for that"),
                Outcome::Changing => panic!("nothing else is going on"),
                Outcome::Die(kind) => return End::Death(kind),
            }
        }
        panic!("an access that faults for ever");
    }

    /// Compares everything that can be compared at rest.
    pub(crate) fn check(&mut self) {
        // Walking all tables takes long: only if a descriptor was stored, or once in a while.
        self.checks += 1;
        let stores = self.model.acts().stores;
        if std::mem::replace(&mut self.audited, stores) != stores || self.checks.is_multiple_of(16)
        {
            self.audit();
        }
        for index in 0..SPACES {
            let space = self.space(index);
            let mut stat = Stat::default();
            space.report(&mut stat);
            let mut wanted = self.flat.spaces[index].counters(&self.flat);
            wanted.account_frames = self.flat.frames_of(index);
            wanted.account_kernel_bytes = self.flat.kernel_bytes_of(index, COSTS);
            assert_eq!(stat, wanted, "counters of address space {index}");
        }
        let made = self.counters.value(Counter::CreateBytes);
        assert_eq!(made, self.flat.outside.create_bytes_written, "bytes of objects made");
        let used = (FRAMES - self.model.free_frames()) as u64;
        assert_eq!(used, self.flat.frames(), "frames in use");
        assert_eq!(self.model.system().refpages(), self.flat.refpages());
        for (id, object) in &self.objects {
            let owners = self.model.owners(object);
            assert_eq!(owners, self.flat.owners(*id), "owners of object {id}");
            let flat = &self.flat.objects[id];
            let (kind, detail) = flat.described();
            let length = flat.size().unwrap_or(0) * PAGE_SIZE;
            let frames = flat.frames().0;
            let info = object.info(owners);
            assert_eq!((info.kind, info.detail), (kind, detail), "object {id}");
            assert_eq!((info.length, info.frames), (length, frames), "object {id}");
        }
    }

    fn audit(&self) {
        let roots: Vec<_> = self.spaces.iter().flatten().map(AddressSpace::root).collect();
        self.model.audit(&roots);
        for (index, space) in self.spaces.iter().flatten().enumerate() {
            assert_eq!(space.audit(), Ok(()), "audit of address space {index}");
        }
    }

    /// Drops everything and looks for what is left.
    pub(crate) fn finish(mut self) {
        for cpu in 0..CPUS {
            self.model.cpu(cpu).park();
            self.asids.deactivate(cpu);
        }
        // One by one: if one cannot go, the others are left alone.
        while self.spaces.pop().is_some() {}
        self.objects.clear();
        let accounts = self.accounts.iter().chain(&self.former);
        let free = accounts.map(|account| (account.frames(), account.kernel_bytes()));
        assert!(free.into_iter().all(|used| used == (0, 0)), "charges are left");
        self.accounts.clear();
        self.former.clear();
        assert_eq!(self.model.free_frames(), FRAMES, "frames are left");
        assert_eq!(self.model.pool_objects(), 0, "pool objects are left");
        assert_eq!(self.model.system().refpages(), 0, "reference objects are left");
        assert_eq!(self.model.violations(), []);
    }
}
