//! A play: the machine, the address space, and what is beside the long operation.
//!
//! Owns: how a play begins, what has to hold behind each operation, and how everything is given back.

use super::draw::{ARENA, Draw};
use super::patience::{self, Patient};
use crate::support::{self, Rig};
use std::sync::Arc;
use vellum_abi::{PAGE_SIZE, PagerFlags};
use vellum_model::{Model, ModelOptions};
use vellum_vm::BlockFault;
use vellum_vm::object::{Extent, MemoryObject};

pub(super) type Host = Model<Patient>;
pub(super) type Object = support::Object<Patient>;
pub(super) type Space = support::Space<Patient>;

pub(super) const CPUS: u64 = 3;
/// Pages that a pager's object has.
pub(super) const PAGED: u64 = 600;
/// Frames of the machine: mostly enough, else fewer than the blocks that are wanted, or than tables.
const FRAMES: [usize; 5] = [20_000, 20_000, 6 * 512, 12 * 512, 700];

/// What may be mapped.
#[derive(Clone)]
pub(super) enum Shown {
    /// A reference object.
    Reference(Object),
    /// Memory that has an end.
    Memory(Object),
    /// A few pages that come again and again.
    Wrapping(Object),
}

/// An address space that was cloned. One whose play fails is not torn down: a second panic would hide the
/// first.
pub(super) struct Child(pub(super) Arc<Space>);

impl Drop for Child {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.clone());
        }
    }
}

/// One play.
pub(super) struct Play {
    pub(super) draw: Draw,
    pub(super) shown: Vec<Shown>,
    /// The object of a pager, mapped nowhere.
    pub(super) paged: Object,
    /// Blocks that neighbours are making.
    pub(super) blocks: Vec<BlockFault<Host>>,
    pub(super) children: Vec<Child>,
    pub(super) rig: Rig<Patient>,
    options: ModelOptions,
}

fn shown(rig: &Rig<Patient>) -> Vec<Shown> {
    let memory = |extent, pages: u64| {
        let (model, account) = (rig.model.clone(), rig.account.clone());
        let made = MemoryObject::memory_of(model, account, pages * PAGE_SIZE, extent);
        rig.share(made.expect("a pool"))
    };
    vec![
        Shown::Reference(rig.pattern(7)),
        Shown::Reference(rig.tagged(0)),
        Shown::Reference(rig.tagged(3)),
        Shown::Reference(rig.pattern(9)),
        Shown::Memory(memory(Extent::Ends, 2 * ARENA)),
        Shown::Wrapping(memory(Extent::Wraps, 3)),
    ]
}

impl Play {
    pub(super) fn new(number: u64) -> Play {
        patience::begin();
        let frames = FRAMES[(number % FRAMES.len() as u64) as usize];
        let options = ModelOptions { cpus: CPUS as usize, frames, ..ModelOptions::default() };
        let rig = Rig::with(options);
        let (model, account) = (rig.model.clone(), rig.account.clone());
        let paged = MemoryObject::paged(model, account, PAGED * PAGE_SIZE, PagerFlags::NONE, 0);
        let paged = rig.share(paged.expect("a pool"));
        let (draw, shown) = (Draw::new(number), shown(&rig));
        Play { draw, shown, paged, blocks: vec![], children: vec![], rig, options }
    }

    /// Sometimes lets an allocation fail that is soon to come.
    pub(super) fn disturb(&mut self) {
        if self.draw.one_in(6) {
            self.rig.model.fail_in(1 + self.draw.below(20));
        }
    }

    /// Lets allocations succeed again.
    pub(super) fn leave_alone(&self) {
        self.rig.model.fail_in(0);
    }

    /// Checks what holds when no operation is under way.
    pub(super) fn check(&self) {
        patience::act("the check");
        assert!(self.rig.space.is_at_rest(), "a mark is left");
        assert_eq!(self.rig.space.audit(), Ok(()));
        assert_eq!(self.rig.model.violations(), []);
    }

    /// Gives everything back, in steps as a process that ends does.
    pub(super) fn finish(self) {
        patience::long("the end");
        let Play { rig, options, shown, paged, blocks, children, draw: _ } = self;
        drop((shown, paged, blocks, children));
        rig.audit();
        rig.model.park_all();
        let mut teardown = rig.space.teardown().expect("at rest");
        while !teardown.step(&rig.space) {
            patience::step();
        }
        rig.finish(options);
    }
}
