//! Boot: from the first Rust instruction to the first program.
//!
//! Owns: the order in which the parts start, and the boot options. Refuses to know: how a part
//! works. What fails here ends the machine with one clear line.
//!
//! 1. features, vectors, device tree, console
//! 2. free RAM, with image, device tree and archive taken out
//! 3. final translation tables, system control, the guarded stack
//! 4. heap, frames, interrupt controller, timer, counters
//! 5. self-test, the other CPUs (`others`), banner, options, first program

mod others;

pub use others::start_another;

use crate::arch::features::Features;
use crate::arch::kernel_map::{Area, KernelMap};
use crate::arch::page_fill::Choice;
use crate::arch::{cpu, features, mmu, mte, page_fill, pmu, thread_registers, timer, vectors};
use crate::memory::archive::{self, BootArchive};
use crate::memory::layout::{
    BLOCK_SIZE, IMAGE_OFFSET, MAX_CPUS, RAM_BASE, STACK_SIZE, align_up, device, direct,
    frame_pointer, image, stack_bottom,
};
use crate::memory::ranges::FreeRanges;
use crate::memory::{frames, heap, plants};
use crate::panic;
use crate::percpu;
use crate::platform::console::{print, println};
use crate::platform::device_tree::{Controller, Machine, PsciMethod, Registers};
use crate::platform::{self, console, exit, interrupts, power};
use crate::process::{address, first, spaces};
use vellum_abi::archive::ArchiveError;
use vellum_abi::{ARCHIVE_OFFSET, PAGE_SIZE, options};
use vellum_vm::addr::FrameAddress;

/// The status of a machine that cannot boot.
const EXIT_BOOT: u8 = 103;
/// The status of a boot archive that is none.
const EXIT_ARCHIVE: u8 = 106;

/// What boot found out before it changed stacks, for what comes after.
struct Plan {
    machine: &'static Machine,
    features: &'static Features,
    free: FreeRanges,
    archive_length: u64,
}

static PLAN: spin::mutex::SpinMutex<Option<Plan>> = spin::mutex::SpinMutex::new(None);

/// Returns the bytes of the kernel image in memory.
pub fn image_bytes() -> u64 {
    let image = image();
    image.end - image.start
}

/// Ends the machine because it cannot boot.
pub fn fail(text: &str) -> ! {
    println!("vellum: boot: {text}");
    exit(EXIT_BOOT)
}

/// Ends the machine because of its boot archive.
fn fail_archive(error: ArchiveError) -> ! {
    println!("vellum: archive: {}", error.text());
    exit(EXIT_ARCHIVE)
}

/// Boots. Called once by the first instructions, on the boot stack, with the boot tables.
pub extern "C" fn start() -> ! {
    vectors::install();
    let features = features::detect();
    let machine = match platform::describe() {
        Ok(machine) => machine,
        Err(error) => fail(error.text()),
    };
    power::set_psci(machine.psci);
    address::set_secret(machine.secret);

    let ram_end = RAM_BASE + machine.ram_bytes;
    let archive_length = match archive::claimed_length(ram_end) {
        Ok(length) => length,
        Err(error) => fail_archive(error),
    };
    let image = image();
    let mut free = FreeRanges::new(RAM_BASE, ram_end);
    free.reserve(RAM_BASE, machine.tree_bytes);
    free.reserve(image.start - IMAGE_OFFSET, image.end - image.start);
    free.reserve(archive::START, archive_length);

    let (root, empty) = kernel_map(machine, &mut free);
    // SAFETY: The map has the image, whose `.bss` holds the boot stack, where it is now; `empty`
    // is a zeroed table that nothing writes to.
    unsafe { mmu::install(root, empty, features) };
    mmu::configure(features, false);
    console::move_to(machine.console.address);

    *PLAN.lock() = Some(Plan { machine, features, free, archive_length });
    // SAFETY: The stack of CPU 0 was just mapped, and this is its first use.
    let stack = unsafe { percpu::install(0) };
    // SAFETY: `stack` is the top of a mapped stack; nothing on the boot stack is used again.
    unsafe { vectors::call_on(stack, go_on) }
}

/// Makes the kernel's tables; returns the root, and an empty table for the lower half.
fn kernel_map(machine: &Machine, free: &mut FreeRanges) -> (FrameAddress, FrameAddress) {
    let mut stacks = [0; MAX_CPUS];
    for stack in &mut stacks[..machine.cpus] {
        *stack = free.take(STACK_SIZE);
    }
    let mut zeroed_frame_fn = || {
        let frame = free.take(PAGE_SIZE);
        let page = frame_pointer(FrameAddress::containing(frame));
        // SAFETY: The frame was free and is in the boot tables' GiB.
        unsafe { page.write_bytes(0, PAGE_SIZE as usize) };
        frame
    };
    let empty = zeroed_frame_fn();
    let mut map = KernelMap::new(zeroed_frame_fn);

    let image = image();
    let physical = |address: u64| address - IMAGE_OFFSET;
    for (start, end, area) in [
        (image.start, image.text_end, Area::Code),
        (image.text_end, image.rodata_end, Area::Constants),
        (image.rodata_end, image.end, Area::Data),
    ] {
        map.map(start, physical(start), end - start, area);
    }
    // RAM without the image: no second, writable way to its code and constants.
    for (start, end) in
        [(RAM_BASE, physical(image.start)), (physical(image.end), RAM_BASE + machine.ram_bytes)]
    {
        map.map(direct(start), start, end - start, Area::Direct);
    }
    for (cpu, stack) in stacks[..machine.cpus].iter().enumerate() {
        map.map(stack_bottom(cpu), *stack, STACK_SIZE, Area::Data);
    }
    for Registers { address, length } in devices(machine) {
        map.map(device(address), address, align_up(length, PAGE_SIZE), Area::Device);
    }
    (map.root(), FrameAddress::containing(empty))
}

/// Returns the register blocks that the kernel uses.
fn devices(machine: &Machine) -> [Registers; 3] {
    let (distributor, other) = match machine.controller {
        Controller::V3 { distributor, redistributors } => {
            let used = machine.cpus as u64 * interrupts::REDISTRIBUTOR_BYTES;
            let length = used.min(redistributors.length);
            (distributor, Registers { length, ..redistributors })
        }
        Controller::V2 { distributor, interface } => (distributor, interface),
    };
    [machine.console, distributor, other]
}

/// Goes on with boot, on the guarded stack and the final tables.
extern "C" fn go_on() -> ! {
    let plan = PLAN.lock().take().expect("start left a plan");
    let Plan { machine, features, mut free, archive_length } = plan;
    let archive = match BootArchive::read(archive_length) {
        Ok(archive) => archive,
        Err(error) => fail_archive(error),
    };
    if let Some(symbols) = archive.contents().find("kernel.symbols") {
        panic::set_symbols(symbols.data);
    }
    let options = archive.contents().options().unwrap_or_else(|error| fail_archive(error));
    let choice = choice(options);
    page_fill::choose(features, choice);
    if page_fill::uses_mops() {
        mmu::enable_user_mops();
    }
    // Behind the choice: the heap is tagged from the start.
    start_memory(machine, &mut free);

    timer::start();
    pmu::start();
    thread_registers::start();
    let is_v3 = matches!(machine.controller, Controller::V3 { .. });
    if is_v3 && !features.gic_registers {
        fail("the CPU has no register interface to a GICv3");
    }
    if let Err(text) = interrupts::start(machine) {
        fail(text);
    }
    if options::value(options, options::FAIL) == Some("tags") {
        mmu::forget_tag_access();
    }
    self_test(features);
    set_asid_bits(options, machine, features);
    others::start(machine);
    banner(machine, features, choice);
    apply(options);
    first::start(&archive);
    first::enter_user_mode()
}

/// Starts the heap and the frame allocator with what is free.
fn start_memory(machine: &Machine, free: &mut FreeRanges) {
    let heap_bytes = heap::bytes_for(machine.ram_bytes);
    let heap = free.take(heap_bytes);
    let tables = free.take(frames::table_bytes(machine.ram_bytes));
    // SAFETY: The range was free, is in the direct map and is taken for good; once.
    unsafe { heap::start(heap, heap_bytes, machine.ram_bytes) };
    // SAFETY: Likewise.
    unsafe { frames::start(free, machine.ram_bytes, tables) };
}

fn choice(options: &str) -> Choice {
    let is_on = |key| options::value(options, key) == Some("on");
    Choice { mops: is_on(options::MOPS), plain: is_on(options::PLAIN_FILLS) }
}

/// Lets identifiers have as many bits as the CPUs have for them, or as few as an option says.
fn set_asid_bits(options: &str, machine: &Machine, features: &Features) {
    let has = features.asid_bits;
    let bits = options::value(options, options::ASID_BITS).map_or(Ok(has), str::parse);
    let bits = bits.ok().filter(|bits| (1..=has).contains(bits));
    if !bits.is_some_and(|bits| spaces::set_asid_bits(bits, machine.cpus)) {
        fail("asid_bits is not what these CPUs have, or not enough for them");
    }
}

/// Checks that a tag that was written is read back: the memory attribute, ATA and the tag storage
/// behind them all have to be right, and if one is not, nothing else would tell.
fn self_test(features: &Features) {
    if !features.tags {
        return;
    }
    let frame = frames::allocate().expect("frames were just added");
    let page = frame_pointer(frame);
    for granule in 0..16 {
        let address = page.wrapping_add(granule * 16);
        // SAFETY: Tags exist, and the frame is ours.
        unsafe { mte::store_tag(address, granule as u8) };
    }
    for granule in 0..16 {
        let address = page.wrapping_add(granule * 16);
        // SAFETY: As above.
        let tag = unsafe { mte::load_tag(address) };
        if usize::from(tag) != granule {
            fail("a tag that was written is not read back");
        }
    }
    frames::give_back(frame);
}

/// Says what the machine is and what is used of it.
fn banner(machine: &Machine, features: &Features, choice: Choice) {
    let (implementer, part) = cpu::part();
    println!("Vellum {} on QEMU virt", env!("CARGO_PKG_VERSION"));
    println!("  cpu      {implementer:#04x}:{part:#05x}, {} CPUs", machine.cpus);
    println!(
        "  memory   {} MiB, {} frames free of {}, heap {} MiB, image {} KiB",
        machine.ram_bytes >> 20,
        frames::free(),
        machine.ram_bytes / PAGE_SIZE,
        heap::bytes_for(machine.ram_bytes) >> 20,
        image_bytes() >> 10,
    );
    match (features.tags, features.asymmetric_tags) {
        (false, _) => println!("  tags     none; everything else works"),
        (true, false) => {
            println!("  tags     synchronous; block {} bytes", features.tag_block_bytes);
        }
        (true, true) => println!(
            "  tags     synchronous, asymmetric possible; block {} bytes",
            features.tag_block_bytes
        ),
    }
    let fills = match (choice.plain, page_fill::uses_mops(), features.zero_block_bytes) {
        (true, _, _) => "fallback loops",
        (_, true, _) => "memory set and copy instructions",
        (_, _, 0) => "stores, zeroing by block is prohibited",
        _ => "blocks",
    };
    println!("  fills    by {fills}; zero block {} bytes", features.zero_block_bytes);
    print!(
        "  also     {}-bit ASIDs, {}-bit physical addresses",
        spaces::asid_bits(),
        features.physical_bits
    );
    for (has, text) in [
        (features.pan, ", PAN"),
        (features.mops, ", MOPS"),
        (features.instruction_counter, ", instruction counter"),
    ] {
        print!("{}", if has { text } else { "" });
    }
    let psci = if machine.psci == PsciMethod::Hvc { "hvc" } else { "smc" };
    let is_v3 = matches!(machine.controller, Controller::V3 { .. });
    let gic = if is_v3 { "GICv3" } else { "GICv2" };
    println!("\n  platform PSCI by {psci}, {gic}, PL011");
}

/// Does what the boot options ask for after boot.
fn apply(options: &str) {
    if let Some(count) = options::value(options, options::HIDE_FRAMES) {
        let hidden = frames::hide(count.parse().unwrap_or(0));
        println!("vellum: {hidden} frames hidden");
    }
    match options::value(options, options::FAIL) {
        Some("panic") => panic!("asked for by the boot options"),
        Some("hang") => loop {
            cpu::wait_for_interrupt();
        },
        Some("stack") => {
            overflow(0);
        }
        Some("use_after_free") => plants::use_after_free(),
        Some("overflow") => plants::overflow(),
        _ => {}
    }
}

/// Uses up the kernel stack.
#[inline(never)]
fn overflow(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    let room = core::hint::black_box([depth; 32]);
    overflow(depth + 1) + room[0]
}

const _: () = assert!(ARCHIVE_OFFSET.is_multiple_of(BLOCK_SIZE));
