//! Rules about the source tree that no compiler checks. See CONTRIBUTING.md for their reasons.
//!
//! A check returns findings, one line each; no finding means that the rule is kept.

mod requirements;
mod rules;
mod source;

pub use requirements::{Requirement, parse_requirements, requirement_findings};
pub use rules::{UnsafeCount, file_length_findings, lint_findings, unsafe_counts, unsafe_findings};
pub use source::code_of;

use crate::tree;
use std::path::PathBuf;

/// The directories that hold Rust code.
const SOURCES: [&str; 3] = ["kernel", "user", "tests"];

/// Returns every source file of the tree with its text, by its path from the top.
#[must_use]
pub fn source_files() -> Vec<(String, String)> {
    let root = tree::root();
    let paths = SOURCES.iter().flat_map(|directory| tree::files(&root.join(directory), ".rs"));
    let read = |path: PathBuf| Some((tree::relative(&path), std::fs::read_to_string(&path).ok()?));
    paths.filter_map(read).filter(|(path, _)| !path.contains("/target/")).collect()
}

/// Returns the findings of every check, over the tree.
#[must_use]
pub fn all_findings() -> Vec<String> {
    let files = source_files();
    let mut findings = unsafe_findings(&files);
    findings.extend(lint_findings(&files));
    findings.extend(file_length_findings(&files));
    let table = std::fs::read_to_string(tree::root().join("docs/requirements.md"));
    findings.extend(requirement_findings(&table.unwrap_or_default(), &files));
    findings
}
