//! A process that is made as the clone of another, in steps.
//!
//! The new process is nobody's until all is copied: then the caller gets a handle to it. If memory
//! runs out on the way, what was made is taken down again, and the call answers why.

use super::end::End;
use super::handle::Object;
use super::operation::{Progress, Reply};
use super::{Process, Thread};
use crate::memory::pools::PoolArc;
use vellum_abi::{Error, ExitKind, ExitReport, Rights};
use vellum_vm::error::VmError;
use vellum_vm::ops;

enum Stage {
    /// Mappings and leaves are copied.
    Copying(ops::Cloning),
    /// Something failed; what was made goes.
    Undoing(End, Error),
}

/// A clone under way.
pub struct Cloning {
    parent: PoolArc<Process>,
    child: PoolArc<Process>,
    stage: Stage,
}

impl Cloning {
    /// Goes on with the clone of `parent` into `child`, which is new and empty.
    pub fn new(
        parent: PoolArc<Process>,
        child: PoolArc<Process>,
        cloning: ops::Cloning,
    ) -> Cloning {
        Cloning { parent, child, stage: Stage::Copying(cloning) }
    }

    /// Goes on from where the last run stopped, on behalf of the thread that began.
    pub fn run(&mut self, thread: &Thread) -> Progress {
        loop {
            let error = match &mut self.stage {
                Stage::Copying(cloning) => {
                    match cloning.run(&self.parent.space, &self.child.space) {
                        Ok(ops::Progress::Paused) => return Progress::Paused,
                        Ok(ops::Progress::Done) => match self.complete(thread) {
                            Ok(reply) => return Progress::Done(Some(reply)),
                            Err(error) => error,
                        },
                        Err(error) => self.fail(error),
                    }
                }
                Stage::Undoing(end, error) => {
                    let status = *error as u64;
                    return match end.run() {
                        Progress::Done(_) => Progress::Done(Some(Reply { status, value: 0 })),
                        other => other,
                    };
                }
            };
            let kind = ExitKind::Killed as u64;
            self.child.begin_end(ExitReport { kind, ..ExitReport::default() });
            self.stage = Stage::Undoing(End::new(self.child.clone()), error);
        }
    }

    fn fail(&self, error: VmError) -> Error {
        self.parent.patient.wake_all();
        error.into()
    }

    /// Gives the caller its handle.
    fn complete(&self, thread: &Thread) -> Result<Reply, Error> {
        self.parent.patient.wake_all();
        let handle = thread.process.give(Object::Process(self.child.clone()), Rights::ALL)?;
        Ok(Reply { status: 0, value: handle.to_word() })
    }
}
