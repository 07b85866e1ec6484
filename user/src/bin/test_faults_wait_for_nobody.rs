//! Do faults of two processes, and of two threads of one process on ranges of their own, go side by side
//! without one waiting for a lock that the other has?
#![no_std]
#![no_main]

use vellum_user::abi::Error;
use vellum_user::scaling::{OTHER, other_process, two_processes, two_threads};
use vellum_user::{Arguments, check, testing};

vellum_user::test!(main);

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let (Some(OTHER), Some(word)) = (arguments.at(0), arguments.at(1)) {
        return other_process(word);
    }
    testing::require_cpus();
    let before = testing::stat().free_frames;
    let processes = two_processes()?;
    check!("faults of two processes", processes.faults, 100_000);
    check!("waits of two processes", processes.lock_waits, 0);
    let threads = two_threads()?;
    check!("faults of two threads", threads.faults, 100_000);
    check!("waits of two threads", threads.lock_waits, 0);
    check!("free frames afterwards", testing::stat().free_frames, before);
    Ok(())
}
