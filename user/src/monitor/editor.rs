//! The line editor: keys in, what the terminal shall show out.
//!
//! Owns: what each key does, and the picture of the line on the screen. Refuses to know: where bytes come
//! from and go to, and which words there are to complete. It writes no more than it must: a character at the
//! end of the line is that character, everything else draws the line anew.

use super::completion::{self, Completion};
use super::history::History;
use super::keys::{Key, Keys};
use super::line::Line;
use alloc::string::String;
use core::fmt::Write;

/// Moves to the first column and clears from the cursor to the end of the line (ECMA-48 EL).
const CLEAR_LINE: &str = "\r\x1b[K";
/// Moves to the upper left corner and clears the screen (CUP, ED).
const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";
/// Columns for the list of choices.
const COLUMNS: usize = 78;

/// What a byte led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The line is still being edited.
    Editing,
    /// A line was entered.
    Entered(String),
    /// The line was given up.
    Cancelled,
    /// There will be no other line.
    End,
}

/// A line editor.
#[derive(Clone, Debug)]
pub struct Editor {
    prompt: String,
    keys: Keys,
    line: Line,
    history: History,
}

impl Editor {
    /// Returns an editor with an empty line.
    #[must_use]
    pub fn new(prompt: &str) -> Editor {
        Editor {
            prompt: String::from(prompt),
            keys: Keys::default(),
            line: Line::default(),
            history: History::default(),
        }
    }

    /// Returns the lines that were entered, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &str> {
        self.history.iter()
    }

    /// Begins a line: what is to be shown goes behind `screen`.
    pub fn begin(&self, screen: &mut String) {
        self.draw(screen);
    }

    /// Takes a byte. `words_fn` returns the words that could follow some text; what is to be shown goes
    /// behind `screen`.
    pub fn feed(
        &mut self,
        byte: u8,
        words_fn: impl FnOnce(&str) -> alloc::vec::Vec<String>,
        screen: &mut String,
    ) -> Event {
        let Some(key) = self.keys.feed(byte) else { return Event::Editing };
        match key {
            Key::Character(character) => self.add(character, screen),
            Key::Enter => return self.enter(screen),
            Key::Cancel => {
                self.line.take();
                self.history.leave();
                screen.push_str("^C\n");
                return Event::Cancelled;
            }
            Key::EndOfInput if self.line.text().is_empty() => {
                screen.push('\n');
                return Event::End;
            }
            Key::Tab => {
                let words = words_fn(self.line.before());
                self.complete(&completion::complete(self.line.before(), &words), screen);
            }
            Key::Clear => {
                screen.push_str(CLEAR_SCREEN);
                self.draw(screen);
            }
            key => {
                self.edit(key);
                self.draw(screen);
            }
        }
        Event::Editing
    }

    fn add(&mut self, character: char, screen: &mut String) {
        let was_at_end = self.line.cursor() == self.line.text().len();
        let before = self.line.text().len();
        self.line.insert(character);
        if self.line.text().len() == before {
            return;
        }
        if was_at_end {
            screen.push(character);
        } else {
            self.draw(screen);
        }
    }

    fn enter(&mut self, screen: &mut String) -> Event {
        let text = self.line.take();
        screen.push('\n');
        self.history.add(&text);
        Event::Entered(text)
    }

    /// Does what a key does to the line alone.
    fn edit(&mut self, key: Key) {
        let line = &mut self.line;
        match key {
            Key::Backspace => line.backspace(),
            Key::Delete | Key::EndOfInput => line.delete(),
            Key::Left => line.left(),
            Key::Right => line.right(),
            Key::WordLeft => line.word_left(),
            Key::WordRight => line.word_right(),
            Key::Home => line.home(),
            Key::End => line.end(),
            Key::KillToEnd => line.kill_to_end(),
            Key::KillToStart => line.kill_to_start(),
            Key::KillWord => line.kill_word(),
            Key::Yank => line.yank(),
            Key::Up => {
                if let Some(older) = self.history.older(line.text()) {
                    line.set(older);
                }
            }
            Key::Down => {
                if let Some(newer) = self.history.newer() {
                    line.set(newer);
                }
            }
            Key::Character(_) | Key::Enter | Key::Tab | Key::Cancel | Key::Clear => {}
        }
    }

    /// Adds what is certain, or else shows what is possible.
    fn complete(&mut self, completion: &Completion, screen: &mut String) {
        if completion.rest.is_empty() && !completion.choices.is_empty() {
            list(&completion.choices, screen);
        }
        self.line.insert_all(&completion.rest);
        self.draw(screen);
    }

    /// Draws the line anew and puts the cursor where it belongs.
    fn draw(&self, screen: &mut String) {
        screen.push_str(CLEAR_LINE);
        screen.push_str(&self.prompt);
        screen.push_str(self.line.text());
        let behind = self.line.text().len() - self.line.cursor();
        if behind > 0 {
            // Text in memory takes every character.
            let _ = write!(screen, "\x1b[{behind}D");
        }
    }
}

/// Lists words in columns below the line.
fn list(words: &[String], screen: &mut String) {
    let width = words.iter().map(String::len).max().unwrap_or(0) + 2;
    let across = (COLUMNS / width).max(1);
    for (index, word) in words.iter().enumerate() {
        if index % across == 0 {
            screen.push('\n');
        }
        let _ = write!(screen, "{word:width$}");
    }
    screen.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{Editor, Event};
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn words(before: &str) -> Vec<String> {
        let all: &[&str] = if before.contains(' ') { &["hello", "help"] } else { &["run", "ps"] };
        all.iter().map(ToString::to_string).collect()
    }

    /// Types bytes; returns the events that ended something, and everything that was shown.
    fn type_in(editor: &mut Editor, bytes: &str) -> (Vec<Event>, String) {
        let mut screen = String::new();
        let events = bytes.bytes().map(|byte| editor.feed(byte, words, &mut screen));
        let events = events.filter(|event| *event != Event::Editing).collect();
        (events, screen)
    }

    fn entered(bytes: &str) -> Vec<String> {
        let (events, _) = type_in(&mut Editor::new("> "), bytes);
        let text = |event| if let Event::Entered(text) = event { Some(text) } else { None };
        events.into_iter().filter_map(text).collect()
    }

    #[test]
    fn keys_edit_the_line() {
        assert_eq!(entered("held\x1b[Dl\x05\x7fo\r"), ["hello"]);
        assert_eq!(entered("bc\x01a\x05d\r"), ["abcd"]);
        assert_eq!(entered("one two\x17three\r"), ["one three"]);
        assert_eq!(entered("gone\x15here\r"), ["here"]);
        assert_eq!(entered("abcd\x1b[D\x1b[D\x0b\r"), ["ab"]);
        assert_eq!(entered("abc\x1b[H\x1b[3~\x04\r"), ["c"]);
    }

    #[test]
    fn the_history_is_walked_with_arrows() {
        assert_eq!(entered("one\rtwo\r\x1b[A\x1b[A\r"), ["one", "two", "one"]);
        assert_eq!(entered("one\rtwo\r\x1b[A\x1b[A\x1b[B!\r"), ["one", "two", "two!"]);
        assert_eq!(entered("one\rdra\x1b[A\x1b[Bft\r"), ["one", "draft"]);
    }

    #[test]
    fn tab_completes_or_lists() {
        assert_eq!(entered("r\thel\tlo\r"), ["run hello"]);
        let (_, screen) = type_in(&mut Editor::new("> "), "run hel\t");
        assert!(screen.contains("\nhello  help"), "{screen:?}");
        assert!(screen.ends_with("> run hel"), "{screen:?}");
    }

    #[test]
    fn cancel_and_end_are_told() {
        let mut editor = Editor::new("> ");
        assert_eq!(type_in(&mut editor, "abc\x03").0, [Event::Cancelled]);
        assert_eq!(type_in(&mut editor, "abc\x04\r").0, [Event::Entered("abc".to_string())]);
        assert_eq!(type_in(&mut editor, "\x04").0, [Event::End]);
    }

    #[test]
    fn any_bytes_leave_a_line_that_can_be_entered() {
        let (mut editor, mut screen, mut state) = (Editor::new("> "), String::new(), 7_u32);
        for round in 0..100_000 {
            // Numerical Recipes' generator; mostly bytes that mean something.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [byte, kind, ..] = state.to_be_bytes();
            let byte = if kind < 128 { byte & 0x7f } else { byte };
            editor.feed(byte, words, &mut screen);
            if round % 1000 == 0 {
                screen.clear();
            }
        }
        assert!(editor.line.cursor() <= editor.line.text().len());
        assert!(editor.line.text().len() <= crate::monitor::line::LONGEST);
        let entered = type_in(&mut editor, "\x15\x1b[0~\x05\x15end\r").0;
        assert_eq!(entered, [Event::Entered("end".to_string())]);
    }

    #[test]
    fn characters_at_the_end_are_shown_as_they_are() {
        assert_eq!(type_in(&mut Editor::new("> "), "abc").1, "abc");
        let (_, screen) = type_in(&mut Editor::new("> "), "ac\x1b[Db");
        assert!(screen.ends_with("\r\x1b[K> abc\x1b[1D"), "{screen:?}");
    }
}
