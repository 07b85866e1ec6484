//! The end of a process, in steps: memory, handles, then the report is there to be read.

use super::handle::Object;
use super::operation::Progress;
use super::{Process, Wait, first};
use crate::memory::graves;
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use vellum_abi::{ExitKind, ExitReport};
use vellum_vm::machine::Machine;
use vellum_vm::ops::{self, Change};

enum Stage {
    /// Nothing was given back yet.
    Memory,
    /// Mappings and their frames go.
    Unmapping(Change<Hardware>),
    /// Handles at and above this index go.
    Handles(u32),
    /// Everything is given back but the pages of objects that went with it.
    Objects,
}

/// One process on its way down.
struct Teardown {
    process: PoolArc<Process>,
    stage: Stage,
}

/// How far a teardown came.
enum Step {
    Done,
    Paused,
    Block(Wait),
    /// A process that never started had its last handle here: it goes first.
    Orphan(PoolArc<Process>),
}

/// The end of a process under way.
pub struct End {
    main: Teardown,
    orphan: Option<Teardown>,
}

impl End {
    /// Begins to take down a process whose life is `Ending`.
    pub fn new(process: PoolArc<Process>) -> End {
        End { main: Teardown { process, stage: Stage::Memory }, orphan: None }
    }

    /// Goes on from where the last run stopped.
    pub fn run(&mut self) -> Progress {
        loop {
            let current = self.orphan.as_mut().unwrap_or(&mut self.main);
            match current.run() {
                Step::Done if self.orphan.take().is_some() => {}
                Step::Done => return Progress::Done(None),
                Step::Paused => return Progress::Paused,
                Step::Block(wait) => return Progress::Block(wait),
                // Processes that never started hold no processes, so two levels are enough.
                Step::Orphan(process) => {
                    self.orphan = Some(Teardown { process, stage: Stage::Memory });
                }
            }
        }
    }
}

impl Teardown {
    fn run(&mut self) -> Step {
        loop {
            match &mut self.stage {
                Stage::Memory => {
                    audit(&self.process);
                    // Another process's thread may still be changing this address space.
                    let Ok(change) = self.process.space.teardown() else {
                        return Step::Block(Wait::AtRest(self.process.clone()));
                    };
                    self.stage = Stage::Unmapping(change);
                }
                Stage::Unmapping(change) => {
                    if change.run(&self.process.space) == ops::Progress::Paused {
                        return Step::Paused;
                    }
                    self.process.patient.wake_all();
                    self.stage = Stage::Handles(0);
                }
                Stage::Handles(index) => {
                    let Some((next, object)) = self.process.handles.lock().remove_from(*index)
                    else {
                        self.stage = Stage::Objects;
                        continue;
                    };
                    *index = next;
                    if let Some(process) = object.and_then(orphan) {
                        return Step::Orphan(process);
                    }
                    if Hardware.should_pause() {
                        return Step::Paused;
                    }
                }
                Stage::Objects => {
                    if !graves::clear() {
                        return Step::Paused;
                    }
                    self.complete();
                    return Step::Done;
                }
            }
        }
    }

    fn complete(&self) {
        let process = &self.process;
        process.handles.lock().release();
        process.forget_handler();
        process.complete_end();
        first::if_first(process);
    }
}

/// Drops what a closed handle named. Returns the process that must be taken down first because it
/// never started and no handle names it any more: a mere drop of it could not pause. Calls under way may
/// still have it in hand; they find that it ended.
pub fn orphan(object: Object) -> Option<PoolArc<Process>> {
    let process = object.process()?.clone();
    drop(object);
    let report = ExitReport { kind: ExitKind::Killed as u64, ..ExitReport::default() };
    process.begin_end_unnamed(report).then_some(process)
}

/// Checks everything that lives in a process, in debug builds.
pub fn audit(process: &Process) {
    if cfg!(debug_assertions)
        && let Err(finding) = process.space.audit()
    {
        panic!("audit of a process: {finding:?}");
    }
}
