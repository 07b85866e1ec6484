//! Where `unsafe` may stand, how long files may be, how lints are switched off.

use super::source::{code_of, is_word};

/// The crates, with the directory of each; the longest that fits a file is its crate.
const CRATES: [&str; 7] =
    ["kernel/abi", "kernel/vm", "kernel/sched", "kernel/model", "kernel", "user", "tests"];
/// Where `unsafe` may stand in the kernel: directories, and files by their name without ending.
const UNSAFE_PLACES: [&str; 8] = [
    "kernel/src/arch/",
    "kernel/src/platform/",
    "kernel/src/memory/",
    "kernel/src/percpu",
    "kernel/src/boot",
    "kernel/src/panic",
    "kernel/model/src/lock",
    "tests/linux-program/",
];
/// The most lines that a file may have.
const LONGEST_FILE: usize = 400;

/// How often a crate says `unsafe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsafeCount {
    /// The crate's directory.
    pub directory: &'static str,
    /// How often its code has the word.
    pub count: usize,
}

/// Counts `unsafe` in each crate.
#[must_use]
pub fn unsafe_counts(files: &[(String, String)]) -> Vec<UnsafeCount> {
    let count = |directory: &'static str| {
        let own = files.iter().filter(|(path, _)| crate_of(path) == Some(directory));
        let count = own.map(|(_, text)| lines_with_unsafe(text).len()).sum();
        UnsafeCount { directory, count }
    };
    CRATES.into_iter().map(count).collect()
}

/// Returns a finding for each `unsafe` outside its places.
#[must_use]
pub fn unsafe_findings(files: &[(String, String)]) -> Vec<String> {
    let forbidden = |path: &str| match crate_of(path) {
        Some("user") | None => false,
        Some(_) => !UNSAFE_PLACES.iter().any(|place| is_at(path, place)),
    };
    let files = files.iter().filter(|(path, _)| forbidden(path));
    let findings = files.flat_map(|(path, text)| {
        let lines = lines_with_unsafe(text);
        lines.into_iter().map(move |line| format!("{path}:{line}: unsafe is not allowed here"))
    });
    findings.collect()
}

/// Whether a path is a place: a directory, or a module with its file and its directory.
fn is_at(path: &str, place: &str) -> bool {
    let behind = path.strip_prefix(place);
    behind.is_some_and(|rest| place.ends_with('/') || rest == ".rs" || rest.starts_with('/'))
}

fn crate_of(path: &str) -> Option<&'static str> {
    let inside =
        |directory: &&str| path.strip_prefix(directory).is_some_and(|r| r.starts_with('/'));
    CRATES.into_iter().find(|directory| inside(directory))
}

/// Returns the number of a line for each time that it says `unsafe`.
fn lines_with_unsafe(text: &str) -> Vec<usize> {
    let code = code_of(text);
    let words = code.lines().enumerate().flat_map(|(index, line)| {
        let words = line.split(|c| !is_word(c)).filter(|word| *word == "unsafe");
        words.map(move |_| index + 1)
    });
    words.collect()
}

/// Returns a finding for each lint that is switched off by `allow`: `expect` says why and is
/// checked.
#[must_use]
pub fn lint_findings(files: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in files {
        for (index, line) in code_of(text).lines().enumerate() {
            let line = line.trim_start();
            let attribute = line.starts_with("#[") || line.starts_with("#![");
            if attribute && line.split(|c| !is_word(c)).any(|word| word == "allow") {
                findings.push(format!("{path}:{}: allow: use expect with a reason", index + 1));
            }
        }
    }
    findings
}

/// Returns a finding for each file that is too long.
#[must_use]
pub fn file_length_findings(files: &[(String, String)]) -> Vec<String> {
    let long = files.iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        let finding = || format!("{path}: {lines} lines; {LONGEST_FILE} is the most");
        (lines > LONGEST_FILE).then(finding)
    });
    long.collect()
}

#[cfg(test)]
mod tests {
    use super::{file_length_findings, lint_findings, unsafe_counts, unsafe_findings};

    fn file(path: &str, text: &str) -> (String, String) {
        (path.into(), text.into())
    }

    #[test]
    fn unsafe_stays_in_its_places() {
        let code = "// unsafe\nunsafe { x }\n#![forbid(unsafe_code)]\n";
        for (path, allowed) in [
            ("kernel/src/arch/aarch64/mmu.rs", true),
            ("kernel/src/memory/frames.rs", true),
            ("kernel/src/percpu.rs", true),
            ("user/src/raw.rs", true),
            ("kernel/src/panic.rs", true),
            ("kernel/model/src/lock.rs", true),
            ("kernel/src/percpu_of_others.rs", false),
            ("kernel/src/syscall/mod.rs", false),
            ("kernel/model/src/cpu.rs", false),
            ("kernel/src/main.rs", false),
            ("kernel/vm/src/fault.rs", false),
            ("kernel/abi/src/lib.rs", false),
            ("tests/src/lib.rs", false),
        ] {
            let files = [file(path, code)];
            assert_eq!(unsafe_findings(&files).is_empty(), allowed, "{path}");
            assert_eq!(unsafe_counts(&files).iter().map(|crate_| crate_.count).sum::<usize>(), 1);
        }
        let found = unsafe_findings(&[file("kernel/src/main.rs", code)]);
        assert_eq!(found, ["kernel/src/main.rs:2: unsafe is not allowed here"]);
    }

    #[test]
    fn lints_are_expected_not_allowed() {
        let findings = |text: &str| lint_findings(&[file("a.rs", text)]).len();
        assert_eq!(findings("#[allow(dead_code)]\n"), 1);
        assert_eq!(findings("#![cfg_attr(test, allow(dead_code))]\n"), 1);
        assert_eq!(findings("#[expect(dead_code, reason = \"allow(x)\")]\nfn allow() {}\n"), 0);
    }

    #[test]
    fn long_files_are_found() {
        assert!(file_length_findings(&[file("a.rs", &"\n".repeat(400))]).is_empty());
        assert_eq!(file_length_findings(&[file("a.rs", &"\n".repeat(401))]).len(), 1);
    }
}
