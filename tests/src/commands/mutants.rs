//! `test mutants`: plants each bug and runs the test that must catch it.

use crate::build;
use crate::child::{Echo, End, Watched, collect};
use crate::command_line::Options;
use crate::failure::{Failure, Status};
use crate::install;
use crate::mutants::{self, Copied, Mutant, Test};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

/// How many bugs are planted where not all are asked for.
pub(super) const SAMPLE: usize = 3;
/// When a test counts as hanging, which is a way to notice. Building has no limit.
const LIMIT: Duration = Duration::from_secs(600);

/// What became of a planted bug.
enum Fate {
    Caught,
    /// Why not, in a line.
    Missed(String),
}

/// Plants every bug whose name contains `filter`.
///
/// # Errors
/// `TestFailed` if one was not caught or does not fit the tree; `Usage` if there is none.
pub(super) fn all(options: &Options, filter: &str) -> Result<ExitCode, Failure> {
    let mut chosen = mutants::all()?;
    chosen.retain(|mutant| mutant.name.contains(filter));
    if chosen.is_empty() {
        return Err(Failure::usage(format!("no planted bug {filter}")));
    }
    run(options, chosen).map(|()| ExitCode::SUCCESS)
}

/// Plants some of the bugs.
///
/// # Errors
/// As for [`all`].
pub(super) fn sample(options: &Options) -> Result<(), Failure> {
    run(options, mutants::sample(mutants::all()?, SAMPLE))
}

fn run(options: &Options, chosen: Vec<Mutant>) -> Result<(), Failure> {
    if chosen.iter().any(|mutant| matches!(mutant.test, Test::Qemu(_))) {
        install::qemu(options.install)?;
    }
    let copied = Copied::new()?;
    let (mut caught, count) = (0, chosen.len());
    for mutant in chosen {
        match fate(&copied, &mutant)? {
            Fate::Caught => {
                caught += 1;
                println!("mutant {} ... caught", mutant.name);
            }
            Fate::Missed(why) => {
                println!("mutant {} ... NOT CAUGHT: {why} ({})", mutant.name, mutant.what);
            }
        }
    }
    println!("{caught} of {count} planted bugs caught");
    if caught == count {
        return Ok(());
    }
    Err(Failure::new(Status::TestFailed, format!("{} planted bugs not caught", count - caught)))
}

fn fate(copied: &Copied, mutant: &Mutant) -> Result<Fate, Failure> {
    let planted = match copied.plant(mutant) {
        Ok(planted) => planted,
        Err(failure) if failure.status == Status::TestFailed => {
            return Ok(Fate::Missed(failure.text));
        }
        Err(failure) => return Err(failure),
    };
    let mut build = command(copied, &mutant.test);
    build.args(["--quiet", "--no-run"]);
    let (end, output) = watch(&mut build, None)?;
    if !matches!(end, End::Itself(status) if status.success()) {
        return Ok(Fate::Missed(format!("it does not build\n{output}")));
    }
    let mut test = command(copied, &mutant.test);
    test.arg("--");
    let name = match &mutant.test {
        Test::Host(name) | Test::Sched(name) => name,
        Test::Qemu(name) => {
            test.arg("--exact");
            name
        }
    };
    test.arg(name);
    let (end, output) = watch(&mut test, Some(LIMIT))?;
    drop(planted);
    Ok(match end {
        End::Interrupted => return Err(Failure::new(Status::Interrupted, "interrupted")),
        End::Itself(status) if status.success() && output.contains("1 passed") => {
            Fate::Missed(format!("{name} passes"))
        }
        End::Itself(status) if status.success() => Fate::Missed(format!("no test {name} ran")),
        End::Itself(_) if output.contains(build::REFUSED) => {
            Fate::Missed(format!("it does not build\n{output}"))
        }
        End::TimedOut | End::Itself(_) => Fate::Caught,
    })
}

/// Returns the command that builds and runs a test in the copy.
fn command(copied: &Copied, test: &Test) -> Command {
    let mut command = build::cargo();
    command.current_dir(copied.root());
    command.env("CARGO_TARGET_DIR", copied.target()).env("VELLUM_ROOT", copied.root());
    match test {
        Test::Host(_) => command.args(["test", "-p", "vellum-vm", "--no-fail-fast"]),
        Test::Sched(_) => command.args(["test", "-p", "vellum-sched", "--no-fail-fast"]),
        Test::Qemu(_) => command.args(["test", "-p", "vellum-tests", "--test", "qemu"]),
    };
    command
}

/// Runs a command to its end and returns its output.
fn watch(command: &mut Command, limit: Option<Duration>) -> Result<(End, String), Failure> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Watched::start(command)?;
    let output = child.child().stdout.take();
    let errors = child.child().stderr.take();
    let output = thread::spawn(move || collect(output, Echo::Hidden));
    let errors = thread::spawn(move || collect(errors, Echo::Hidden));
    let end = child.wait(limit)?;
    let mut text = String::new();
    for reader in [output, errors] {
        text.push_str(&String::from_utf8_lossy(&reader.join().unwrap_or_default()));
    }
    Ok((end, text))
}
