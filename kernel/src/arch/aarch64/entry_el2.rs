//! From EL2 to EL1, with the MMU off: where QEMU starts with `virtualization=on`.
//!
//! Owns: the registers of EL2, which are written once here and never again. Refuses to know: what
//! EL1 does. Invariant: nothing that EL1 or EL0 may do is trapped to EL2, which has no use for it;
//! an exception that is taken there all the same ends the machine with a line.
//!
//! Registers of optional features are spelled by encoding and written only where an identification
//! register tells of them (Arm ARM, "AArch64 System Register Descriptions"). Entry: x30 is where EL1
//! goes on. x9 to x12 are lost.

use core::arch::global_asm;

/// HCR_EL2: EL1 is AArch64 (RW), has tags (ATA) and pointer authentication (API, APK). Without the
/// last three features their bits are reserved and ignored.
const HCR: u64 = 1 << 31 | 1 << 56 | 1 << 41 | 1 << 40;
/// CPTR_EL2 without E2H: RES1 bits, and SVE and SME trapped, which CPACR_EL1 traps to EL1 before; FP
/// is not.
const CPTR: u64 = 0x33ff;
/// CNTHCTL_EL2: EL1 may use the physical counter and timer.
const CNTHCTL: u64 = 0b11;
/// ICC_SRE_EL2: EL1 has the GIC's registers and may enable them (SRE, DFB, DIB, Enable).
const ICC_SRE: u64 = 0b1111;
/// HCRX_EL2.MSCEn: memory copy and set instructions.
const HCRX_MSCEN: u64 = 1 << 11;
/// SCTLR_EL1's RES1 bits of Armv8.0: MMU and caches off, little endian.
const SCTLR_EL1: u64 = 0x30d0_0800;
/// SPSR_EL2: EL1 with its own stack pointer, everything masked.
const SPSR: u64 = 0x3c5;

global_asm!(
    r#"
    .pushsection .text.boot, "ax"
    .global leave_el2
leave_el2:
    adr     x9, vectors_el2
    msr     vbar_el2, x9
    ldr     x9, ={hcr}
    msr     hcr_el2, x9
    mov     x9, #{cptr}
    msr     cptr_el2, x9
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mov     x9, #{cnthctl}
    msr     cnthctl_el2, x9
    msr     cntvoff_el2, xzr
    mrs     x9, midr_el1
    msr     vpidr_el2, x9
    mrs     x9, mpidr_el1
    msr     vmpidr_el2, x9

    // MDCR_EL2: no trap, and all event counters are EL1's (HPMN). PMUVer 0 and 15: no counters.
    mrs     x9, id_aa64dfr0_el1
    ubfx    x9, x9, #8, #4
    mov     x10, xzr
    cbz     x9, 1f
    cmp     x9, #15
    b.eq    1f
    mrs     x10, pmcr_el0
    ubfx    x10, x10, #11, #5
1:  msr     mdcr_el2, x10

    // Registers of a GICv3 CPU interface, and no virtual interrupts.
    mrs     x9, id_aa64pfr0_el1
    ubfx    x9, x9, #24, #4
    cbz     x9, 2f
    mov     x9, #{icc_sre}
    msr     s3_4_c12_c9_5, x9       // ICC_SRE_EL2
    isb
    msr     s3_4_c12_c11_0, xzr     // ICH_HCR_EL2

    // HCRX_EL2, where it exists: MOPS if the CPU has it.
2:  mrs     x9, id_aa64mmfr1_el1
    ubfx    x9, x9, #40, #4
    cbz     x9, 3f
    mrs     x9, s3_0_c0_c6_2        // ID_AA64ISAR2_EL1
    ubfx    x9, x9, #16, #4
    cmp     x9, #0
    mov     x10, #{mscen}
    csel    x10, xzr, x10, eq
    msr     s3_4_c1_c2_2, x10       // HCRX_EL2

    // Fine-grained traps: none.
3:  mrs     x9, id_aa64mmfr0_el1
    ubfx    x9, x9, #56, #4
    cbz     x9, 4f
    msr     s3_4_c1_c1_4, xzr       // HFGRTR_EL2
    msr     s3_4_c1_c1_5, xzr       // HFGWTR_EL2
    msr     s3_4_c1_c1_6, xzr       // HFGITR_EL2
    msr     s3_4_c3_c1_4, xzr       // HDFGRTR_EL2
    msr     s3_4_c3_c1_5, xzr       // HDFGWTR_EL2

4:  ldr     x9, ={sctlr}
    msr     sctlr_el1, x9
    mov     x9, #{spsr}
    msr     spsr_el2, x9
    msr     elr_el2, x30
    eret

    // Nothing is ever meant to come here.
    .balign 2048
vectors_el2:
    .rept   16
    b       boot_exception_el2
    .balign 128
    .endr
    .ltorg
    .popsection
    "#,
    hcr = const HCR,
    cptr = const CPTR,
    cnthctl = const CNTHCTL,
    icc_sre = const ICC_SRE,
    mscen = const HCRX_MSCEN,
    sctlr = const SCTLR_EL1,
    spsr = const SPSR,
);
