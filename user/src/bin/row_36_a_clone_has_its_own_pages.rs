//! Row 36: does a fork see what was there, and neither side what the other stores afterwards?
#![no_std]
#![no_main]

use vellum_user::abi::{Error, ExitKind};
use vellum_user::fork::fork;
use vellum_user::{Arguments, Mapping, check, mapping::PAGE, testing};

vellum_user::test!(main);

/// What the parent stored before the fork, the clone after it, and the parent last.
const BEFORE: u8 = 0x11;
const CLONE: u8 = 0x22;
const PARENT: u8 = 0x33;

fn main(_: &Arguments) -> Result<(), Error> {
    // The first fork makes what this program itself needs.
    check!("warm-up", run(&Mapping::anonymous(PAGE)?, |_| 0)?, 0);
    for sample in testing::samples()? {
        for more in testing::attributes() {
            let name = format_args!("{}, {more:?}", sample.name);
            let pages = sample.request(3 * PAGE, more).map()?;
            check!(name, sample.read(&pages, 0), sample.byte(0));
            sample.write(&pages, PAGE, BEFORE);
            let before = testing::stat();
            let status = run(&pages, |pages| in_clone(&sample, pages))?;
            check!(name, status, 0);
            let after = testing::stat();
            check!(format_args!("{name}: frames"), after.free_frames, before.free_frames);
            check!(name, after.processes_live, before.processes_live);
            let expected = |offset| if offset == PAGE { BEFORE } else { sample.byte(offset) };
            check!(name, testing::wrong_byte(&pages, 0..3 * PAGE, expected), None);
            sample.write(&pages, PAGE, PARENT);
            check!(name, sample.read(&pages, PAGE), PARENT);
        }
    }
    Ok(())
}

/// What the clone finds: a clean page that was read, one that was written, one never touched.
fn in_clone(sample: &testing::Sample, pages: &Mapping) -> u64 {
    let expected = |offset| if offset == PAGE { BEFORE } else { sample.byte(offset) };
    if testing::wrong_byte(pages, 0..3 * PAGE, expected).is_some() {
        return 1;
    }
    for page in 0..3 {
        let change = testing::measure(|| sample.write(pages, page * PAGE, CLONE));
        // One fault a store, whatever the page was (bug K5 of the field).
        if change.faults() != 1 {
            return 2 + page as u64;
        }
    }
    let stored = |offset| if offset % PAGE == 0 { CLONE } else { sample.byte(offset) };
    if testing::wrong_byte(pages, 0..3 * PAGE, stored).is_some() { 10 } else { 0 }
}

/// Runs a closure in a clone of this process and returns its status.
fn run(pages: &Mapping, clone_fn: impl FnOnce(&Mapping) -> u64) -> Result<u64, Error> {
    let clone = fork(|| clone_fn(pages))?;
    let report = clone.wait()?;
    check!("how the clone ended", report.kind, ExitKind::Exited as u64);
    Ok(report.status)
}
