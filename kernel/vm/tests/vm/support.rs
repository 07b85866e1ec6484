//! A machine with one address space on it, for tests that are written by hand.

use std::sync::Arc;
use vellum_abi::{ExitKind, FaultAccess, MapFlags, MapOptions, PAGE_SIZE, Protection, Stat};
use vellum_model::{Family, Fault, FaultKind, Model, ModelOptions, PooledShared};
use vellum_vm::account::Account;
use vellum_vm::addr::{PageRange, UserPointer};
use vellum_vm::address_space::AddressSpace;
use vellum_vm::error::Refusal;
use vellum_vm::fault::Outcome;
use vellum_vm::machine::Pools;
use vellum_vm::object::MemoryObject;
use vellum_vm::ops::{Change, MapRequest, RemapRequest};
use vellum_vm::refpage;
use vellum_vm::tag::Tag;

/// What most mappings allow.
pub(crate) const RW: Protection = Protection::READ.union(Protection::WRITE);
/// The same for Tagged memory.
pub(crate) const RWT: Protection = RW.union(Protection::TAGGED);
/// Where tests map: the first page of a table of every level.
pub(crate) const HERE: u64 = 1 << 39;

pub(crate) type Space<F> = AddressSpace<Model<F>>;
pub(crate) type Object<F> = PooledShared<MemoryObject<Model<F>>>;

/// Parks every CPU when it goes, so that what it ran may be dropped.
struct Parking<F: Family>(Arc<Space<F>>);

impl<F: Family> Drop for Parking<F> {
    fn drop(&mut self) {
        self.0.machine().park_all();
        if std::thread::panicking() {
            // What failed must not be torn down: a second panic would hide the first.
            std::mem::forget(self.0.clone());
        }
    }
}

/// The machine and the address space, which every CPU runs.
pub(crate) struct Rig<F: Family> {
    parking: Option<Parking<F>>,
    pub(crate) model: Model<F>,
    pub(crate) account: PooledShared<Account>,
    pub(crate) space: Arc<Space<F>>,
}

impl<F: Family> Rig<F> {
    pub(crate) fn new() -> Rig<F> {
        Rig::with(ModelOptions { cpus: 3, ..ModelOptions::default() })
    }

    pub(crate) fn with(options: ModelOptions) -> Rig<F> {
        let model = Model::new(options);
        let account = model.share(Account::new(u64::MAX / 2, u64::MAX / 2)).expect("a pool");
        let space = new_space(&model, &account);
        for cpu in 0..options.cpus {
            // Nobody else is there, so any identifier is free.
            model.cpu(cpu).activate(space.root(), space.asid());
        }
        let space = Arc::new(space);
        Rig { parking: Some(Parking(space.clone())), model, account, space }
    }

    /// Returns another address space on the same machine, which no CPU runs.
    pub(crate) fn beside(&self, account: &PooledShared<Account>) -> Rig<F> {
        let space = Arc::new(new_space(&self.model, account));
        Rig { account: account.clone(), ..self.with_space(space) }
    }

    /// Returns the same machine with another address space on it.
    pub(crate) fn with_space(&self, space: Arc<Space<F>>) -> Rig<F> {
        Rig { parking: None, model: self.model.clone(), account: self.account.clone(), space }
    }

    pub(crate) fn share(&self, object: MemoryObject<Model<F>>) -> Object<F> {
        self.model.share(object).expect("a pool")
    }

    pub(crate) fn tagged(&self, tag: u64) -> Object<F> {
        let (tag, counters) = (Tag::new(tag).expect("a tag"), self.space.counters());
        self.share(refpage::tagged(&self.model, &self.account, tag, counters).expect("a frame"))
    }

    pub(crate) fn pattern(&self, byte: u8) -> Object<F> {
        let counters = self.space.counters();
        self.share(refpage::pattern(&self.model, &self.account, byte, counters).expect("a frame"))
    }

    pub(crate) fn memory(&self, pages: u64) -> Object<F> {
        let (model, account) = (self.model.clone(), self.account.clone());
        self.share(MemoryObject::memory(model, account, pages * PAGE_SIZE).expect("a frame"))
    }

    /// Remaps pages and completes what that takes.
    pub(crate) fn remap(&self, request: &RemapRequest) -> Result<u64, Refusal> {
        let (address, change) = self.space.remap(request)?;
        let Some(mut change) = change else { return Ok(address) };
        while !change.step(&self.space) {}
        change.failure().map_or(Ok(address), |error| Err(error.into()))
    }

    /// Maps two pages side by side, the second by what `second_fn` makes of the request for it.
    pub(crate) fn map_pair(
        &self,
        object: &Object<F>,
        second_fn: impl Fn(&mut MapRequest<Model<F>>),
    ) {
        let mut request = MapRequest {
            object: object.clone(),
            address: HERE,
            length: PAGE_SIZE,
            offset: 0,
            options: MapOptions {
                protection: Protection::READ,
                flags: MapFlags::FIXED,
                ..MapOptions::default()
            },
            maximum: Protection::ALL,
        };
        assert!(self.space.map(&request).is_ok());
        request.address += PAGE_SIZE;
        request.offset += PAGE_SIZE;
        second_fn(&mut request);
        assert!(self.space.map(&request).is_ok());
    }

    /// Maps an object at an address and completes what that takes.
    pub(crate) fn map(&self, object: &Object<F>, address: u64, pages: u64, protection: Protection) {
        let flags = MapFlags::FIXED | MapFlags::REPLACE;
        let mapped = self.try_map(object, address, pages, protection, flags);
        mapped.expect("a mapping");
    }

    pub(crate) fn try_map(
        &self,
        object: &Object<F>,
        address: u64,
        pages: u64,
        protection: Protection,
        flags: MapFlags,
    ) -> Result<u64, Refusal> {
        let (address, change) = self.space.map(&MapRequest {
            object: object.clone(),
            address,
            length: pages * PAGE_SIZE,
            offset: 0,
            options: MapOptions { protection, flags, ..MapOptions::default() },
            maximum: Protection::ALL,
        })?;
        self.complete(Ok(change));
        Ok(address)
    }

    /// Steps a change until it is done, if it was not done at once.
    pub(crate) fn complete<C: Into<Option<Change<Model<F>>>>>(&self, begun: Result<C, Refusal>) {
        let rest = begun.expect("a change that may begin").into();
        rest.into_iter().for_each(|mut change| while !change.step(&self.space) {});
    }

    pub(crate) fn unmap(&self, address: u64, pages: u64) {
        self.complete(self.space.unmap(range(address, pages)));
    }

    pub(crate) fn protect(&self, address: u64, pages: u64, protection: Protection) {
        self.complete(self.space.protect(range(address, pages), protection));
    }

    pub(crate) fn decommit(&self, address: u64, pages: u64) {
        self.complete(self.space.decommit(range(address, pages)));
    }

    pub(crate) fn load(&self, cpu: usize, address: u64) -> Result<u8, ExitKind> {
        user(&self.space, || self.model.cpu(cpu).load(UserPointer::new(address)))
    }

    pub(crate) fn store(&self, cpu: usize, address: u64, byte: u8) -> Result<(), ExitKind> {
        user(&self.space, || self.model.cpu(cpu).store(UserPointer::new(address), byte))
    }

    pub(crate) fn load_tag(&self, cpu: usize, address: u64) -> Result<u8, ExitKind> {
        let tag = user(&self.space, || self.model.cpu(cpu).load_tag(UserPointer::new(address)));
        tag.map(Tag::value)
    }

    pub(crate) fn store_tag(&self, cpu: usize, address: u64, tag: u64) -> Result<(), ExitKind> {
        let tag = Tag::new(tag).expect("a tag");
        user(&self.space, || self.model.cpu(cpu).store_tag(UserPointer::new(address), tag))
    }

    pub(crate) fn stat(&self) -> Stat {
        let mut stat = Stat::default();
        self.space.report(&mut stat);
        stat
    }

    pub(crate) fn audit(&self) {
        self.model.audit(&[self.space.root()]);
        assert_eq!(self.space.audit(), Ok(()));
    }

    /// Drops everything and checks that nothing is left. Objects were dropped before.
    pub(crate) fn finish(self, options: ModelOptions) {
        self.audit();
        drop(self.parking);
        let space = Arc::into_inner(self.space).expect("the last owner");
        drop(space);
        assert_eq!((self.account.frames(), self.account.kernel_bytes()), (0, 0));
        drop(self.account);
        assert_eq!(self.model.free_frames(), options.frames, "frames are left");
        assert_eq!(self.model.pool_objects(), 0, "pool objects are left");
        assert_eq!(self.model.violations(), []);
    }
}

pub(crate) fn new_space<F: Family>(model: &Model<F>, account: &PooledShared<Account>) -> Space<F> {
    AddressSpace::new(model.clone(), account.clone()).expect("a frame for the root")
}

pub(crate) fn range(address: u64, pages: u64) -> PageRange {
    PageRange::new(address, pages * PAGE_SIZE).expect("a user range")
}

/// Makes an access again and again until no fault is in its way.
pub(crate) fn user<F: Family, T>(
    space: &Space<F>,
    access_fn: impl Fn() -> Result<T, Fault>,
) -> Result<T, ExitKind> {
    for _ in 0..1000 {
        let Fault { pointer, access, kind } = match access_fn() {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        if kind == FaultKind::TagCheck {
            return Err(ExitKind::TagCheck);
        }
        match space.handle_fault_at(pointer, access) {
            Outcome::Resume => {}
            Outcome::Long => make_block(space, pointer, access)?,
            Outcome::Absent => wait_for_page(space, pointer, access)?,
            Outcome::Changing => F::wait(),
            Outcome::Die(kind) => return Err(kind),
        }
    }
    panic!("an access that faults for ever");
}

/// Makes the block that a fault calls for, or resolves the fault by less.
pub(crate) fn make_block<F: Family>(
    space: &Space<F>,
    pointer: UserPointer,
    access: FaultAccess,
) -> Result<(), ExitKind> {
    match space.begin_block(pointer, access) {
        Ok(mut fault) => while !fault.step(space) {},
        Err(Outcome::Changing) => F::wait(),
        Err(Outcome::Die(kind)) => return Err(kind),
        Err(Outcome::Resume | Outcome::Long | Outcome::Absent) => {}
    }
    Ok(())
}

/// Asks for a page, or finds that somebody does, and waits until it is supplied by another CPU.
fn wait_for_page<F: Family>(
    space: &Space<F>,
    pointer: UserPointer,
    access: FaultAccess,
) -> Result<(), ExitKind> {
    match space.request_page(pointer, access) {
        Ok(request) => {
            while request.is_pending() {
                F::wait();
            }
            _ = request.withdraw();
        }
        Err(Outcome::Changing) => F::wait(),
        Err(Outcome::Die(kind)) => return Err(kind),
        Err(Outcome::Resume | Outcome::Long | Outcome::Absent) => {}
    }
    Ok(())
}

/// Reads as the fault handler names it.
pub(crate) const READ: FaultAccess = FaultAccess::Read;
/// Writes as the fault handler names it.
pub(crate) const WRITE: FaultAccess = FaultAccess::Write;
