//! What a test does to find out whether the kernel keeps FP and SIMD registers apart.

use core::arch::asm;
use vellum_abi::Call;

/// Rounding toward zero (FPCR.RMode) for odd seeds, and bits of FPSR.
const ROUND_TO_ZERO: u64 = 0b11 << 22;
const STATUS_BITS: u64 = 0x1f;

/// Two words for each of q0 to q31.
type Words = [u64; 64];

/// FP and SIMD registers with FPCR and FPSR, as no other seed has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    words: Words,
    control: u64,
    status: u64,
}

impl Vectors {
    /// Returns the values of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Vectors {
        let word = |index| (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ seed << 32);
        let control = if seed.is_multiple_of(2) { 0 } else { ROUND_TO_ZERO };
        Vectors { words: core::array::from_fn(word), control, status: seed & STATUS_BITS }
    }

    /// Returns what is in the registers after they were loaded with these values and a call without
    /// arguments was made `rounds` times, each after so many turns of an empty loop.
    #[must_use]
    pub fn after_calls(&self, call: Call, rounds: u64, turns: u64) -> Vectors {
        let mut words = [0; 64];
        // SAFETY: both have room for 32 vectors.
        let (control, status) = unsafe {
            hold(&self.words, &mut words, self.control, self.status, call, rounds, turns)
        };
        Vectors { words, control, status }
    }

    /// Returns the first register that differs.
    #[must_use]
    pub fn first_other(&self, other: &Vectors) -> Option<usize> {
        let word = self.words.iter().zip(&other.words).position(|(one, other)| one != other);
        word.map(|word| word / 2)
    }
}

/// Loads all vector registers, FPCR and FPSR, then makes a call `rounds` times, each after so many
/// turns of an empty loop; returns what is in the registers then.
///
/// # Safety
/// 1. `want` is readable and `got` writable: 512 bytes each.
unsafe fn hold(
    want: &Words,
    got: &mut Words,
    control: u64,
    status: u64,
    call: Call,
    rounds: u64,
    turns: u64,
) -> (u64, u64) {
    let (control_after, status_after);
    // SAFETY: duty 1. Every vector register is declared as changed; control and status registers
    // are put back to zero, as the program found them.
    unsafe {
        asm!(
            "msr fpcr, {control}",
            "ldp q0, q1, [{want}]", "ldp q2, q3, [{want}, #32]",
            "ldp q4, q5, [{want}, #64]", "ldp q6, q7, [{want}, #96]",
            "ldp q8, q9, [{want}, #128]", "ldp q10, q11, [{want}, #160]",
            "ldp q12, q13, [{want}, #192]", "ldp q14, q15, [{want}, #224]",
            "ldp q16, q17, [{want}, #256]", "ldp q18, q19, [{want}, #288]",
            "ldp q20, q21, [{want}, #320]", "ldp q22, q23, [{want}, #352]",
            "ldp q24, q25, [{want}, #384]", "ldp q26, q27, [{want}, #416]",
            "ldp q28, q29, [{want}, #448]", "ldp q30, q31, [{want}, #480]",
            "msr fpsr, {status}",
            "2: mov {turn}, {turns}",
            "3: subs {turn}, {turn}, #1",
            "b.ne 3b",
            "svc #0",
            "subs {rounds}, {rounds}, #1",
            "b.ne 2b",
            "mrs {status}, fpsr",
            "mrs {control}, fpcr",
            "stp q0, q1, [{got}]", "stp q2, q3, [{got}, #32]",
            "stp q4, q5, [{got}, #64]", "stp q6, q7, [{got}, #96]",
            "stp q8, q9, [{got}, #128]", "stp q10, q11, [{got}, #160]",
            "stp q12, q13, [{got}, #192]", "stp q14, q15, [{got}, #224]",
            "stp q16, q17, [{got}, #256]", "stp q18, q19, [{got}, #288]",
            "stp q20, q21, [{got}, #320]", "stp q22, q23, [{got}, #352]",
            "stp q24, q25, [{got}, #384]", "stp q26, q27, [{got}, #416]",
            "stp q28, q29, [{got}, #448]", "stp q30, q31, [{got}, #480]",
            "msr fpcr, xzr",
            "msr fpsr, xzr",
            want = in(reg) want.as_ptr(),
            got = in(reg) got.as_mut_ptr(),
            control = inout(reg) control => control_after,
            status = inout(reg) status => status_after,
            rounds = inout(reg) rounds => _,
            turns = in(reg) turns,
            turn = out(reg) _,
            in("x8") call as u64,
            lateout("x0") _,
            lateout("x1") _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _,
            out("v6") _, out("v7") _, out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _, out("v16") _, out("v17") _,
            out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _,
            out("v30") _, out("v31") _,
            options(nostack),
        );
    }
    (control_after, status_after)
}
