//! Random scripts on two address spaces and two CPUs, against the flat model.
//!
//! `VELLUM_MODEL_OPS` sets how many operations are tried. A script that fails is made short and
//! written to a file; `VELLUM_MODEL_SCRIPT` names a file to run.

use crate::coverage;
use crate::explore::setting;
use crate::harness::Harness;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::thread;
use vellum_script::op::Op;
use vellum_script::random::{Generator, Setting};
use vellum_script::shrink::shrink;

/// Operations of one script.
const LENGTH: u64 = 200;
/// Threads that run scripts side by side.
const THREADS: u64 = 2;

/// What 100,000 operations come across, or they test too little.
const REACHED: &[&str] = &[
    "ahead 2",
    "change Err(MissingRight)",
    "change Err(NotMapped)",
    "change Err(Sealed)",
    "change Err(SharedWritable)",
    "change Err(WriteAndExecute)",
    "change Ok(())",
    "change step",
    "execute AccessDenied",
    "execute done",
    "frameless Bytes",
    "frameless Tagged",
    "ldg done",
    "load NotMapped",
    "load TagFault",
    "load done",
    "map BeyondEnd",
    "map Eager",
    "map InMapping",
    "map MissingRight",
    "map Object",
    "map Overlap",
    "map PatternOnAnyFault",
    "map SharedWritable",
    "map TagsUnsupported",
    "map Wrap",
    "map WrongPolicy",
    "map fresh",
    "map replaced",
    "remap Err(BeyondEnd)",
    "remap Err(InvalidFlags)",
    "remap Err(NotMapped)",
    "remap Err(OutOfAddresses)",
    "remap Err(Overlap)",
    "remap Err(SeveralMappings)",
    "remap Ok(RemapFlags(0))",
    "remap Ok(RemapFlags(1))",
    "remap Ok(RemapFlags(3))",
    "remap Ok(RemapFlags(5))",
    "remap Ok(RemapFlags(7))",
    "remap step",
    "snapshot Bytes",
    "snapshot Pattern",
    "snapshot Tagged",
    "stg done",
    "store AccessDenied",
    "store TagFault",
    "store done",
];

thread_local! {
    /// Whether panics of this thread are only counted.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs a whole script.
fn run(script: &[Op]) {
    let mut harness = Harness::new();
    script.iter().for_each(|op| harness.run(op));
    harness.finish();
}

/// Returns why a script fails, or `None`.
fn failure(script: &[Op]) -> Option<String> {
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| run(script)));
    QUIET.set(false);
    let panic = result.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or(panic.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default())
}

/// Makes a random script. The generator looks at a flat model of its own.
fn script(seed: u64) -> Vec<Op> {
    let mut flat = vellum_script::flat::Flat::new(true);
    let mut generator = Generator::new(seed, Setting { tags: true, on_kernel: false });
    let next_fn = |_| {
        let op = generator.next(&flat);
        flat.apply(&op);
        op
    };
    (0..LENGTH).map(next_fn).collect()
}

/// Makes a failing script short, writes it to a file and says how to run it again.
fn report(seed: u64, script: Vec<Op>) -> ! {
    let short = shrink(script, |script| failure(script).is_some());
    let (text, reason) = (vellum_script::write(&short), failure(&short).unwrap_or_default());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("script-{seed:x}.txt"));
    let comment: String = reason.lines().map(|line| format!("# {line}\n")).collect();
    let written = std::fs::write(&file, format!("{comment}{text}"));
    let place = written.map_or_else(|error| error.to_string(), |()| file.display().to_string());
    panic!(
        "script {seed:#x}: {reason}\nafter\n{text}written to {place}; run it again with\n  \
         VELLUM_MODEL_SCRIPT={place} cargo test -p vellum-vm --test vm a_script\nand on the \
         kernel, in a copy in tests/scripts, with\n  ./qemu-run.sh test max/test_scripts\n"
    );
}

/// Runs the scripts of one thread and returns what they came across.
fn explore(first: u64, scripts: u64) -> std::collections::BTreeMap<String, u64> {
    for number in 0..scripts {
        let seed = first.wrapping_add(number * THREADS);
        let script = script(seed);
        if failure(&script).is_some() {
            report(seed, script);
        }
    }
    coverage::take()
}

/// Keeps panics that are caught here from being printed.
fn quiet() {
    let before = take_hook();
    set_hook(Box::new(move |info| {
        if !QUIET.get() {
            before(info);
        }
    }));
}

#[test]
fn any_sequence_of_operations_does_what_the_flat_model_does() {
    let (operations, seed) = (setting("VELLUM_MODEL_OPS", 40_000), setting("VELLUM_MODEL_SEED", 1));
    quiet();
    let begun = std::time::Instant::now();
    let explorers: Vec<_> = (0..THREADS)
        .map(|index| {
            // Seeds far apart: each script has one, and they must not meet.
            let first = (seed << 32) + index;
            thread::spawn(move || explore(first, operations.div_ceil(LENGTH * THREADS)))
        })
        .collect();
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    for explorer in explorers {
        match explorer.join() {
            Ok(more) => more.into_iter().for_each(|(name, n)| *seen.entry(name).or_default() += n),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{operations} operations, seed {seed}, {seconds:.1} s: {seen:#?}");
    if operations >= 100_000 {
        for name in REACHED {
            assert!(seen.contains_key(*name), "{operations} operations never came across {name}");
        }
    }
}

/// Returns the scripts that are kept because each once failed, or shows something.
fn kept() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts");
    let entries = std::fs::read_dir(directory).expect("tests/scripts");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn a_script_that_is_kept_does_what_the_flat_model_does() {
    let chosen = std::env::var_os("VELLUM_MODEL_SCRIPT").map(|file| vec![file.into()]);
    let files: Vec<PathBuf> = chosen.unwrap_or_else(kept);
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a script");
        let script = vellum_script::parse(&text);
        let script = script.unwrap_or_else(|bad| panic!("{}: {bad:?}", file.display()));
        println!("{}", file.display());
        run(&script);
    }
}
