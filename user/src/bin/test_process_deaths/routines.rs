//! The instructions that processes die of, at labels that the report must name.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.deadly, \"ax\"",
    ".arch_extension memtag",
    ".balign 4",
    "deadly_load: ldrb w1, [x0]",
    "ret",
    "deadly_store: strb w1, [x0]",
    "ret",
    "deadly_tag: stg x1, [x0]",
    "ret",
    // Two granules, of which only the second is another's.
    "deadly_pair: stp x1, x1, [x0]",
    "ret",
    "deadly_exclusive: ldaxr x1, [x0]",
    "ret",
    "deadly_acquire: ldar x1, [x0]",
    "ret",
    "deadly_release: stlr x1, [x0]",
    "ret",
    "deadly_jump: br x0",
    "deadly_undefined: udf #7",
    "ret",
    "deadly_privileged: msr ttbr0_el1, x0",
    "ret",
    "deadly_counter: mrs x0, pmccntr_el0",
    "ret",
    "deadly_identity: mrs x0, id_aa64pfr0_el1",
    "ret",
    "deadly_mask: msr daifset, #2",
    "ret",
    "deadly_vector: .inst 0x25d8e3e0", // ptrue p0.d, of SVE
    "ret",
    "deadly_breakpoint: brk #0x123",
    "ret",
    "deadly_push: stp x0, x1, [sp, #-16]!",
    "b deadly_push",
    "deadly_touch: strb w1, [x0]",
    "add x0, x0, #4096",
    "b deadly_touch",
    ".popsection",
);

unsafe extern "C" {
    pub(crate) fn deadly_load(address: u64, value: u64);
    pub(crate) fn deadly_store(address: u64, value: u64);
    pub(crate) fn deadly_tag(address: u64, value: u64);
    pub(crate) fn deadly_pair(address: u64, value: u64);
    pub(crate) fn deadly_exclusive(address: u64, value: u64);
    pub(crate) fn deadly_acquire(address: u64, value: u64);
    pub(crate) fn deadly_release(address: u64, value: u64);
    pub(crate) fn deadly_jump(address: u64, value: u64);
    pub(crate) fn deadly_undefined(address: u64, value: u64);
    pub(crate) fn deadly_privileged(address: u64, value: u64);
    pub(crate) fn deadly_counter(address: u64, value: u64);
    pub(crate) fn deadly_identity(address: u64, value: u64);
    pub(crate) fn deadly_mask(address: u64, value: u64);
    pub(crate) fn deadly_vector(address: u64, value: u64);
    pub(crate) fn deadly_breakpoint(address: u64, value: u64);
    pub(crate) fn deadly_push(address: u64, value: u64);
    pub(crate) fn deadly_touch(address: u64, value: u64);
}
