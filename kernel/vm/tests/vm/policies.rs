//! Policies: the same to the program, other counters; what they may be used for, and what is left when
//! memory runs out.

use crate::explore::{explore, setting};
use crate::support::{HERE, Object, RWT, Rig, range};
use proptest::prelude::{Just, Strategy};
use proptest::prop_oneof;
use vellum_abi::{ExitKind, FaultAccess, MapFlags, MapOptions, PAGE_SIZE, Policy, Protection};
use vellum_model::{Model, ModelOptions, Single};
use vellum_script::flat::Contents;
use vellum_vm::addr::UserPointer;
use vellum_vm::error::{Refusal, VmError};
use vellum_vm::machine::Machine;
use vellum_vm::object::{Extent, MemoryObject};
use vellum_vm::ops::MapRequest;
use vellum_vm::refpage;

type Host = Rig<Single>;
type Refused = Result<u64, Refusal>;

const PAGES: u64 = 8;
/// Where content is made.
pub(crate) const BESIDE: u64 = HERE + (1 << 23);

pub(crate) fn options() -> ModelOptions {
    ModelOptions { cpus: 3, ..ModelOptions::default() }
}

pub(crate) fn request(
    object: &Object<Single>,
    policy: Policy,
    pages: u64,
) -> MapRequest<Model<Single>> {
    let flags = MapFlags::FIXED;
    MapRequest {
        object: object.clone(),
        address: HERE,
        length: pages * PAGE_SIZE,
        offset: 0,
        options: MapOptions { protection: RWT, flags, policy, ..MapOptions::default() },
        maximum: Protection::ALL,
    }
}

/// Maps and completes what that takes.
pub(crate) fn map(rig: &Host, request: &MapRequest<Model<Single>>) -> Refused {
    let (address, change) = rig.space.map(request)?;
    let Some(mut change) = change else { return Ok(address) };
    while !change.step(&rig.space) {}
    change.failure().map_or(Ok(address), |error| Err(Refusal::Error(error)))
}

/// Writes content that no fill can make, with tags, beside the mappings.
pub(crate) fn prepare(rig: &Host, size: u64) {
    rig.map(&rig.tagged(0), BESIDE, 1, RWT);
    for granule in 0..size.div_ceil(16) {
        let bytes: Vec<u8> =
            (0..16).map(|n| (granule * 16 + n) as u8 ^ (granule >> 3) as u8).collect();
        rig.space.write_page(BESIDE + granule * 16, &bytes).expect("a frame");
        rig.store_tag(0, BESIDE + granule * 16, granule % 13).expect("a frame");
    }
}

pub(crate) fn wanted(size: u64) -> Contents {
    let byte = |at: u64| at as u8 ^ (at >> 7) as u8;
    let bytes = (0..PAGE_SIZE).map(|at| byte(at % size)).collect();
    let tag = |granule: u64| if size < 16 { 0 } else { (granule % (size / 16) % 13) as u8 };
    Contents::new(bytes, (0..PAGE_SIZE / 16).map(tag).collect())
}

pub(crate) fn with_frame(rig: &Host, size: u64) -> Object<Single> {
    rig.share(
        refpage::from_user(&rig.space, UserPointer::new(BESIDE), size, rig.space.counters())
            .expect("readable"),
    )
}

fn frameless(rig: &Host, size: u64) -> Object<Single> {
    let made = refpage::frameless_from_user(
        &rig.space,
        UserPointer::new(BESIDE),
        size,
        rig.space.counters(),
    );
    rig.share(made.expect("readable"))
}

pub(crate) fn wrap(rig: &Host, pages: u64) -> Object<Single> {
    let (model, account) = (rig.model.clone(), rig.account.clone());
    let made = MemoryObject::memory_of(model, account, pages * PAGE_SIZE, Extent::Wraps);
    rig.share(made.expect("a frame"))
}

/// What a program does to a page of the mapping.
#[derive(Clone, Copy, Debug)]
enum Use {
    Load(u64, u64),
    Store(u64, u64, u8),
    StoreTag(u64, u64, u8),
    KernelWrite(u64, u64, u8),
    Decommit(u64, u64),
    Protect(u64, u64, Protection),
    Populate(u64, u64, FaultAccess),
}

fn uses() -> impl Strategy<Value = Use> {
    let page = || 0..PAGES;
    let offset = || prop_oneof![0..64u64, 4032..PAGE_SIZE];
    let read_only = Protection::READ.union(Protection::TAGGED);
    let protection = prop_oneof![2 => Just(RWT), 1 => Just(read_only)];
    let access = prop_oneof![Just(FaultAccess::Read), Just(FaultAccess::Write)];
    prop_oneof![
        6 => (page(), offset()).prop_map(|(page, offset)| Use::Load(page, offset)),
        6 => (page(), offset(), 0..250u8).prop_map(|(page, at, byte)| Use::Store(page, at, byte)),
        2 => (page(), offset(), 0..15u8).prop_map(|(page, at, tag)| Use::StoreTag(page, at, tag)),
        2 => (page(), offset(), 0..250u8).prop_map(|(page, at, byte)| Use::KernelWrite(page, at, byte)),
        1 => (page(), page()).prop_map(|(page, more)| Use::Decommit(page, more)),
        1 => (page(), page(), protection).prop_map(|(page, n, bits)| Use::Protect(page, n, bits)),
        1 => (page(), page(), access).prop_map(|(page, n, access)| Use::Populate(page, n, access)),
    ]
}

/// What every page should show: what its object shows, and what was changed since.
struct Shadow {
    object: Contents,
    pages: Vec<Contents>,
    writable: Vec<bool>,
}

impl Shadow {
    fn new(object: Contents) -> Shadow {
        let pages = vec![object.clone(); PAGES as usize];
        Shadow { object, pages, writable: vec![true; PAGES as usize] }
    }

    fn apply(&mut self, rig: &Host, name: &str, used: Use) {
        let address = |page: u64, offset: u64| HERE + page * PAGE_SIZE + offset;
        let span = |page: u64, more: u64| page..(page + more + 1).min(PAGES);
        let pages = |page, more| range(address(page, 0), span(page, more).count() as u64);
        match used {
            Use::Load(page, offset) => self.look(rig, name, page, offset),
            Use::Store(page, offset, byte) => {
                let shown = &mut self.pages[page as usize];
                let tag = u64::from(shown.tag(offset as usize));
                let stored = rig.store(0, address(page, offset) | tag << 56, byte);
                assert_eq!(stored, denied(self.writable[page as usize]), "{name}");
                if stored.is_ok() {
                    shown.set_byte(offset as usize, byte);
                }
            }
            Use::StoreTag(page, offset, tag) => {
                let stored = rig.store_tag(0, address(page, offset) & !15, u64::from(tag));
                assert_eq!(stored, denied(self.writable[page as usize]), "{name}");
                if stored.is_ok() {
                    self.pages[page as usize].set_tag(offset as usize, tag);
                }
            }
            Use::KernelWrite(page, offset, byte) => {
                let written = rig.space.write_page(address(page, offset), &[byte]);
                assert_eq!(written.is_ok(), self.writable[page as usize], "{name}");
                if written.is_ok() {
                    self.pages[page as usize].set_byte(offset as usize, byte);
                }
            }
            Use::Decommit(page, more) => {
                rig.complete(rig.space.decommit(pages(page, more)));
                span(page, more).for_each(|page| self.pages[page as usize] = self.object.clone());
            }
            Use::Protect(page, more, protection) => {
                rig.complete(rig.space.protect(pages(page, more), protection));
                let writable = protection.contains(Protection::WRITE);
                span(page, more).for_each(|page| self.writable[page as usize] = writable);
            }
            Use::Populate(page, more, access) => {
                let begun = rig.space.populate(pages(page, more), access);
                let allowed = span(page, more).all(|page| self.writable[page as usize]);
                if access == FaultAccess::Read || allowed {
                    rig.complete(begun);
                } else {
                    let missing = Refusal::Error(VmError::MissingRight);
                    assert_eq!(begun.map(|_| ()), Err(missing), "{name}");
                }
            }
        }
    }

    fn look(&self, rig: &Host, name: &str, page: u64, offset: u64) {
        let shown = &self.pages[page as usize];
        let address = HERE + page * PAGE_SIZE + offset;
        let (byte, tag) = (shown.byte(offset as usize), shown.tag(offset as usize));
        assert_eq!(rig.load_tag(0, address), Ok(tag), "{name}: tag of page {page}, {offset}");
        let loaded = rig.load(0, address | u64::from(tag) << 56);
        assert_eq!(loaded, Ok(byte), "{name}: page {page}, {offset}");
    }
}

fn denied(writable: bool) -> Result<(), ExitKind> {
    if writable { Ok(()) } else { Err(ExitKind::AccessDenied) }
}

/// A policy, what it is given to map, and how many pages repeat.
type Setting = (&'static str, Policy, fn(&Host, u64) -> Object<Single>);

/// Makes an object that repeats one page of the content.
fn wrapped(rig: &Host, size: u64) -> Object<Single> {
    let object = wrap(rig, 1);
    let place = BESIDE + (1 << 21);
    rig.try_map(&object, place, 1, RWT, MapFlags::FIXED | MapFlags::SHARED).expect("a mapping");
    let content = wanted(size);
    for offset in 0..PAGE_SIZE as usize {
        if offset % 16 == 0 {
            let tag = u64::from(content.tag(offset));
            rig.store_tag(0, place + offset as u64, tag).expect("a frame");
        }
        rig.space.write_page(place + offset as u64, &[content.byte(offset)]).expect("a frame");
    }
    rig.unmap(place, 1);
    object
}

const SETTINGS: [Setting; 8] = [
    ("wrap", Policy::Wrap, wrapped),
    ("reference page", Policy::ReferencePage, with_frame),
    ("eager", Policy::Eager, with_frame),
    ("eager without a frame", Policy::Eager, frameless),
    ("any fault", Policy::PatternOnAnyFault, with_frame),
    ("any fault without a frame", Policy::PatternOnAnyFault, frameless),
    ("in mapping", Policy::InMapping, with_frame),
    ("object", Policy::Object, with_frame),
];

fn run(uses: &[Use], size: u64, (name, policy, make_fn): Setting) {
    let rig = Host::new();
    prepare(&rig, size);
    let object = make_fn(&rig, size);
    assert_eq!(map(&rig, &request(&object, policy, PAGES)), Ok(HERE));
    drop(object);
    let mut shadow = Shadow::new(wanted(size));
    for used in uses {
        shadow.apply(&rig, name, *used);
    }
    for page in 0..PAGES {
        (0..PAGE_SIZE).step_by(7).for_each(|offset| shadow.look(&rig, name, page, offset));
    }
    rig.finish(options());
}

#[test]
fn every_policy_shows_a_program_the_same() {
    let sizes =
        prop_oneof![Just(1u64), Just(2), Just(16), Just(64), Just(256), Just(1024), Just(4096)];
    let cases = setting("VELLUM_MODEL_OPS", 100_000) / 10_000;
    let operation = (sizes, uses());
    explore(cases.max(10), 60, operation, |sequence| {
        let size = sequence[0].0;
        let uses: Vec<Use> = sequence.iter().map(|(_, used)| *used).collect();
        SETTINGS.into_iter().for_each(|setting| run(&uses, size, setting));
    });
}

#[test]
fn every_policy_counts_what_it_does() {
    let count = |policy, make_fn: fn(&Host, u64) -> Object<Single>| {
        let rig = Host::new();
        prepare(&rig, 4096);
        let object = make_fn(&rig, 4096);
        let (before, live) = (rig.stat(), rig.model.system().refpages());
        map(&rig, &request(&object, policy, PAGES)).expect("a mapping");
        for page in 0..PAGES {
            let address = HERE + page * PAGE_SIZE;
            rig.load(0, address).expect("a page");
            if page < 2 {
                rig.store(0, address, 1).expect("a page");
            }
        }
        let (after, live) = (rig.stat(), rig.model.system().refpages() - live);
        drop(object);
        rig.finish(options());
        (
            after.private_frames - before.private_frames,
            after.bytes_copied - before.bytes_copied,
            after.faults_write_fresh - before.faults_write_fresh - after.pages_populated,
            live,
        )
    };
    let page = PAGE_SIZE;
    assert_eq!(count(Policy::ReferencePage, with_frame), (2, 2 * page, 0, 0));
    assert_eq!(count(Policy::Object, with_frame), (2, 2 * page, 0, 0));
    assert_eq!(count(Policy::InMapping, with_frame), (2, 2 * page, 0, 1));
    assert_eq!(count(Policy::Eager, with_frame), (PAGES, PAGES * page, 0, 0));
    assert_eq!(count(Policy::PatternOnAnyFault, with_frame), (PAGES, PAGES * page, PAGES, 0));
    assert_eq!(count(Policy::PatternOnAnyFault, frameless), (PAGES, 0, PAGES, 0));
}

#[test]
fn a_policy_that_does_not_suit_is_refused() {
    let rig = Host::new();
    prepare(&rig, 64);
    let objects = [with_frame(&rig, 64), frameless(&rig, 64), wrap(&rig, 3), rig.memory(PAGES)];
    let suits = |policy| match policy {
        Policy::ReferencePage | Policy::Object => [true, false, true, true],
        Policy::Eager | Policy::PatternOnAnyFault => [true, true, true, true],
        Policy::InMapping => [true, false, false, false],
        Policy::Wrap => [false, false, true, false],
        Policy::UserPager => [false; 4],
    };
    for policy in Policy::ALL {
        for (object, suits) in objects.iter().zip(suits(*policy)) {
            let before = rig.model.free_frames();
            let mapped = map(&rig, &request(object, *policy, 4));
            let refused = Err(Refusal::Error(VmError::WrongPolicy));
            assert_eq!(mapped, if suits { Ok(HERE) } else { refused }, "{policy:?}");
            if suits {
                rig.unmap(HERE, 4);
            }
            assert!(rig.model.free_frames() >= before - 5, "only what the objects committed");
        }
    }
    drop(objects);
    rig.finish(options());
}
