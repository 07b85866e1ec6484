//! Do the FP and SIMD registers of each process survive switches to others that use them too?
#![no_std]
#![no_main]

use vellum_user::abi::{Call, Error};
use vellum_user::testing::Vectors;
use vellum_user::{Arguments, calls, check, println, testing};

vellum_user::test!(main);

const CHILDREN: usize = 4;
/// Times that each process gives up the CPU, and times that it uses up its slice.
const YIELDS: u64 = 300;
const SPINS: u64 = 4;
/// Turns of an empty loop: more than one slice of virtual time.
const TURNS: u64 = 4_000_000;

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

fn use_registers(seed: u64) {
    let want = Vectors::of(seed);
    for (name, call, rounds, turns) in
        [("yield", Call::Yield, YIELDS, 1), ("time slice", Call::Null, SPINS, TURNS)]
    {
        let got = want.after_calls(call, rounds, turns);
        if !check!(format_args!("{name}, seed {seed}: registers"), got == want) {
            println!("  the first that differs: {:?}", got.first_other(&want));
        }
    }
    calls::yield_now();
}
