//! From the bytes that a terminal sends to keys.
//!
//! Owns: escape sequences (ECMA-48 control sequences as xterm sends them). Refuses to know: what a key does.
//! A sequence that is not known is one key that does nothing; its bytes never end up in the line.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Key {
    /// A printable ASCII character.
    Character(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    /// The line before, in the history.
    Up,
    /// The line behind.
    Down,
    /// Removes everything behind the cursor.
    KillToEnd,
    /// Removes everything before the cursor.
    KillToStart,
    /// Removes the word before the cursor.
    KillWord,
    /// Puts back what was removed last.
    Yank,
    /// Gives the line up (Ctrl-C).
    Cancel,
    /// Ends the input, in an empty line (Ctrl-D).
    EndOfInput,
    /// Clears the screen (Ctrl-L).
    Clear,
}

/// How far a sequence has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Behind a carriage return: a line feed belongs to it.
    Returned,
    Escape,
    /// Behind `ESC [`: the number so far, and whether a second one has begun.
    Control {
        number: u8,
        modifier: Option<u8>,
    },
    /// Behind `ESC O`.
    Single,
}

/// Turns bytes into keys.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    state: State,
}

impl Keys {
    /// Takes a byte. Returns the key that it completes.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        let state = core::mem::take(&mut self.state);
        match state {
            State::Returned if byte == b'\n' => None,
            State::Ground | State::Returned => self.plain(byte),
            State::Escape => self.escaped(byte),
            State::Single => final_byte(byte, 0, None),
            State::Control { number, modifier } => self.control(byte, number, modifier),
        }
    }

    fn plain(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'\r' => {
                self.state = State::Returned;
                Key::Enter
            }
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            b' '..=b'~' => Key::Character(char::from(byte)),
            _ => return control_key(byte),
        })
    }

    fn escaped(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' => self.state = State::Control { number: 0, modifier: None },
            b'O' => self.state = State::Single,
            0x1b => self.state = State::Escape,
            b'b' => return Some(Key::WordLeft),
            b'f' => return Some(Key::WordRight),
            0x7f => return Some(Key::KillWord),
            _ => {}
        }
        None
    }

    fn control(&mut self, byte: u8, number: u8, modifier: Option<u8>) -> Option<Key> {
        match (byte, modifier) {
            (b'0'..=b'9', None) => {
                let number = number.saturating_mul(10).saturating_add(byte - b'0');
                self.state = State::Control { number, modifier };
            }
            (b'0'..=b'9', Some(before)) => {
                let modifier = Some(before.saturating_mul(10).saturating_add(byte - b'0'));
                self.state = State::Control { number, modifier };
            }
            (b';', _) => self.state = State::Control { number, modifier: Some(0) },
            // Other parameters and intermediate bytes of sequences that are not known.
            (0x20..=0x3f, _) => self.state = State::Control { number: u8::MAX, modifier },
            _ => return final_byte(byte, number, modifier),
        }
        None
    }
}

/// Returns the key of a control character.
fn control_key(byte: u8) -> Option<Key> {
    let ctrl = |letter: u8| letter & 0x1f;
    Some(match byte {
        b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        _ if byte == ctrl(b'A') => Key::Home,
        _ if byte == ctrl(b'B') => Key::Left,
        _ if byte == ctrl(b'C') => Key::Cancel,
        _ if byte == ctrl(b'D') => Key::EndOfInput,
        _ if byte == ctrl(b'E') => Key::End,
        _ if byte == ctrl(b'F') => Key::Right,
        _ if byte == ctrl(b'K') => Key::KillToEnd,
        _ if byte == ctrl(b'L') => Key::Clear,
        _ if byte == ctrl(b'N') => Key::Down,
        _ if byte == ctrl(b'P') => Key::Up,
        _ if byte == ctrl(b'U') => Key::KillToStart,
        _ if byte == ctrl(b'W') => Key::KillWord,
        _ if byte == ctrl(b'Y') => Key::Yank,
        _ => return None,
    })
}

/// Returns the key that the last byte of a sequence names.
fn final_byte(byte: u8, number: u8, modifier: Option<u8>) -> Option<Key> {
    // With Shift, Alt or Ctrl: all of them mean words here.
    let words = modifier.is_some_and(|modifier| modifier > 1);
    Some(match (byte, number) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if words => Key::WordRight,
        (b'D', _) if words => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', 1 | 7) => Key::Home,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'~', 3) => Key::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Key, Keys};
    use std::vec::Vec;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.feed(*byte)).collect()
    }

    #[test]
    fn sequences_of_common_terminals_are_keys() {
        let all = b"\x1b[A\x1b[B\x1b[C\x1b[D\x1bOH\x1b[F\x1b[3~\x1b[1;5D\x1b[1;5C\x1b[1~\x1b[4~";
        let expected = [
            Key::Up,
            Key::Down,
            Key::Right,
            Key::Left,
            Key::Home,
            Key::End,
            Key::Delete,
            Key::WordLeft,
            Key::WordRight,
            Key::Home,
            Key::End,
        ];
        assert_eq!(keys(all), expected);
    }

    #[test]
    fn unknown_sequences_and_bytes_leave_no_character_behind() {
        assert_eq!(
            keys(b"\x1b[200~a\x1b[?25hb\x1b[15~c"),
            [Key::Character('a'), Key::Character('b'), Key::Character('c')]
        );
        assert_eq!(keys(&[0, 0xc3, 0xa4, 0x1b, b'x', b'y']), [Key::Character('y')]);
    }

    #[test]
    fn every_end_of_a_line_is_one_enter() {
        assert_eq!(keys(b"\r\n"), [Key::Enter]);
        assert_eq!(keys(b"\n"), [Key::Enter]);
        assert_eq!(keys(b"\r\r"), [Key::Enter, Key::Enter]);
        assert_eq!(keys(b"\ra\n"), [Key::Enter, Key::Character('a'), Key::Enter]);
    }

    #[test]
    fn any_bytes_are_taken() {
        for first in 0..=255 {
            for second in 0..=255 {
                let _ = keys(&[0x1b, b'[', first, second, first, 0x1b, second]);
            }
        }
    }
}
