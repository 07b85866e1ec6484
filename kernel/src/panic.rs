//! The end of a kernel that has a bug: everything that helps to find it, then exit status 103.
//!
//! Owns: the panic handler, the report of an exception of the kernel itself, and the backtrace.
//! Refuses to know: recovery; there is none. It takes no lock and allocates nothing, and a panic
//! inside a panic ends at once.

use crate::arch::vectors::{KernelFrame, emergency_stack_range};
use crate::arch::{cpu, mte, syndrome};
use crate::memory::layout::{MAX_CPUS, STACK_SIZE, image, is_stack_guard, stack_bottom};
use crate::platform::console::write_in_panic;
use crate::platform::{exit, power};
use core::arch::asm;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The exit status of a panic.
const EXIT_PANIC: u8 = 103;
/// Frames of a backtrace.
const MAX_DEPTH: usize = 32;

static DEPTH: AtomicUsize = AtomicUsize::new(0);
static SYMBOLS: AtomicPtr<u8> = AtomicPtr::new(null_mut());
static SYMBOLS_LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Writes a line, whoever holds the console.
macro_rules! report {
    ($($argument:tt)*) => {
        write_in_panic(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Takes the symbol table: lines of 16 hexadecimal digits, a space and a name, by address.
pub fn set_symbols(symbols: &'static [u8]) {
    SYMBOLS_LENGTH.store(symbols.len(), Ordering::Relaxed);
    SYMBOLS.store(symbols.as_ptr().cast_mut(), Ordering::Release);
}

/// Enters a panic; a second one ends the machine.
fn begin() {
    cpu::mask_exceptions();
    match DEPTH.fetch_add(1, Ordering::Relaxed) {
        0 => {}
        1 => {
            report!("vellum: panic within a panic");
            exit(EXIT_PANIC)
        }
        _ => power::off(),
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    begin();
    report!("\nvellum: panic: {}", info.message());
    if let Some(location) = info.location() {
        report!("  at {location}");
    }
    backtrace(frame_pointer());
    exit(EXIT_PANIC)
}

/// Reports an exception that the kernel itself took. Called by the vectors.
pub extern "C" fn kernel_fault(frame: &KernelFrame) -> ! {
    // Semihosting's instruction is undefined where QEMU does not offer it: the last way out.
    if power::is_exiting() {
        power::off();
    }
    begin();
    let kind = match frame.vector {
        0 if is_stack_guard(frame.far) => "kernel stack overflow",
        0 if syndrome::is_tag_check(frame.esr) => "use after free or overflow in the kernel heap",
        vector => vector_name(vector),
    };
    report!("\nvellum: panic: {kind}: {}", syndrome::class_name(frame.esr));
    report!("  ESR {:#010x}  FAR {:#018x}  SPSR {:#010x}", frame.esr, frame.far, frame.pstate);
    syndrome::describe_abort(frame.esr, |text| report!("  {text}"));
    if syndrome::is_tag_check(frame.esr) {
        let pointer: *const u8 = core::ptr::with_exposed_provenance(frame.far as usize);
        // SAFETY: Tags exist, as one was checked, which only happens where memory is mapped.
        let memory = unsafe { mte::load_tag(pointer) };
        report!("  tag {} in the pointer, {memory} in memory", frame.far >> 56 & 0xf);
    }
    report!("  pc  {:#018x}  sp  {:#018x}", frame.pc, frame.sp);
    for (row, values) in frame.x.chunks(3).enumerate() {
        for (column, value) in values.iter().enumerate() {
            let number = 3 * row + column;
            write_in_panic(format_args!("  x{number:<2} {value:#018x}"));
        }
        report!("");
    }
    report!("backtrace:");
    entry(frame.pc);
    entries(frame.x[29]);
    exit(EXIT_PANIC)
}

fn vector_name(vector: u64) -> &'static str {
    match vector {
        0 => "exception in the kernel",
        1 => "interrupt in the kernel, where they are masked",
        2 | 8 => "fast interrupt, which nothing raises",
        3 => "system error",
        _ => "exception from a state that Vellum never uses",
    }
}

/// Returns the frame pointer of the caller.
#[inline(always)]
fn frame_pointer() -> u64 {
    let pointer;
    // SAFETY: Reads a register.
    unsafe { asm!("mov {}, x29", out(reg) pointer, options(nomem, nostack)) };
    pointer
}

fn backtrace(frame: u64) {
    report!("backtrace:");
    entries(frame);
}

/// Follows the chain of frames, as long as it climbs on a stack of the kernel. What a program left
/// in x29 is not on one.
fn entries(mut frame: u64) {
    for _ in 0..MAX_DEPTH {
        if !frame.is_multiple_of(16) || !is_stack(frame) {
            return;
        }
        let record: *const [u64; 2] = core::ptr::with_exposed_provenance(frame as usize);
        // SAFETY: Sixteen aligned bytes on a stack, which is mapped.
        let [next, return_address] = unsafe { record.read_volatile() };
        if !image().is_code(return_address) {
            return;
        }
        // The call is the instruction before.
        entry(return_address - 4);
        if next <= frame && is_stack(next) == is_stack(frame) && !is_emergency(frame) {
            return;
        }
        frame = next;
    }
}

fn is_emergency(address: u64) -> bool {
    emergency_stack_range().contains(&address)
}

/// Returns whether an address is on a stack of the kernel: a CPU's, or one inside the image.
fn is_stack(address: u64) -> bool {
    let image = image();
    (image.rodata_end..image.end).contains(&address)
        || (0..MAX_CPUS).any(|cpu| {
            let bottom = stack_bottom(cpu);
            (bottom..bottom + STACK_SIZE).contains(&address) && is_mapped(cpu)
        })
}

/// Returns whether a CPU has a stack.
fn is_mapped(cpu: usize) -> bool {
    cpu < crate::platform::cpus()
}

/// Prints one line of a backtrace.
fn entry(address: u64) {
    match symbol(address) {
        Some((name, distance)) => report!("  {address:#018x} {name}+{distance:#x}"),
        None => report!("  {address:#018x}"),
    }
}

/// Returns the last symbol at or below an address, and the distance from it.
fn symbol(address: u64) -> Option<(&'static str, u64)> {
    let start = SYMBOLS.load(Ordering::Acquire);
    if start.is_null() || !image().is_code(address) {
        return None;
    }
    // SAFETY: `set_symbols` was given these bytes for good, and set the length first.
    let bytes =
        unsafe { core::slice::from_raw_parts(start, SYMBOLS_LENGTH.load(Ordering::Relaxed)) };
    let lines = core::str::from_utf8(bytes).ok()?.lines();
    let symbols = lines.filter_map(|line| {
        let (digits, name) = line.split_once(' ')?;
        Some((u64::from_str_radix(digits, 16).ok()?, name))
    });
    let (start, name) = symbols.take_while(|(start, _)| *start <= address).last()?;
    Some((name, address - start))
}
