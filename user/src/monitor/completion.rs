//! What the Tab key adds to a word.
//!
//! Owns: the common part of words. Refuses to know: which words there are.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What could become of the word before the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// What is certain to follow: nothing, or the rest of a word, with a space if it is the only one.
    pub rest: String,
    /// The words that begin like this one, if there are several.
    pub choices: Vec<String>,
}

/// Returns the word before the cursor: what follows the last space.
#[must_use]
pub fn word(before: &str) -> &str {
    before.rsplit(' ').next().unwrap_or(before)
}

/// Completes the word before the cursor from these.
#[must_use]
pub fn complete(before: &str, words: &[String]) -> Completion {
    let word = word(before);
    let mut choices: Vec<String> =
        words.iter().filter(|choice| choice.starts_with(word)).cloned().collect();
    choices.sort_unstable();
    choices.dedup();
    let Some(first) = choices.first() else { return Completion::default() };
    let common = choices.iter().fold(first.as_str(), |common, choice| shared(common, choice));
    let mut rest = common[word.len()..].to_string();
    if choices.len() == 1 {
        rest.push(' ');
        choices.clear();
    }
    Completion { rest, choices }
}

/// Returns what two words begin with alike.
fn shared<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
    &one[..same.map_or(one.len().min(other.len()), |((index, _), _)| index)]
}

#[cfg(test)]
mod tests {
    use super::{complete, shared};
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn words() -> Vec<String> {
        ["run", "programs", "policy", "ps", "run"].iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_only_word_is_completed_with_a_space() {
        assert_eq!(complete("ru", &words()).rest, "n ");
        assert_eq!(complete("run", &words()).rest, " ");
        assert!(complete("ru", &words()).choices.is_empty());
    }

    #[test]
    fn several_words_give_what_they_share() {
        let completion = complete("x p", &words());
        assert_eq!(completion.rest, "");
        assert_eq!(completion.choices, ["policy", "programs", "ps"]);
        let longer = ["test_ab", "test_ac"].map(String::from);
        assert_eq!(complete("te", &longer).rest, "st_a");
    }

    #[test]
    fn no_word_gives_nothing() {
        assert_eq!(complete("zz", &words()), super::Completion::default());
        assert_eq!(complete("run ", &[]), super::Completion::default());
    }

    #[test]
    fn words_share_their_start() {
        assert_eq!(shared("abc", "abd"), "ab");
        assert_eq!(shared("abc", "ab"), "ab");
        assert_eq!(shared("ab", "abc"), "ab");
        assert_eq!(shared("abc", "xbc"), "");
    }
}
