//! Translation and system control of this CPU.
//!
//! Owns: SCTLR_EL1, TCR_EL1, MAIR_EL1, the table base registers and CPACR_EL1. Refuses to know:
//! what the tables say (`kernel_map`, `vellum-vm`). Invariant: while no process runs, the lower
//! half translates nothing.

use super::boot;
use crate::arch::cpu;
use crate::arch::features::Features;
use crate::arch::sysreg::{SCTLR_EL1, TCR_TAGS, TFSR_EL1, TFSRE0_EL1};
use crate::memory::layout::IMAGE_OFFSET;
use aarch64_cpu::registers::{
    CPACR_EL1, MAIR_EL1, MDSCR_EL1, OSLAR_EL1, ReadWriteable, Readable, TCR_EL1, TPIDRRO_EL0,
    TTBR0_EL1, Writeable,
};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};
use vellum_vm::addr::FrameAddress;
use vellum_vm::machine::Asid;
use vellum_vm::page_table::MemoryKind;

/// A table of 512 empty descriptors, for a lower half without a process.
static EMPTY_TABLE: AtomicU64 = AtomicU64::new(0);
/// The root of the kernel's half.
static ROOT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    /// Replaces the boot tables; see the assembly below.
    fn replace_tables(root: u64, empty: u64, tcr: u64, mair: u64, image_offset: u64);
}

// Two tables that map the same address differently must not be in use at once, and the boot tables
// map the image by blocks. So the switch runs from the identity map, touching no memory, until the
// old translations are gone from the TLB (Arm ARM, "TLB matching" and "Using break-before-make").
global_asm!(
    r#"
    .pushsection .text.boot, "ax"
    .global replace_tables
replace_tables:
    adr     x9, 1f
    sub     x9, x9, x4
    adr     x10, 2f
    br      x9
1:  msr     mair_el1, x3
    msr     tcr_el1, x2
    msr     ttbr1_el1, x0
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    br      x10
2:  msr     ttbr0_el1, x1
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    ret
    .popsection
    "#
);

/// Puts the kernel's final tables in the place of the boot tables.
///
/// # Safety
/// 1. `root` maps the image, the current stack and all that is in use where they are now.
/// 2. `empty` is a table of 512 empty descriptors that never changes.
pub unsafe fn install(root: FrameAddress, empty: FrameAddress, features: &Features) {
    ROOT.store(root.to_physical(), Ordering::Relaxed);
    EMPTY_TABLE.store(empty.to_physical(), Ordering::Relaxed);
    // The tables were written as ordinary memory: complete before any walk reads them.
    crate::arch::tlb::dsb_ish();
    // SAFETY: By 1 the code goes on behind the switch, by 2 the lower half is empty.
    unsafe { install_again(features) };
}

/// Puts the tables that [`install`] was given in the place of the boot tables of another CPU.
///
/// # Safety
/// The tables map the image, the current stack and all that is in use where they are now.
pub unsafe fn install_again(features: &Features) {
    let (root, empty) = (ROOT.load(Ordering::Relaxed), EMPTY_TABLE.load(Ordering::Relaxed));
    let mair = MemoryKind::mair(features.tags);
    // SAFETY: The caller's duty. Nothing of the kernel uses the lower half: the identity map was for
    // this switch alone.
    unsafe { replace_tables(root, empty, tcr(features), mair, IMAGE_OFFSET) };
}

/// Returns TCR_EL1. HD, HPD0 and HPD1 stay zero: hardware never makes a leaf writable, and table
/// descriptors may restrict what is below them. With HA it sets the access flag of the few leaves
/// that are made without one.
fn tcr(features: &Features) -> u64 {
    let size = (TCR_EL1.get() >> 32 & 0b111) << 32;
    let mut fields = TCR_EL1::TBI0::Ignored + TCR_EL1::TBI1::Ignored;
    if features.access_flags {
        fields += TCR_EL1::HA::Enable;
    }
    if features.asid_bits == 16 {
        fields += TCR_EL1::AS::ASID16Bits;
    }
    // User accesses with logical tag 0 are checked like any other; the kernel's own pointers carry
    // 0xf and are not.
    let unchecked = if features.tags { TCR_TAGS::TCMA1::SET.value } else { 0 };
    boot::TCR | size | fields.value | unchecked
}

/// Sets system control and everything else of this CPU that a program could notice.
///
/// `mops` lets EL0 use memory copy and set instructions.
pub fn configure(features: &Features, mops: bool) {
    MAIR_EL1.set(MemoryKind::mair(features.tags));
    SCTLR_EL1.set(system_control(features, mops));
    // The vectors open FP and SIMD to a thread when it uses them; ZEN and SMEN stay zero, which traps SVE
    // and SME at both levels.
    CPACR_EL1.write(CPACR_EL1::FPEN::TrapEl0);
    // No debug exceptions, and no debugger's lock that would keep them out.
    OSLAR_EL1.write(OSLAR_EL1::OSLK::Unlocked);
    MDSCR_EL1.write(MDSCR_EL1::TDCC::SET);
    TPIDRRO_EL0.set(0);
    if features.tags {
        configure_tags();
    }
    cpu::isb();
    if features.pan {
        // SAFETY: The instruction exists with FEAT_PAN. The kernel reaches user memory by LDTR and
        // STTR alone, which PAN does not stop.
        unsafe { asm!(".arch_extension pan", "msr pan, #1", options(nomem, nostack)) };
    }
}

/// Forgets faults of before, and lets the kernel's own accesses be checked. What threads have of
/// their own is `thread_registers`'.
fn configure_tags() {
    TFSR_EL1.set(0);
    TFSRE0_EL1.set(0);
    // SAFETY: PSTATE.TCO exists with tags. No pointer with another tag than 0xf, which is never
    // checked, exists before the heap starts.
    unsafe { asm!(".arch_extension memtag", "msr tco, #0", options(nostack, preserves_flags)) };
}

/// Returns SCTLR_EL1.
fn system_control(features: &Features, mops: bool) -> u64 {
    let mut control = SCTLR_EL1::M::SET
        + SCTLR_EL1::C::SET
        + SCTLR_EL1::I::SET
        + SCTLR_EL1::SA::SET
        + SCTLR_EL1::SA0::SET
        + SCTLR_EL1::WXN::SET
        + SCTLR_EL1::DZE::SET
        + SCTLR_EL1::UCT::SET
        + SCTLR_EL1::UCI::SET
        + SCTLR_EL1::NTWI::SET
        + SCTLR_EL1::NTWE::SET
        + SCTLR_EL1::EIS::SET
        + SCTLR_EL1::EOS::SET
        + SCTLR_EL1::TSCXT::SET
        + SCTLR_EL1::NTLSMD::SET
        + SCTLR_EL1::LSMAOE::SET;
    if features.tags {
        control += SCTLR_EL1::ATA::SET
            + SCTLR_EL1::ATA0::SET
            + SCTLR_EL1::TCF::Synchronous
            + SCTLR_EL1::ITFSB::SET;
    }
    if mops {
        control += SCTLR_EL1::MSCEN::SET;
    }
    if features.enhanced_pan {
        control += SCTLR_EL1::EPAN::SET;
    }
    // SPAN is RES1 where PAN does not exist, and zero lets every entry set PAN where it does.
    if !features.pan {
        control += SCTLR_EL1::SPAN::SET;
    }
    control.value
}

/// Lets EL0 use memory copy and set instructions.
pub fn enable_user_mops() {
    SCTLR_EL1.modify(SCTLR_EL1::MSCEN::SET);
    cpu::isb();
}

/// Takes tag access away from EL1, as a kernel that never thought of it would have none: loads of
/// tags give 0 then, stores do nothing, and nothing faults. For the test of the self-test.
pub fn forget_tag_access() {
    SCTLR_EL1.modify(SCTLR_EL1::ATA::CLEAR);
    cpu::isb();
}

/// Makes an address space this CPU's lower half. Root and ASID change in one write.
#[inline]
pub fn activate(root: FrameAddress, asid: Asid) {
    TTBR0_EL1.set(root.to_physical() | u64::from(asid.0) << 48);
    cpu::isb();
}

/// Empties this CPU's lower half. ASID 0 belongs to no process.
#[inline]
pub fn activate_none() {
    TTBR0_EL1.set(EMPTY_TABLE.load(Ordering::Relaxed));
    cpu::isb();
}
