//! `bench`: runs the programs that measure and collects their figures.

mod masked;
mod scaling;

use crate::build::Profile;
use crate::child::Echo;
use crate::command_line::Options;
use crate::failure::{Failure, Naming};
use crate::figures::{self, Figure};
use crate::image;
use crate::install;
use crate::launch::{Built, Launch};
use crate::programs::Program;
use crate::qemu::{Machine, Qemu, Verdict, judge};
use std::path::Path;
use std::process::ExitCode;
use vellum_abi::options::MOPS;

/// Seconds until the watchdog ends a measurement.
const LIMIT: u64 = 900;
/// The figure that needs no program: how large the kernel is.
const IMAGE: &str = "image";
/// The CPU model that has the memory copy and set instructions in every QEMU that is new enough.
const CPU_WITH_MOPS: &str = "max";

/// The argument by which a program prints its figures for us as well.
const FIGURES: &str = "figures";

/// The longest time with interrupts masked of everything without huge pages.
const MASKED: &str = "longest_masked";
/// The longest time with interrupts masked of what fills blocks of 2 MiB.
const MASKED_HUGE: &str = "longest_masked_huge";
/// The longest time with interrupts masked of programs that ask for the worst.
const MASKED_HOSTILE: &str = "longest_masked_hostile";

/// A program that measures.
struct Benchmark {
    /// The name of its figures.
    name: &'static str,
    /// The program.
    program: &'static str,
    /// Its arguments, beside the one for figures.
    arguments: &'static [&'static str],
    /// Programs that it starts itself.
    beside: &'static [&'static str],
    /// The case that its longest time with interrupts masked counts for.
    masked: &'static str,
}

impl Benchmark {
    /// Returns a program that measures by itself, without huge pages.
    const fn plain(name: &'static str, program: &'static str) -> Benchmark {
        Benchmark { name, program, arguments: &[], beside: &[], masked: MASKED }
    }

    /// Returns the programs that it takes.
    fn programs(&self) -> impl Iterator<Item = Program> {
        let names = std::iter::once(&self.program).chain(self.beside);
        names.map(|name| Program::Own((*name).to_owned()))
    }
}

/// Every program that measures.
const BENCHMARKS: &[Benchmark] = &[
    Benchmark::plain("thread", "thread"),
    Benchmark { masked: MASKED_HUGE, ..Benchmark::plain("thread_4m", "thread_4m") },
    Benchmark::plain("paths", "paths"),
    Benchmark::plain("paths", "forks"),
    Benchmark::plain("paths", "operations"),
    Benchmark::plain("paths", "moves"),
    Benchmark::plain("paths", "messages"),
    Benchmark::plain("paths", "timed_waits"),
    Benchmark::plain("paths", "pagers"),
    Benchmark { masked: MASKED_HOSTILE, ..Benchmark::plain("paths", "hostile") },
    Benchmark { beside: &["pager"], ..Benchmark::plain("sweep", "sweep") },
    Benchmark::plain("sparse_read", "sparse_read"),
];

/// Prints the figures of these names, or all, and writes them into a directory.
///
/// # Errors
/// Every end but success of a program.
pub(super) fn bench(
    options: &Options,
    names: &[String],
    out: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let chosen = choose(names)?;
    if !options.machine().icount {
        return Err(Failure::usage("without icount nothing counts instructions: no figures"));
    }
    let qemu = install::qemu(options.install)?;
    let is_asked = |name: &str| names.is_empty() || names.iter().any(|asked| asked == name);
    let mut programs: Vec<_> = chosen.iter().flat_map(|bench| bench.programs()).collect();
    if is_asked(scaling::NAME) {
        programs.push(Program::Own(scaling::NAME.to_owned()));
    }
    let built = Built::new(options.profile.unwrap_or(Profile::Release), programs)?;
    let mut figures = Vec::new();
    for bench in &chosen {
        figures.extend(measure(options, &qemu, &built, bench)?);
    }
    let mut noisy = Vec::new();
    if is_asked(scaling::NAME) {
        figures.extend(scaling::waits(options, &qemu, &built)?);
        noisy = scaling::rates(options, &qemu, &built)?;
    }
    if is_asked(IMAGE) {
        figures.push(image_figure(&built.kernel)?);
    }
    if chosen.iter().any(|bench| bench.name == "paths") {
        figures.extend(masked::measure(options, &qemu)?);
    }
    print!("{}", figures::table(&figures));
    println!("Instructions are counted, not timed: one of them is not one cycle of a real CPU.");
    if !noisy.is_empty() {
        print!("{}", figures::table(&noisy));
        println!("These are by the clock of the host, and others on every run.");
    }
    figures::sort(&mut figures)?;
    if let Some(directory) = out {
        write(&figures, directory)?;
        if !noisy.is_empty() {
            write_file(directory, "noisy.json", &figures::json(&noisy)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn choose(names: &[String]) -> Result<Vec<&'static Benchmark>, Failure> {
    let mut known: Vec<_> =
        BENCHMARKS.iter().map(|bench| bench.name).chain([scaling::NAME, IMAGE]).collect();
    known.dedup();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let known = known.join(", ");
        return Err(Failure::usage(format!("no figures {name} (there are {known})")));
    }
    let wanted = |bench: &&Benchmark| names.is_empty() || names.iter().any(|n| n == bench.name);
    Ok(BENCHMARKS.iter().filter(wanted).collect())
}

/// Runs a benchmark, and once more with the memory copy and set instructions where there are any.
fn measure(
    options: &Options,
    qemu: &Qemu,
    built: &Built,
    bench: &Benchmark,
) -> Result<Vec<Figure>, Failure> {
    let plain: Vec<_> = options.switches().into_iter().filter(|(key, _)| *key != MOPS).collect();
    eprintln!("vellum: measuring {}", bench.program);
    let mut figures = run(options, qemu, built, bench, &plain)?;
    if options.cpu != CPU_WITH_MOPS {
        eprintln!("vellum: no figures with FEAT_MOPS: the CPU {} may lack it", options.cpu);
        return Ok(figures);
    }
    eprintln!("vellum: measuring {} with FEAT_MOPS", bench.program);
    let switches: Vec<_> = plain.into_iter().chain([(MOPS, "on")]).collect();
    let mut second = run(options, qemu, built, bench, &switches)?;
    figures::mark_mops(&mut second);
    figures.extend(second);
    Ok(figures)
}

/// Runs a benchmark and returns its figures.
fn run(
    options: &Options,
    qemu: &Qemu,
    built: &Built,
    bench: &Benchmark,
    switches: &[(&'static str, &'static str)],
) -> Result<Vec<Figure>, Failure> {
    let output = output(options, options.machine(), qemu, built, bench, switches)?;
    let names: Vec<_> = switches.iter().map(|(key, _)| (*key).to_owned()).collect();
    figures::parse(&output, &names)
}

/// Runs a benchmark and returns what it printed.
fn output(
    options: &Options,
    machine: Machine,
    qemu: &Qemu,
    built: &Built,
    bench: &Benchmark,
    switches: &[(&'static str, &'static str)],
) -> Result<String, Failure> {
    let words = [FIGURES].iter().chain(bench.arguments);
    let arguments: Vec<_> = words.map(|word| (*word).to_owned()).collect();
    let limit = options.limit(LIMIT);
    let launch = Launch {
        machine,
        program: bench.program,
        arguments: &arguments,
        switches,
        limit,
        echo: Echo::Hidden,
    };
    let boot = built.boot(qemu, &launch)?;
    let failure = match judge(&boot, limit) {
        Verdict::Program(0) => return Ok(boot.output),
        Verdict::Program(status) => {
            Failure::tool(format!("{} ended with status {status}", bench.program))
        }
        Verdict::Failed(failure) => failure,
    };
    eprint!("{}", boot.output);
    Err(failure)
}

/// Returns the size of the kernel without symbols and debug information.
fn image_figure(kernel: &Path) -> Result<Figure, Failure> {
    let file = std::fs::read(kernel).naming(kernel.display())?;
    let bytes = image::loadable_bytes(&file).naming(kernel.display())?;
    Ok(Figure {
        bench: IMAGE.into(),
        case: "kernel".into(),
        metric: "stripped_bytes".into(),
        unit: "bytes".into(),
        value: bytes.into(),
        switches: Vec::new(),
    })
}

fn write(figures: &[Figure], directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).naming(directory.display())?;
    write_file(directory, "figures.json", &figures::json(figures)?)?;
    for group in figures.chunk_by(|a, b| a.bench == b.bench) {
        let name = group.first().map(|figure| figure.bench.as_str()).unwrap_or_default();
        write_file(directory, &format!("{name}.csv"), &figures::csv(group))?;
    }
    Ok(())
}

fn write_file(directory: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = directory.join(name);
    std::fs::write(&path, text).naming(path.display())
}
