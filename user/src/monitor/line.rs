//! The line that is being edited: text, a cursor, and what was removed last.
//!
//! Owns: the text. Refuses to know: keys and screens. The cursor is never outside the text, which is
//! printable ASCII, so that a character is a byte and a column.

use alloc::string::String;

/// The longest line.
pub const LONGEST: usize = 200;

/// A line and a place in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    cursor: usize,
    removed: String,
}

impl Line {
    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns how many characters are before the cursor.
    #[must_use]
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Returns the text before the cursor.
    #[must_use]
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Puts a character before the cursor. A line that is full stays as it is.
    pub fn insert(&mut self, character: char) {
        if matches!(character, ' '..='~') && self.text.len() < LONGEST {
            self.text.insert(self.cursor, character);
            self.cursor += 1;
        }
    }

    /// Puts text before the cursor, as much as fits.
    pub fn insert_all(&mut self, text: &str) {
        text.chars().for_each(|character| self.insert(character));
    }

    /// Replaces everything; the cursor is at the end.
    pub fn set(&mut self, text: &str) {
        self.text.clear();
        self.cursor = 0;
        self.insert_all(text);
    }

    /// Takes the text out and leaves an empty line.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        core::mem::take(&mut self.text)
    }

    /// Removes the character before the cursor.
    pub fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.delete();
        }
    }

    /// Removes the character behind the cursor.
    pub fn delete(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    /// Moves the cursor by a character.
    pub fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    /// Moves the cursor by a character.
    pub fn right(&mut self) {
        self.cursor = self.text.len().min(self.cursor + 1);
    }

    /// Moves the cursor to the start of the word before it.
    pub fn word_left(&mut self) {
        let words = self.before().trim_end_matches(' ');
        self.cursor = words.rfind(' ').map_or(0, |space| space + 1);
    }

    /// Moves the cursor behind the word behind it.
    pub fn word_right(&mut self) {
        let behind = &self.text[self.cursor..];
        let spaces = behind.len() - behind.trim_start_matches(' ').len();
        let word = behind[spaces..].find(' ').unwrap_or(behind.len() - spaces);
        self.cursor += spaces + word;
    }

    /// Moves the cursor before everything.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// Moves the cursor behind everything.
    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// Removes what is behind the cursor.
    pub fn kill_to_end(&mut self) {
        self.removed = self.text.split_off(self.cursor);
    }

    /// Removes what is before the cursor.
    pub fn kill_to_start(&mut self) {
        self.kill_from(0);
    }

    /// Removes the word before the cursor.
    pub fn kill_word(&mut self) {
        let end = self.cursor;
        self.word_left();
        let start = core::mem::replace(&mut self.cursor, end);
        self.kill_from(start);
    }

    /// Puts back what was removed last.
    pub fn yank(&mut self) {
        let removed = core::mem::take(&mut self.removed);
        self.insert_all(&removed);
        self.removed = removed;
    }

    fn kill_from(&mut self, start: usize) {
        self.removed = self.text.drain(start..self.cursor).collect();
        self.cursor = start;
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Line};

    fn line(text: &str) -> Line {
        let mut line = Line::default();
        line.set(text);
        line
    }

    #[test]
    fn characters_go_in_and_out_at_the_cursor() {
        let mut line = line("held");
        line.left();
        line.insert('l');
        line.end();
        line.backspace();
        line.insert('o');
        assert_eq!(line.text(), "hello");
        line.home();
        line.delete();
        line.backspace();
        line.insert('j');
        assert_eq!((line.text(), line.cursor()), ("jello", 1));
    }

    #[test]
    fn words_are_passed_and_removed_with_the_spaces_behind_them() {
        let mut line = line("run  hello  world ");
        line.word_left();
        assert_eq!(line.before(), "run  hello  ");
        line.kill_word();
        assert_eq!(line.text(), "run  world ");
        line.home();
        line.word_right();
        line.word_right();
        assert_eq!(line.before(), "run  world");
        line.kill_to_start();
        assert_eq!(line.text(), " ");
        line.yank();
        assert_eq!(line.text(), "run  world ");
    }

    #[test]
    fn what_was_removed_comes_back_anywhere() {
        let mut line = line("one two");
        line.home();
        line.word_right();
        line.kill_to_end();
        assert_eq!(line.text(), "one");
        line.home();
        line.yank();
        assert_eq!((line.text(), line.cursor()), (" twoone", 4));
    }

    #[test]
    fn an_empty_and_a_full_line_take_everything() {
        let mut line = Line::default();
        line.backspace();
        line.delete();
        line.left();
        line.right();
        line.word_left();
        line.word_right();
        line.kill_word();
        line.kill_to_end();
        assert_eq!(line, Line::default());
        (0..2 * LONGEST).for_each(|_| line.insert('x'));
        assert_eq!(line.text().len(), LONGEST);
        line.insert_all("\u{1b}\u{e4}\n");
        assert_eq!(line.text().len(), LONGEST);
    }
}
