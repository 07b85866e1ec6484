//! The emulated machine: what can be chosen and the QEMU arguments that it comes to.

use std::ffi::OsString;
use std::path::Path;
use vellum_abi::ARCHIVE_OFFSET;

/// Where the RAM of QEMU's `virt` machine starts.
const RAM_BASE: u64 = 0x4000_0000;
/// The seed of everything random in QEMU, so that figures repeat.
pub(crate) const DEFAULT_SEED: u64 = 7;

/// A console that reads the terminal without signals, and the escape character of QEMU's own keys: Ctrl-].
const INTERACTIVE: &str =
    "-chardev stdio,id=console,mux=on,signal=off -serial chardev:console -echr 0x1d";

/// An emulated machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// QEMU's name of the CPU model.
    pub cpu: String,
    /// How many CPUs.
    pub smp: u32,
    /// How much RAM, as QEMU spells it.
    pub memory: String,
    /// One instruction is one nanosecond, on one host thread: every run is the same.
    pub icount: bool,
    /// Whether the machine has tag memory.
    pub mte: bool,
    /// Whether the CPU has EL2 and starts there.
    pub el2: bool,
    /// The version of the interrupt controller: 2 or 3.
    pub gic: u8,
    /// Whether the console is the terminal, key by key. Ctrl-] x ends QEMU then.
    pub interactive: bool,
    /// Whether the guest can end QEMU with a status.
    pub semihosting: bool,
    /// The seed of everything random in QEMU.
    pub seed: u64,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            cpu: "max".into(),
            smp: 1,
            memory: "512M".into(),
            icount: true,
            mte: true,
            el2: false,
            gic: 3,
            interactive: false,
            semihosting: true,
            seed: DEFAULT_SEED,
        }
    }
}

impl Machine {
    /// Returns QEMU's arguments for this machine with a kernel and an archive.
    #[must_use]
    pub fn arguments(&self, kernel: &Path, archive: Option<&Path>) -> Vec<OsString> {
        let mte = if self.mte { "on" } else { "off" };
        let semihosting = if self.semihosting { "on" } else { "off" };
        let el2 = if self.el2 { ",virtualization=on" } else { "" };
        let console = if self.interactive { INTERACTIVE } else { "-serial stdio" };
        let line = format!(
            "-machine virt,mte={mte},gic-version={}{el2} -cpu {} -smp {} -m {} -seed {} -nic none \
             -display none -monitor none {console} \
             -semihosting-config enable={semihosting},target=native",
            self.gic, self.cpu, self.smp, self.memory, self.seed
        );
        let mut arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        if self.icount {
            arguments.extend(["-icount".into(), "shift=0,sleep=off".into()]);
        }
        arguments.extend(["-kernel".into(), kernel.into()]);
        if let Some(archive) = archive {
            arguments.extend(["-device".into(), loader(archive)]);
        }
        arguments
    }
}

/// Returns the device that puts a file into RAM before the first instruction.
fn loader(archive: &Path) -> OsString {
    // In QEMU's option lists a comma in a value is written twice.
    let file = archive.to_string_lossy().replace(',', ",,");
    let address = RAM_BASE + ARCHIVE_OFFSET;
    format!("loader,file={file},addr={address:#x},force-raw=on").into()
}

#[cfg(test)]
mod tests {
    use super::Machine;
    use std::path::Path;

    #[test]
    fn the_default_machine_repeats_and_has_tags() {
        let line = Machine::default().arguments(Path::new("k"), Some(Path::new("/t/a,b")));
        let line: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
        let line = line.join(" ");
        assert!(line.contains("virt,mte=on,gic-version=3 -cpu max -smp 1 -m 512M -seed 7"));
        assert!(line.contains("-icount shift=0,sleep=off -kernel k"));
        assert!(line.ends_with("loader,file=/t/a,,b,addr=0x40800000,force-raw=on"));
    }
}
