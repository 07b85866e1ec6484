//! One planted bug: its text, and planting it.

/// The test that must fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// A test of `kernel/vm` on the host, by the last part of its name.
    Host(String),
    /// Likewise of `kernel/sched`.
    Sched(String),
    /// A test in QEMU, by its whole name.
    Qemu(String),
}

/// Lines of a file and what takes their place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    file: String,
    old: Vec<String>,
    new: Vec<String>,
}

/// A planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// The file's name without its ending.
    pub name: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What must notice.
    pub test: Test,
    edits: Vec<Edit>,
}

const OLD: &str = "--- old";
const NEW: &str = "--- new";

impl Mutant {
    /// Reads the text of a planted bug.
    ///
    /// # Errors
    /// One line that says what is missing.
    pub fn parse(name: &str, text: &str) -> Result<Mutant, String> {
        let field = |key: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
            values.next().map(str::trim).filter(|value| !value.is_empty())
        };
        let bad = |what: &str| format!("mutants/{name}: {what}");
        let what = field("What:").ok_or_else(|| bad("no line What:"))?.to_owned();
        let test = match field("Test:").and_then(|test| test.split_once(' ')) {
            Some(("host", test)) => Test::Host(test.to_owned()),
            Some(("sched", test)) => Test::Sched(test.to_owned()),
            Some(("qemu", test)) => Test::Qemu(test.to_owned()),
            _ => return Err(bad("no line Test: host, sched or qemu NAME")),
        };
        let mut edits = Vec::new();
        for part in text.split("\nFile:").skip(1) {
            edits.push(Edit::parse(part).ok_or_else(|| bad("a file without old and new lines"))?);
        }
        if edits.is_empty() {
            return Err(bad("no line File:"));
        }
        Ok(Mutant { name: name.to_owned(), what, test, edits })
    }

    /// Returns the files that change.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.edits.iter().map(|edit| edit.file.as_str())
    }

    /// Returns a file with the bug in it.
    ///
    /// # Errors
    /// One line that says which lines are not there, or more than once.
    pub fn plant(&self, file: &str, text: &str) -> Result<String, String> {
        let mut lines: Vec<&str> = text.lines().collect();
        for edit in self.edits.iter().filter(|edit| edit.file == file) {
            let is_there = |start: &usize| edit.matches(&lines[*start..]);
            let places: Vec<_> = (0..lines.len()).filter(is_there).collect();
            let [start] = places[..] else {
                let (name, count, old) = (&self.name, places.len(), edit.old.join(" "));
                return Err(format!("mutants/{name}: {file} has {count} times, not once: {old}"));
            };
            lines.splice(start..start + edit.old.len(), edit.new.iter().map(String::as_str));
        }
        Ok(lines.join("\n") + "\n")
    }
}

impl Edit {
    fn parse(text: &str) -> Option<Edit> {
        let mut lines = text.lines();
        let file = lines.next()?.trim().to_owned();
        let rest: Vec<&str> = lines.collect();
        let old = rest.iter().position(|line| *line == OLD)?;
        let new = rest.iter().position(|line| *line == NEW)?;
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let edit = Edit { file, old: owned(rest.get(old + 1..new)?), new: owned(&rest[new + 1..]) };
        (!edit.old.is_empty()).then_some(edit)
    }

    /// Whether lines begin with the old ones, but for their indentation.
    fn matches(&self, lines: &[&str]) -> bool {
        lines.len() >= self.old.len()
            && self.old.iter().zip(lines).all(|(old, line)| old.trim() == line.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::{Mutant, Test};

    const TEXT: &str = "\
What: it is wrong
Test: host it_is_right
File: a.rs
--- old
one();
two();
--- new
two();
";

    #[test]
    fn lines_are_found_by_their_text_alone() {
        let mutant = Mutant::parse("01-x", TEXT).unwrap();
        assert_eq!(mutant.test, Test::Host("it_is_right".into()));
        assert_eq!(mutant.files().collect::<Vec<_>>(), ["a.rs"]);
        let planted = mutant.plant("a.rs", "zero();\n    one();\n    two();\nthree();\n");
        assert_eq!(planted.unwrap(), "zero();\ntwo();\nthree();\n");
        assert_eq!(mutant.plant("b.rs", "two();\n").unwrap(), "two();\n");
    }

    #[test]
    fn a_bug_that_can_be_planted_nowhere_or_twice_is_a_failure() {
        let mutant = Mutant::parse("01-x", TEXT).unwrap();
        assert!(mutant.plant("a.rs", "one();\n").unwrap_err().contains("0 times"));
        let twice = "one();\ntwo();\n".repeat(2);
        assert!(mutant.plant("a.rs", &twice).unwrap_err().contains("2 times"));
    }

    #[test]
    fn incomplete_texts_are_refused() {
        for line in ["What", "Test", "File", "--- old", "--- new"] {
            let text: Vec<_> = TEXT.lines().filter(|other| !other.starts_with(line)).collect();
            assert!(Mutant::parse("01-x", &text.join("\n")).is_err(), "{line}");
        }
    }

    #[test]
    fn every_planted_bug_still_fits_the_tree() {
        let all = crate::mutants::all().unwrap();
        assert!(all.len() >= 25, "{} planted bugs", all.len());
        for mutant in all {
            for file in mutant.files() {
                let text = std::fs::read_to_string(crate::tree::root().join(file));
                mutant.plant(file, &text.unwrap()).unwrap();
            }
        }
    }
}
