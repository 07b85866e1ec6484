//! The call for tests of checked kernels.

use super::{Answer, Request, Result, Stop, memory};
use crate::memory::injection;
use vellum_abi::{Error, TestOperation};

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
    }
}
