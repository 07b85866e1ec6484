//! The table of requirements: a row that says `done` names the tests that show it.

use super::source::{code_of, is_word};
use crate::programs;
use std::path::Path;

/// What a row says that has something to show.
const DONE: &str = "done";

/// A row of `docs/requirements.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its number, as text.
    pub row: String,
    /// `done`, or why not.
    pub status: String,
    /// The names of its tests: programs of `user/` or test functions.
    pub tests: Vec<String>,
}

/// Reads the table `| row | status | test | note |`. Other lines are prose.
#[must_use]
pub fn parse_requirements(text: &str) -> Vec<Requirement> {
    text.lines().filter_map(parse_row).collect()
}

fn parse_row(line: &str) -> Option<Requirement> {
    let mut cells = line.trim().strip_prefix('|')?.split('|').map(str::trim);
    let row = cells.next().filter(|row| {
        // Rows of the thread are numbers, known bugs of the field K and a number.
        row.strip_prefix('K').unwrap_or(row).starts_with(|c: char| c.is_ascii_digit())
    })?;
    let status = cells.next()?;
    let names = cells.next()?.split(|c: char| c == ',' || c == '`' || c.is_whitespace());
    let tests = names.filter_map(last_part).map(String::from).collect();
    Some(Requirement { row: row.into(), status: status.into(), tests })
}

/// Returns what is behind paths: `vm::fault::x` and `max/x` both name `x`.
fn last_part(name: &str) -> Option<&str> {
    name.rsplit([':', '/']).next().filter(|name| !name.is_empty())
}

/// Returns a finding for each row that is done and names no test, or one that is in none of the
/// files; also if there is no row at all.
#[must_use]
pub fn requirement_findings(table: &str, files: &[(String, String)]) -> Vec<String> {
    let rows = parse_requirements(table);
    if rows.is_empty() {
        return vec!["docs/requirements.md has no rows".into()];
    }
    let known = known_names(files);
    let mut findings = Vec::new();
    for Requirement { row, status, tests } in rows {
        if status != DONE {
            continue;
        }
        if tests.is_empty() {
            findings.push(format!("docs/requirements.md: row {row} is done without a test"));
        }
        for test in tests.iter().filter(|test| !known.contains(test)) {
            findings.push(format!("docs/requirements.md: row {row}: there is no test {test}"));
        }
    }
    findings
}

/// Returns the names of all programs of `user/` and of all functions.
fn known_names(files: &[(String, String)]) -> Vec<String> {
    let mut names = Vec::new();
    for (path, text) in files {
        let program = path.strip_prefix("user/src/bin/").map(Path::new);
        names.extend(program.and_then(programs::name_of));
        let code = code_of(text);
        let functions = code.split("fn ").skip(1);
        names.extend(functions.map(|rest| rest.chars().take_while(|c| is_word(*c)).collect()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{parse_requirements, requirement_findings};

    const TABLE: &str = "\
# Requirements
| row | status | test | note |
|---|---|---|---|
| 2 | done | `row_02_x`, vm::fault::reads_share | both |
| 21 | n/a |  | nothing to run |
| 3 | later | row_03_y | |
| K8 | done | row_02_x | |
";

    #[test]
    fn rows_are_read_and_names_are_looked_up() {
        let rows = parse_requirements(TABLE);
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[0].tests, ["row_02_x", "reads_share"]);
        let mut files = vec![("user/src/bin/row_02_x.rs".into(), "fn main() {}".into())];
        let findings = requirement_findings(TABLE, &files);
        assert_eq!(findings, ["docs/requirements.md: row 2: there is no test reads_share"]);
        files.push(("kernel/vm/tests/a.rs".into(), "    fn reads_share() {}".to_owned()));
        assert!(requirement_findings(TABLE, &files).is_empty());
    }

    #[test]
    fn done_needs_a_test_and_the_table_needs_rows() {
        assert_eq!(requirement_findings("| 7 | done | | |", &[]).len(), 1);
        assert_eq!(requirement_findings("| K7 | done | gone | |", &[]).len(), 1);
        assert_eq!(requirement_findings("nothing", &[]).len(), 1);
    }
}
