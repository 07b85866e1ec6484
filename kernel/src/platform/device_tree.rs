//! What machine this is, from the device tree.
//!
//! Owns: reading and checking the few properties that the kernel needs. Refuses to know: what is
//! done with them. A tree that lacks one, or says something that Vellum cannot run on, is an error
//! with a text; nothing here panics on bytes.

use crate::memory::layout::{BLOCK_SIZE, MAX_CPUS, RAM_BASE, direct};
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

/// Bytes that QEMU's device tree may have.
pub const MAX_BYTES: u64 = 1 << 20;
/// The least and the most RAM that Vellum is made for.
const RAM_BYTES: core::ops::RangeInclusive<u64> = (64 << 20)..=(8 << 30);

/// What the console and the clock are compatible with.
const CONSOLE: &str = "arm,pl011";
const CLOCK: &str = "arm,pl031";
/// Of the first cell of an interrupt: it is shared by all CPUs.
const SHARED: u32 = 0;
/// Of the third: it is asked for as long as the line is high.
const LEVEL_HIGH: u32 = 4;

/// How PSCI calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PsciMethod {
    /// Hypervisor call.
    Hvc = 1,
    /// Secure monitor call.
    Smc = 2,
}

/// A block of device registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

/// What the kernel takes from the device tree.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Bytes of RAM from [`RAM_BASE`], whole blocks of 2 MiB.
    pub ram_bytes: u64,
    /// Bytes of the tree itself, at the start of RAM.
    pub tree_bytes: u64,
    /// CPUs that the tree names, at most [`MAX_CPUS`].
    pub cpus: usize,
    /// How PSCI calls are made.
    pub psci: PsciMethod,
    /// Console registers.
    pub console: Registers,
    /// The console's interrupt, as its number among those of devices.
    pub console_interrupt: Option<u32>,
    /// Real-time clock registers, where there is one.
    pub clock: Option<Registers>,
    /// The clock's interrupt.
    pub clock_interrupt: Option<u32>,
    /// Which interrupt controller there is.
    pub controller: Controller,
    /// What no program knows: from QEMU's random numbers, or 0.
    pub secret: u64,
    /// The affinity of each CPU (MPIDR_EL1), which PSCI and the GIC know it by.
    pub affinities: [u64; MAX_CPUS],
}

/// The interrupt controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// A GICv3.
    V3 {
        /// The distributor.
        distributor: Registers,
        /// The redistributors, one behind the other.
        redistributors: Registers,
    },
    /// A GICv2.
    V2 {
        /// The distributor.
        distributor: Registers,
        /// The CPU interface.
        interface: Registers,
    },
}

/// Why the kernel cannot run here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeError {
    /// No device tree at the start of RAM.
    Missing,
    /// RAM elsewhere, or none.
    Ram,
    /// Less than 64 MiB of RAM.
    TooLittleRam,
    /// More than 8 GiB of RAM.
    TooMuchRam,
    /// No CPU.
    Cpus,
    /// No PSCI, or an unknown method.
    Psci,
    /// No PL011.
    Console,
    /// Neither a GICv2 nor a GICv3.
    Gic,
}

impl TreeError {
    /// Returns one line for a human.
    pub const fn text(self) -> &'static str {
        match self {
            TreeError::Missing => "no device tree at the start of RAM",
            TreeError::Ram => "no RAM at 0x40000000 in the device tree",
            TreeError::TooLittleRam => "less than 64 MiB of RAM",
            TreeError::TooMuchRam => "more than 8 GiB of RAM",
            TreeError::Cpus => "no CPU in the device tree",
            TreeError::Psci => "no PSCI by hvc or smc in the device tree",
            TreeError::Console => "no PL011 in the device tree",
            TreeError::Gic => "neither a GICv2 nor a GICv3 in the device tree",
        }
    }
}

/// Reads the device tree at the start of RAM.
///
/// # Errors
/// See [`TreeError`].
pub fn read() -> Result<Machine, TreeError> {
    let start: *const u8 = core::ptr::with_exposed_provenance(direct(RAM_BASE) as usize);
    // SAFETY: The boot tables map the start of RAM, which nothing writes to: it is reserved.
    let bytes = unsafe { core::slice::from_raw_parts(start, MAX_BYTES as usize) };
    let tree = Fdt::new(bytes).map_err(|_| TreeError::Missing)?;
    let (cpus, affinities) = cpus(tree)?;
    Ok(Machine {
        ram_bytes: ram(tree)?,
        tree_bytes: MAX_BYTES,
        cpus,
        psci: psci(tree)?,
        console: console(tree)?,
        console_interrupt: compatible(tree, CONSOLE).and_then(interrupt),
        clock: clock(tree),
        clock_interrupt: compatible(tree, CLOCK).and_then(interrupt),
        controller: controller(tree)?,
        secret: secret(tree),
        affinities,
    })
}

/// Returns a node's register blocks.
fn registers(node: FdtNode<'_>) -> impl Iterator<Item = Registers> {
    let blocks = node.reg().ok().flatten().into_iter().flatten();
    blocks.filter_map(|block| {
        let (address, length) = (block.address::<u64>().ok()?, block.size::<u64>().ok()?);
        address.checked_add(length)?;
        (length != 0).then_some(Registers { address, length })
    })
}

fn ram(tree: Fdt<'_>) -> Result<u64, TreeError> {
    let is_memory = |node: &FdtNode<'_>| node.name_without_address() == "memory";
    let nodes = tree.root().children().filter(is_memory);
    let block = nodes.flat_map(registers).find(|block| block.address == RAM_BASE);
    let bytes = block.ok_or(TreeError::Ram)?.length / BLOCK_SIZE * BLOCK_SIZE;
    match bytes {
        _ if bytes < *RAM_BYTES.start() => Err(TreeError::TooLittleRam),
        _ if bytes > *RAM_BYTES.end() => Err(TreeError::TooMuchRam),
        _ => Ok(bytes),
    }
}

fn cpus(tree: Fdt<'_>) -> Result<(usize, [u64; MAX_CPUS]), TreeError> {
    let node = tree.find_node("/cpus").ok_or(TreeError::Cpus)?;
    let is_cpu = |node: &FdtNode<'_>| node.name_without_address() == "cpu";
    let (mut count, mut affinities) = (0, [0; MAX_CPUS]);
    for (cpu, slot) in node.children().filter(is_cpu).zip(&mut affinities) {
        let mut blocks = cpu.reg().ok().flatten().into_iter().flatten();
        let affinity = blocks.next().and_then(|block| block.address::<u64>().ok());
        *slot = affinity.ok_or(TreeError::Cpus)?;
        count += 1;
    }
    if count == 0 { Err(TreeError::Cpus) } else { Ok((count, affinities)) }
}

fn psci(tree: Fdt<'_>) -> Result<PsciMethod, TreeError> {
    let node = tree.find_node("/psci").ok_or(TreeError::Psci)?;
    let method = node.property("method").ok_or(TreeError::Psci)?;
    match method.value() {
        b"hvc\0" => Ok(PsciMethod::Hvc),
        b"smc\0" => Ok(PsciMethod::Smc),
        _ => Err(TreeError::Psci),
    }
}

fn secret(tree: Fdt<'_>) -> u64 {
    let seed = tree.find_node("/chosen").and_then(|node| node.property("rng-seed"));
    let first = seed.and_then(|seed| seed.value().first_chunk().copied());
    first.map_or(0, u64::from_ne_bytes)
}

fn compatible<'a>(tree: Fdt<'a>, device: &str) -> Option<FdtNode<'a>> {
    tree.root().children().find(|node| node.is_compatible(device))
}

/// Returns the number of a device's first interrupt, if it is level-triggered and of those that all CPUs
/// share: the tree's cells are kind, number and trigger.
fn interrupt(node: FdtNode<'_>) -> Option<u32> {
    let property = node.property("interrupts")?;
    let mut cells = property.value().chunks_exact(4).filter_map(|cell| cell.try_into().ok());
    let [kind, number, trigger] = core::array::from_fn(|_| cells.next().map(u32::from_be_bytes));
    (kind == Some(SHARED) && trigger == Some(LEVEL_HIGH)).then_some(number)?
}

fn console(tree: Fdt<'_>) -> Result<Registers, TreeError> {
    let node = compatible(tree, CONSOLE).ok_or(TreeError::Console)?;
    registers(node).next().ok_or(TreeError::Console)
}

fn clock(tree: Fdt<'_>) -> Option<Registers> {
    let node = compatible(tree, CLOCK)?;
    registers(node).next()
}

fn controller(tree: Fdt<'_>) -> Result<Controller, TreeError> {
    let mut nodes = tree.root().children();
    let is_gic = |node: &FdtNode<'_>| {
        node.is_compatible("arm,gic-v3") || node.is_compatible("arm,cortex-a15-gic")
    };
    let node = nodes.find(is_gic).ok_or(TreeError::Gic)?;
    let mut blocks = registers(node);
    let distributor = blocks.next().ok_or(TreeError::Gic)?;
    let second = blocks.next().ok_or(TreeError::Gic)?;
    Ok(if node.is_compatible("arm,gic-v3") {
        Controller::V3 { distributor, redistributors: second }
    } else {
        Controller::V2 { distributor, interface: second }
    })
}
