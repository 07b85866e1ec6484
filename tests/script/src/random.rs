//! Random operations, the same for the same seed.

use crate::flat::Flat;
use crate::op::Op;
use crate::word::{Address, Byte, Cpu, PointerTag, WINDOW};
use alloc::vec::Vec;
use vellum_abi::{PAGE_SIZE, Switches};

/// Of so many operations that would end a process one is kept.
const DEATHS: u64 = 64;

/// What random operations may use.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Whether there are allocation tags.
    pub tags: bool,
    /// Leaves out what the real kernel cannot be asked for: objects of fixed frames, code, and what
    /// batches made ahead.
    pub on_kernel: bool,
}

impl Setting {
    /// Returns whether an operation makes sense there. What a page holds is no program, so on the
    /// real kernel only fetches that are refused can be tried.
    fn has(self, op: &Op, dies: bool) -> bool {
        let fetches = matches!(op, Op::Execute { .. });
        (self.tags || !op.needs_tags()) && !(self.on_kernel && fetches && !dies)
    }
}

/// A stream of random numbers (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
    /// What values may be.
    pub setting: Setting,
}

impl Rng {
    /// Starts a stream.
    #[must_use]
    pub const fn new(seed: u64, setting: Setting) -> Rng {
        Rng { state: seed, setting }
    }

    /// Returns a number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let first = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let second = (first ^ first >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        second ^ second >> 31
    }

    /// Returns a number below another, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Returns one of a table of values, each with a weight.
    pub fn weighted<T: Clone>(&mut self, table: &[(u64, T)]) -> T {
        let mut number = self.below(table.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in table {
            if number < *weight {
                return value.clone();
            }
            number -= weight;
        }
        unreachable!("the number is below the sum of the weights")
    }
}

/// A stream of operations.
#[derive(Clone, Debug)]
pub struct Generator {
    rng: Rng,
    /// What comes next whatever the numbers say, last first: what every stream begins with, so that
    /// most operations meet something, and runs of stores.
    ahead: Vec<Op>,
}

impl Generator {
    /// Starts a stream.
    ///
    /// # Panics
    /// If the prologue is no script.
    #[must_use]
    pub fn new(seed: u64, setting: Setting) -> Generator {
        let mut prologue = crate::parse(PROLOGUE).expect("a script");
        if !setting.tags {
            prologue.retain(|op| !op.needs_tags());
        }
        prologue.reverse();
        Generator { rng: Rng::new(seed, setting), ahead: prologue }
    }

    /// Returns the next operation, given what the ones before have led to. Few of them end a
    /// process, as that ends everything that it had.
    pub fn next(&mut self, flat: &Flat) -> Op {
        while let Some(op) = self.ahead.pop() {
            if !flat.would_die(&op) {
                return op;
            }
        }
        loop {
            let op = Op::random(&mut self.rng);
            let dies = flat.would_die(&op);
            let wanted = !dies || self.rng.below(DEATHS) == 0;
            if wanted && self.rng.setting.has(&op, dies) {
                self.ascend(&op, flat);
                return op;
            }
        }
    }

    /// Lets a run of stores, each to the page above the last, go through a new mapping with batches:
    /// by chance alone there would hardly ever be one.
    fn ascend(&mut self, op: &Op, flat: &Flat) {
        let Op::Map { space, span, style, .. } = op else { return };
        let running = flat.running.iter().position(|running| *running == space.0);
        let Some(cpu) = running.filter(|_| style.switches.contains(Switches::BATCH)) else {
            return;
        };
        let store = |page: u64| Op::Store {
            cpu: Cpu(cpu),
            address: Address(page * PAGE_SIZE),
            tag: PointerTag(None),
            byte: Byte(page as u8),
        };
        self.ahead.extend(span.range().rev().map(store));
    }
}

/// Four windows on four objects, and an object that repeats.
const PROLOGUE: &str = "\
create o1 memory:24
create o2 tag:5
create o3 pattern:55
create o4 wrap:3
map s0 o0 0x80801fa000 12 0 rwt rwx fixed
map s0 o2 0x80bfffa000 12 0 rwt rwx fixed
map s1 o1 0x80801fa000 12 0 rwt rwx fixed+shared
map s1 o3 0x80bfffa000 12 0 rw rwx fixed
";

const _: () = assert!(WINDOW == 12, "the prologue maps whole windows");
