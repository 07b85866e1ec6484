//! Trapped reads of system registers: is each told with the register and its destination, does the program see
//! what the handler makes of it, and nothing else that is new?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{
    Action, Error, ExitKind, FaultAccess, FaultReport, Handle, HandlerFlags, RegisterAccess,
    Registers,
};
use vellum_user::mapping::PAGE;
use vellum_user::threads::scoped;
use vellum_user::{Arguments, Endpoint, Mapping, Process, calls, check, testing};

vellum_user::test!(main);

/// Tells the handler to stop.
const STOP: [u64; 4] = [u64::MAX; 4];
/// The call by which a foreign program hands over what it has read.
const RESULT: u64 = 1000;

fn main(_: &Arguments) -> Result<(), Error> {
    drop((scoped_nothing()?, Endpoint::new()?));
    let before = testing::at_rest();
    reads_give_what_the_handler_says()?;
    other_accesses_are_told_apart()?;
    a_foreign_program_reads_beside_its_calls()?;
    check!("free frames, kernel memory and handles", testing::at_rest(), before);
    Ok(())
}

fn scoped_nothing() -> Result<(), Error> {
    // SAFETY: nothing is borrowed.
    drop(unsafe { scoped(|| 0) }?);
    Ok(())
}

/// What a handler of these tests makes of a system register.
const fn value_of(register: u16) -> u64 {
    0xabcd_0000_0000_0000 | register as u64
}

/// Gives the destination of a trapped read its value. Returns the register, or `None` if this is no such read.
fn emulate(report: &FaultReport) -> Option<u16> {
    let access = report.register_access().filter(|access| access.is_read)?;
    let mut registers = calls::thread_read_registers(Handle::CALLER).ok()?;
    check!("the pc of the report", registers.pc, report.pc);
    // The last number is that of XZR, which takes no value.
    if let Some(register) = registers.x.get_mut(usize::from(access.general)) {
        *register = value_of(access.register);
    }
    let written = calls::thread_write_registers(Handle::CALLER, &registers);
    written.ok().map(|()| access.register)
}

/// Reads a system register into a general one while all others hold something. Returns what it held
/// afterwards, and whether the others are as they were.
macro_rules! read {
    ($system:literal, $general:literal) => {{
        let mut registers: [u64; 31] = core::array::from_fn(|index| index as u64 + 100);
        let before = registers;
        // SAFETY: the handler gives the destination a value and goes on behind the instruction; x18, x19 and
        // x29 are left alone, x30 holds the address of the array, and x28 what x30 held.
        unsafe {
            asm!(
                "mov x28, x30",
                "mov x30, {array}",
                "ldp x0, x1, [x30]", "ldp x2, x3, [x30, #16]", "ldp x4, x5, [x30, #32]",
                "ldp x6, x7, [x30, #48]", "ldp x8, x9, [x30, #64]", "ldp x10, x11, [x30, #80]",
                "ldp x12, x13, [x30, #96]", "ldp x14, x15, [x30, #112]", "ldp x16, x17, [x30, #128]",
                concat!("mrs ", $general, ", ", $system),
                "stp x0, x1, [x30]", "stp x2, x3, [x30, #16]", "stp x4, x5, [x30, #32]",
                "stp x6, x7, [x30, #48]", "stp x8, x9, [x30, #64]", "stp x10, x11, [x30, #80]",
                "stp x12, x13, [x30, #96]", "stp x14, x15, [x30, #112]", "stp x16, x17, [x30, #128]",
                "mov x30, x28",
                array = in(reg) registers.as_mut_ptr(),
                out("x0") _, out("x1") _, out("x2") _, out("x3") _, out("x4") _, out("x5") _,
                out("x6") _, out("x7") _, out("x8") _, out("x9") _, out("x10") _, out("x11") _,
                out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
                out("x28") _,
                options(nostack),
            );
        }
        let number = $general[1..].parse::<usize>().unwrap_or(31);
        let is_same = |index: usize| index == number || registers[index] == before[index];
        let others = (0..31).all(is_same);
        (registers.get(number).copied(), others)
    }};
}

/// Runs `body_fn` while another thread answers the faults of this process with `answer_fn`. Returns how many
/// there were.
fn handled(
    answer_fn: impl Fn(&FaultReport) -> [u64; 4] + Send + Sync,
    body_fn: impl FnOnce(),
) -> Result<u64, Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    let serve = || {
        let mut received = endpoint.receive()?;
        let mut count = 0;
        while let Some(report) = received.report() {
            count += 1;
            received = endpoint.reply_receive(answer_fn(&report))?;
        }
        calls::endpoint_reply(None, [0; 4]).map(|()| count)
    };
    // SAFETY: joined before the endpoint goes.
    let server = unsafe { scoped(serve) }?;
    calls::process_set_handler(Handle::SELF, Some(told.handle()), HandlerFlags::NONE)?;
    body_fn();
    calls::process_set_handler(Handle::SELF, None, HandlerFlags::NONE)?;
    check!("the handler stops", endpoint.call(STOP).is_ok());
    server.join().unwrap_or(Err(Error::PartnerGone))
}

fn reads_give_what_the_handler_says() -> Result<(), Error> {
    let answer = |report: &FaultReport| {
        check!("the kind", report.kind, ExitKind::TrappedInstruction);
        check!("no address", (report.access, report.address), (FaultAccess::Read, 0));
        let register = emulate(report);
        check!("a read of an identification register", register.is_some());
        calls::answer(Action::Skip)
    };
    let number = RegisterAccess::number;
    let is = |name: &str, read: (Option<u64>, bool), register: u16| {
        check!(
            format_args!("{name} and the other registers"),
            read,
            (Some(value_of(register)), true)
        );
    };
    let reads = handled(answer, || {
        is("midr_el1", read!("midr_el1", "x0"), number(3, 0, 0, 0, 0));
        is("revidr_el1", read!("revidr_el1", "x17"), number(3, 0, 0, 0, 6));
        is("id_aa64pfr0_el1", read!("id_aa64pfr0_el1", "x9"), number(3, 0, 0, 4, 0));
        is("id_aa64isar1_el1", read!("id_aa64isar1_el1", "x2"), number(3, 0, 0, 6, 1));
        is("id_aa64mmfr2_el1", read!("id_aa64mmfr2_el1", "x12"), number(3, 0, 0, 7, 2));
        is("one without a name", read!("s3_0_c0_c7_7", "x5"), number(3, 0, 0, 7, 7));
        check!("into no register", read!("id_aa64pfr1_el1", "xzr"), (None, true));
    })?;
    check!("each was told once", reads, 7);
    Ok(())
}

/// A write of such a register, another register that is trapped, and one that is not for programs.
fn other_accesses_are_told_apart() -> Result<(), Error> {
    let answer = |report: &FaultReport| match report.register_access() {
        // A counter that programs may not read: it has a value of the handler's all the same.
        Some(RegisterAccess { is_read: true, .. }) => {
            let register = emulate(report);
            check!("the counter", register, Some(RegisterAccess::number(3, 3, 9, 13, 0)));
            calls::answer(Action::Skip)
        }
        Some(other) => {
            check!("no write is told so", other.is_read);
            calls::answer(Action::Skip)
        }
        None => {
            check!("undefined", report.kind, ExitKind::UndefinedInstruction);
            calls::return_value(report.pc)
        }
    };
    let faults = handled(answer, || {
        let counter = read!("pmccntr_el0", "x7");
        let wanted = value_of(RegisterAccess::number(3, 3, 9, 13, 0));
        check!("a counter that is not open", counter, (Some(wanted), true));
        let (read, written): (u64, u64);
        // SAFETY: the handler goes on behind it.
        unsafe { asm!("mrs x0, ttbr0_el1", out("x0") read, options(nostack)) };
        // SAFETY: likewise.
        unsafe { asm!("msr s3_0_c0_c4_0, x0", inout("x0") 5_u64 => written, options(nostack)) };
        check!("each at its own place", read != 0 && written > read);
    })?;
    check!("three accesses", faults, 3);
    Ok(())
}

/// What the foreign process runs: a clone of this one has the code.
extern "C" fn program() -> ! {
    // SAFETY: the handler emulates the reads, and ends the process at its call.
    unsafe {
        asm!(
            "mrs x0, id_aa64pfr0_el1",
            "mrs x1, id_aa64mmfr0_el1",
            "svc #0",
            in("x8") RESULT,
            options(noreturn),
        );
    }
}

fn a_foreign_program_reads_beside_its_calls() -> Result<(), Error> {
    let endpoint = Endpoint::new()?;
    let told = endpoint.with_badge(1)?;
    let stack = Mapping::anonymous(16 * PAGE)?;
    let process = Process::from_handle(calls::process_clone(Handle::SELF)?);
    process.set_foreign_handler(&told)?;
    let thread = process.thread()?;
    let sp = (stack.address() + stack.length()) as u64;
    let pc = program as *const () as u64;
    thread.write_registers(&Registers { sp, pc, ..Registers::ZERO })?;
    thread.start()?;
    let mut call = endpoint.receive()?;
    let wanted = [4, 7].map(|crm| RegisterAccess::number(3, 0, 0, crm, 0));
    for register in wanted {
        let report = call.report().expect("only the kernel sends here");
        check!("the kind", report.kind, ExitKind::TrappedInstruction);
        check!("the register", emulate(&report), Some(register));
        call = endpoint.reply_receive(calls::answer(Action::Skip))?;
    }
    let report = call.report().expect("only the kernel sends here");
    check!("the call", (report.kind, report.address), (ExitKind::ForeignCall, RESULT));
    check!("is no access to a register", report.register_access(), None);
    let registers = calls::thread_read_registers(Handle::CALLER)?;
    check!("what it read", [registers.x[0], registers.x[1]], wanted.map(value_of));
    calls::endpoint_reply(None, calls::answer(Action::Kill))?;
    _ = process.wait()?;
    Ok(())
}
