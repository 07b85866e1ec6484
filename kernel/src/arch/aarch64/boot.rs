//! The first instructions, with the MMU off.
//!
//! Owns: the way from QEMU's entry, at EL1 or EL2 (`entry_el2`), to `crate::boot::start` in the high
//! half. Refuses to know: what the machine is. It relies on RAM at 0x4000_0000 and the well-known console at 0x0900_0000;
//! `crate::boot` checks the first against the device tree before it builds anything.
//!
//! The boot tables map one GiB of RAM, writable and executable, at three places (identity, direct
//! map and image: all three are the same table) and one GiB of devices. They live until
//! `mmu::install` puts the final ones in their place. RAM is mapped with attribute 1 (Normal,
//! untagged), because attribute 0 changes its meaning once tags are known to exist.

use crate::memory::layout::{DEVICE_MAP, DIRECT_MAP, IMAGE_OFFSET};
use core::arch::global_asm;
use vellum_vm::page_table::MemoryKind;

/// Bytes of the stack that boot uses until this CPU has its guarded one.
const BOOT_STACK_BYTES: usize = 32 * 1024;

/// A block descriptor's low bits: valid, inner shareable, access flag.
const BLOCK: u64 = 1 | 0b11 << 8 | 1 << 10;
/// Not executable at EL0.
const UXN: u64 = 1 << 54;
/// Not executable at EL1.
const PXN: u64 = 1 << 53;
/// RAM: Normal memory, which the kernel may execute.
const RAM_BLOCK: u64 = BLOCK | UXN | MemoryKind::Normal.bits();
/// Devices.
const DEVICE_BLOCK: u64 = BLOCK | UXN | PXN | MemoryKind::Device.bits();

/// 48-bit addresses in both halves, 4 KiB granule, walks through inner shareable write-back
/// caches. IPS is added at run time; `mmu::configure` adds the rest.
pub(super) const TCR: u64 = 16
    | 0b01 << 8
    | 0b01 << 10
    | 0b11 << 12
    | 16 << 16
    | 0b01 << 24
    | 0b01 << 26
    | 0b11 << 28
    | 0b10 << 30;

/// RES1 bits of SCTLR_EL1 in Armv8.0, MMU and caches on.
const SCTLR: u64 = 0x30d0_0800 | 1 << 12 | 1 << 2 | 1;

/// Byte offset in the root table of the entry that covers an address.
const fn root_entry(address: u64) -> u64 {
    (address >> 39 & 511) * 8
}

global_asm!(
    r#"
    .pushsection .bss.boot_tables, "aw", %nobits
    .balign 4096
boot_root:      .skip 4096
boot_ram:       .skip 4096
boot_devices:   .skip 4096
boot_stack:     .skip {stack}
boot_stack_top:
    .popsection

    .pushsection .text.boot, "ax"
    .global __entry
__entry:
    msr     daifset, #0xf
    mrs     x9, CurrentEL
    cmp     x9, #(1 << 2)
    b.eq    2f
    cmp     x9, #(2 << 2)
    b.ne    20f
    adr     x30, 2f
    b       leave_el2
2:

    // Zeros for .bss, which holds the tables and the stack.
    adrp    x9, __bss_start
    add     x9, x9, :lo12:__bss_start
    adrp    x10, __bss_end
    add     x10, x10, :lo12:__bss_end
1:  stp     xzr, xzr, [x9], #16
    cmp     x9, x10
    b.lo    1b

    // Tables: the root's entries for identity and direct map are one, both halves share the root.
    adrp    x9, boot_root
    adrp    x10, boot_ram
    adrp    x11, boot_devices
    orr     x12, x10, #3
    str     x12, [x9, #{direct}]
    str     x12, [x9, #{image}]
    orr     x12, x11, #3
    str     x12, [x9, #{device}]
    ldr     x12, ={ram_block}
    str     x12, [x10, #8]
    ldr     x12, ={device_block}
    str     x12, [x11]
    ldr     x19, ={start}
    b       3f

    // Another CPU, started by PSCI as the first one was by QEMU: x0 is its number. The tables are there.
    .global boot_another
boot_another:
    msr     daifset, #0xf
    mrs     x9, CurrentEL
    cmp     x9, #(2 << 2)
    b.ne    4f
    adr     x30, 4f
    b       leave_el2
4:  adrp    x9, boot_root
    ldr     x19, ={start_another}

    // Registers of translation; x9 is the root. 52-bit physical addresses need another format: at most 48 here.
3:  ldr     x12, ={mair}
    msr     mair_el1, x12
    mrs     x12, id_aa64mmfr0_el1
    and     x12, x12, #0xf
    mov     x13, #5
    cmp     x12, x13
    csel    x12, x12, x13, lo
    ldr     x13, ={tcr}
    orr     x13, x13, x12, lsl #32
    msr     tcr_el1, x13
    msr     ttbr0_el1, x9
    msr     ttbr1_el1, x9
    // The tables are written before any walk may read them; stale translations are gone.
    dsb     ish
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    ldr     x12, ={sctlr}
    msr     sctlr_el1, x12
    isb

    // The jump into the high half, to a stack there, with an end to the chain of frames.
    ldr     x9, =boot_stack_top
    mov     sp, x9
    mov     x29, xzr
    mov     x30, xzr
    br      x19

    // EL3, or an exception at EL2: say so, then end by semihosting, else stop.
20: adr     x9, 30f
    b       24f
    .global boot_exception_el2
boot_exception_el2:
    adr     x9, 32f
24: mov     x10, #0x09000000
21: ldrb    w11, [x9], #1
    cbz     w11, 22f
    str     w11, [x10]
    b       21b
22: mov     w0, #0x18
    adr     x1, 31f
    hlt     #0xf000
23: wfe
    b       23b
30: .asciz  "vellum: boot: the CPU did not start at EL1 or EL2; run QEMU without secure=on\n"
32: .asciz  "vellum: panic: exception at EL2\n"
    .balign 8
31: .quad   0x20026, 103
    .ltorg
    .popsection
    "#,
    stack = const BOOT_STACK_BYTES,
    direct = const root_entry(DIRECT_MAP),
    image = const root_entry(IMAGE_OFFSET),
    device = const root_entry(DEVICE_MAP),
    ram_block = const crate::memory::layout::RAM_BASE | RAM_BLOCK,
    device_block = const DEVICE_BLOCK,
    mair = const MemoryKind::mair(false) & !0xff,
    tcr = const TCR,
    sctlr = const SCTLR,
    start = sym crate::boot::start,
    start_another = sym crate::boot::start_another,
);

unsafe extern "C" {
    static boot_another: u8;
}

/// Returns the physical address where another CPU starts.
pub fn another_entry() -> u64 {
    (&raw const boot_another).addr() as u64 - IMAGE_OFFSET
}
