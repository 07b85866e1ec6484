//! What the end of a boot means.
//!
//! The guest leaves QEMU with the final status (semihosting), so most of this only names it.

use super::Boot;
use crate::child::End;
use crate::failure::{Failure, HIGHEST_PROGRAM_STATUS, Status};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// How a boot ended, in our terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The program ended with this status, 0 to 99.
    Program(u8),
    /// Anything else.
    Failed(Failure),
}

impl Verdict {
    /// Returns the exit status of the whole.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Verdict::Program(status) => *status,
            Verdict::Failed(failure) => failure.status as u8,
        }
    }
}

/// Says how a boot with this time limit ended.
#[must_use]
pub fn judge(boot: &Boot, limit: Duration) -> Verdict {
    let status = match boot.end {
        End::Itself(status) => status,
        End::TimedOut => {
            let text = format!("watchdog: no end after {} s, QEMU was killed", limit.as_secs());
            return failed(Status::Watchdog, text);
        }
        End::Interrupted => return failed(Status::Interrupted, "interrupted"),
    };
    if let Some(signal) = status.signal() {
        return failed(Status::MissingTool, format!("QEMU was killed by signal {signal}"));
    }
    // A QEMU that cannot start exits with 1, as a program may; but then no guest has spoken.
    if boot.output.is_empty() && !status.success() {
        return failed(Status::Usage, not_started(&boot.errors));
    }
    guest(status.code().unwrap_or_default())
}

fn guest(status: i32) -> Verdict {
    match status {
        101 => failed(Status::TestFailed, "the first program found a leak; see above"),
        102 => failed(Status::ProgramKilled, "the program was killed by a fault; see above"),
        103 => failed(Status::KernelPanic, "kernel panic; see above"),
        106 => failed(Status::Usage, "the guest could not use what it was given; see above"),
        other => match u8::try_from(other) {
            Ok(own) if own <= HIGHEST_PROGRAM_STATUS => Verdict::Program(own),
            _ => failed(Status::MissingTool, format!("QEMU ended with the odd status {other}")),
        },
    }
}

fn not_started(errors: &str) -> String {
    let line = errors.lines().find(|line| !line.trim().is_empty());
    format!("QEMU did not start: {}", line.unwrap_or("it does not say why"))
}

fn failed(status: Status, text: impl Into<String>) -> Verdict {
    Verdict::Failed(Failure::new(status, text))
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};
    use crate::child::End;
    use crate::qemu::Boot;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;
    use std::time::Duration;

    fn status(end: End, output: &str) -> u8 {
        let boot = Boot { end, output: output.into(), errors: "no such CPU\n".into() };
        judge(&boot, Duration::from_secs(1)).status()
    }

    fn code(code: i32) -> End {
        End::Itself(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn every_end_has_its_status() {
        for own in [0, 1, 77, 99] {
            assert_eq!(status(code(own), "banner"), own as u8);
        }
        for named in [101, 102, 103, 106] {
            assert_eq!(status(code(named), "banner"), named as u8);
        }
        assert_eq!(status(End::TimedOut, "banner"), 104);
        assert_eq!(status(End::Itself(ExitStatus::from_raw(11)), "banner"), 105);
        assert_eq!(status(code(100), "banner"), 105);
    }

    #[test]
    fn a_qemu_that_does_not_start_is_no_program() {
        assert_eq!(status(code(1), ""), 106);
        let boot = Boot { end: code(1), output: String::new(), errors: "no such CPU\n".into() };
        let Verdict::Failed(failure) = judge(&boot, Duration::ZERO) else { panic!("a program") };
        assert!(failure.text.contains("no such CPU"));
    }
}
