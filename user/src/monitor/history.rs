//! Lines that were entered before.
//!
//! Owns: their order and where in them the user is. Invariant: what the user had begun to type is kept
//! while older lines are looked at, and comes back behind the newest.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

/// How many lines are kept.
const LINES: usize = 64;

/// Lines that were entered before.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: VecDeque<String>,
    /// How many lines back the user is.
    back: usize,
    draft: String,
}

impl History {
    /// Adds a line, unless it is empty or the same as the last.
    pub fn add(&mut self, line: &str) {
        self.back = 0;
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_string());
    }

    /// Returns the line before the one that is shown, `shown`, if there is one.
    pub fn older(&mut self, shown: &str) -> Option<&str> {
        let index = self.lines.len().checked_sub(self.back + 1)?;
        if self.back == 0 {
            self.draft = shown.to_string();
        }
        self.back += 1;
        self.lines.get(index).map(String::as_str)
    }

    /// Returns the line behind the one that is shown, or what was there before the first look.
    pub fn newer(&mut self) -> Option<&str> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 {
            return Some(&self.draft);
        }
        self.lines.get(self.lines.len() - self.back).map(String::as_str)
    }

    /// Returns to what is being typed.
    pub fn leave(&mut self) {
        self.back = 0;
    }

    /// Returns all lines, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::{History, LINES};
    use std::format;

    #[test]
    fn lines_come_back_in_order_and_the_draft_last() {
        let mut history = History::default();
        assert_eq!(history.older("draft"), None);
        ["one", "two", "two", "  ", "three"].into_iter().for_each(|line| history.add(line));
        assert_eq!(history.older("draft"), Some("three"));
        assert_eq!(history.older("three"), Some("two"));
        assert_eq!(history.older("two"), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer(), Some("two"));
        assert_eq!(history.newer(), Some("three"));
        assert_eq!(history.newer(), Some("draft"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn the_oldest_lines_are_forgotten() {
        let mut history = History::default();
        (0..LINES + 5).for_each(|number| history.add(&format!("{number}")));
        assert_eq!(history.iter().count(), LINES);
        assert_eq!(history.iter().next(), Some("5"));
    }
}
