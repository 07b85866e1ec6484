//! The command line of `qemu-run.sh`.

use crate::build::Profile;
use crate::failure::Failure;
use crate::qemu::Machine;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` says at its end.
const STATUSES: &str = "\
Without a command: builds, boots and runs the demonstration.

Exit status of run: 0 to 99 are the program's own (99 also stands for a larger one). Of all:
  101  a test failed                    104  watchdog: no end in time
  102  a fault killed the program       105  a tool is missing or failed
  103  kernel panic                     106  command line, archive or program cannot be used";

/// Builds Vellum and runs it in QEMU.
#[derive(Clone, Debug, Parser)]
#[command(bin_name = "qemu-run.sh", after_help = STATUSES, disable_help_subcommand = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The choices that every command takes.
    #[command(flatten)]
    pub options: Options,
}

/// The sub-commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs a program of user/, or any ELF file built against it; its exit status becomes ours
    Run {
        /// A name of user/src/bin or the path of an ELF file, and arguments for it
        #[arg(value_name = "PROG [ARG]", required = true, trailing_var_arg = true)]
        words: Vec<String>,
    },
    /// Runs every test, on the host and in QEMU
    Test {
        /// Only tests whose name contains this; `mutants` plants all bugs, `mutants/NAME` some
        filter: Option<String>,
    },
    /// Prints the figures
    Bench {
        /// Only these: thread, thread_4m, paths, sweep, sparse_read, scaling, image
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Also writes figures.json, noisy.json and one CSV file for each into this directory
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Makes every system call with any arguments, on a checked kernel; --seed chooses which
    Fuzz {
        /// How many calls
        #[arg(long, value_name = "N", default_value_t = 100_000_000)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        calls: u64,
    },
    /// Starts a program stopped at the first instruction of the machine, under gdb
    Debug {
        /// A name of user/src/bin or the path of an ELF file
        #[arg(value_name = "PROG")]
        program: String,
        /// A gdb command to run once connected; may be repeated
        #[arg(long, value_name = "COMMAND")]
        gdb_command: Vec<String>,
        /// gdb ends after those commands
        #[arg(long)]
        batch: bool,
    },
    /// Opens the monitor in this terminal; `exit` there, or Ctrl-] x anywhere, ends it
    Monitor,
    /// Checks format, lints, documentation and the rules of CONTRIBUTING.md
    Check,
}

/// Choices that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Installs what is missing, by the system's package manager
    #[arg(long, global = true)]
    pub install: bool,
    /// The CPU model, as QEMU names it
    #[arg(long, global = true, default_value = "max")]
    pub cpu: String,
    /// The CPUs of the machine, at most 8
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=8))]
    pub smp: u32,
    /// The size of RAM, from 64M to 8G
    #[arg(long, global = true, value_name = "SIZE", default_value = "512M")]
    pub memory: String,
    /// One instruction is one nanosecond and every run is the same; this is the default
    #[arg(long, global = true, overrides_with = "no_icount")]
    pub icount: bool,
    /// Lets CPUs run side by side, at the host's pace
    #[arg(long, global = true, overrides_with = "icount")]
    pub no_icount: bool,
    /// The seed of everything random in QEMU
    #[arg(long, global = true, value_name = "N", default_value_t = crate::qemu::DEFAULT_SEED)]
    pub seed: u64,
    /// A machine without tag memory
    #[arg(long, global = true)]
    pub no_mte: bool,
    /// A CPU that has EL2 and starts there
    #[arg(long, global = true)]
    pub el2: bool,
    /// The version of the interrupt controller, 2 or 3
    #[arg(long, global = true, value_name = "VERSION", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(2..=3))]
    pub gic: u8,
    /// Lets the kernel use the memory copy and set instructions (FEAT_MOPS)
    #[arg(long, global = true)]
    pub mops: bool,
    /// Lets the kernel fill pages by plain loops only
    #[arg(long, global = true)]
    pub plain_fills: bool,
    /// How the kernel is built: dev (checked) or release [default: dev for debug, else release]
    #[arg(long, global = true, value_enum, hide_possible_values = true)]
    pub profile: Option<Profile>,
    /// When the watchdog ends QEMU [default: 300, of a test 120, of a benchmark 900]
    #[arg(long, global = true, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
}

impl CommandLine {
    /// Reads the command line of the process. `--help` has been answered where `None` comes back.
    ///
    /// # Errors
    /// `Usage` if it makes no sense.
    pub fn read() -> Result<Option<CommandLine>, Failure> {
        match CommandLine::try_parse() {
            Ok(line) => Ok(Some(line)),
            Err(error) if error.use_stderr() => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or("wrong usage");
                let line = line.trim_start_matches("error: ");
                Err(Failure::usage(format!("{line} (--help tells what there is)")))
            }
            Err(help) => {
                print!("{help}");
                Ok(None)
            }
        }
    }
}

impl Options {
    /// Returns the machine that the options choose.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine {
            cpu: self.cpu.clone(),
            smp: self.smp,
            memory: self.memory.clone(),
            icount: !self.no_icount,
            mte: !self.no_mte,
            el2: self.el2,
            gic: self.gic,
            seed: self.seed,
            ..Machine::default()
        }
    }

    /// Returns the options of the archive that the options choose.
    #[must_use]
    pub fn switches(&self) -> Vec<(&'static str, &'static str)> {
        use vellum_abi::options::{MOPS, PLAIN_FILLS};
        let all = [(self.mops, (MOPS, "on")), (self.plain_fills, (PLAIN_FILLS, "on"))];
        all.into_iter().filter(|(chosen, _)| *chosen).map(|(_, switch)| switch).collect()
    }

    /// Returns the time limit of a boot, `seconds` unless chosen.
    #[must_use]
    pub fn limit(&self, seconds: u64) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, CommandLine};
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn arguments_behind_the_program_are_its_own() {
        let words = ["x", "--cpu", "a", "run", "--smp", "2", "p", "--install", "-m", "--", "z"];
        let line = CommandLine::try_parse_from(words).unwrap();
        assert!(!line.options.install);
        assert_eq!((line.options.cpu.as_str(), line.options.smp), ("a", 2));
        let Some(Command::Run { words }) = line.command else { panic!("no run") };
        assert_eq!(words, ["p", "--install", "-m", "--", "z"]);
        assert!(CommandLine::try_parse_from(["x", "run"]).is_err());
        assert!(CommandLine::try_parse_from(["x", "run", "--nonsense", "p"]).is_err());
    }

    #[test]
    fn the_last_word_on_icount_wins() {
        let icount = |words: &[&str]| {
            let words = ["x"].iter().chain(words);
            CommandLine::try_parse_from(words).unwrap().options.machine().icount
        };
        assert!(icount(&[]));
        assert!(!icount(&["--no-icount"]));
        assert!(icount(&["--no-icount", "--icount"]));
        assert!(!icount(&["--icount", "--no-icount", "test"]));
    }
}
