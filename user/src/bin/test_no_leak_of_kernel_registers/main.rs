//! Does every entry to the kernel give all registers back as they were, x0 and x1 of a call
//! excepted, and does a new process start with none of anybody else's?
#![no_std]
#![no_main]

mod routines;

use routines::{Snapshot, WORDS, dump_bytes, enter_with};
use vellum_user::abi::{
    Call, Error, FOR_EVER, Handle, MapFlags, MapOptions, PAGE_SIZE, Piece, Protection, Registers,
};
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, MemoryObject, Process, check, testing};

vellum_user::test!(main);

/// Where the new process has its code and its page.
const CODE: u64 = 0x1000_0000;
const PAGE_THERE: u64 = 0x2000_0000;

fn main(arguments: &Arguments) -> Result<(), Error> {
    if arguments.has("exit") {
        return Ok(());
    }
    calls_preserve()?;
    faults_preserve()?;
    a_new_thread_starts_clean()
}

/// The words of registers that were given in: different in each register.
fn given(seed: u64) -> Snapshot {
    core::array::from_fn(|index| (index as u64 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
}

/// Checks all of x2 to x30, the vectors, FPCR and FPSR and the flags.
fn check_preserved(name: &str, before: &Snapshot, after: &Snapshot) {
    let other = (2..WORDS).find(|index| before[*index] != after[*index]);
    if let Some(index) = other {
        let register = routines::name(index);
        let (got, want) = (after[index], before[index]);
        check!(format_args!("{name}: {register}"), got, want);
    } else {
        check!(name, other, None);
    }
}

/// Makes a call with every register set, and returns them all.
fn call_with(call: u64, arguments: [u64; 6]) -> (Snapshot, Snapshot) {
    let mut before = given(call + 1);
    before[..6].copy_from_slice(&arguments);
    before[8] = call;
    routines::constrain(&mut before);
    let mut after = [0; WORDS];
    // SAFETY: the calls of this test write to mappings at most, which no Rust value lives in.
    unsafe { enter_with(&before, &mut after) };
    (before, after)
}

fn calls_preserve() -> Result<(), Error> {
    let page = Mapping::anonymous(2 * PAGE)?;
    page.write(0, 1);
    let out = page.address() as u64;
    let own = Handle::SELF.to_word();
    let pieces = [Piece { theirs: out, own: out + PAGE_SIZE, length: 1000 }.to_words(); 2];
    let list = pieces.as_ptr().expose_provenance() as u64;
    // Another process that is ready, so that `yield` switches.
    let other = testing::load_self(&["exit"]);
    other.start()?;
    for (call, arguments) in [
        (Call::Yield, [0; 6]),
        (Call::ProcessWait, [other.process.handle().to_word(), out, FOR_EVER, 0, 0, 0]),
        (Call::Null, [0; 6]),
        (Call::Clock, [0; 6]),
        (Call::Stat, [own, out, 0, 0, 0, 0]),
        (Call::Query, [own, out, out, 0, 0, 0]),
        (Call::SystemQuery, [out, 0, 0, 0, 0, 0]),
        (Call::Map, [own, Handle::ANONYMOUS.to_word(), 0, PAGE_SIZE, 1, 0]),
        (Call::Advise, [own, out, PAGE_SIZE, 0, 0, 0]),
        (Call::MemoryRead, [own, out, out + PAGE_SIZE, 1000, 0, 0]),
        (Call::MemoryWrite, [own, out, out + PAGE_SIZE, 1000, 0, 0]),
        (Call::MemoryTransfer, [own, list, 2, 0, 0, 0]),
    ] {
        let (before, after) = call_with(call as u64, arguments);
        check!(format_args!("{}: status", call.name()), after[0], 0);
        check_preserved(call.name(), &before, &after);
        if call == Call::Map {
            // SAFETY: the mapping was just made.
            let unmapped = unsafe { vellum_user::calls::unmap(Handle::SELF, after[1], PAGE_SIZE) };
            check!("unmap", unmapped, Ok(()));
        }
    }
    for (name, call, arguments) in [
        ("unknown call", 999, [0; 6]),
        ("bad address", Call::Stat as u64, [own, 8, 0, 0, 0, 0]),
        ("bad handle", Call::Unmap as u64, [1, out, PAGE_SIZE, 0, 0, 0]),
    ] {
        let (before, after) = call_with(call, arguments);
        check!(format_args!("{name}: refused"), after[0] != 0);
        check!(format_args!("{name}: value"), after[1], 0);
        check_preserved(name, &before, &after);
    }
    Ok(())
}

/// A load and a store that fault change nothing but what they load.
fn faults_preserve() -> Result<(), Error> {
    let object = MemoryObject::pattern(0xaa)?;
    for (name, touched) in [("read fault", false), ("write fault", true)] {
        let page = Mapping::private(&object, PAGE)?;
        let mut before = given(77);
        routines::constrain(&mut before);
        before[0] = page.address() as u64;
        let mut after = [0; WORDS];
        let change = testing::measure(|| {
            // SAFETY: the page belongs to the mapping, which no Rust value lives in.
            unsafe { routines::touch_with(&before, &mut after, touched) }
        });
        check!(format_args!("{name}: one fault"), change.faults(), 1);
        check!(format_args!("{name}: x0"), after[0], before[0]);
        check_preserved(name, &before, &after);
    }
    Ok(())
}

/// Starts a process whose code stores all registers first of all.
fn a_new_thread_starts_clean() -> Result<(), Error> {
    let code = MemoryObject::new(PAGE_SIZE)?;
    let window = MapRequest::of(code.handle(), PAGE).shared().map()?;
    for (offset, byte) in dump_bytes().enumerate() {
        window.write(offset, byte);
    }
    let memory = MemoryObject::new(PAGE_SIZE)?;
    let page = MapRequest::of(memory.handle(), PAGE).shared().map()?;
    let options = |protection, flags| MapOptions { protection, flags, ..MapOptions::default() };
    // Vector registers of this process are in the CPU when the other one starts.
    for given_x in [[0; 31], core::array::from_fn(|index| index as u64 * 0x0101_0101)] {
        page.fill(0xee);
        let process = Process::new()?;
        let text = options(Protection::READ | Protection::EXECUTE, MapFlags::FIXED);
        process.map(code.handle(), CODE, PAGE_SIZE, text, 0)?;
        let shared = MapFlags::FIXED | MapFlags::SHARED;
        let data = options(Protection::READ | Protection::WRITE, shared);
        process.map(memory.handle(), PAGE_THERE, PAGE_SIZE, data, 0)?;
        let thread = process.thread()?;
        let fresh = thread.registers()?;
        check!("registers of a thread that is made", fresh, Registers::ZERO);
        let tpidr = given_x[1];
        let registers = Registers { x: given_x, sp: PAGE_THERE, pc: CODE, pstate: 1 << 30, tpidr };
        thread.write_registers(&registers)?;
        check!("registers that were written", thread.registers()?, registers);
        let mut values = given(3);
        routines::constrain(&mut values);
        values[8] = Call::Null as u64;
        let mut after = [0; WORDS];
        // SAFETY: the call has no effect.
        unsafe { enter_with(&values, &mut after) };
        thread.start()?;
        let report = process.wait()?;
        check!("its end", testing::exited_with(&report, 5));
        for (index, want) in given_x.into_iter().enumerate() {
            check!(format_args!("x{index}"), page.read_word(8 * index), want);
        }
        check!("the thread pointer", page.read_word(8 * 31), tpidr);
        check!("the flags", page.read_word(8 * 32), 1 << 30);
        check!("FPCR and FPSR", (page.read_word(8 * 33), page.read_word(8 * 34)), (0, 0));
        check!("the vectors", page.first_other(512..1024, 0), None);
    }
    Ok(())
}
