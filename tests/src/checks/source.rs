//! Rust source without what is not code.

use std::iter::Peekable;
use std::str::Chars;

/// Returns a text with comments and the contents of strings and characters left out. Lines stay
/// where they are.
#[must_use]
pub fn code_of(text: &str) -> String {
    let mut reader = Reader { rest: text.chars().peekable(), code: String::new() };
    while let Some(next) = reader.rest.next() {
        match next {
            '/' if reader.rest.peek() == Some(&'/') => reader.line_comment(),
            '/' if reader.rest.peek() == Some(&'*') => reader.block_comment(),
            '"' => reader.string(),
            'r' if !reader.in_word() => reader.raw_string(),
            '\'' => reader.character(),
            other => reader.code.push(other),
        }
    }
    reader.code
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    code: String,
}

impl Reader<'_> {
    /// Whether what was read last is part of a word that goes on. The `b` of a raw byte string
    /// counts as none.
    fn in_word(&self) -> bool {
        let mut before = self.code.chars().rev();
        match before.next() {
            Some('b') => before.next().is_some_and(is_word),
            Some(other) => is_word(other),
            None => false,
        }
    }

    /// Leaves a character out, but for the end of a line.
    fn skip(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            self.code.push('\n');
        }
        Some(next)
    }

    fn line_comment(&mut self) {
        while self.rest.peek().is_some_and(|next| *next != '\n') {
            self.rest.next();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        let mut last = '/';
        while let Some(next) = self.skip() {
            match (last, next) {
                ('/', '*') => (depth, last) = (depth + 1, ' '),
                ('*', '/') => (depth, last) = (depth - 1, ' '),
                _ => last = next,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.code.push_str("\"\"");
        while let Some(next) = self.skip() {
            match next {
                '\\' => drop(self.skip()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// Reads what follows an `r`: a raw string, or anything else.
    fn raw_string(&mut self) {
        let ahead = self.rest.clone();
        let marks = ahead.clone().take_while(|next| *next == '#').count();
        if ahead.clone().nth(marks) != Some('"') {
            return self.code.push('r');
        }
        self.code.push_str("r\"\"");
        let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', marks)).collect();
        for _ in 0..=marks {
            self.rest.next();
        }
        while !self.rest.clone().take(end.len()).eq(end.chars()) && self.skip().is_some() {}
        for _ in 0..end.len() {
            self.rest.next();
        }
    }

    /// Reads what follows a single quote: a character, or a lifetime.
    fn character(&mut self) {
        let mut ahead = self.rest.clone();
        let first = ahead.next();
        if first != Some('\\') && ahead.next() != Some('\'') {
            return self.code.push('\'');
        }
        self.code.push_str("' '");
        if self.rest.next() == Some('\\') {
            self.rest.next();
        }
        while self.rest.next().is_some_and(|next| next != '\'') {}
    }
}

/// Whether a character can be part of a name.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::code_of;

    #[test]
    fn only_code_is_left() {
        for (text, code) in [
            ("a // b\nc", "a \nc"),
            ("a /* b /* c */ d\n */ e", "a \n e"),
            ("\"x\\\"y\" z", "\"\" z"),
            ("r#\"a \"b\" c\"# d", "r\"\" d"),
            ("br\"x\" y", "br\"\" y"),
            ("'\"' a '\\'' b '\\u{41}' c", "' ' a ' ' b ' ' c"),
            ("&'a str // x", "&'a str "),
            ("for r in r", "for r in r"),
            ("\"a\nb\" c", "\"\"\n c"),
            ("\"never closed", "\"\""),
        ] {
            assert_eq!(code_of(text), code);
        }
    }
}
