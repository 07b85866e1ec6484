//! Planted bugs: small changes of the source, each of which a named test must catch.
//!
//! A file of `tests/mutants` says what is wrong, which test fails then, and which lines of which
//! files to replace. Lines are found by their text, whatever their indentation and place, so that
//! a planted bug survives changes around it; one whose lines are gone is a failure, not a success.
//!
//! Owns: the format, and the copy of the tree in `target/mutants` that bugs are planted in.
//! Refuses to know: how a test is run; see `commands::mutants`.

mod copy;
mod mutant;

pub use copy::Copied;
pub use mutant::{Mutant, Test};

use crate::failure::{Failure, Naming};
use crate::tree;

/// Where the planted bugs are.
pub const DIRECTORY: &str = "tests/mutants";

/// Returns every planted bug, in the order of their names.
///
/// # Errors
/// If a file cannot be read or makes no sense.
pub fn all() -> Result<Vec<Mutant>, Failure> {
    let files = tree::files(&tree::root().join(DIRECTORY), ".txt");
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).naming(path.display())?;
        Mutant::parse(&name, &text).map_err(Failure::usage)
    };
    files.into_iter().map(read).collect()
}

/// Returns `count` planted bugs, spread over all; which ones depends on the bytes of the source
/// that they are planted in, so that they are the same for the same source and others for another.
#[must_use]
pub fn sample(all: Vec<Mutant>, count: usize) -> Vec<Mutant> {
    let files = tree::files(&tree::root().join("kernel/vm/src"), ".rs");
    let lengths = files.iter().filter_map(|path| std::fs::metadata(path).ok());
    let bytes: u64 = lengths.map(|file| file.len()).sum();
    let stride = all.len().div_ceil(count.max(1)).max(1);
    all.into_iter().skip(bytes as usize % stride).step_by(stride).take(count).collect()
}
