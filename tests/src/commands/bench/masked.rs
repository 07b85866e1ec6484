//! The longest time with interrupts masked, by a kernel that is built to measure it.
//!
//! Every benchmark runs once on that kernel, whichever were asked for: the figure is the most of
//! all. The instructions of the measurement are in it, a few dozen.

use super::{BENCHMARKS, output};
use crate::build;
use crate::command_line::Options;
use crate::failure::Failure;
use crate::figures::Figure;
use crate::launch::Built;
use crate::qemu::Qemu;
use std::collections::BTreeMap;

/// What the kernel's line starts with.
const MARK: &str = "vellum: longest masked: ";

/// Runs every benchmark and returns a figure for each case.
///
/// # Errors
/// As of any benchmark; `MissingTool` if the kernel prints no such time.
pub(super) fn measure(options: &Options, qemu: &Qemu) -> Result<Vec<Figure>, Failure> {
    let programs: Vec<_> = BENCHMARKS.iter().flat_map(|bench| bench.programs()).collect();
    build::programs(&programs)?;
    let built = Built { kernel: build::masked_kernel()?, programs };
    let mut longest = BTreeMap::new();
    for bench in BENCHMARKS {
        eprintln!("vellum: measuring {} for masked interrupts", bench.program);
        let text = output(options, options.machine(), qemu, &built, bench, &options.switches())?;
        let found = instructions(&text).ok_or_else(|| Failure::tool("no longest masked time"))?;
        let most = longest.entry(bench.masked).or_insert(0);
        *most = found.max(*most);
    }
    Ok(longest.into_iter().map(|(case, value)| figure(case, value)).collect())
}

fn figure(case: &str, instructions: u64) -> Figure {
    Figure {
        bench: "paths".into(),
        case: case.into(),
        metric: "instructions".into(),
        unit: "instructions".into(),
        value: instructions.into(),
        switches: Vec::new(),
    }
}

/// Returns the number in the kernel's line.
fn instructions(output: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.trim().strip_prefix(MARK))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::instructions;

    #[test]
    fn the_kernels_line_is_found_among_others() {
        let output = "banner\nvellum: longest masked: 4711 instructions\r\n";
        assert_eq!(instructions(output), Some(4711));
        assert_eq!(instructions("nothing\n"), None);
    }
}
