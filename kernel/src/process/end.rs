//! The end of a process, in steps: memory, handles, then the report is there to be read.

use super::first;
use super::operation::Progress;
use super::{Process, Wait, scheduler};
use crate::memory::machine::Hardware;
use crate::memory::pools::PoolArc;
use vellum_vm::machine::Machine;
use vellum_vm::ops::{self, Change};

enum Stage {
    /// Nothing was given back yet.
    Memory,
    /// Mappings and their frames go.
    Unmapping(Change<Hardware>),
    /// Handles at and above this index go.
    Handles(u32),
}

/// The end of a process under way.
pub struct End {
    process: PoolArc<Process>,
    stage: Stage,
}

impl End {
    /// Begins to take down a process whose life is `Ending`.
    pub fn new(process: PoolArc<Process>) -> End {
        End { process, stage: Stage::Memory }
    }

    /// Goes on from where the last run stopped.
    pub fn run(&mut self) -> Progress {
        loop {
            match &mut self.stage {
                Stage::Memory => {
                    audit(&self.process);
                    // Another process's thread may still be changing this address space.
                    let Ok(change) = self.process.space.teardown() else {
                        return Progress::Block(Wait::AtRest(self.process.clone()));
                    };
                    self.stage = Stage::Unmapping(change);
                }
                Stage::Unmapping(change) => {
                    if change.run(&self.process.space) == ops::Progress::Paused {
                        return Progress::Paused;
                    }
                    self.process.patient.wake_all();
                    self.stage = Stage::Handles(0);
                }
                Stage::Handles(index) => {
                    let closed = self.process.handles.lock().remove_from(*index);
                    let Some((next, object)) = closed else { break };
                    *index = next;
                    drop(object);
                    if Hardware.should_pause() {
                        return Progress::Paused;
                    }
                }
            }
        }
        self.complete();
        Progress::Done(None)
    }

    fn complete(&self) {
        let process = &self.process;
        process.handles.lock().release(process.account());
        scheduler::forget(process);
        if let Some(thread) = process.thread.lock().take() {
            thread.end();
        }
        process.complete_end();
        first::if_first(process);
    }
}

/// Checks everything that lives in a process, in debug builds.
fn audit(process: &Process) {
    if cfg!(debug_assertions)
        && let Err(finding) = process.space.audit()
    {
        panic!("audit at the end of a process: {finding:?}");
    }
}
