//! Does the real kernel do what the flat model does, over random scripts and those that are kept?
//!
//! Without arguments: the scripts of `tests/scripts`, then random ones of fixed seeds. `seed=N` runs
//! that one alone, `operations=N` as many operations, `script=NAME` a kept script alone. What
//! fails is printed as a script, which the model machine runs as well.
#![no_std]
#![no_main]

extern crate alloc;

mod agent;
mod perform;

use alloc::vec::Vec;
use perform::{Both, Wrong};
use vellum_script::op::Op;
use vellum_script::random::{Generator, Setting};
use vellum_user::{Arguments, check, println, system, testing};

vellum_user::test!(main);

/// Seeds of random scripts.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Operations of a random script.
const LENGTH: u64 = 250;

/// Names the scripts of `tests/scripts`.
macro_rules! kept {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../../tests/scripts/", $name, ".txt")))),*]
    };
}

/// All of them: a check of the tree compares the list with the directory.
const KEPT: &[(&str, &str)] = kept! {
    "a_page_moves_onto_the_one_beside_it"
    "a_store_after_a_load_leaves_the_reference_page_alone"
    "tags_go_with_a_clone_and_stay_apart"
};

fn main(arguments: &Arguments) {
    let number = |key| arguments.value(key).and_then(|text| text.parse().ok());
    let length = number("operations").unwrap_or(LENGTH);
    match (number("seed"), arguments.value("script")) {
        (Some(seed), _) => random(seed, length),
        (None, Some(name)) => KEPT.iter().filter(|(kept, _)| *kept == name).for_each(kept_script),
        (None, None) => {
            KEPT.iter().for_each(kept_script);
            SEEDS.into_iter().for_each(|seed| random(seed, length));
        }
    }
}

fn kept_script((name, text): &(&str, &str)) {
    let script = vellum_script::parse(text).expect("the host's tests read it too");
    if !system::tags_supported() && script.iter().any(Op::needs_tags) {
        return println!("{name}: needs tags");
    }
    let result = run(|_, done| script.get(done).cloned());
    report(name, result);
}

fn random(seed: u64, length: u64) {
    println!("seed {seed}, {length} operations");
    let setting = Setting { tags: system::tags_supported(), on_kernel: true };
    let mut generator = Generator::new(seed, setting);
    let result = run(|flat, done| (done < length as usize).then(|| generator.next(flat)));
    report("a random script", result);
}

fn report(name: &str, result: Result<usize, (Wrong, Vec<Op>)>) {
    if let Err((wrong, script)) = &result {
        println!("# {wrong}\n{}", vellum_script::write(script));
    }
    check!(name, result.is_ok());
}

/// Runs the operations that `next_fn` gives. Returns how many, or what went wrong and after what.
fn run(
    mut next_fn: impl FnMut(&vellum_script::flat::Flat, usize) -> Option<Op>,
) -> Result<usize, (Wrong, Vec<Op>)> {
    let before = testing::stat();
    let mut script = Vec::new();
    let mut both = Both::new().map_err(|wrong| (wrong, Vec::new()))?;
    while let Some(op) = next_fn(&both.flat, script.len()) {
        script.push(op.clone());
        if let Err(wrong) = both.run(&op) {
            return Err((wrong, script));
        }
    }
    if let Err(wrong) = both.finish() {
        return Err((wrong, script));
    }
    let after = testing::stat();
    check!("handles", after.handles, before.handles);
    check!("reference objects", after.refpages_live, before.refpages_live);
    Ok(script.len())
}
