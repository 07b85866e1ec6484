//! `check`: everything about the tree that needs no test run.

use crate::build::{KERNEL_TARGET, USER_TARGET, cargo, cargo_for};
use crate::checks;
use crate::child;
use crate::failure::{Failure, Status};
use std::process::{Command, ExitCode};

/// A check by cargo.
struct Stage {
    name: &'static str,
    /// The sub-command of cargo, which may not be installed.
    verb: &'static str,
    /// The target, unless it is the host.
    target: Option<&'static str>,
    words: &'static [&'static str],
}

/// Every check by cargo: the format, then lints and documentation of the host's crates, of the
/// kernel and of the programs.
const STAGES: &[Stage] = &[
    Stage { name: "format", verb: "fmt", target: None, words: &["--all", "--check"] },
    Stage {
        name: "lints, host",
        verb: "clippy",
        target: None,
        words: &["--all-targets", "--", "--deny", "warnings"],
    },
    Stage {
        name: "lints, kernel",
        verb: "clippy",
        target: Some(KERNEL_TARGET),
        words: &["-p", "vellum-kernel", "--", "--deny", "warnings"],
    },
    Stage {
        name: "lints, programs",
        verb: "clippy",
        target: Some(USER_TARGET),
        words: &["-p", "vellum-user", "--", "--deny", "warnings"],
    },
    Stage { name: "documentation, host", verb: "doc", target: None, words: &["--no-deps"] },
    Stage {
        name: "documentation, kernel",
        verb: "doc",
        target: Some(KERNEL_TARGET),
        words: &["--no-deps", "-p", "vellum-kernel"],
    },
    Stage {
        name: "documentation, programs",
        verb: "doc",
        target: Some(USER_TARGET),
        words: &["--no-deps", "-p", "vellum-user", "--lib"],
    },
];

/// Runs every check, also behind one that fails.
///
/// # Errors
/// `TestFailed` naming those that failed.
pub(super) fn check() -> Result<ExitCode, Failure> {
    let mut failed = Vec::new();
    for stage in STAGES {
        if !is_installed(stage.verb) {
            eprintln!("vellum: check: {}: skipped, cargo {} is missing", stage.name, stage.verb);
            continue;
        }
        eprintln!("vellum: check: {}", stage.name);
        if !child::succeeds(&mut command(stage)?)? {
            failed.push(stage.name);
        }
    }
    if !rules_are_kept() {
        failed.push("rules");
    }
    if failed.is_empty() {
        eprintln!("vellum: every check passed");
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(Status::TestFailed, format!("checks failed: {}", failed.join("; "))))
}

fn command(stage: &Stage) -> Result<Command, Failure> {
    let mut command = match stage.target {
        Some(target) => cargo_for(target, stage.verb)?,
        None => cargo(),
    };
    if stage.target.is_none() {
        command.arg(stage.verb);
    }
    command.args(stage.words).env("RUSTDOCFLAGS", "--deny warnings");
    Ok(command)
}

/// Whether cargo has a sub-command: toolchains of distributions may come without some.
fn is_installed(verb: &str) -> bool {
    // This one is part of cargo, and knows no version.
    if verb == "doc" {
        return true;
    }
    let output = cargo().args([verb, "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

fn rules_are_kept() -> bool {
    eprintln!("vellum: check: rules");
    for crate_ in checks::unsafe_counts(&checks::source_files()) {
        println!("unsafe in {}: {}", crate_.directory, crate_.count);
    }
    let findings = checks::all_findings();
    for finding in &findings {
        println!("{finding}");
    }
    findings.is_empty()
}
