//! What has to be run to install a package, as a function of the system.

use super::apt;
use crate::qemu::{MINIMUM, Version};
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Where apt keeps its sources.
const SOURCES: &str = "/etc/apt";
/// The source that the tool may add.
const ADDED_SOURCE: &str = "/etc/apt/sources.list.d/vellum-backports.sources";

/// What the system says about itself.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// Whether there is apt-get.
    pub has_apt: bool,
    /// Whether the tool runs as root.
    pub is_root: bool,
    /// The distribution, as its release file calls it: `debian`.
    pub distribution: String,
    /// The release: `bookworm`.
    pub codename: String,
    /// The text of all apt sources.
    pub sources: String,
    /// The version of QEMU that apt would install.
    pub candidate: Option<Version>,
}

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What it reads.
    pub input: String,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.input.is_empty() {
            let input = self.input.replace('\n', "\\n");
            write!(formatter, "printf '{input}' | ")?;
        }
        formatter.write_str(&self.words.join(" "))
    }
}

impl System {
    /// Looks at the system.
    #[must_use]
    pub fn look() -> System {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let policy = output(&["apt-cache", "policy", super::QEMU_PACKAGE]);
        let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"));
        System {
            has_apt: !output(&["apt-get", "--version"]).is_empty(),
            is_root: output(&["id", "-u"]).trim() == "0",
            distribution: release_field(&release, "ID"),
            codename: release_field(&release, "VERSION_CODENAME"),
            sources: all_sources(),
            candidate: candidate.and_then(Version::parse),
        }
    }

    /// Returns the step that fetches the package lists.
    #[must_use]
    pub fn update(&self) -> Step {
        self.apt_get(&["update", "-q"])
    }

    fn apt_get(&self, words: &[&str]) -> Step {
        let lead = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
        self.as_root(&[&lead, words].concat(), String::new())
    }

    fn as_root(&self, words: &[&str], input: String) -> Step {
        let sudo: &[&str] = if self.is_root { &[] } else { &["sudo"] };
        Step { words: [sudo, words].concat().into_iter().map(String::from).collect(), input }
    }
}

/// Returns the steps that install a package. QEMU comes from the release's backports where the
/// release has one that is too old.
#[must_use]
pub fn plan(package: &str, system: &System) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut words = vec!["install", "--yes", "--no-remove", "--no-install-recommends"];
    let suite = apt::backports(&system.codename);
    if package == super::QEMU_PACKAGE && needs_backports(system) {
        if !apt::has_suite(&system.sources, &suite) {
            if let Some(text) = apt::stanza_for(&system.sources, &system.codename, &suite) {
                steps.push(system.as_root(&["tee", ADDED_SOURCE], text));
            }
            steps.push(system.update());
        }
        words.extend(["--target-release", &suite]);
    }
    words.push(package);
    steps.push(system.apt_get(&words));
    steps
}

fn needs_backports(system: &System) -> bool {
    let too_old = match system.candidate {
        Some(version) => version < MINIMUM,
        // Without lists nothing is known but that Debian 12 has an old one.
        None => system.codename == "bookworm",
    };
    too_old && system.distribution == "debian"
}

fn output(words: &[&str]) -> String {
    let [program, arguments @ ..] = words else { return String::new() };
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn release_field(text: &str, key: &str) -> String {
    let field =
        |line: &str| Some(line.strip_prefix(key)?.strip_prefix('=')?.trim_matches('"').into());
    text.lines().find_map(field).unwrap_or_default()
}

/// Joins every source file; a blank line keeps their stanzas apart.
fn all_sources() -> String {
    let mut files = crate::tree::files(Path::new(SOURCES), ".sources");
    files.extend(crate::tree::files(Path::new(SOURCES), ".list"));
    let texts: Vec<_> = files.iter().flat_map(std::fs::read_to_string).collect();
    texts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::{System, plan, release_field};
    use crate::qemu::Version;

    fn bookworm() -> System {
        System {
            has_apt: true,
            distribution: "debian".into(),
            codename: "bookworm".into(),
            sources: "deb [signed-by=/k.gpg] http://mirror.test/debian bookworm main\n".into(),
            candidate: Some(Version { major: 7, minor: 2 }),
            ..System::default()
        }
    }

    fn lines(system: &System) -> Vec<String> {
        plan("qemu-system-arm", system).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_old_release_takes_qemu_from_its_backports() {
        let lines = lines(&bookworm());
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains("URIs: http://mirror.test/debian\\nSuites: bookworm-backports"));
        assert!(lines[0].ends_with("| sudo tee /etc/apt/sources.list.d/vellum-backports.sources"));
        assert!(lines[1].ends_with("apt-get update -q"));
        assert!(lines[2].ends_with("--target-release bookworm-backports qemu-system-arm"));
    }

    #[test]
    fn known_backports_are_not_added_again() {
        let mut system = bookworm();
        system.sources.push_str("deb http://mirror.test/debian bookworm-backports main\n");
        assert_eq!(lines(&system).len(), 1);
    }

    #[test]
    fn a_new_release_takes_qemu_as_it_is() {
        let mut system = bookworm();
        system.candidate = Some(Version { major: 10, minor: 0 });
        system.is_root = true;
        let lines = lines(&system);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("env DEBIAN_FRONTEND=noninteractive apt-get install --yes"));
        assert!(!lines[0].contains("release"));
        assert_eq!(plan("gdb-multiarch", &bookworm()).len(), 1);
    }

    #[test]
    fn release_fields_lose_their_quotes() {
        let text = "ID_LIKE=x\nID=debian\nVERSION_CODENAME=\"trixie\"\n";
        assert_eq!(release_field(text, "ID"), "debian");
        assert_eq!(release_field(text, "VERSION_CODENAME"), "trixie");
        assert_eq!(release_field(text, "NONE"), "");
    }
}
