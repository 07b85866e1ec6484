//! The subsystem on the model machine and the flat model side by side.

use crate::flat::{Contents, Costs, Flat, FlatSpace, Kind, Object, ObjectId};
use crate::ops::{Access, Create, Op};
use std::collections::{BTreeMap, BTreeSet};
use vellum_abi::{ExitKind, FaultAccess, PAGE_SIZE, Stat};
use vellum_model::{FaultKind, Model, ModelOptions, PooledShared, Single};
use vellum_vm::account::Account;
use vellum_vm::addr::{Page, UserPointer};
use vellum_vm::address_space::AddressSpace;
use vellum_vm::asid::AsidAllocator;
use vellum_vm::error::VmError;
use vellum_vm::fault::Outcome;
use vellum_vm::machine::{Machine, Pools};
use vellum_vm::mappings::Node;
use vellum_vm::object::{Content, MemoryObject};
use vellum_vm::refpage;
use vellum_vm::remains::Remains;
use vellum_vm::tag::Tag;

pub(crate) type Host = Model<Single>;
type SharedObject = PooledShared<MemoryObject<Host>>;

const FRAMES: usize = 4096;
const SPACES: usize = 2;
pub(crate) const CPUS: usize = 2;
/// Seven identifiers, so that they run out often.
const ASID_BITS: u32 = 3;
const COSTS: Costs = Costs {
    object: size_of::<MemoryObject<Host>>() as u64,
    pages: size_of::<Remains<Host>>() as u64,
    mapping: size_of::<Node<Host>>() as u64,
};

/// How an access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Value(u8),
    TagFault,
    Death(ExitKind),
    Changing,
}

impl End {
    /// Returns how it ended, without the value.
    pub(crate) fn name(self) -> String {
        match self {
            End::Value(_) => "done".to_string(),
            other => format!("{other:?}"),
        }
    }
}

/// Both sides.
pub(crate) struct Harness {
    pub(crate) model: Host,
    pub(crate) spaces: Vec<Option<AddressSpace<Host>>>,
    pub(crate) objects: BTreeMap<ObjectId, SharedObject>,
    pub(crate) flat: Flat,
    accounts: Vec<PooledShared<Account>>,
    asids: AsidAllocator<Host>,
    pub(crate) running: [usize; CPUS],
    next_object: ObjectId,
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
            accounts: (0..SPACES).map(account).collect(),
            model,
            spaces: (0..SPACES).map(|_| None).collect(),
            objects: BTreeMap::new(),
            flat: Flat { spaces: vec![FlatSpace::default(); SPACES], ..Flat::default() },
            asids: AsidAllocator::new(),
            running: [0, 1],
            next_object: 0,
            checks: 0,
            audited: 0,
        };
        for space in 0..SPACES {
            harness.renew(space);
            let zero = harness.create(space, Create::Tagged(0));
            zero.expect("memory for a zero object");
        }
        for cpu in 0..CPUS {
            harness.switch(cpu, cpu);
        }
        harness
    }

    pub(crate) fn space(&self, index: usize) -> &AddressSpace<Host> {
        self.spaces[index].as_ref().expect("every slot has an address space")
    }

    /// Performs an operation on both sides and compares everything.
    pub(crate) fn run(&mut self, op: Op) {
        self.perform(op);
        self.check();
    }

    pub(crate) fn switch(&mut self, cpu: usize, space: usize) {
        Single::run_on(cpu);
        let slot = self.space(space).asid_slot();
        let asid = self.asids.activate(&self.model, cpu, slot, ASID_BITS);
        self.model.cpu(cpu).activate(self.space(space).root(), asid);
        self.running[cpu] = space;
    }

    /// Drops an address space and puts an empty one in its place.
    pub(crate) fn renew(&mut self, space: usize) {
        let old = self.spaces[space].take();
        let users: Vec<usize> = (0..CPUS).filter(|cpu| self.running[*cpu] == space).collect();
        for cpu in users.iter().filter(|_| old.is_some()) {
            self.model.cpu(*cpu).park();
            self.asids.deactivate(*cpu);
        }
        let first = old.is_none();
        drop(old);
        self.flat.spaces[space] = FlatSpace::default();
        let new = AddressSpace::new(self.model.clone(), self.accounts[space].clone());
        self.spaces[space] = Some(new.expect("frames for a root"));
        for cpu in users.into_iter().filter(|_| !first) {
            self.switch(cpu, space);
        }
    }

    /// Creates an object on both sides, by hand.
    pub(crate) fn create(&mut self, space: usize, create: Create) -> Result<ObjectId, VmError> {
        let target = self.space(space);
        let (model, account) = (self.model.clone(), target.account().clone());
        let counters = target.counters();
        let (made, kind) = match create {
            Create::Pattern(byte) => {
                let zero = Content::Tagged(Tag::ZERO);
                let content = if byte == 0 { zero } else { Content::Pattern(byte) };
                let kind = Kind::Reference(Contents::uniform(byte, 0), content);
                (refpage::pattern(&model, &account, byte, counters), kind)
            }
            Create::Tagged(value) => {
                let tag = Tag::new(u64::from(value)).expect("a tag");
                let kind = Kind::Reference(Contents::uniform(0, value), Content::Tagged(tag));
                (refpage::tagged(&model, &account, tag, counters), kind)
            }
            Create::Memory(pages) => {
                let (committed, nodes) = (BTreeMap::new(), BTreeSet::new());
                let kind = Kind::Memory { pages, committed, nodes };
                (MemoryObject::memory(model, account, pages * PAGE_SIZE), kind)
            }
            Create::Fixed(pages) => {
                let first = model.first_fixed();
                (MemoryObject::fixed(model, account, first, pages), Kind::Fixed { pages })
            }
        };
        let made = made?;
        if matches!(kind, Kind::Reference(..)) {
            self.flat.created(space);
        }
        Ok(self.register(made, Object { kind, handle: true, payer: space }))
    }

    /// Takes an object that was made on both sides.
    pub(crate) fn register(&mut self, made: MemoryObject<Host>, flat: Object) -> ObjectId {
        let id = self.next_object;
        self.next_object += 1;
        self.objects.insert(id, self.model.share(made).expect("a pool"));
        self.flat.objects.insert(id, flat);
        id
    }

    /// Makes one access on a virtual CPU, with every fault that it takes.
    pub(crate) fn access(&self, cpu: usize, pointer: UserPointer, access: Access) -> End {
        let (virtual_cpu, space) = (self.model.cpu(cpu), self.space(self.running[cpu]));
        for _ in 0..8 {
            let attempt = match access {
                Access::Load => virtual_cpu.load(pointer),
                Access::Store(byte) => virtual_cpu.store(pointer, byte).map(|()| 0),
                Access::Execute => virtual_cpu.execute(pointer).map(|(byte, _)| byte),
                Access::LoadTag => virtual_cpu.load_tag(pointer).map(Tag::value),
                Access::StoreTag(tag) => {
                    let tag = Tag::new(u64::from(tag)).expect("a tag");
                    virtual_cpu.store_tag(pointer, tag).map(|()| 0)
                }
            };
            let fault = match attempt {
                Ok(value) => return End::Value(value),
                Err(fault) => fault,
            };
            if matches!(fault.kind, FaultKind::TagCheck) {
                return End::TagFault;
            }
            match space.handle_fault_at(pointer, fault.access) {
                Outcome::Resume => {}
                Outcome::Changing => return End::Changing,
                Outcome::Die(kind) => return End::Death(kind),
            }
        }
        panic!("an access that faults for ever");
    }

    /// Compares everything that can be compared at rest.
    pub(crate) fn check(&mut self) {
        self.flat.collect();
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
        let used = (FRAMES - self.model.free_frames()) as u64;
        assert_eq!(used, self.flat.frames(), "frames in use");
        assert_eq!(self.model.system().refpages(), self.flat.refpages());
        for (id, object) in &self.objects {
            let owners = self.model.owners(object);
            assert_eq!(owners, self.flat.owners(*id), "owners of object {id}");
            let flat = &self.flat.objects[id];
            let (kind, detail) = flat.described();
            let length = flat.pages().unwrap_or(0) * PAGE_SIZE;
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
        let free = self.accounts.iter().map(|account| (account.frames(), account.kernel_bytes()));
        assert!(free.into_iter().all(|used| used == (0, 0)), "charges are left");
        self.accounts.clear();
        assert_eq!(self.model.free_frames(), FRAMES, "frames are left");
        assert_eq!(self.model.pool_objects(), 0, "pool objects are left");
        assert_eq!(self.model.system().refpages(), 0, "reference objects are left");
        assert_eq!(self.model.violations(), []);
    }

    /// Returns a pointer to an address with the memory's own tag, or with another.
    pub(crate) fn pointer(&self, cpu: usize, address: u64, tag: Option<u8>) -> UserPointer {
        let space = self.running[cpu];
        let right = || {
            let number = Page::containing(address).number();
            let mut ahead = self.flat.clone();
            ahead.touch(space, number, FaultAccess::Read).ok()?;
            let tagged = ahead.is_tagged(space, number);
            tagged.then(|| ahead.contents(space, number).tag((address % PAGE_SIZE) as usize))
        };
        let tag = tag.or_else(right).unwrap_or(0);
        UserPointer::new(address | u64::from(tag) << 56)
    }
}
