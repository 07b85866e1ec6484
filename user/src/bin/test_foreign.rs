//! Foreign processes: is every `svc` told and none served, is what the handler answers what the program
//! sees, and can it be forked?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{Action, Error, ExitKind, ExitReport, FaultReport, Handle, Registers};
use vellum_user::calls;
use vellum_user::mapping::PAGE;
use vellum_user::{Arguments, Endpoint, Mapping, Process, Thread, check, testing};

vellum_user::test!(main);

/// Numbers that the program calls by: the kernel's own for nothing, for the end of the process and of the
/// thread, and two that it does not have.
const NULL: u64 = 0;
const EXIT: u64 = 2;
const THREAD_EXIT: u64 = 39;
const FORK: u64 = 220;
const RESULT: u64 = u64::MAX;
const PARENT: u64 = 1;
const CHILD: u64 = 2;

fn main(_: &Arguments) -> Result<(), Error> {
    drop(Endpoint::new()?);
    let before = testing::at_rest();
    for _ in 0..3 {
        calls_are_told()?;
    }
    check!("free frames and kernel memory", testing::at_rest(), before);
    a_call_without_an_answer_ends_the_process()?;
    check!("free frames and kernel memory afterwards", testing::at_rest(), before);
    Ok(())
}

fn svc(number: u64, argument: u64) -> u64 {
    let value;
    // SAFETY: in a clone of this process whose calls change nothing; the handler preserves all but x0.
    unsafe { asm!("svc #7", in("x8") number, inlateout("x0") argument => value, options(nostack)) };
    value
}

/// What the foreign process runs: a clone of this one has the code.
extern "C" fn program() -> ! {
    let mut sum = svc(NULL, 1);
    sum += svc(EXIT, 2);
    sum += svc(THREAD_EXIT, 3);
    let who = svc(FORK, 0);
    svc(RESULT, 10 * sum + who);
    unreachable!("the handler ends the process")
}

/// Starts a foreign process at `program`, in a clone of this one.
fn start(told: &Endpoint, stack: &Mapping) -> Result<Process, Error> {
    let process = Process::from_handle(calls::process_clone(Handle::SELF)?);
    process.set_foreign_handler(told)?;
    let thread = process.thread()?;
    let sp = (stack.address() + stack.length()) as u64;
    thread.write_registers(&Registers {
        sp,
        pc: program as *const () as u64,
        tpidr: sp,
        ..Registers::ZERO
    })?;
    thread.start()?;
    Ok(process)
}

fn calls_are_told() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let (told, told_child) = (endpoint.with_badge(PARENT)?, endpoint.with_badge(CHILD)?);
    let stack = Mapping::anonymous(16 * PAGE)?;
    let parent = start(&told, &stack)?;
    let mut child = None;
    let mut results = [0; 2];
    let mut numbers = [0; 6];
    let mut call = endpoint.receive()?;
    for slot in &mut numbers {
        let report = call.report().expect("only the kernel sends here");
        check!("the kind", report.kind, ExitKind::ForeignCall);
        let registers = calls::thread_read_registers(Handle::CALLER)?;
        check!("the number", (report.address, registers.x[8]), (registers.x[8], report.address));
        check!("behind the svc", registers.pc, report.pc + 4);
        check!("the immediate", report.syndrome & 0xffff, 7);
        *slot = report.address;
        if report.address == FORK {
            child = Some(fork(&told_child, &registers)?);
            call = endpoint.reply_receive(calls::return_value(PARENT))?;
        } else if report.address == RESULT {
            results[call.badge as usize - 1] = registers.x[0];
            // Both processes end here, and the last has nobody behind it.
            calls::endpoint_reply(None, calls::answer(Action::Kill))?;
            if results.contains(&0) {
                call = endpoint.receive()?;
            }
        } else {
            call = endpoint.reply_receive(calls::return_value(100 * registers.x[0]))?;
        }
    }
    check!("every call was told", numbers, [NULL, EXIT, THREAD_EXIT, FORK, RESULT, RESULT]);
    check!("what the programs saw", results, [6000 + PARENT, 6000 + CHILD]);
    for process in [Some(parent), child].into_iter().flatten() {
        check!("the end", ended_by_call(&process.wait()?, RESULT));
    }
    Ok(())
}

/// Makes a process with the caller's memory and registers, whose call returns something else.
fn fork(told: &Endpoint, registers: &Registers) -> Result<Process, Error> {
    let child = Process::from_handle(calls::process_clone(Handle::CALLER)?);
    child.set_foreign_handler(told)?;
    let thread: Thread = child.thread()?;
    let mut registers = *registers;
    registers.x[0] = CHILD;
    thread.write_registers(&registers)?;
    calls::thread_write_vectors(thread.handle(), &calls::thread_read_vectors(Handle::CALLER)?)?;
    thread.start()?;
    Ok(child)
}

fn ended_by_call(report: &ExitReport, number: u64) -> bool {
    report.kind == ExitKind::ForeignCall as u64 && report.status == number
}

/// The handler goes, or there is none.
fn a_call_without_an_answer_ends_the_process() -> Result<(), Error> {
    let stack = Mapping::anonymous(16 * PAGE)?;
    for received in [false, true] {
        let endpoint = Endpoint::new()?;
        let told = endpoint.with_badge(PARENT)?;
        let process = start(&told, &stack)?;
        if received {
            let report = endpoint.receive()?.report();
            check!("told", report.map(|FaultReport { address, .. }| address), Some(NULL));
        }
        drop(endpoint);
        // Whom this thread has to answer is told by its next message.
        let other = Endpoint::new()?;
        let gone = other.with_badge(0)?;
        drop(other);
        check!("closed", gone.call([0; 4]).err(), Some(Error::PartnerGone));
        if received {
            check!("kill", calls::endpoint_reply(None, calls::answer(Action::Kill)), Ok(()));
        }
        check!("the end", ended_by_call(&process.wait()?, NULL));
    }
    Ok(())
}
