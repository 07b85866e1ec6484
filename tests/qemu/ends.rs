//! Every way in which a boot can end has its status.

use crate::Named;
use crate::context::Plan;
use libtest_mimic::Failed;
use std::time::Duration;
use vellum_abi::options::FAIL;
use vellum_tests::qemu::Machine;

pub(crate) const TESTS: &[Named] = &[
    ("ends/kernel_panic_shows_a_backtrace_with_names", kernel_panic_shows_a_backtrace_with_names),
    ("ends/kernel_stack_overflow_is_named", kernel_stack_overflow_is_named),
    ("ends/use_after_free_in_the_kernel_heap_is_caught", use_after_free_is_caught),
    ("ends/overflow_in_the_kernel_heap_is_caught", overflow_is_caught),
    ("ends/planted_bugs_pass_without_tags", planted_bugs_pass_without_tags),
    ("ends/self_test_of_tags_can_fail", self_test_of_tags_can_fail),
    ("ends/hang_is_ended_by_the_watchdog", hang_is_ended_by_the_watchdog),
    ("ends/fault_kills_the_program_only", fault_kills_the_program_only),
    ("ends/status_of_the_program_passes_through", status_of_the_program_passes_through),
    ("ends/large_status_becomes_99_and_is_printed", large_status_becomes_99_and_is_printed),
    ("ends/missing_program_is_named", missing_program_is_named),
];

fn failing(how: &'static str) -> Plan {
    Plan { switches: vec![(FAIL, how)], ..Plan::crash("exit=0") }
}

fn kernel_panic_shows_a_backtrace_with_names() -> Result<(), Failed> {
    // The kernel's crate has the name that its symbols start with.
    failing("panic").run()?.ends_with(103, &["panic", "vellum::"])
}

fn kernel_stack_overflow_is_named() -> Result<(), Failed> {
    failing("stack").run()?.ends_with(103, &["stack overflow"])
}

fn use_after_free_is_caught() -> Result<(), Failed> {
    let words = ["use after free or overflow", "read: tag check fault", "plants::use_after_free"];
    failing("use_after_free").run()?.ends_with(103, &words)?;
    failing("use_after_free").run_release()?.ends_with(103, &words[..2])
}

fn overflow_is_caught() -> Result<(), Failed> {
    let words = ["use after free or overflow", "write: tag check fault", "plants::overflow"];
    failing("overflow").run()?.ends_with(103, &words)?;
    failing("overflow").run_release()?.ends_with(103, &words[..2])
}

/// What the two tests above see comes of the tags, and of nothing else.
fn planted_bugs_pass_without_tags() -> Result<(), Failed> {
    for how in ["use_after_free", "overflow", "tags"] {
        let machine = Machine { mte: false, ..Machine::default() };
        Plan { machine, ..failing(how) }.run()?.ends_with(0, &[])?;
    }
    Ok(())
}

fn self_test_of_tags_can_fail() -> Result<(), Failed> {
    failing("tags").run()?.ends_with(103, &["a tag that was written is not read back"])
}

fn hang_is_ended_by_the_watchdog() -> Result<(), Failed> {
    Plan { limit: Duration::from_secs(8), ..failing("hang") }.run()?.ends_with(104, &[])
}

fn fault_kills_the_program_only() -> Result<(), Failed> {
    let run = Plan::crash("null").run()?;
    run.ends_with(102, &["unmapped"])?;
    run.has_not_panicked()
}

fn status_of_the_program_passes_through() -> Result<(), Failed> {
    Plan::crash("exit=7").run()?.ends_with(7, &[])
}

fn large_status_becomes_99_and_is_printed() -> Result<(), Failed> {
    Plan::crash("exit=1234").run()?.ends_with(99, &["1234"])
}

fn missing_program_is_named() -> Result<(), Failed> {
    let run = Plan::new("no_such_program").run()?;
    run.ends_with(106, &["no_such_program"])?;
    run.has_not_panicked()
}
