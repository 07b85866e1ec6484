//! The programs of `user/` and ELF files from elsewhere.
//!
//! A program is a file or directory of `user/src/bin`. Its name says what it is for: `row_*` and `test_*` are
//! tests, `init` is the first program, all others can be started by anybody and therefore travel
//! with every program that is run.

use crate::failure::Failure;
use crate::tree;
use std::path::{Path, PathBuf};

/// The program that the kernel starts.
pub const FIRST: &str = "init";
/// The program of the demonstration.
pub const DEMONSTRATION: &str = "thread";
/// What the name of a test starts with.
pub const TEST_PREFIXES: [&str; 2] = ["row_", "test_"];

/// A program to put into an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// One of `user/`, by name.
    Own(String),
    /// An ELF file from elsewhere.
    Foreign(PathBuf),
}

impl Program {
    /// Returns the name that the file has in the archive.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Program::Own(name) => name.clone(),
            Program::Foreign(path) => {
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
        }
    }

    /// Finds the program that a command line means: a name of `user/`, else a path.
    ///
    /// # Errors
    /// `Usage` if there is no such program.
    pub fn find(text: &str) -> Result<Program, Failure> {
        let names = own();
        if names.iter().any(|name| name == text) {
            return Ok(Program::Own(text.to_owned()));
        }
        let path = Path::new(text);
        if path.is_file() {
            return Ok(Program::Foreign(path.to_path_buf()));
        }
        if text.contains('/') {
            return Err(Failure::usage(format!("{text}: no such file")));
        }
        let known: Vec<_> = names.into_iter().filter(|name| is_companion(name)).collect();
        let known = known.join(", ");
        Err(Failure::usage(format!("no program {text} (there are {known}, and the tests)")))
    }
}

/// Returns the names of all programs of `user/`: `name.rs` and `name/main.rs`.
#[must_use]
pub fn own() -> Vec<String> {
    let directory = tree::root().join("user/src/bin");
    let files = tree::files(&directory, ".rs");
    files.iter().filter_map(|path| name_of(path.strip_prefix(&directory).ok()?)).collect()
}

/// Returns the name of the program that a file below `user/src/bin` is the main file of.
#[must_use]
pub fn name_of(path: &Path) -> Option<String> {
    let file = path.to_str()?.strip_suffix(".rs")?;
    let name = file.strip_suffix("/main").unwrap_or(file);
    (!name.contains('/')).then(|| name.to_owned())
}

/// Returns whether the name is that of a test.
#[must_use]
pub fn is_test(name: &str) -> bool {
    TEST_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns whether the program travels with every other.
#[must_use]
pub fn is_companion(name: &str) -> bool {
    !is_test(name) && name != FIRST
}

/// Returns the programs that travel with `program`, itself included.
#[must_use]
pub fn with_companions(program: &Program) -> Vec<Program> {
    let name = program.name();
    let others = own().into_iter().filter(|other| is_companion(other) && *other != name);
    std::iter::once(program.clone()).chain(others.map(Program::Own)).collect()
}

#[cfg(test)]
mod tests {
    use super::name_of;
    use std::path::Path;

    #[test]
    fn a_program_is_a_file_or_a_directory_with_a_main_file() {
        let name = |path| name_of(Path::new(path));
        assert_eq!(name("crash.rs").as_deref(), Some("crash"));
        assert_eq!(name("thread/main.rs").as_deref(), Some("thread"));
        assert_eq!(name("thread/rows.rs"), None);
        assert_eq!(name("notes.md"), None);
    }
}
