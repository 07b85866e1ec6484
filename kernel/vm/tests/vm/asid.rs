//! Identifiers that run out: six CPUs, twelve address spaces, seven identifiers, which is one a CPU and
//! one more.
//!
//! Before a CPU writes its translation base register it still runs what it ran before, and may walk
//! for it; other CPUs walk for theirs meanwhile.

use crate::explore::explore;
use crate::support::{HERE, RW, Rig, Space};
use proptest::prelude::{Strategy, prop_oneof};
use std::sync::Arc;
use vellum_abi::PAGE_SIZE;
use vellum_model::{Model, ModelOptions, Single};
use vellum_vm::addr::Page;
use vellum_vm::asid::AsidAllocator;
use vellum_vm::machine::Asid;

const CPUS: usize = 6;
const SPACES: usize = 12;
const BITS: u32 = 3;

type Host = Model<Single>;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A CPU gets the identifier of an address space and writes its translation base register.
    Enter(usize, usize),
    /// It walks to a page on its own account.
    Speculate(usize, u64),
    /// A program on it loads from each of its pages.
    Load(usize),
    /// It declares that it will run nothing, and enters nothing.
    Park(usize),
    /// An address space that nobody runs is dropped and made again.
    Renew(usize),
    /// A page goes away and comes back clean.
    Decommit(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (cpu, space) = (|| 0..CPUS, || 0..SPACES);
    prop_oneof![
        8 => (cpu(), space()).prop_map(|(cpu, space)| Op::Enter(cpu, space)),
        6 => (cpu(), 0..3u64).prop_map(|(cpu, page)| Op::Speculate(cpu, page)),
        6 => cpu().prop_map(Op::Load),
        1 => cpu().prop_map(Op::Park),
        2 => space().prop_map(Op::Renew),
        2 => space().prop_map(Op::Decommit),
    ]
}

struct World {
    rig: Rig<Single>,
    spaces: Vec<Arc<Space<Single>>>,
    asids: AsidAllocator<Host>,
    /// What each CPU runs.
    runs: [Option<usize>; CPUS],
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What failed must not be torn down: a second panic would hide the first.
            self.spaces.drain(..).for_each(std::mem::forget);
        }
    }
}

impl World {
    fn new() -> World {
        let rig = Rig::with(ModelOptions { cpus: CPUS, ..ModelOptions::default() });
        rig.model.park_all();
        let mut world = World {
            spaces: Vec::new(),
            asids: AsidAllocator::with_bits(BITS),
            runs: [None; CPUS],
            rig,
        };
        world.spaces = (0..SPACES).map(|number| world.space(number)).collect();
        world
    }

    /// Makes an address space whose first page holds its number.
    fn space(&self, number: usize) -> Arc<Space<Single>> {
        let zero = self.rig.tagged(0);
        let other = self.rig.beside(&self.rig.account);
        other.map(&zero, HERE, 3, RW);
        other.space.write_page(HERE, &[number as u8 + 1]).expect("a frame");
        other.space
    }

    fn load(&self, cpu: usize) {
        Single::run_on(cpu);
        let Some(space) = self.runs[cpu] else { return };
        let running = self.rig.with_space(self.spaces[space].clone());
        for page in 0..3 {
            let byte = running.load(cpu, HERE + page * PAGE_SIZE).expect("mapped");
            let first = page == 0 && byte == space as u8 + 1;
            assert!(first || byte == 0, "CPU {cpu} sees {byte} in address space {space}");
        }
    }

    /// Lets every CPU walk for what it runs.
    fn walk(&self) {
        for cpu in 0..CPUS {
            self.rig.model.cpu(cpu).speculate(Page::containing(HERE));
        }
    }

    fn enter(&mut self, cpu: usize, space: usize) {
        Single::run_on(cpu);
        let (model, next) = (&self.rig.model, &self.spaces[space]);
        self.asids.activate(model, cpu, next.asid_slot(), |asid| {
            assert_ne!(asid, Asid(0));
            self.walk();
            model.cpu(cpu).activate(next.root(), asid);
            self.walk();
        });
        self.runs[cpu] = Some(space);
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Enter(cpu, space) => self.enter(cpu, space),
            Op::Speculate(cpu, page) => {
                let page = Page::containing(HERE).add(page);
                self.rig.model.cpu(cpu).speculate(page);
            }
            Op::Load(cpu) => self.load(cpu),
            Op::Park(cpu) => {
                self.rig.model.cpu(cpu).park();
                self.asids.deactivate(cpu);
                self.runs[cpu] = None;
            }
            Op::Renew(space) => {
                if !self.runs.contains(&Some(space)) {
                    self.spaces[space] = self.space(space);
                }
            }
            Op::Decommit(space) => {
                let other = self.rig.with_space(self.spaces[space].clone());
                other.decommit(HERE, 3);
            }
        }
        let roots: Vec<_> = self.spaces.iter().map(|space| space.root()).collect();
        self.rig.model.audit(&roots);
    }
}

#[test]
fn no_cpu_ever_sees_a_translation_of_an_identifiers_earlier_owner() {
    explore(150, 250, op(), |sequence| {
        let mut world = World::new();
        sequence.into_iter().for_each(|op| world.run(op));
    });
}

#[test]
fn an_identifier_survives_every_generation_in_which_a_cpu_runs_with_it() {
    let mut world = World::new();
    let enter = |world: &mut World, cpu, space| {
        world.run(Op::Enter(cpu, space));
        world.run(Op::Load(cpu));
    };
    // CPU 0 runs one address space all the time, while CPU 2 uses up identifiers again and again
    // and CPU 1 comes by now and then.
    enter(&mut world, 0, 0);
    for round in 0..6 {
        (1..SPACES).for_each(|space| enter(&mut world, 2, space));
        if round % 2 == 0 {
            enter(&mut world, 1, 0);
            enter(&mut world, 1, 1);
            enter(&mut world, 1, 2);
        }
        world.run(Op::Load(0));
    }
    enter(&mut world, 2, 0);
}
