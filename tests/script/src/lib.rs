//! Scripts of memory operations: one operation a line, and what each of them must do.
//!
//! Owns: the operations ([`op`], one table), their text ([`word`]), random ones ([`random`]), the
//! search for a shorter script that still fails ([`shrink`]), and the flat model ([`flat`]), which
//! knows what every page holds by simple maps without tables, trees, frames or locks. Refuses to
//! know: what a script runs on. The tests of `kernel/vm` run scripts on the model machine,
//! `user/src/bin/test_scripts` on the real kernel; both compare what happens with what the flat
//! model says.
//!
//! To add an operation: a line in the table of [`op`], an arm in [`flat::Flat::apply`], an arm in
//! `kernel/vm/tests/vm/perform.rs` and one in `user/src/bin/test_scripts/perform.rs`. Text,
//! random values and shrinking follow from the line.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[expect(missing_docs, reason = "a model is read as a whole; its fields are plain")]
pub mod flat;
pub mod op;
pub mod random;
pub mod shrink;
pub mod word;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use op::Op;

/// A line that is no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: usize,
    /// What it says.
    pub text: String,
}

/// Reads a script. Empty lines and what follows a `#` are left out.
///
/// # Errors
/// The first line that is no operation.
pub fn parse(text: &str) -> Result<Vec<Op>, BadLine> {
    let mut script = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default().trim();
        if code.is_empty() {
            continue;
        }
        let bad = || BadLine { number: index + 1, text: line.into() };
        script.push(Op::parse(code).ok_or_else(bad)?);
    }
    Ok(script)
}

/// Writes a script, one operation a line.
#[must_use]
pub fn write(script: &[Op]) -> String {
    script.iter().fold(String::new(), |mut text, op| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{op}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{parse, write};
    use crate::flat::Flat;
    use crate::op::Op;
    use crate::random::{Generator, Setting};
    use crate::shrink::shrink;

    #[test]
    fn any_script_is_read_as_it_was_written() {
        let mut flat = Flat::new(true);
        let mut generator = Generator::new(7, Setting { tags: true, on_kernel: false });
        let script: alloc::vec::Vec<Op> = (0..2000)
            .map(|_| {
                let op = generator.next(&flat);
                flat.apply(&op);
                op
            })
            .collect();
        assert_eq!(parse(&write(&script)), Ok(script));
    }

    #[test]
    fn a_line_that_is_no_operation_is_named() {
        let refused = parse("# a script\nclose o1\nclose\n").unwrap_err();
        assert_eq!((refused.number, refused.text.as_str()), (3, "close"));
        for line in [
            "close o9",
            "close o1 o2",
            "map s0 o1 0x1001 1 0 rw rwx fixed",
            "map s0 o1 0x1000 1 0 rw rwx replace",
            "fly s0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn shrinking_leaves_what_the_failure_needs() {
        let flat = Flat::new(true);
        let mut generator = Generator::new(3, Setting { tags: true, on_kernel: false });
        let mut script: alloc::vec::Vec<Op> = (0..300).map(|_| generator.next(&flat)).collect();
        let wanted = parse("close o3\nswitch c0 s1\nclose o4\n").unwrap();
        for (index, op) in wanted.iter().enumerate() {
            script.insert(40 + index * 90, op.clone());
        }
        let fails_fn = |script: &[Op]| {
            let mut wanted = wanted.iter().peekable();
            for op in script {
                wanted.next_if_eq(&op);
            }
            wanted.peek().is_none()
        };
        assert_eq!(shrink(script, fails_fn), wanted);
    }
}
