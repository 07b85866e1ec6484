//! The options of the boot archive: `key=value` lines, some for the kernel, some for the first
//! program. Each reader takes the keys it knows; the host tool writes only known ones.

/// Run this file of the archive as the only child of the first program.
pub const RUN: &str = "run";
/// An argument of that program; may be repeated.
pub const ARGUMENT: &str = "arg";
/// `on`: fills and copies may use the memory copy and set instructions (FEAT_MOPS).
pub const MOPS: &str = "mops";
/// `on`: every fill takes its fallback loop, as if `DC ZVA` and `DC GZVA` were prohibited.
pub const PLAIN_FILLS: &str = "plain_fills";
/// `panic`, `hang`, `stack`, `use_after_free`, `overflow` or `tags`: the kernel fails on purpose at
/// boot (tests of the harness, of the tagged kernel heap and of the self-test).
pub const FAIL: &str = "fail";
/// Frames that the kernel keeps out of use, so that few are left (tests of exhaustion).
pub const HIDE_FRAMES: &str = "hide_frames";
/// Bits of an address space identifier, where fewer are wanted than the CPUs have (tests of
/// identifiers that run out): enough for one a CPU and one more, not counting 0.
pub const ASID_BITS: &str = "asid_bits";

/// Returns the options as pairs, in order. A line without `=` is a key with an empty value.
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once('=').unwrap_or((line, "")))
}

/// Returns the first value of `key`.
#[must_use]
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    pairs(text).find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #[test]
    fn first_value_wins_and_values_may_hold_equals_signs() {
        let text = "run=a\narg=x=y\n\nflag\nrun=b\n";
        assert_eq!(super::value(text, "run"), Some("a"));
        assert_eq!(super::value(text, "arg"), Some("x=y"));
        assert_eq!(super::value(text, "flag"), Some(""));
        assert_eq!(super::value(text, "none"), None);
    }
}
