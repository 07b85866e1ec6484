//! The tool as a user meets it: a command line in, text and a status out.

use crate::Named;
use libtest_mimic::{Completion, Failed, Trial};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use vellum_tests::install;

pub(crate) const TESTS: &[Named] = &[
    ("tool/help_succeeds", help_succeeds),
    ("tool/wrong_usage_is_106_and_one_line", wrong_usage_is_106_and_one_line),
    ("tool/status_of_a_run_is_the_program_s", status_of_a_run_is_the_program_s),
    ("tool/each_failure_ends_with_one_line", each_failure_ends_with_one_line),
    ("tool/two_measurements_give_the_same_files", two_measurements_give_the_same_files),
];

/// Returns the tests that a missing program makes pointless.
pub(crate) fn ignorable_trials() -> Vec<Trial> {
    vec![
        Trial::ignorable_test("tool/debugger_knows_the_symbols", debugger_knows_the_symbols),
        Trial::ignorable_test(
            "tool/interrupted_run_leaves_no_qemu",
            interrupted_run_leaves_no_qemu,
        ),
    ]
}

/// What came out of the tool.
pub(crate) struct Ended {
    output: String,
    errors: String,
    status: Option<i32>,
}

/// Runs the tool with these words.
pub(crate) fn vellum(words: &[&str]) -> Result<Ended, Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vellum"));
    let Output { status, stdout, stderr } = command.args(words).stdin(Stdio::null()).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { output: text(stdout), errors: text(stderr), status: status.code() })
}

impl Ended {
    fn check(&self, condition: bool, expected: &str) -> Result<(), Failed> {
        if condition {
            return Ok(());
        }
        let Ended { output, errors, status } = self;
        Err(format!("expected {expected}, got status {status:?}\n{output}\n{errors}").into())
    }

    /// Fails unless the tool ended with this status and wrote these words.
    pub(crate) fn ends_with(&self, status: i32, words: &[&str]) -> Result<(), Failed> {
        self.check(self.status == Some(status), &format!("status {status}"))?;
        for word in words {
            self.check(self.output.contains(word), &format!("output with {word:?}"))?;
        }
        Ok(())
    }

    /// Fails unless the tool ended with this status and its last line on standard error is its own.
    fn fails_with(&self, status: i32, words: &str) -> Result<(), Failed> {
        self.ends_with(status, &[])?;
        let last = self.errors.lines().last().unwrap_or_default();
        let is_own = last.starts_with("vellum: ") && last.contains(words);
        self.check(is_own, &format!("a last line with {words:?}"))
    }
}

fn help_succeeds() -> Result<(), Failed> {
    vellum(&["--help"])?.ends_with(0, &["run", "test", "bench", "debug", "--no-icount", "104"])
}

fn wrong_usage_is_106_and_one_line() -> Result<(), Failed> {
    vellum(&["--nonsense"])?.fails_with(106, "--nonsense")?;
    vellum(&["dance"])?.fails_with(106, "dance")?;
    vellum(&["run"])?.fails_with(106, "required")?;
    vellum(&["run", "no_such_program"])?.fails_with(106, "no_such_program")?;
    vellum(&["run", "./no/such/file"])?.fails_with(106, "no such file")?;
    vellum(&["test", "--no-mte"])?.fails_with(106, "machines")?;
    vellum(&["bench", "no_such_bench"])?.fails_with(106, "no_such_bench")?;
    vellum(&["--cpu", "no-such-cpu", "run", "crash", "exit=0"])?.fails_with(106, "no-such-cpu")
}

fn status_of_a_run_is_the_program_s() -> Result<(), Failed> {
    vellum(&["run", "crash", "exit=42"])?.ends_with(42, &[])?;
    vellum(&["run", "crash", "exit=0"])?.ends_with(0, &[])
}

fn each_failure_ends_with_one_line() -> Result<(), Failed> {
    vellum(&["run", "crash", "null"])?.fails_with(102, "fault")?;
    vellum(&["--timeout", "4", "run", "crash", "hang"])?.fails_with(104, "watchdog")
}

fn two_measurements_give_the_same_files() -> Result<(), Failed> {
    let [first, second] = [tempfile::tempdir()?, tempfile::tempdir()?];
    for directory in [&first, &second] {
        let out = directory.path().to_string_lossy();
        vellum(&["bench", "--out", &out])?.ends_with(0, &["stripped_bytes"])?;
    }
    let names = names_in(first.path())?;
    if names != names_in(second.path())? || !names.contains(&"figures.json".to_owned()) {
        return Err(format!("the files are not the same ones: {names:?}").into());
    }
    // What the host's clock says is in a file of its own, and differs.
    for name in names.iter().filter(|name| *name != "noisy.json") {
        if fs::read(first.path().join(name))? != fs::read(second.path().join(name))? {
            return Err(format!("two runs differ in {name}").into());
        }
    }
    Ok(())
}

fn names_in(directory: &Path) -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn debugger_knows_the_symbols() -> Result<Completion, Failed> {
    if !install::has_debugger() {
        return Ok(Completion::ignored_with(format!("{} is missing", install::GDB)));
    }
    let words = ["debug", "--batch", "--gdb-command", "info symbol $pc", "crash"];
    vellum(&words)?.ends_with(0, &["in section"])?;
    Ok(Completion::Completed)
}

fn interrupted_run_leaves_no_qemu() -> Result<Completion, Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vellum"));
    command.args(["run", "crash", "hang"]).stdin(Stdio::null());
    let mut tool = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(output) = &mut tool.stdout {
        // The guest is up when it says something.
        output.read_exact(&mut [0])?;
    }
    let id = tool.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status()?;
    let status = tool.wait()?;
    let Ok(children) = children else {
        return Ok(Completion::ignored_with("the system does not list children of processes"));
    };
    let children: Vec<_> = children.split_whitespace().collect();
    let alive = children.iter().any(|child| Path::new("/proc").join(child).exists());
    if children.is_empty() || alive || status.code() != Some(130) {
        return Err(format!("{status}, children {children:?}, alive: {alive}").into());
    }
    Ok(Completion::Completed)
}
