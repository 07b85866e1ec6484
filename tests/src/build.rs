//! Builds the kernel and the programs with cargo.

use crate::child;
use crate::failure::{Failure, Naming};
use crate::programs::Program;
use crate::tree;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of the kernel: no floating point registers.
pub const KERNEL_TARGET: &str = "aarch64-unknown-none-softfloat";
/// The target of user programs.
pub const USER_TARGET: &str = "aarch64-unknown-none";
/// The cargo profile of user programs.
const USER_PROFILE: &str = "user";

/// How the kernel is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// Checked: assertions, overflow checks, the auditor and poisoned frames.
    Dev,
    /// Optimised: for figures.
    Release,
}

impl Profile {
    /// Returns what cargo calls the profile.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Dev => "dev",
            Profile::Release => "release",
        }
    }

    const fn directory(self) -> &'static str {
        match self {
            Profile::Dev => "debug",
            Profile::Release => "release",
        }
    }
}

/// Returns a cargo command that works on the tree.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(tree::root()).stdin(Stdio::null());
    command
}

/// Returns a cargo command for bare metal. Where the toolchain has no library for `target` (one
/// of a distribution), cargo builds it from source, which such a toolchain calls unstable.
///
/// # Errors
/// `MissingTool` if there is no compiler.
pub fn cargo_for(target: &str, verb: &str) -> Result<Command, Failure> {
    let mut command = cargo();
    command.args([verb, "--target", target]);
    if !library_is_installed(target)? {
        command.env("RUSTC_BOOTSTRAP", "1");
        // Such a toolchain brings no linker of its own either.
        let variable = target.replace('-', "_").to_uppercase();
        command.env(format!("CARGO_TARGET_{variable}_LINKER"), "ld.lld");
        command.arg("-Zbuild-std=core,alloc,compiler_builtins");
        command.arg("-Zbuild-std-features=compiler-builtins-mem");
    }
    Ok(command)
}

/// Returns whether the compiler has a library for `target`.
///
/// # Errors
/// `MissingTool` if there is no compiler.
pub fn library_is_installed(target: &str) -> Result<bool, Failure> {
    let mut command = Command::new("rustc");
    command.current_dir(tree::root()).args(["--print", "target-libdir", "--target", target]);
    let output = command.output().naming("rustc")?;
    let directory = String::from_utf8_lossy(&output.stdout);
    Ok(Path::new(directory.trim()).is_dir())
}

/// What is said of something that cargo refuses to build.
pub const REFUSED: &str = "does not build; cargo says why above";

fn run(mut command: Command, what: &str) -> Result<(), Failure> {
    if child::succeeds(&mut command)? {
        return Ok(());
    }
    Err(Failure::tool(format!("{what} {REFUSED}")))
}

/// Leaves cargo's progress visible for a first build, which is slow.
fn quiet_if(built_before: bool, mut command: Command) -> Command {
    if built_before {
        command.arg("--quiet");
    }
    command
}

/// Builds the kernel and returns its ELF file.
///
/// # Errors
/// `MissingTool` if cargo is missing or fails.
pub fn kernel(profile: Profile) -> Result<PathBuf, Failure> {
    let file = tree::target().join(KERNEL_TARGET).join(profile.directory()).join("vellum");
    let mut command = cargo_for(KERNEL_TARGET, "build")?;
    command.args(["-p", "vellum-kernel", "--profile", profile.name()]);
    run(quiet_if(file.exists(), command), "the kernel")?;
    Ok(file)
}

/// Builds the optimised kernel that measures how long interrupts are masked, and returns its ELF
/// file. It has a directory of its own, so that both kernels stay built.
///
/// # Errors
/// `MissingTool` if cargo is missing or fails.
pub fn masked_kernel() -> Result<PathBuf, Failure> {
    let directory = tree::target().join("masked");
    let profile = Profile::Release;
    let file = directory.join(KERNEL_TARGET).join(profile.directory()).join("vellum");
    let mut command = cargo_for(KERNEL_TARGET, "build")?;
    command.args(["-p", "vellum-kernel", "--profile", profile.name(), "--features", "masked"]);
    command.arg("--target-dir").arg(&directory);
    run(quiet_if(file.exists(), command), "the kernel that measures masking")?;
    Ok(file)
}

/// Builds those of the programs that belong to the tree.
///
/// # Errors
/// `MissingTool` if cargo is missing or fails.
pub fn programs<'a>(programs: impl IntoIterator<Item = &'a Program>) -> Result<(), Failure> {
    let mut command = cargo_for(USER_TARGET, "build")?;
    command.args(["-p", "vellum-user", "--profile", USER_PROFILE]);
    let mut all_there = true;
    for program in programs {
        if let Program::Own(name) = program {
            command.args(["--bin", name]);
            all_there &= program_path(program).exists();
        }
    }
    run(quiet_if(all_there, command), "a program of user/")
}

/// Returns where the ELF file of a program is, once it is built.
#[must_use]
pub fn program_path(program: &Program) -> PathBuf {
    match program {
        Program::Own(name) => tree::target().join(USER_TARGET).join(USER_PROFILE).join(name),
        Program::Foreign(path) => path.clone(),
    }
}
