//! `test`: every test on the host, then every test in QEMU.

use super::mutants;
use crate::build::cargo;
use crate::child::{Echo, End, Watched, collect};
use crate::command_line::Options;
use crate::failure::{Failure, Naming, Status};
use crate::install;
use crate::launch::TIMEOUT_VARIABLE;
use crate::qemu::Machine;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

/// What asks for the planted bugs: alone for all of them, with `/` and a part of a name for some.
const MUTANTS: &str = "mutants";
/// How many random operations the model machine is given, and the variable that says so.
const OPERATIONS: (&str, &str) = ("VELLUM_MODEL_OPS", "1000000");

/// How many tests came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Runs the tests whose name contains `filter`.
///
/// # Errors
/// `TestFailed`, or `MissingTool` where tests do not even build.
pub(super) fn test(options: &Options, filter: Option<&str>) -> Result<ExitCode, Failure> {
    if options.machine() != Machine::default() || !options.switches().is_empty() {
        return Err(Failure::usage("test chooses the machines itself; run takes such options"));
    }
    match filter.and_then(|filter| filter.strip_prefix(MUTANTS)) {
        Some("") => return mutants::all(options, ""),
        Some(name) if name.starts_with('/') => return mutants::all(options, &name[1..]),
        _ => {}
    }
    let qemu = install::qemu(options.install)?;
    eprintln!("vellum: tests on the host");
    let host: &[&[&str]] =
        &[&["test", "--no-fail-fast"], &["test", "-p", "vellum-user", "--lib", "--no-fail-fast"]];
    let mut count = Count::default();
    for words in host {
        count.add(run(words, options, filter)?);
    }
    eprintln!("vellum: tests in QEMU {}", qemu.version());
    count.add(run(&["test", "-p", "vellum-tests", "--test", "qemu"], options, filter)?);
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    if count.failed > 0 {
        let tests = if count.failed == 1 { "test" } else { "tests" };
        let text = format!("{} {tests} failed; see above", count.failed);
        return Err(Failure::new(Status::TestFailed, text));
    }
    if filter.is_none() {
        eprintln!("vellum: a sample of the planted bugs; test {MUTANTS} plants all");
        mutants::sample(options)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run(words: &[&str], options: &Options, filter: Option<&str>) -> Result<Count, Failure> {
    let mut command = command(words, options, filter);
    let mut child = Watched::start(&mut command)?;
    let output = child.child().stdout.take();
    let output = thread::spawn(move || collect(output, Echo::Shown));
    let end = child.wait(None)?;
    let output = output.join().map_err(|_| "a reader panicked").naming("reading from cargo")?;
    let count = Count::of(&String::from_utf8_lossy(&output));
    match end {
        End::Itself(status) if status.success() || count.failed > 0 => Ok(count),
        End::Itself(_) => Err(Failure::tool("the tests did not build or did not run; see above")),
        _ => Err(Failure::new(Status::Interrupted, "interrupted")),
    }
}

fn command(words: &[&str], options: &Options, filter: Option<&str>) -> Command {
    let mut command = cargo();
    command.args(words).stdout(Stdio::piped());
    if let Some(seconds) = options.timeout {
        command.env(TIMEOUT_VARIABLE, seconds.to_string());
    }
    if std::env::var_os(OPERATIONS.0).is_none() {
        command.env(OPERATIONS.0, OPERATIONS.1);
    }
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    command
}

impl Count {
    fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Adds up the result lines of test runners.
    fn of(output: &str) -> Count {
        let mut all = Count::default();
        for line in output.lines().filter(|line| line.contains("test result: ")) {
            all.add(Count {
                passed: number_before(line, "passed"),
                failed: number_before(line, "failed"),
                skipped: number_before(line, "ignored"),
            });
        }
        all
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<_> = line.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let pair = words.windows(2).find(|pair| pair[1] == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn result_lines_are_added_up() {
        let output = "test a ... ok\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; took\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(Count::of(output), Count { passed: 15, failed: 2, skipped: 1 });
        assert_eq!(Count::of("nothing"), Count::default());
    }
}
