//! Finds QEMU and what it can do.

use crate::failure::{Failure, Naming};
use std::fmt;
use std::process::{Command, Stdio};

/// The program.
const NAME: &str = "qemu-system-aarch64";
/// The oldest version with all that Vellum needs (FEAT_MOPS on `max`, Neoverse N2).
pub const MINIMUM: Version = Version { major: 8, minor: 2 };

/// A QEMU version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    /// Reads the first `major.minor` in a text, be it QEMU's or a package's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Version> {
        text.split_whitespace().find_map(|word| {
            // A Debian version may have an epoch before a colon.
            let word = word.rsplit(':').next()?;
            let mut numbers = word.split(|c: char| !c.is_ascii_digit());
            let major = numbers.next()?.parse().ok()?;
            Some(Version { major, minor: numbers.next()?.parse().ok()? })
        })
    }
}

/// A QEMU that is installed and new enough.
#[derive(Clone, Debug)]
pub struct Qemu {
    version: Version,
}

impl Qemu {
    /// Looks for QEMU on PATH.
    ///
    /// # Errors
    /// `MissingTool` if there is none or it is too old.
    pub fn find() -> Result<Qemu, Failure> {
        let output = Command::new(NAME).arg("--version").stdin(Stdio::null()).output();
        let output = output.map_err(|_| Failure::tool(format!("{NAME} is missing")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().next().unwrap_or_default();
        let version = Version::parse(line);
        let version = version.ok_or_else(|| Failure::tool(format!("{NAME} has no version")))?;
        if version < MINIMUM {
            let text = format!("{NAME} is {version}; Vellum needs {MINIMUM} or newer");
            return Err(Failure::tool(text));
        }
        Ok(Qemu { version })
    }

    /// Returns its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns a command that starts it.
    #[must_use]
    pub fn command(&self) -> Command {
        Command::new(NAME)
    }

    /// Returns whether it knows a CPU model.
    ///
    /// # Errors
    /// `MissingTool` if it cannot be asked.
    pub fn has_cpu(&self, cpu: &str) -> Result<bool, Failure> {
        let output = self.command().args(["-machine", "virt", "-cpu", "help"]).output();
        let text = output.naming(NAME)?.stdout;
        let model = cpu.split(',').next().unwrap_or(cpu);
        Ok(String::from_utf8_lossy(&text).split_whitespace().any(|word| word == model))
    }
}

#[cfg(test)]
mod tests {
    use super::{MINIMUM, Version};

    #[test]
    fn versions_are_found_in_any_text() {
        let parse = |text| Version::parse(text).map(|v| (v.major, v.minor));
        assert_eq!(parse("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)"), Some((10, 0)));
        assert_eq!(parse("QEMU emulator version 7.2.15"), Some((7, 2)));
        assert_eq!(parse("1:8.2.2+ds-0ubuntu1"), Some((8, 2)));
        assert_eq!(parse("1:7.2+dfsg-7+deb12u13"), Some((7, 2)));
        assert_eq!(parse("no version here"), None);
        assert!(Version::parse("9.1").unwrap() > MINIMUM);
        assert!(Version::parse("8.1.5").unwrap() < MINIMUM);
    }
}
