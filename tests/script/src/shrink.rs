//! Looks for a shorter script that still fails.

use crate::op::Op;
use alloc::vec::Vec;

/// The most attempts: each is one run of a script.
const ATTEMPTS: usize = 20_000;

/// Returns a script that fails as `script` does, and no more when any line of it is left out or,
/// as far as the attempts reach, made simpler.
pub fn shrink(script: Vec<Op>, mut fails_fn: impl FnMut(&[Op]) -> bool) -> Vec<Op> {
    let mut left = ATTEMPTS;
    let mut try_fn = |candidate: &[Op]| {
        left = left.saturating_sub(1);
        left > 0 && fails_fn(candidate)
    };
    let mut best = script;
    loop {
        let before = best.clone();
        best = shorter(best, &mut try_fn);
        best = simpler(best, &mut try_fn);
        if best == before {
            return best;
        }
    }
}

/// Leaves out pieces: halves first, single lines last.
fn shorter(mut best: Vec<Op>, try_fn: &mut impl FnMut(&[Op]) -> bool) -> Vec<Op> {
    let mut piece = best.len().div_ceil(2);
    while piece > 0 {
        // From the end: what came later needs what came before.
        let mut end = best.len();
        while end > 0 {
            let start = end.saturating_sub(piece);
            let mut candidate = best.clone();
            candidate.drain(start..end);
            if try_fn(&candidate) {
                best = candidate;
            }
            end = start;
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    best
}

/// Replaces lines by simpler ones.
fn simpler(mut best: Vec<Op>, try_fn: &mut impl FnMut(&[Op]) -> bool) -> Vec<Op> {
    for index in 0..best.len() {
        while let Some(op) = best[index].simpler().into_iter().find(|op| {
            let mut candidate = best.clone();
            candidate[index] = op.clone();
            try_fn(&candidate)
        }) {
            best[index] = op;
        }
    }
    best
}
