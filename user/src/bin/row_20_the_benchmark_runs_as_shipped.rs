//! Row 20: does the thread's benchmark, a program of the image, run to its end as it is shipped?
#![no_std]
#![no_main]

use vellum_user::loader::ending::Ending;
use vellum_user::{Arguments, check, println, testing};

vellum_user::test!(main);

/// The program of the demonstration, which `./qemu-run.sh` alone runs.
const BENCHMARK: &str = "thread";

fn main(_: &Arguments) {
    // Maps the archive, which stays.
    check!("a small program", testing::exited_with(&testing::run("hello", &[]), 0));
    let before = testing::stat();
    for arguments in [&[][..], &["figures"][..]] {
        let report = testing::run(BENCHMARK, arguments);
        if !check!("the benchmark", testing::exited_with(&report, 0)) {
            println!("{BENCHMARK}: {}", Ending(&report));
        }
    }
    let after = testing::stat();
    check!("free frames", after.free_frames, before.free_frames);
    check!("live objects", after.refpages_live, before.refpages_live);
    check!("processes", after.processes_live, before.processes_live);
}
