//! How long are the paths through the kernel? Instructions from the one that enters it to the one
//! after it resumes, over more than a thousand samples of each kind.
//!
//! A sample is one instruction between two readings of the counter; what the same three
//! instructions count when the middle one stays in the program is subtracted. Translation tables
//! exist beforehand: one page of each 2 MiB is touched unmeasured. Every other page gives one
//! sample, so that refills of frame caches are in the mean as often as they happen.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{format, vec, vec::Vec};
use core::arch::asm;
use vellum_user::abi::{Action, Call, Error, Handle, HandlerFlags, Switches};
use vellum_user::figures::Samples;
use vellum_user::mapping::{MapRequest, PAGE};
use vellum_user::threads::scoped;
use vellum_user::{Arguments, Endpoint, Mapping, MemoryObject, calls, println, system, testing};

vellum_user::entry!(main);

/// Samples of each case: those pages of a mapping that are measured.
const SAMPLES: usize = 1500;
/// Pages to map: a few more, for the unmeasured ones.
const PAGES: usize = SAMPLES + 4;
/// Bytes that one last-level translation table covers.
const TABLE_SPAN: usize = 512 * PAGE;
/// Where shared tables are split: a GiB boundary.
const SPLITS: usize = 0x40_0000_0000;
/// Where nothing is mapped.
const NOWHERE: usize = 0x8000;
/// The tag of the tagged cases.
const TAG: u8 = 9;

fn main(arguments: &Arguments) -> Result<(), Error> {
    testing::require(system::instruction_counter(), "no instruction counter: use --icount");
    testing::warm();
    println!("Instructions through the kernel, one count each; instructions are not cycles.");
    println!("{:<26}{:>10}{:>10}{:>8}{:>8}", "case", "mean", "median", "least", "most");
    let mut bench = Bench { samples: vec![0; SAMPLES], figures: arguments.has("figures") };
    bench.call("null_syscall", Call::Null);
    bench.call("yield", Call::Yield);
    bench.call("clock", Call::Clock);
    let content = Content([0; PAGE]).scrambled();
    let (pattern, bytes) = (MemoryObject::pattern(0xaa)?, MemoryObject::reference(&content.0)?);
    bench.object("zero", Handle::ANONYMOUS, 0)?;
    bench.object("pattern", pattern.handle(), 0)?;
    bench.object("bytes", bytes.handle(), 0)?;
    bench.first_write_split(pattern.handle())?;
    bench.fault_to_handler()?;
    if system::tags_supported() {
        bench.object("tagged", MemoryObject::tagged(TAG)?.handle(), TAG)?;
    } else {
        println!("no memory tagging on this machine: nothing to say about tagged pages");
    }
    Ok(())
}

/// A page of bytes that no fill can make.
#[repr(align(4096))]
struct Content([u8; PAGE]);

impl Content {
    fn scrambled(mut self) -> Content {
        for (index, byte) in self.0.iter_mut().enumerate() {
            *byte = (index * 7 + index / 251) as u8;
        }
        self
    }
}

/// Counts one instruction, given with the operands that it needs.
macro_rules! count {
    ($instruction:literal $($operands:tt)*) => {{
        let (before, after): (u64, u64);
        // SAFETY: the one instruction is a plain load or store inside a live mapping, a system
        // call without effect on memory, or none; the counter can be read, `main` has asked.
        unsafe {
            asm!(
                "mrs {before}, pmevcntr0_el0",
                $instruction,
                "mrs {after}, pmevcntr0_el0",
                before = out(reg) before,
                after = out(reg) after,
                options(nostack)
                $($operands)*
            );
        }
        u64::from((after as u32).wrapping_sub(before as u32))
    }};
}

fn count_nothing() -> u64 {
    count!("nop")
}

fn count_call(call: Call) -> u64 {
    count!("svc #0", in("x8") call as u64, lateout("x0") _, lateout("x1") _)
}

fn count_load(pointer: *mut u8) -> u64 {
    count!("ldrb w9, [x10]", in("x10") pointer, lateout("x9") _)
}

fn count_store(pointer: *mut u8) -> u64 {
    count!("strb wzr, [x10]", in("x10") pointer)
}

struct Bench {
    samples: Vec<u64>,
    figures: bool,
}

impl Bench {
    fn call(&mut self, case: &str, call: Call) {
        let base = count_nothing();
        count_call(call);
        for sample in &mut self.samples {
            *sample = count_call(call) - base;
        }
        self.print(case);
    }

    /// Measures the faults of one object: first writes, reads, and writes after them.
    fn object(&mut self, name: &str, object: Handle, tag: u8) -> Result<(), Error> {
        let request = MapRequest::of(object, PAGES * PAGE);
        let request = if tag == 0 { request } else { request.tagged() };
        let mapping = request.map()?;
        self.pages(&mapping, tag, count_store);
        self.print(&format!("write_fresh_{name}"));
        mapping.unmap()?;
        let mapping = request.map()?;
        self.pages(&mapping, tag, count_load);
        // The case without a name of its own is the one that the figures are held to.
        let plain = name == "pattern";
        self.print(&if plain { "read_fault".into() } else { format!("read_fault_{name}") });
        self.pages(&mapping, tag, count_store);
        self.print(&format!("write_after_read_{name}"));
        mapping.unmap()
    }

    /// Measures faults that another thread of this process answers, which lets the load be skipped.
    fn fault_to_handler(&mut self) -> Result<(), Error> {
        let endpoint = Endpoint::new()?;
        let told = endpoint.with_badge(1)?;
        let skip = calls::answer(Action::Skip);
        let serve = || {
            let mut received = endpoint.receive()?;
            while received.report().is_some() {
                received = endpoint.reply_receive(skip)?;
            }
            calls::endpoint_reply(None, [0; 4])
        };
        // SAFETY: joined before the endpoint goes.
        let server = unsafe { scoped(serve) }?;
        calls::process_set_handler(Handle::SELF, Some(told.handle()), HandlerFlags::NONE)?;
        let nowhere = core::ptr::without_provenance_mut(NOWHERE);
        let base = count_nothing();
        count_load(nowhere);
        for sample in &mut self.samples {
            *sample = count_load(nowhere) - base;
        }
        calls::process_set_handler(Handle::SELF, None, HandlerFlags::NONE)?;
        endpoint.call([0; 4])?;
        server.join().unwrap_or(Err(Error::PartnerGone))?;
        self.print("fault_to_handler");
        Ok(())
    }

    /// Measures first writes below shared tables of leaves, each of which gives the process a table
    /// and a page of its own.
    fn first_write_split(&mut self, object: Handle) -> Result<(), Error> {
        let length = SAMPLES * TABLE_SPAN;
        let request = MapRequest {
            switches: Switches::SHARED_TABLES,
            // Off by a page, so that the table above is the process's own.
            ..MapRequest::of(object, length + 2 * PAGE).at(SPLITS - PAGE)
        };
        let mapping = request.map()?;
        let base = count_nothing();
        (0..length).step_by(TABLE_SPAN).for_each(|span| _ = mapping.read(PAGE + span));
        let spans = (0..length).step_by(TABLE_SPAN);
        for (sample, span) in self.samples.iter_mut().zip(spans) {
            *sample = count_store(mapping.pointer(PAGE + span)) - base;
        }
        self.print("first_write_split");
        mapping.unmap()
    }

    /// Takes a sample of each page that is not the first of its translation table.
    fn pages(&mut self, mapping: &Mapping, tag: u8, count_fn: fn(*mut u8) -> u64) {
        let base = count_nothing();
        let address = |page: usize| mapping.address() + page * PAGE;
        let is_first = |page: usize| page == 0 || address(page).is_multiple_of(TABLE_SPAN);
        for page in (0..PAGES).filter(|page| is_first(*page)) {
            count_fn(mapping.tagged_pointer(tag, page * PAGE));
        }
        let measured = (0..PAGES).filter(|page| !is_first(*page));
        for (sample, page) in self.samples.iter_mut().zip(measured) {
            *sample = count_fn(mapping.tagged_pointer(tag, page * PAGE)) - base;
        }
    }

    /// Prints one case for humans and, if they were asked for, as figures.
    fn print(&mut self, case: &str) {
        let (samples, figures) = (&mut self.samples[..], self.figures);
        let suffix = system::figure_suffix();
        Samples { case, samples, mean: None, suffix, figures }.print(|line| println!("{line}"));
    }
}
