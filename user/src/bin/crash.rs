//! Ends in the way its argument names, for those who test how endings are reported.
//!
//! `null`, `null_write`, `kernel`, `write_text`, `jump`, `stack`, `tag`, `tag_write`, `undefined`,
//! `privileged`, `register`, `breakpoint`, `unaligned`, `panic`, `check`, `hang`, `exit=N`.
#![no_std]
#![no_main]

use core::arch::asm;
use core::hint::black_box;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::{Arguments, Mapping, check, println, testing};

vellum_user::entry!(main);

/// The exit status for an argument that names no way to end.
const NO_SUCH_WAY: u64 = 2;
/// Data that is not code, and that the linker puts where it may be written.
static mut DATA: [u32; 4] = [0xd503_201f; 4];

fn main(arguments: &Arguments) -> u64 {
    if let Some(status) = arguments.value("exit") {
        return status.parse().unwrap_or(NO_SUCH_WAY);
    }
    match arguments.at(0).unwrap_or("") {
        "null" => load(8),
        "null_write" => store(8),
        "kernel" => load(0xffff_0000_0000_0000),
        "write_text" => store(main as fn(&Arguments) -> u64 as usize),
        "jump" => jump((&raw const DATA).addr()),
        "stack" => _ = black_box(recurse(1)),
        "tag" => _ = tagged_page().read_as(7, 0),
        "tag_write" => tagged_page().write_as(7, 0, 1),
        "undefined" => undefined(),
        "privileged" => privileged(),
        "register" => register(),
        "breakpoint" => breakpoint(),
        "unaligned" => unaligned(),
        "panic" => panic!("as asked"),
        "check" => return u64::from(check!("as asked", 1, 2)),
        "hang" => loop {
            core::hint::spin_loop();
        },
        _ => {
            println!(
                "crash: name a way to end: null, null_write, kernel, write_text, jump, stack,"
            );
            println!(
                "tag, tag_write, undefined, privileged, register, breakpoint, unaligned, panic,"
            );
            println!("check, hang, exit=N");
        }
    }
    NO_SUCH_WAY
}

/// A page of tag 5, to be reached by pointers of tag 7.
fn tagged_page() -> Mapping {
    testing::require_tags();
    let page = MapRequest::anonymous(PAGE).tagged().map().expect("a page of tagged memory");
    page.set_tags(5);
    page
}

fn load(address: usize) {
    // SAFETY: the load faults, which ends the program.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) address => _, options(nostack)) }
}

fn store(address: usize) {
    // SAFETY: the store faults, which ends the program.
    unsafe { asm!("str {0}, [{0}]", in(reg) address, options(nostack)) }
}

fn jump(address: usize) {
    // SAFETY: the fetch faults, which ends the program.
    unsafe { asm!("blr {0}", in(reg) address, clobber_abi("C")) }
}

fn undefined() {
    // SAFETY: the instruction faults, which ends the program.
    unsafe { asm!("udf #7", options(nostack)) }
}

fn privileged() {
    // SAFETY: the instruction faults, which ends the program.
    unsafe { asm!("msr ttbr0_el1, xzr", options(nostack)) }
}

fn register() {
    // SAFETY: the instruction faults, which ends the program.
    unsafe { asm!("mrs {}, id_aa64pfr0_el1", out(reg) _, options(nostack)) }
}

fn breakpoint() {
    // SAFETY: the instruction faults, which ends the program.
    unsafe { asm!("brk #1", options(nostack)) }
}

/// An exclusive load must not cross 16 bytes, whatever else a CPU allows (Arm ARM, "Alignment of
/// data accesses").
fn unaligned() {
    let words = [0_u128; 2];
    let address = words.as_ptr().addr() + 12;
    // SAFETY: the load faults, which ends the program.
    unsafe { asm!("ldaxr {0}, [{0}]", inout(reg) address => _, options(nostack)) }
}

/// Uses up the stack: each frame keeps a page that is used after the call.
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth as u8; PAGE]);
    if depth == 0 {
        return 0;
    }
    recurse(depth + 1) + u64::from(frame[depth as usize % PAGE])
}
