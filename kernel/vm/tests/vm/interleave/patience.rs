//! What is under way in a play, and the end of all patience with it.
//!
//! Owns: how much the machine may be asked to do for a single act. In one thread, somebody who tries again
//! until another has gone on tries for ever; here that is a failure, which says what was under way. The
//! kernel knows nothing of it: the machine counts.

use std::cell::Cell;
use std::fmt;
use vellum_model::{Family, Single};

/// Acts of the machine, and locks, that a single act of a play may take: many times what the longest takes.
const PATIENCE: u64 = 1_000_000;

/// Where a play is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// The long operation that began last, and how many of its steps have begun.
    long: (&'static str, u64),
    /// The act that began last, and how many there were before.
    act: (&'static str, u64),
    /// What the machine did for it.
    spent: u64,
}

const BEGINNING: Scene = Scene { long: ("nothing", 0), act: ("nothing", 0), spent: 0 };

thread_local! {
    static SCENE: Cell<Scene> = const { Cell::new(BEGINNING) };
    static LONGEST: Cell<u64> = const { Cell::new(0) };
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((long, steps), (act, acts)) = (self.long, self.act);
        write!(f, "act {acts}, {act}; steps of {long} so far: {steps}")
    }
}

/// Returns where the play is.
pub(super) fn scene() -> Scene {
    SCENE.get()
}

/// Returns what the longest act took so far.
pub(super) fn longest() -> u64 {
    LONGEST.get()
}

/// Begins a play.
pub(super) fn begin() {
    SCENE.set(BEGINNING);
}

/// Declares that an act begins: there is patience again.
pub(super) fn act(name: &'static str) {
    let scene = SCENE.get();
    LONGEST.set(LONGEST.get().max(scene.spent));
    SCENE.set(Scene { act: (name, scene.act.1 + 1), spent: 0, ..scene });
}

/// Declares that a long operation begins.
pub(super) fn long(name: &'static str) {
    SCENE.set(Scene { long: (name, 0), ..SCENE.get() });
    act(name);
}

/// Declares that the long operation goes a step further.
pub(super) fn step() {
    let Scene { long: (name, steps), .. } = SCENE.get();
    act("its next step");
    SCENE.set(Scene { long: (name, steps + 1), ..SCENE.get() });
}

/// All virtual CPUs in one thread, which does not try for ever.
pub(super) struct Patient;

impl Family for Patient {
    fn cpu() -> usize {
        Single::cpu()
    }

    fn step() {
        let scene = SCENE.get();
        SCENE.set(Scene { spent: scene.spent + 1, ..scene });
        // What fails is dropped, and that takes steps too.
        if scene.spent == PATIENCE && !std::thread::panicking() {
            panic!("there is no end of it: {scene}");
        }
    }

    fn wait() {
        Single::wait();
    }

    fn locked() {
        Single::locked();
    }

    fn unlocked() {
        Single::unlocked();
    }

    fn held() -> usize {
        Single::held()
    }
}
