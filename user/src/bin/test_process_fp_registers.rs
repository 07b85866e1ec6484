//! Do the FP and SIMD registers of each process survive switches to others that use them too?
#![no_std]
#![no_main]

use core::arch::asm;
use vellum_user::abi::{Call, Error};
use vellum_user::{Arguments, calls, check, println, testing};

vellum_user::test!(main);

const CHILDREN: usize = 4;
/// Times that each process gives up the CPU, and times that it uses up its slice.
const YIELDS: u64 = 300;
const SPINS: u64 = 4;
/// Turns of an empty loop: more than one slice of virtual time.
const TURNS: u64 = 4_000_000;
/// Rounding toward zero (FPCR.RMode) for odd seeds, and bits of FPSR.
const ROUND_TO_ZERO: u64 = 0b11 << 22;
const STATUS_BITS: u64 = 0x1f;

/// Two words for each of q0 to q31.
type Vectors = [u64; 64];

fn main(arguments: &Arguments) -> Result<(), Error> {
    if let Some(seed) = arguments.value("seed") {
        use_registers(seed.parse().unwrap_or(1));
        return Ok(());
    }
    let seeds = ["seed=3", "seed=4", "seed=5", "seed=6"];
    let children: [_; CHILDREN] = core::array::from_fn(|index| testing::load_self(&[seeds[index]]));
    for child in &children {
        child.start()?;
    }
    use_registers(7);
    for (child, seed) in children.into_iter().zip(seeds) {
        let report = child.wait()?;
        check!(seed, testing::exited_with(&report, 0));
    }
    Ok(())
}

/// Returns values that no other seed has.
fn values(seed: u64) -> Vectors {
    core::array::from_fn(|index| {
        (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ seed << 32)
    })
}

fn use_registers(seed: u64) {
    let want = values(seed);
    let control = if seed.is_multiple_of(2) { 0 } else { ROUND_TO_ZERO };
    let status = seed & STATUS_BITS;
    let mut got = [0; 64];
    for (name, number, rounds, turns) in
        [("yield", Call::Yield, YIELDS, 1), ("time slice", Call::Null, SPINS, TURNS)]
    {
        got.fill(0);
        // SAFETY: `want` and `got` have room for 32 vectors.
        let after = unsafe { hold(&want, &mut got, control, status, number, rounds, turns) };
        let same = got == want;
        check!(format_args!("{name}, seed {seed}: vectors"), same);
        if !same {
            let other = got.iter().zip(&want).position(|(got, want)| got != want);
            println!("  the first that differs: {other:?}");
        }
        check!(format_args!("{name}, seed {seed}: FPCR and FPSR"), after, (control, status));
    }
    calls::yield_now();
}

/// Loads all vector registers, FPCR and FPSR, then makes a call `rounds` times, each after so many
/// turns of an empty loop; returns what is in the registers then.
///
/// # Safety
/// 1. `want` is readable and `got` writable: 512 bytes each.
unsafe fn hold(
    want: &Vectors,
    got: &mut Vectors,
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
