//! System registers that `aarch64-cpu` lacks, and those whose fields it does not know.
//!
//! Owns: encodings and fields, each named as in the Arm ARM, "AArch64 System Register
//! Descriptions". Registers of optional features are spelled by encoding, so that the assembler
//! needs no extension; reading one on a CPU without the feature is undefined: ask `features`.

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_bitfields;

/// Defines registers with typed read and write access.
macro_rules! system_registers {
    ($($(#[$meta:meta])* $name:ident: $type:ident, $fields:ty, $encoding:literal;)*) => {$(
        /// Access to the register of the same name.
        pub struct $type;

        impl Readable for $type {
            type T = u64;
            type R = $fields;

            #[inline]
            fn get(&self) -> u64 {
                let value;
                // SAFETY: Reading this register has no effect on memory or the stack.
                unsafe {
                    core::arch::asm!(concat!("mrs {}, ", $encoding), out(reg) value,
                        options(nomem, nostack, preserves_flags));
                }
                value
            }
        }

        impl Writeable for $type {
            type T = u64;
            type R = $fields;

            #[inline]
            fn set(&self, value: u64) {
                // SAFETY: Not `nomem`: a write may change what memory accesses around it do, so
                // the compiler keeps them in order. The stack is not touched.
                unsafe {
                    core::arch::asm!(concat!("msr ", $encoding, ", {}"), in(reg) value,
                        options(nostack, preserves_flags));
                }
            }
        }

        $(#[$meta])*
        pub const $name: $type = $type;
    )*};
}

register_bitfields! {u64,
    /// System control (EL1).
    pub SCTLR_EL1 [
        /// PAN also covers pages that EL0 may only execute.
        EPAN OFFSET(57) NUMBITS(1) [],
        /// Tag access at EL1.
        ATA OFFSET(43) NUMBITS(1) [],
        /// Tag access at EL0.
        ATA0 OFFSET(42) NUMBITS(1) [],
        /// Tag check fault at EL1.
        TCF OFFSET(40) NUMBITS(2) [None = 0, Synchronous = 1],
        /// Tag check fault at EL0: the number of a `vellum_abi::TagMode`.
        TCF0 OFFSET(38) NUMBITS(2) [],
        /// Exception entry waits for asynchronous tag check faults.
        ITFSB OFFSET(37) NUMBITS(1) [],
        /// EL0 may use memory copy and set instructions.
        MSCEN OFFSET(33) NUMBITS(1) [],
        /// No trap of LDM and STM (RES1 without the feature).
        LSMAOE OFFSET(29) NUMBITS(1) [],
        /// No trap of LDM and STM to device memory (RES1 without the feature).
        NTLSMD OFFSET(28) NUMBITS(1) [],
        /// EL0 may maintain caches.
        UCI OFFSET(26) NUMBITS(1) [],
        /// Leave PAN alone on exception entry (RES1 without PAN).
        SPAN OFFSET(23) NUMBITS(1) [],
        /// Exception entry synchronises context (RES1 without the feature).
        EIS OFFSET(22) NUMBITS(1) [],
        /// Trap EL0 access to SCXTNUM_EL0 (RES1 without the feature).
        TSCXT OFFSET(20) NUMBITS(1) [],
        /// Writable memory cannot be executed.
        WXN OFFSET(19) NUMBITS(1) [],
        /// No trap of WFE at EL0.
        NTWE OFFSET(18) NUMBITS(1) [],
        /// No trap of WFI at EL0.
        NTWI OFFSET(16) NUMBITS(1) [],
        /// EL0 may read CTR_EL0.
        UCT OFFSET(15) NUMBITS(1) [],
        /// EL0 may use DC ZVA, DC GVA and DC GZVA.
        DZE OFFSET(14) NUMBITS(1) [],
        /// Instruction caches.
        I OFFSET(12) NUMBITS(1) [],
        /// Exception return synchronises context (RES1 without the feature).
        EOS OFFSET(11) NUMBITS(1) [],
        /// Stack alignment check at EL0.
        SA0 OFFSET(4) NUMBITS(1) [],
        /// Stack alignment check at EL1.
        SA OFFSET(3) NUMBITS(1) [],
        /// Data caches.
        C OFFSET(2) NUMBITS(1) [],
        /// Alignment check of every access.
        A OFFSET(1) NUMBITS(1) [],
        /// The MMU.
        M OFFSET(0) NUMBITS(1) []
    ],

    /// Tag checks that `aarch64-cpu` does not know of in TCR_EL1.
    pub TCR_TAGS [
        /// Logical tag 0xf is unchecked in the upper half.
        TCMA1 OFFSET(58) NUMBITS(1) [],
        /// Logical tag 0 is unchecked in the lower half.
        TCMA0 OFFSET(57) NUMBITS(1) []
    ],

    /// Random tags: what IRG may give.
    pub GCR_EL1 [
        /// Use an implementation's own generator.
        RRND OFFSET(16) NUMBITS(1) [],
        /// Tags that are never given.
        EXCLUDE OFFSET(0) NUMBITS(16) []
    ],

    /// State of the generator of random tags.
    pub RGSR_EL1 [
        SEED OFFSET(8) NUMBITS(16) [],
        TAG OFFSET(0) NUMBITS(4) []
    ],

    /// Geometry of DC ZVA and DC GZVA.
    pub DCZID_EL0 [
        /// The instructions are prohibited.
        DZP OFFSET(4) NUMBITS(1) [],
        /// log2 of the block in words of 4 bytes.
        BS OFFSET(0) NUMBITS(4) []
    ],

    /// Geometry of LDGM and STGM.
    pub GMID_EL1 [
        /// log2 of the block in words of 4 bytes.
        BS OFFSET(0) NUMBITS(4) []
    ],

    /// Instruction set features, second register.
    pub ID_AA64ISAR2_EL1 [
        MOPS OFFSET(16) NUMBITS(4) []
    ],

    /// Geometry and coherency of caches.
    pub CTR_EL0 [
        /// Instruction fetch needs no invalidation.
        DIC OFFSET(29) NUMBITS(1) [],
        /// Instruction fetch needs no cleaning of data.
        IDC OFFSET(28) NUMBITS(1) [],
        /// log2 of the smallest data line in words of 4 bytes.
        DMINLINE OFFSET(16) NUMBITS(4) [],
        /// How instruction caches are indexed.
        L1IP OFFSET(14) NUMBITS(2) [PhysicallyIndexed = 3],
        /// log2 of the smallest instruction line in words of 4 bytes.
        IMINLINE OFFSET(0) NUMBITS(4) []
    ],

    /// Control of the performance monitors.
    pub PMCR_EL0 [
        /// How many event counters there are.
        N OFFSET(11) NUMBITS(5) [],
        /// 64-bit event counters overflow at 64 bits.
        LP OFFSET(7) NUMBITS(1) [],
        /// Reset the event counters.
        P OFFSET(1) NUMBITS(1) [],
        /// Enable.
        E OFFSET(0) NUMBITS(1) []
    ],

    /// What EL0 may do with the performance monitors.
    pub PMUSERENR_EL0 [
        /// Read event counters.
        ER OFFSET(3) NUMBITS(1) [],
        /// Read the cycle counter.
        CR OFFSET(2) NUMBITS(1) [],
        /// Everything, writes too.
        EN OFFSET(0) NUMBITS(1) []
    ],

    /// Pending interrupts of this CPU.
    pub ISR_EL1 [
        I OFFSET(7) NUMBITS(1) []
    ]
}

system_registers! {
    /// System control.
    SCTLR_EL1: Sctlr, SCTLR_EL1::Register, "sctlr_el1";
    /// Control of random tags (FEAT_MTE2).
    GCR_EL1: Gcr, GCR_EL1::Register, "s3_0_c1_c0_6";
    /// Seed of random tags (FEAT_MTE2).
    RGSR_EL1: Rgsr, RGSR_EL1::Register, "s3_0_c1_c0_5";
    /// Asynchronous tag check faults of EL1 (FEAT_MTE2).
    TFSR_EL1: Tfsr, (), "s3_0_c5_c6_0";
    /// Asynchronous tag check faults of EL0 (FEAT_MTE2).
    TFSRE0_EL1: Tfsre0, (), "s3_0_c5_c6_1";
    /// Geometry of zeroing by block.
    DCZID_EL0: Dczid, DCZID_EL0::Register, "dczid_el0";
    /// Geometry of moving tags by block (FEAT_MTE2).
    GMID_EL1: Gmid, GMID_EL1::Register, "s3_1_c0_c0_4";
    /// Instruction set features, second register.
    ID_AA64ISAR2_EL1: Isar2, ID_AA64ISAR2_EL1::Register, "s3_0_c0_c6_2";
    /// Geometry of caches.
    CTR_EL0: Ctr, CTR_EL0::Register, "ctr_el0";
    /// Control of the performance monitors.
    PMCR_EL0: Pmcr, PMCR_EL0::Register, "pmcr_el0";
    /// Common events that exist, numbers 0 to 31.
    PMCEID0_EL0: Pmceid0, (), "pmceid0_el0";
    /// What event counter 0 counts.
    PMEVTYPER0_EL0: Pmevtyper0, (), "pmevtyper0_el0";
    /// Event counter 0.
    PMEVCNTR0_EL0: Pmevcntr0, (), "pmevcntr0_el0";
    /// Enables counters.
    PMCNTENSET_EL0: Pmcntenset, (), "pmcntenset_el0";
    /// Disables counters.
    PMCNTENCLR_EL0: Pmcntenclr, (), "pmcntenclr_el0";
    /// Disables overflow interrupts.
    PMINTENCLR_EL1: Pmintenclr, (), "pmintenclr_el1";
    /// What EL0 may do with the performance monitors.
    PMUSERENR_EL0: Pmuserenr, PMUSERENR_EL0::Register, "pmuserenr_el0";
    /// Which event counter PMXEVCNTR_EL0 names.
    PMSELR_EL0: Pmselr, (), "pmselr_el0";
    /// Pending interrupts.
    ISR_EL1: Isr, ISR_EL1::Register, "isr_el1";
}
