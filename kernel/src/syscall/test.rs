//! The call for tests of checked kernels.

use super::{Answer, Request, Result, Stop, memory};
use crate::memory::{frames, injection};
use crate::process::{self, Process};
use vellum_abi::{Error, Rights, TestOperation};

/// Frames that are looked at in one go.
const AUDITED_FRAMES: usize = 4096;

pub(super) fn test(request: &Request<'_>) -> Result {
    let [operation, argument, ..] = *request.arguments;
    if !cfg!(debug_assertions) {
        return Err(Error::UnknownCall.into());
    }
    match TestOperation::from_number(operation).ok_or(Error::UnknownCall)? {
        TestOperation::FailAllocation => Ok(Answer::Value(injection::fail_in(argument))),
        TestOperation::MoveFrames => {
            let process = request.process();
            match process.space.move_frames() {
                Ok(change) => Ok(memory::perform(request, process, change, 0)),
                Err(refusal) => Err(Stop::from_refusal(refusal, process)),
            }
        }
        TestOperation::Audit => {
            process::audit(&*Process::target(request.process(), argument, Rights::INSPECT)?);
            Ok(Answer::Value(0))
        }
        TestOperation::AuditFrames => {
            let first = usize::try_from(argument).map_err(|_| Error::OutOfRange)?;
            let (free, next) = frames::audit(first, AUDITED_FRAMES).ok_or(Error::OutOfRange)?;
            Ok(Answer::Value(free | (next as u64) << u32::BITS))
        }
    }
}
