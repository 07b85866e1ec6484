//! What the tests share: QEMU, the checked kernel and every program, built once.

use libtest_mimic::Failed;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use vellum_tests::build::Profile;
use vellum_tests::child::Echo;
use vellum_tests::image::{self, ArchiveWriter};
use vellum_tests::launch::{Built, Launch, TIMEOUT_VARIABLE, boot_bytes};
use vellum_tests::programs::{self, Program};
use vellum_tests::qemu::{Boot, Machine, Qemu, Verdict, judge};

/// Seconds until the watchdog ends a test: many times what one takes on an idle machine.
const LIMIT: u64 = 120;
/// The program that ends in any way it is told to.
pub(crate) const CRASH: &str = "crash";

/// What is built once.
pub(crate) struct Context {
    /// The QEMU on PATH.
    pub(crate) qemu: Qemu,
    built: Built,
}

/// Returns what is built once, after building it.
pub(crate) fn context() -> Result<&'static Context, Failed> {
    static CONTEXT: OnceLock<Result<Context, String>> = OnceLock::new();
    CONTEXT.get_or_init(|| build().map_err(|failure| failure.text)).as_ref().map_err(Failed::from)
}

fn build() -> Result<Context, vellum_tests::failure::Failure> {
    let qemu = Qemu::find()?;
    let programs = programs::own().into_iter().filter(|name| name != programs::FIRST);
    let built = Built::new(Profile::Dev, programs.map(Program::Own).collect())?;
    Ok(Context { qemu, built })
}

/// Returns the time limit of a test.
pub(crate) fn limit() -> Duration {
    let chosen = std::env::var(TIMEOUT_VARIABLE).ok().and_then(|text| text.parse().ok());
    Duration::from_secs(chosen.unwrap_or(LIMIT))
}

/// A boot and what it meant.
pub(crate) struct Run {
    pub(crate) boot: Boot,
    pub(crate) verdict: Verdict,
}

/// A boot in the making.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) machine: Machine,
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) switches: Vec<(&'static str, &'static str)>,
    pub(crate) limit: Duration,
}

impl Plan {
    /// Plans to run a program on the default machine.
    pub(crate) fn new(program: &str) -> Plan {
        Plan {
            machine: Machine::default(),
            program: program.to_owned(),
            arguments: Vec::new(),
            switches: Vec::new(),
            limit: limit(),
        }
    }

    /// Plans to run the program that ends as `how` says.
    pub(crate) fn crash(how: &str) -> Plan {
        Plan { arguments: vec![how.to_owned()], ..Plan::new(CRASH) }
    }

    fn launch(&self) -> Launch<'_> {
        Launch {
            machine: self.machine.clone(),
            program: &self.program,
            arguments: &self.arguments,
            switches: &self.switches,
            limit: self.limit,
            echo: Echo::Hidden,
        }
    }

    /// Returns the archive: the program, and all that are no tests.
    pub(crate) fn archive(&self) -> Result<ArchiveWriter, Failed> {
        let context = context()?;
        let programs = programs::with_companions(&Program::Own(self.program.clone()));
        // A program that does not exist is a test as well: the archive is without it.
        let exists = |program: &Program| programs::own().contains(&program.name());
        let programs = programs.into_iter().filter(exists).collect();
        let built = Built { kernel: context.built.kernel.clone(), programs };
        Ok(built.archive(&self.launch())?)
    }

    /// Boots the archive.
    pub(crate) fn run(&self) -> Result<Run, Failed> {
        self.run_bytes(&self.archive()?.finish()?)
    }

    /// Boots these bytes in the place of the archive.
    pub(crate) fn run_bytes(&self, bytes: &[u8]) -> Result<Run, Failed> {
        self.run_kernel(kernel()?, bytes)
    }

    /// Boots the archive with the kernel that figures are taken with.
    pub(crate) fn run_release(&self) -> Result<Run, Failed> {
        let kernel = vellum_tests::build::kernel(Profile::Release).map_err(|f| f.to_string())?;
        self.run_kernel(&kernel, &self.archive()?.finish()?)
    }

    fn run_kernel(&self, kernel: &Path, bytes: &[u8]) -> Result<Run, Failed> {
        let context = context()?;
        let boot = boot_bytes(&context.qemu, kernel, &self.launch(), bytes)?;
        let verdict = judge(&boot, self.limit);
        Ok(Run { boot, verdict })
    }
}

/// Returns the checked kernel.
pub(crate) fn kernel() -> Result<&'static Path, Failed> {
    Ok(&context()?.built.kernel)
}

/// Returns the ELF file of a program, cut as it is for archives.
pub(crate) fn program_file(name: &str) -> Result<Vec<u8>, Failed> {
    context()?;
    let path = vellum_tests::build::program_path(&Program::Own(name.to_owned()));
    Ok(image::trimmed(std::fs::read(path)?))
}

impl Run {
    /// Fails with the guest's output unless `condition` holds.
    pub(crate) fn check(&self, condition: bool, expected: &str) -> Result<(), Failed> {
        if condition {
            return Ok(());
        }
        let Run { boot, verdict } = self;
        let (output, errors) = (&boot.output, &boot.errors);
        Err(format!("expected {expected}, got {verdict:?}\n{output}\n{errors}").into())
    }

    /// Fails unless the whole ends with this status and the guest said these words, in any case.
    pub(crate) fn ends_with(&self, status: u8, words: &[&str]) -> Result<(), Failed> {
        self.check(self.verdict.status() == status, &format!("status {status}"))?;
        let output = self.boot.output.to_lowercase();
        for word in words {
            self.check(output.contains(&word.to_lowercase()), &format!("output with {word:?}"))?;
        }
        Ok(())
    }

    /// Fails if the kernel panicked.
    pub(crate) fn has_not_panicked(&self) -> Result<(), Failed> {
        self.check(!self.boot.output.to_lowercase().contains("panic"), "no panic")
    }
}
