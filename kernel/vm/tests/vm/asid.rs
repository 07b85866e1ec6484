//! Identifiers that run out: three CPUs, ten address spaces, seven identifiers.
//!
//! A CPU asks for the identifier first and writes its translation base register later. Between the
//! two it still runs what it ran before, and may walk for it; other CPUs do the same meanwhile.

use crate::explore::explore;
use crate::support::{HERE, RW, Rig, Space};
use proptest::prelude::{Strategy, prop_oneof};
use std::sync::Arc;
use vellum_abi::PAGE_SIZE;
use vellum_model::{Model, ModelOptions, Single};
use vellum_vm::addr::Page;
use vellum_vm::asid::AsidAllocator;
use vellum_vm::machine::Asid;

const CPUS: usize = 3;
const SPACES: usize = 10;
const BITS: u32 = 3;

type Host = Model<Single>;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A CPU asks for the identifier of an address space.
    Ask(usize, usize),
    /// It writes what it got to its translation base register.
    Enter(usize),
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
        8 => (cpu(), space()).prop_map(|(cpu, space)| Op::Ask(cpu, space)),
        8 => cpu().prop_map(Op::Enter),
        6 => (cpu(), 0..3u64).prop_map(|(cpu, page)| Op::Speculate(cpu, page)),
        6 => cpu().prop_map(Op::Load),
        1 => cpu().prop_map(Op::Park),
        2 => space().prop_map(Op::Renew),
        2 => space().prop_map(Op::Decommit),
    ]
}

/// What a CPU runs, and what it is about to run.
#[derive(Clone, Copy, Default)]
struct Turn {
    runs: Option<usize>,
    asked: Option<(usize, Asid)>,
}

struct World {
    rig: Rig<Single>,
    spaces: Vec<Arc<Space<Single>>>,
    asids: AsidAllocator<Host>,
    turns: [Turn; CPUS],
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
            asids: AsidAllocator::new(),
            turns: [Turn::default(); CPUS],
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
        let Turn { runs: Some(space), asked: None } = self.turns[cpu] else { return };
        let running = self.rig.with_space(self.spaces[space].clone());
        for page in 0..3 {
            let byte = running.load(cpu, HERE + page * PAGE_SIZE).expect("mapped");
            let first = page == 0 && byte == space as u8 + 1;
            assert!(first || byte == 0, "CPU {cpu} sees {byte} in address space {space}");
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Ask(cpu, space) if self.turns[cpu].asked.is_none() => {
                Single::run_on(cpu);
                let slot = self.spaces[space].asid_slot();
                let asid = self.asids.activate(&self.rig.model, cpu, slot, BITS);
                assert_ne!(asid, Asid(0));
                self.turns[cpu].asked = Some((space, asid));
            }
            Op::Ask(..) => {}
            Op::Enter(cpu) => {
                if let Some((space, asid)) = self.turns[cpu].asked.take() {
                    self.rig.model.cpu(cpu).activate(self.spaces[space].root(), asid);
                    self.turns[cpu].runs = Some(space);
                }
            }
            Op::Speculate(cpu, page) => {
                let page = Page::containing(HERE).add(page);
                self.rig.model.cpu(cpu).speculate(page);
            }
            Op::Load(cpu) => self.load(cpu),
            Op::Park(cpu) if self.turns[cpu].asked.is_none() => {
                self.asids.deactivate(cpu);
                self.rig.model.cpu(cpu).park();
                self.turns[cpu].runs = None;
            }
            Op::Park(_) => {}
            Op::Renew(space) => {
                let used = |turn: &Turn| {
                    turn.runs == Some(space) || turn.asked.is_some_and(|(next, _)| next == space)
                };
                if !self.turns.iter().any(used) {
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
        world.run(Op::Ask(cpu, space));
        world.run(Op::Enter(cpu));
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
